// What the pages do beyond links and forms: keys, the theme, acts that ask once, and staying live.
// One table says every key; the footer and the help are drawn from it.
"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };

  // --- Keys ------------------------------------------------------------------------------------------
  // keys: what is pressed. say: what it does. when: whether it is offered here. run: does it.
  const KEYS = [
    { keys: ["j", "k"], say: "move", when: () => rows().length > 1, run: (key) => move(key === "j" ? 1 : -1) },
    { keys: ["Enter"], say: "open", when: () => rows().length > 0 }, // the focused link's own doing
    { keys: ["/"], say: "search", when: () => $("[data-search]"), run: () => search() },
    { keys: ["Esc"], say: "close", when: () => $("[data-close]"), run: () => $("[data-close]")?.click() },
    { keys: ["t"], say: "theme", quiet: true, run: () => nextTheme() },
    { keys: ["?"], say: "all keys", run: () => help() },
  ];

  // What a page adds: any element with data-key; its label is data-key-label, or its text without the key.
  const added = () => {
    const found = new Map();
    for (const element of $$("[data-key]")) {
      const label = element.dataset.keyLabel ?? [...element.childNodes]
        .filter((node) => node.nodeName !== "KBD").map((node) => node.textContent).join("").trim();
      const same = found.get(label);
      if (same) same.keys.push(element.dataset.key);
      else found.set(label, { keys: [element.dataset.key], say: label.toLowerCase() });
    }
    return [...found.values()];
  };
  const offered = () => {
    const [last, ...others] = KEYS.filter((entry) => !entry.when || entry.when()).reverse();
    return [...others.reverse(), ...added(), last];
  };
  const shown = (keys) => {
    const digits = keys.length > 2 && keys.every((key, at) => /^[1-9]$/.test(key) && (!at || +key === +keys[at - 1] + 1));
    return (digits ? [`${keys[0]}–${keys.at(-1)}`] : keys).flatMap((key) => [make("kbd", { textContent: key }), " "]);
  };
  const drawKeys = () => $("#keys").replaceChildren(
    ...offered().filter((entry) => !entry.quiet).map((entry) => make("span", {}, ...shown(entry.keys), entry.say)));

  const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const key = event.key === "Escape" ? "Esc" : event.key;
    if ($("dialog[open]")) return; // a dialog has keys of its own
    if (typing(event.target)) {
      if (key === "Esc") event.target.blur();
      return;
    }
    const entry = KEYS.find((one) => one.run && one.keys.includes(key) && (!one.when || one.when()));
    const element = entry ? null : $$("[data-key]").find((one) => one.dataset.key === key);
    if (!entry && !element) return;
    event.preventDefault();
    if (entry) entry.run(key);
    else if (element.dataset.focus !== undefined) element.focus();
    else element.click();
  });

  const rows = () => $$("[data-row]").filter((row) => row.offsetParent !== null);
  const move = (step) => {
    const all = rows();
    let at = all.indexOf(document.activeElement.closest?.("[data-row]"));
    if (at < 0) at = all.findIndex((row) => row.getAttribute("aria-current") === "true");
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    // Where one is open beside the list, the next one is looked at without a step in the history.
    if ($("[data-close]") && next.dataset.go !== undefined) go(next.href, true);
  };
  const search = () => { const field = $("[data-search]"); field.focus(); field.select(); };

  const dialog = (title, ...content) => {
    const heading = make("h2", { id: "dialog-title", textContent: title });
    const box = make("dialog", {}, heading, ...content);
    box.setAttribute("aria-labelledby", "dialog-title");
    const before = document.activeElement;
    box.addEventListener("close", () => { box.remove(); before?.isConnected && before.focus(); });
    box.addEventListener("click", (event) => { if (event.target === box) box.close(); });
    document.body.append(box);
    box.showModal();
    return box;
  };
  const help = () => {
    const list = make("dl", { className: "kv keylist" });
    for (const entry of offered()) list.append(make("dt", {}, ...shown(entry.keys)), make("dd", { textContent: entry.say }));
    const close = make("button", { className: "btn", type: "button", textContent: "Close" });
    const box = dialog("Keys of this page", list, make("p", { className: "acts" }, close));
    close.append(" ", make("kbd", { textContent: "Esc" }));
    close.addEventListener("click", () => box.close());
  };

  // --- Acts: asked once, then posted -------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button && !button.disabled) confirmOnce(button);
  });
  const confirmOnce = (button) => {
    const label = [...button.childNodes].filter((node) => node.nodeName !== "KBD").map((node) => node.textContent).join("").trim();
    const reason = button.dataset.ask && make("input", { className: "field", id: "reason", name: "reason", autocomplete: "off" });
    const problem = make("p", { className: "bad", hidden: true });
    problem.setAttribute("role", "alert");
    const say = make("p", { textContent: button.dataset.say });
    const name = make("span", { textContent: label });
    const yes = make("button", { className: button.classList.contains("stop") ? "btn stop" : "btn go", type: "submit" }, name);
    yes.append(" ", make("kbd", { textContent: "Ctrl+Enter" }));
    const no = make("button", { className: "btn", type: "button", textContent: "Not now" });
    no.append(" ", make("kbd", { textContent: "Esc" }));
    const form = make("form", {});
    // Where there is a choice, the sentence, the button and what is asked for follow it.
    const choices = JSON.parse(button.dataset.choices ?? "[]");
    const choice = choices.length && make("select", { className: "field", id: "choice", name: "to" },
      ...choices.map((one) => make("option", { value: one.to, textContent: one.blocked ? `${one.label} (not now)` : one.label })));
    const choose = () => {
      const one = choices[choice.selectedIndex];
      name.textContent = one.label;
      $("h2", box).textContent = `${one.label}?`;
      say.textContent = one.blocked || `${one.does} ${one.undo}`;
      yes.disabled = Boolean(one.blocked);
    };
    if (choice) form.append(make("label", { htmlFor: "choice", textContent: "Up to" }), choice);
    form.append(say);
    if (button.dataset.blocked && !choice) {
      say.textContent = button.dataset.blocked;
      yes.disabled = true;
    } else if (reason) form.append(make("label", { htmlFor: "reason", textContent: button.dataset.ask }), reason);
    form.append(problem, make("p", { className: "acts" }, yes, no));
    const box = dialog(`${label}?`, form);
    if (choice) { choice.addEventListener("change", choose); choose(); }
    no.addEventListener("click", () => box.close());
    box.addEventListener("keydown", (event) => { if (event.key === "Enter" && event.ctrlKey && !yes.disabled) form.requestSubmit(); });
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (yes.disabled) return; // Enter in a field submits past a button that is disabled
      yes.disabled = true;
      const body = JSON.parse(button.dataset.body ?? "{}");
      if (choice) body.to = choice.value;
      if (reason?.value) body.reason = reason.value;
      const [said, done] = await post(button.dataset.act, body);
      yes.disabled = false;
      if (said === null) {
        box.close();
        if (done.location) location.assign(done.location);
        else refresh();
        return;
      }
      problem.textContent = `■ ${said}`;
      problem.hidden = false;
    });
    (choice || (yes.disabled ? no : reason || yes)).focus();
  };
  // What was refused, as a sentence, or null and what came of it.
  const post = async (url, body) => {
    const headers = { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": meta("csrf-token") };
    let response;
    try {
      response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
    } catch {
      return ["The server does not answer. Nothing is known of what was asked; look again before you repeat it."];
    }
    const said = await response.json().catch(() => ({}));
    if (response.ok) return [null, said];
    const { error } = said;
    if (!error) return [`The server answered ${response.status}.`];
    return [error.hint ? `${error.message} ${error.hint}` : error.message];
  };
  const meta = (name) => $(`meta[name="${name}"]`).content;

  // --- Live: the fragment is asked for again, and morphed in, so that focus and scroll stay --------------
  const here = () => location.pathname + location.search;
  // A newer one aborts the older: hx-sync of #live.
  // A list that is read stays where it begins: the server is told where that is, and counts what is newer.
  const load = (url, fresh = false) => {
    const held = fresh ? undefined : $("[data-held]")?.dataset.held;
    const headers = held ? { "X-Inchworm-Held": held } : {};
    return htmx.ajax("GET", url, { source: "#live", target: "#live", swap: "innerMorph", headers });
  };
  let busy = false;
  let again = false; // a change came while one was under way
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    const began = performance.now();
    await load(here());
    // Not all the time, and a slow page less often.
    const pause = Math.max(500, 3 * (performance.now() - began));
    await new Promise((done) => setTimeout(done, pause));
    busy = false;
    if (again) { again = false; refresh(); }
  };
  document.addEventListener("htmx:before:swap", (event) => {
    const { ctx } = event.detail;
    const { status, raw } = ctx.response;
    // The session is over: the page to log in comes back here afterwards.
    if (status === 401 || new URL(raw.url).pathname === "/login") { event.preventDefault(); location.reload(); }
    else if (status >= 400) { event.preventDefault(); stale(`the server answered ${status}`); }
  });
  document.addEventListener("htmx:after:swap", () => { drawKeys(); document.dispatchEvent(new Event("inchworm:drawn")); });

  // Links within the page (data-go) change the address and the fragment, not the document.
  const go = (url, replace = false, fresh = false) => {
    history[replace ? "replaceState" : "pushState"](null, "", url);
    return load(url, fresh);
  };
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-go]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.defaultPrevented) return;
    event.preventDefault();
    const row = link.dataset.close !== undefined && $("[data-row][aria-current]")?.closest("[id]")?.id;
    go(link.href, link.dataset.fresh !== undefined, link.dataset.fresh !== undefined).then(() => {
      if (link.dataset.top !== undefined) scrollTo(0, 0);
      if (link.dataset.row !== undefined) $(".peek")?.scrollIntoView({ block: "nearest" }); // it may lie above the list
      if (row) document.getElementById(row)?.querySelector("[data-row]").focus();
    });
  });
  addEventListener("popstate", () => load(here()));

  let seen = meta("inchworm-pulse");
  let source = null;
  let waiting = false; // a change came while nobody looked
  const pulse = $("#pulse");
  const clock = () => new Date().toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const live = () => { pulse.textContent = "live"; pulse.className = "push live"; };
  const stale = (why) => {
    if (pulse.classList.contains("stale")) return;
    pulse.textContent = `as of ${clock()}, because ${why}`;
    pulse.className = "push stale";
  };
  const listen = () => {
    source = new EventSource("/events");
    source.addEventListener("pulse", (event) => {
      live();
      if (event.data === seen) return;
      seen = event.data;
      if (document.hidden) waiting = true;
      else refresh();
    });
    source.addEventListener("error", () => {
      stale("the server does not answer");
      // The browser tries again by itself, unless the answer was a refusal: then we do.
      if (source?.readyState === EventSource.CLOSED) setTimeout(listen, 5000);
    });
  };
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && waiting) { waiting = false; refresh(); }
  });
  addEventListener("pagehide", () => { source?.close(); source = null; });
  addEventListener("pageshow", () => { if (!source) listen(); });

  // --- Theme: system, light, dark ----------------------------------------------------------------------
  const THEMES = ["system", "light", "dark"];
  const theme = () => document.documentElement.dataset.theme ?? "system";
  const nextTheme = () => {
    const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    if (next === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = next;
    const age = next === "system" ? 0 : 31536000;
    document.cookie = `inchworm-theme=${next}; path=/; max-age=${age}; samesite=lax`;
    drawTheme();
    document.dispatchEvent(new Event("inchworm:drawn"));
  };
  const drawTheme = () => { $("#theme-name").textContent = theme(); };

  $("#theme").hidden = false;
  $("#theme").addEventListener("click", nextTheme);
  drawTheme();
  drawKeys();
})();
