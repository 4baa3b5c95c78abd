// A metric over time, with the values under the cursor. The data is that of the page's JSON twin.
"use strict";
(() => {
  let chart = null; // { box, metric, plot, asked }
  const css = (name) => {
    // light-dark() is resolved only where a property of type colour uses it.
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  };
  const points = (value) => {
    if (value == null) return "none";
    const text = Math.abs(value).toFixed(1);
    return text === "0.0" ? text : (value < 0 ? "−" : "+") + text;
  };
  const evidence = (log) => {
    if (log == null) return "none";
    if (log > Math.log(1e6)) return "> 10⁶";
    if (log < Math.log(1e-3)) return "< 0.001";
    const value = Math.exp(log);
    return value >= 10 ? Math.round(value).toLocaleString("en") : value >= 1 ? value.toFixed(1) : value.toPrecision(2);
  };
  const months = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");
  const two = (number) => String(number).padStart(2, "0");
  const day = (then) => `${then.getDate()} ${months[then.getMonth()]}`;
  // Times are told in the zone of the page, which is that of the server, wherever the browser is.
  const zoned = (at) => {
    const away = new Date(at * 1e3).getTimezoneOffset() * 60;
    return new Date((at + away + Number(chart.box.dataset.offset)) * 1e3);
  };
  const tick = (at) => {
    const then = zoned(at);
    const seconds = then.getSeconds() ? `:${two(then.getSeconds())}` : "";
    return then.getHours() || then.getMinutes() || seconds ? `${two(then.getHours())}:${two(then.getMinutes())}${seconds}` : day(then);
  };
  const moment = (at) => {
    const then = zoned(at);
    return `${day(then)} ${two(then.getHours())}:${two(then.getMinutes())}:${two(then.getSeconds())}`;
  };
  const tones = (told) => {
    if (told === "h") return ["--harm", "--harm-soft"];
    return told === "c" ? ["--cand", "--cand-soft"] : ["--null", "--null-soft"];
  };
  const axis = (more) => ({
    stroke: css("--ink-3"), font: "11px system-ui, sans-serif",
    grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line-2"), width: 1, size: 4 }, ...more,
  });

  // Estimates and intervals vary over orders of magnitude at the beginning: the axis shows what is asked now.
  const range = (series) => {
    const last = series.at(-1);
    const deep = Math.min(0, last.low, ...series.map((one) => one.margin));
    const tall = Math.max(0, last.high, last.effect, -deep / 2);
    const room = Math.max((tall - deep) * 0.25, 0.2);
    return [deep - room, tall + room];
  };

  const draw = (box, view) => {
    const tile = view.tiles.find((one) => one.name === box.dataset.metric);
    const series = (tile?.series ?? []).filter((one) => one.effect != null);
    if (series.length < 2) {
      box.textContent = "Drawn from the second look on.";
      return null;
    }
    const [ink, soft] = tones(tile.told).map(css);
    const column = (name) => series.map((one) => one[name]);
    const data = [column("at"), column("high"), column("low"), column("effect"), column("margin"),
      column("log_e_expand"), column("log_e_harm"), column("consumed")];
    const hidden = { show: true, paths: () => null, points: { show: false }, scale: "hidden" };
    const line = (stroke, more) => ({ stroke, points: { show: false }, ...more });
    const [low, high] = range(series);
    const stages = (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = css("--line-2");
      ctx.fillStyle = css("--ink-3");
      ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
      ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
      for (const stage of view.stages) {
        const x = plot.valToPos(stage.at, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.fillText(stage.label, x + 4 * devicePixelRatio, bbox.top + 12 * devicePixelRatio);
      }
      ctx.restore();
    };
    const asked = (plot) => {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = css("--ink");
      ctx.lineWidth = 1.25 * devicePixelRatio;
      ctx.setLineDash([1.5 * devicePixelRatio, 3 * devicePixelRatio]);
      const across = (at) => Math.min(Math.max(plot.valToPos(at, "x", true), bbox.left), bbox.left + bbox.width);
      ctx.beginPath();
      tile.margins.forEach(([at, margin], place) => {
        const y = plot.valToPos(margin, "y", true);
        const next = tile.margins[place + 1];
        ctx.lineTo(across(at), y);
        ctx.lineTo(next ? across(next[0]) : bbox.left + bbox.width, y);
      });
      ctx.stroke();
      ctx.setLineDash([]);
      ctx.lineWidth = devicePixelRatio;
      const zero = plot.valToPos(0, "y", true);
      ctx.strokeStyle = css("--ink-3");
      ctx.beginPath();
      ctx.moveTo(bbox.left, zero);
      ctx.lineTo(bbox.left + bbox.width, zero);
      ctx.stroke();
      ctx.restore();
    };
    box.textContent = "";
    // Where the cursor is not on the plot, the newest values are shown.
    const newest = (plot) => { if (plot.cursor.idx == null) plot.setLegend({ idx: series.length - 1 }); };
    const plot = new uPlot({
      width: box.clientWidth, height: 220, tzDate: zoned,
      cursor: { drag: { x: true, y: false }, points: { show: false } },
      scales: { x: { time: true }, y: { range: () => [low, high] }, hidden: { range: () => [0, 1] } },
      axes: [axis({ values: (_, ticks) => ticks.map(tick) }), axis({ size: 52, values: (_, ticks) => ticks.map(points) })],
      bands: [{ series: [1, 2], fill: soft }],
      series: [
        { label: "at", value: (_, at) => (at == null ? "none" : moment(at)) },
        line(soft, { label: "upper", value: (_, one) => points(one) }),
        line(soft, { label: "lower", value: (_, one) => points(one) }),
        line(ink, { label: "estimate, points", width: 2, value: (_, one) => points(one) }),
        line(css("--ink"), { label: "margin", paths: () => null, value: (_, one) => points(one) }),
        { ...hidden, label: "e to expand", value: (_, one) => evidence(one) },
        { ...hidden, label: "e of harm", value: (_, one) => evidence(one) },
        { ...hidden, label: "units", value: (_, one) => (one == null ? "none" : one.toLocaleString("en")) },
      ],
      hooks: { drawAxes: [stages], draw: [asked], setCursor: [newest] },
    }, data, box);
    newest(plot);
    return plot;
  };

  const look = async () => {
    const box = document.querySelector("[data-chart]");
    if (!box || typeof uPlot === "undefined") { chart?.plot?.destroy(); chart = null; return; }
    if (chart && chart.metric === box.dataset.metric && chart.plot) box.replaceChildren(chart.plot.root);
    const asked = {};
    chart = { ...chart, asked, box };
    let view;
    try {
      const response = await fetch(box.dataset.chart, { headers: { Accept: "application/json" } });
      if (!response.ok) return;
      view = await response.json();
    } catch { return; } // the page says by itself that the server does not answer
    if (chart?.asked !== asked || !box.isConnected) return;
    chart.plot?.destroy();
    const first = chart.metric !== box.dataset.metric;
    chart = { box, metric: box.dataset.metric, asked, plot: draw(box, view) };
    if (first) box.closest(".open").scrollIntoView({ block: "nearest" });
    box.dataset.drawn = "true";
  };
  document.addEventListener("inchworm:drawn", look);
  addEventListener("resize", () => {
    const box = document.querySelector("[data-chart]");
    if (box && chart?.plot) chart.plot.setSize({ width: box.clientWidth, height: 220 });
  });
  look();
})();
