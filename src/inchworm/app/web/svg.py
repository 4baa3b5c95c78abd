"""Plots as SVG, drawn on the server. Pure: numbers in, markup out.

The outer ``<svg>`` has no view box, the full width and a fixed height, so that its text is never scaled; x
coordinates of text, dots and lines are percentages. Shapes lie in inner ones that stretch. Every plot says
its numbers in its label.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup, escape

_WIDE = 1000
_GAP = 11.5
"""Direct labels stand at least so many pixels apart."""


@dataclass(slots=True)
class Plot:
    """A plot being drawn.

    Attributes:
        height: pixels.
        x: the range of the horizontal axis.
        y: the range of the vertical axis, low and high.
        width: where the axis ends, percent of the width.
        top: pixels left free above.
        bottom: pixels left free below.
        label: what it says, numbers included.
        kind: more classes.
    """

    height: int
    x: tuple[float, float]
    y: tuple[float, float]
    width: float = 100.0
    top: float = 0.0
    bottom: float = 0.0
    label: str = ""
    kind: str = ""
    _inner: list[str] = field(default_factory=list)
    _outer: list[str] = field(default_factory=list)

    def at(self, x: float) -> float:
        """A value on the horizontal axis, in percent of the whole width."""
        return self._part(x) * self.width

    def up(self, y: float) -> float:
        """A value on the vertical axis, in pixels, kept inside the plot."""
        low, high = self.y
        inside = min(max(y, low), high)
        return self.top + (high - inside) / ((high - low) or 1.0) * (self.height - self.top - self.bottom)

    def _part(self, x: float) -> float:
        low, high = self.x
        return min(max((x - low) / ((high - low) or 1.0), 0.0), 1.0)

    def _points(self, points: Sequence[tuple[float, float]]) -> str:
        return "L".join(f"{self._part(x) * _WIDE:.1f} {self.up(y):.1f}" for x, y in points)

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A line through points."""
        if points:
            self._inner.append(f'<path class="{kind}" d="M{self._points(points)}"/>')

    def area(self, xs: Sequence[float], low: Sequence[float], high: Sequence[float], kind: str) -> None:
        """The area between two lines."""
        around = [*zip(xs, low, strict=True), *reversed([*zip(xs, high, strict=True)])]
        if around:
            self._inner.append(f'<path class="band {kind}" d="M{self._points(around)}Z"/>')

    def across(self, y: float, kind: str, start: float | None = None, end: float | None = None) -> None:
        """A horizontal line."""
        low, high = self.x
        x1, x2 = self.at(low if start is None else start), self.at(high if end is None else end)
        self._line(x1, x2, self.up(y), self.up(y), kind)

    def upright(self, x: float, kind: str, low: float | None = None, high: float | None = None) -> None:
        """A vertical line, over the whole height or between two values."""
        top = self.top if high is None else self.up(high)
        bottom = self.height - self.bottom if low is None else self.up(low)
        self._line(self.at(x), self.at(x), top, bottom, kind)

    def _line(self, x1: float, x2: float, y1: float, y2: float, kind: str) -> None:
        self._outer.append(
            f'<line class="{kind}" x1="{x1:.2f}%" x2="{x2:.2f}%" y1="{y1:.1f}" y2="{y2:.1f}"/>'
        )

    def dot(self, x: float, y: float, kind: str, radius: float = 3.5) -> None:
        """A mark."""
        self._outer.append(
            f'<circle class="dot {kind}" cx="{self.at(x):.2f}%" cy="{self.up(y):.1f}" r="{radius:g}"/>'
        )

    def text(self, percent: float, y: float, said: str, kind: str = "", shift: float = 0.0) -> None:
        """Text at a percentage of the width and a pixel."""
        dx = f' dx="{shift:g}"' if shift else ""
        self._outer.append(f'<text class="{kind}" x="{percent:.2f}%" y="{y:.1f}"{dx}>{escape(said)}</text>')

    def labels(self, items: Sequence[tuple[float, str, str]], shift: float = 8.0) -> None:
        """Direct labels at the right end, pushed apart so that none lies on another.

        Args:
            items: value on the vertical axis, text and class of each.
            shift: pixels to the right of the axis' end.
        """
        sorted_ = sorted(items, key=lambda item: -item[0])
        for y, (_, said, kind) in zip(apart([self.up(item[0]) for item in sorted_]), sorted_, strict=True):
            self.text(self.width, y + 4, said, kind, shift)

    def box(self, x: float, y: float, kind: str, *, turned: bool = False) -> None:
        """A square, or a diamond, at a point."""
        turn = ' transform="rotate(45)"' if turned else ""
        self._outer.append(
            f'<svg x="{self.at(x):.2f}%" y="{self.up(y):.1f}" overflow="visible" width="1" height="1">'
            f'<rect class="bar {kind}" x="-4.5" y="-4.5" width="9" height="9"{turn}/></svg>'
        )

    def markup(self) -> Markup:
        """What was drawn."""
        kind = f" {self.kind}" if self.kind else ""
        return Markup(  # noqa: S704  # our own marks; every text in it was escaped when it was added
            f'<svg class="plot{kind}" height="{self.height}" role="img" aria-label="{escape(self.label)}">'
            f'<svg x="0" width="{self.width:g}%" height="{self.height}" viewBox="0 0 {_WIDE} {self.height}" '
            f'preserveAspectRatio="none">{"".join(self._inner)}</svg>{"".join(self._outer)}</svg>'
        )


def apart(places: Sequence[float], gap: float = _GAP) -> list[float]:
    """Places in ascending order, moved as little as needed to stand ``gap`` apart.

    Places that would touch become one block, centred where they were (the pool-adjacent-violators idea).
    """
    blocks: list[tuple[float, int]] = []
    for place in places:
        centre, size = place, 1
        while blocks and blocks[-1][0] + blocks[-1][1] * gap / 2 > centre - size * gap / 2:
            before, count = blocks.pop()
            # Each member wishes the block's centre to be where it stood, less its offset in the block.
            wished = count * (before + size * gap / 2) + size * (centre - count * gap / 2)
            size += count
            centre = wished / size
        blocks.append((centre, size))
    return [centre + (number - (size - 1) / 2) * gap for centre, size in blocks for number in range(size)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A metric over time: difference, confidence sequence, stepped margin, stages.

    Attributes:
        times: when each value was seen, ascending.
        low: lower ends; as many.
        high: upper ends; as many.
        margins: since when which margin was to be met.
        effect: the newest estimate.
        told: class of the marks: nothing, ``c`` or ``h``.
        stages: when each stage began, with its name.
        end: where the axis ends.
        ends: what is there: ``now`` or ``end``.
        estimate: the newest estimate in words.
        margin: the newest margin in words.
        label: what it says.
    """

    times: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    margins: Sequence[tuple[float, float]]
    effect: float
    told: str
    stages: Sequence[tuple[float, str]]
    end: float
    ends: str
    estimate: str
    margin: str
    label: str


def span_of(band: Band) -> tuple[float, float]:
    """Low and high end of the vertical axis: what is asked now fits, the wide beginning is cut off."""
    asked = min(margin for _, margin in band.margins)
    deep, tall = min(asked, band.low[-1], 0.0), max(band.high[-1], -asked / 3, 0.0)
    room = max((tall - deep) * 0.18, 0.1)
    return deep - room, tall + room


def band(said: Band, *, height: int = 104) -> Markup:
    """The plot of a tile."""
    start = said.stages[0][0] if said.stages else said.times[0]
    plot = Plot(
        height=height,
        x=(min(start, said.times[0]), max(said.end, said.times[-1])),
        y=span_of(said),
        width=78.0,
        top=12.0,
        bottom=14.0,
        label=said.label,
    )
    plot.area(said.times, said.low, said.high, said.told)
    plot.path(steps(said.margins, plot.x), "margin")
    plot.across(0.0, "zero")
    for at, _ in said.stages[1:]:
        plot.upright(at, "stage")
    last = said.times[-1]
    plot.upright(last, f"iv {said.told}", said.low[-1], said.high[-1])
    plot.dot(last, said.effect, said.told)
    tone = {"c": "t-c", "h": "t-h"}.get(said.told, "")
    plot.labels(
        [
            (said.effect, said.estimate, tone),
            (0.0, "0", ""),
            (said.margins[-1][1], f"margin {said.margin}", ""),
        ]
    )
    _stage_names(plot, said.stages, said.ends, height - 2)
    return plot.markup()


def steps(changes: Sequence[tuple[float, float]], x: tuple[float, float]) -> list[tuple[float, float]]:
    """A stepped line over the whole axis: each value holds until the next one."""
    points = [(x[0], changes[0][1])]
    for (_, before), (at, value) in pairwise(changes):
        points += [(at, before), (at, value)]
    return [*points, (x[1], changes[-1][1])]


def _stage_names(plot: Plot, stages: Sequence[tuple[float, str]], ends: str, y: float) -> None:
    """Names below the axis, as far as there is room; the right end says when."""
    free = -99.0
    for number, (at, name) in enumerate(stages):
        place = plot.at(at)
        if place > plot.width - 22:
            ends = f"{name}, {ends}" if number == len(stages) - 1 else ends
        elif place >= free:
            plot.text(place, y, name, shift=3.0 if number else 0.0)
            free = place + 12
    plot.text(plot.width, y, ends, "e")


def spark(said: Band, *, height: int = 34) -> Markup:
    """The same as a line in a table: band, zero and margin."""
    start = said.stages[0][0] if said.stages else said.times[0]
    plot = Plot(
        height=height,
        x=(min(start, said.times[0]), said.times[-1]),
        y=span_of(said),
        label=said.label,
    )
    plot.area(said.times, said.low, said.high, said.told)
    plot.path(steps(said.margins, plot.x), "margin")
    plot.across(0.0, "zero")
    return plot.markup()


FLOOR = math.log(0.01)


def evidence_bar(log_e: float, log_line: float, *, harmed: bool) -> Markup:
    """An e-value on a logarithmic scale from 0.01 to four times its line, with a tick at the line."""
    full = log_line + math.log(4.0)

    def part(value: float) -> float:
        return 100.0 * min(max((value - FLOOR) / (full - FLOOR), 0.0), 1.0)

    kind = "h" if harmed else "k"
    return Markup(  # noqa: S704  # numbers only
        '<svg aria-hidden="true"><rect class="bar s" width="100%" height="4" y="3"/>'
        f'<rect class="bar {kind}" width="{part(log_e):.1f}%" height="4" y="3"/>'
        f'<line x1="{part(log_line):.1f}%" x2="{part(log_line):.1f}%" y1="0" y2="10" '
        'stroke="var(--ink)" stroke-width="1.5"/></svg>'
    )


_WORM = "M6 22C14 22 13 5 21 5S28 22 38 21"


def rung(place: str, *, last: bool) -> Markup:
    """The mark of a rung, with the way to the next one."""
    dots = 'stroke="var(--line-2)" stroke-width="2" stroke-dasharray="1 5" stroke-linecap="round"'
    on = {"done": 6, "here": 44, "stopped": 14, "ended": 14, "next": 12}[place]
    way = ""
    if not last:
        style = 'stroke="var(--ink)" stroke-width="2"' if place == "done" else dots
        way = f'<line x1="{on}" x2="100%" y1="22" y2="22" {style}/>'
    mark = {
        "done": '<circle cx="6" cy="22" r="5" fill="var(--ink)"/>',
        "here": f'<path d="{_WORM}" fill="none" stroke="var(--brand)" stroke-width="4.5" '
        'stroke-linecap="round"/><circle cx="6" cy="22" r="5" fill="var(--ink)"/>',
        "stopped": '<rect x="1" y="17" width="10" height="10" fill="var(--harm)"/>',
        "ended": '<rect x="1.5" y="17.5" width="9" height="9" fill="var(--ink)"/>',
        "next": '<circle cx="6" cy="22" r="4.5" fill="var(--bg)" stroke="var(--line-2)" stroke-width="1.5"/>',
    }[place]
    return Markup(f'<svg aria-hidden="true">{way}{mark}</svg>')  # noqa: S704  # our own marks
