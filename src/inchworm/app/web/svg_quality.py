"""Changes over quality as two plots with one time axis: the quality above, what changed below."""

from __future__ import annotations

import time
from collections.abc import Sequence

from markupsafe import Markup

from inchworm.app.texts import MONTHS
from inchworm.app.web.svg import Plot
from inchworm.app.web.views.quality import ChangeBar, Quality, Stretch
from inchworm.domain.wording import counted

_HOUR, _DAY = 3_600.0, 86_400.0
_STEPS = (300.0, 900.0, 3_600.0, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, _DAY, 2 * _DAY, 3 * _DAY, 7 * _DAY)
_ROW = 17
_MARKS = {"flight": "c", "ran": "k", "back": "h"}


def quality(said: Quality, *, narrow: bool = False) -> Markup:
    """The two plots; the narrow twin shows the newer half and leaves more room for the names."""
    since = said.since + (said.until - said.since) / 2 if narrow else said.since
    bins = [one for one in said.bins if one.at >= since]
    width = 76.0 if narrow else 91.0
    kind = "narrow" if narrow else "wide"
    return _line(said, bins, since, width, kind) + _changes(said, since, width, kind)


def scale(bins: Sequence[Stretch]) -> tuple[float, float, list[float]]:
    """Low end, high end and grid of the axis of percentages: what is seen, in round steps."""
    # A bin of few values has a wide interval: it is cut off, so that it does not flatten all the others.
    usual = sorted(one.mean - one.low for one in bins)[len(bins) // 2]
    low, high = max(min(one.mean for one in bins) - 1.5 * usual, 0.0), max(one.high for one in bins)
    step = next((one for one in (1.0, 2.0, 5.0, 10.0, 20.0) if (high - low) / one <= 4), 25.0)
    first, last = step * (low // step), min(step * -(-high // step), 100.0)
    grid = []
    at = first
    while at <= last + 1e-9:
        grid.append(at)
        at += step
    return first, max(last, first + step), grid


def _line(said: Quality, bins: Sequence[Stretch], since: float, width: float, kind: str) -> Markup:
    if not bins:
        return Markup("")
    low, high, grid = scale(bins)
    plot = Plot(
        height=132,
        x=(since, said.until),
        y=(low, high),
        width=width,
        top=8.0,
        bottom=8.0,
        label=f"{said.summary}. Bins of {said.width}, 95 % band.",
        kind=kind,
    )
    for value in grid:
        plot.across(value, "grid")
        plot.text(width, plot.up(value) + 4, f"{value:g} %", shift=6.0)
    for run in runs(bins, said.width_s):
        if len(run) == 1:
            # A line needs two points: one alone is a dot with its interval.
            (one,) = run
            plot.upright(one.at, "iv thin", one.low, one.high)
            plot.dot(one.at, one.mean, "", 2.5)
            continue
        plot.area([one.at for one in run], [one.low for one in run], [one.high for one in run], "")
        plot.path([(one.at, one.mean) for one in run], "ln")
    for bar in _backs(said, since):
        plot.upright(bar.start, "stage")
        plot.upright(bar.end, "stage")
    return plot.markup()


def runs(bins: Sequence[Stretch], width_s: float) -> list[list[Stretch]]:
    """Bins without a gap between them, together: no line crosses a time in which nothing was measured."""
    found: list[list[Stretch]] = []
    for one in bins:
        if found and one.start - found[-1][-1].start <= 1.5 * width_s:
            found[-1].append(one)
        else:
            found.append([one])
    return found


def _changes(said: Quality, since: float, width: float, kind: str) -> Markup:
    rows = [*said.layers, "observed"]
    height = _ROW * len(rows) + 20
    plot = Plot(
        height=height,
        x=(since, said.until),
        y=(0.0, float(height)),
        width=width,
        label=_said(said),
        kind=kind,
    )
    flying = {bar.layer for bar in said.bars if bar.kind == "flight"}
    middle = {name: height - (_ROW * number + _ROW / 2) for number, name in enumerate(rows)}
    for name in rows:
        plot.across(middle[name], "grid")
        plot.text(width, plot.up(middle[name]) + 4, name, "t-ink" if name in flying else "", 9.0)
    for bar in said.bars:
        if bar.end < since:
            continue
        mark = _MARKS[bar.kind]
        plot.across(middle[bar.layer], f"bar-line {mark}", max(bar.start, since), bar.end)
        if bar.kind != "ran":
            plot.box(bar.end, middle[bar.layer], mark, turned=bar.kind == "flight")
    for one in said.observed:
        if one.at >= since:
            plot.dot(one.at, middle["observed"], "o")
    for bar in _backs(said, since):
        plot.upright(bar.start, "stage", float(20))
        plot.upright(bar.end, "stage", float(20))
    _axis(plot, since, said.until, height - 4)
    return plot.markup()


def _backs(said: Quality, since: float) -> list[ChangeBar]:
    """The last rollouts that were rolled back: their beginning and end are marked in both plots."""
    return [bar for bar in said.bars if bar.kind == "back" and bar.start >= since][-3:]


def _said(said: Quality) -> str:
    bars = [f"{bar.rollout} {bar.layer} {bar.state}" for bar in said.bars]
    seen = f"{counted(len(said.observed), 'change')} observed" if said.observed else "none observed"
    return f"Changes by layer: {', '.join(bars) or 'none of ours'}; {seen}."


def _axis(plot: Plot, since: float, until: float, y: float) -> None:
    """Local times at round places."""
    narrow = plot.kind == "narrow"
    step = next((one for one in _STEPS if (until - since) / one <= (4 if narrow else 8)), _STEPS[-1])
    shift = time.localtime(since).tm_gmtoff
    at = since - (since + shift) % step + step
    plot.text(plot.width, y, "now", "e")
    while at < until:
        place = plot.at(at)
        if 3 <= place <= plot.width - (16 if narrow else 7):
            plot.text(place, y, _tick(at, step), "m")
        at += step


def _tick(at: float, step: float) -> str:
    then = time.localtime(at)
    if step >= _DAY or (then.tm_hour == 0 and then.tm_min == 0):
        return f"{then.tm_mday} {MONTHS[then.tm_mon - 1]}"
    return f"{then.tm_hour:02}:{then.tm_min:02}"
