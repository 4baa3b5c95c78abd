"""The queue as a calendar: one line per rollout, freezes across all of them."""

from __future__ import annotations

import time

from markupsafe import Markup

from inchworm.app.texts import DAYS
from inchworm.app.web.svg import Plot
from inchworm.app.web.views.queueing import QueuePage, Row, summary

_ROW = 24
_HEAD = 18
_FOOT = 20
_DAY = 86_400.0


def calendar(page: QueuePage, *, narrow: bool = False) -> Markup:
    """The calendar; the narrow twin shows half of the days and leaves more room for the names."""
    until = page.now + (page.until - page.now) / 2 if narrow else page.until
    height = _HEAD + _ROW * max(len(page.rows), 1) + _FOOT
    plot = Plot(
        height=height,
        x=(page.since, until),
        y=(0.0, float(height)),
        width=72.0 if narrow else 86.0,
        label=summary(page),
        kind="calendar " + ("narrow" if narrow else "wide"),
    )
    top, bottom = float(height - _HEAD + 4), float(_FOOT)
    for one in page.freezes:
        if one.start < until:
            start, end = max(one.start, page.since), min(one.end, until)
            plot.area([start, end], [bottom, bottom], [top, top], "frozen")
            if plot.at(end) - plot.at(start) > (12 if narrow else 7):
                plot.text((plot.at(start) + plot.at(end)) / 2, 11, "freeze", "m")
    _days(plot, until, page.now, bottom, top)
    for number, row in enumerate(page.rows):
        _bar(plot, row, height - _HEAD - _ROW * number - _ROW / 2, page.now, until)
    if not page.rows:
        plot.text(plot.at(page.now), _HEAD + _ROW / 2 + 4, "nothing in flight, nothing waiting", shift=10.0)
    plot.upright(page.now, "zero", bottom, top)
    plot.text(plot.at(page.now), float(height - 4), "now", "t-ink m")
    return plot.markup()


def _bar(plot: Plot, row: Row, y: float, now: float, until: float) -> None:
    """What has been is dark, what is expected pale, and a thin line says how early and late it may be."""
    plot.across(y, "grid")
    start = (now, now) if row.began is not None else row.starts
    if start is not None and row.ends is not None:
        plot.across(y, "hope", min(start[0], until), min(row.ends[1], until))
        first, last = (start[0] + start[1]) / 2, (row.ends[0] + row.ends[1]) / 2
        plot.across(y, "bar-line range", min(first, until), min(last, until))
    if row.began is not None:
        plot.across(y, "bar-line k", max(row.began, plot.x[0]), now)
        plot.box(now, y, "k", turned=True)
    name = f"{row.id} {row.layers[0]}" if len(row.layers) == 1 else f"{row.id} {len(row.layers)} layers"
    plot.text(plot.width, plot.up(y) + 4, name, "t-ink" if row.began is not None else "", 9.0)


def _days(plot: Plot, until: float, now: float, bottom: float, top: float) -> None:
    """Midnights of local days, each named as far as there is room."""
    since = plot.x[0]
    narrow = plot.kind.endswith("narrow")
    wanted = 3 if narrow else 9
    every = max(1, round((until - since) / _DAY / wanted))
    then, number = time.localtime(since), 1
    while (midnight := _midnight(then, number)) < until:
        plot.upright(midnight, "grid", bottom, top)
        day, place = time.localtime(midnight), plot.at(midnight)
        crowded = min(place, abs(place - plot.width), abs(place - plot.at(now))) < (12 if narrow else 4)
        if day.tm_yday % every == 0 and not crowded:
            plot.text(place, float(plot.height - 4), f"{DAYS[day.tm_wday]} {day.tm_mday}", "m")
        number += 1


def _midnight(then: time.struct_time, days: int) -> float:
    """So many local midnights later; ``mktime`` puts dates and summer time in order."""
    return time.mktime((then.tm_year, then.tm_mon, then.tm_mday + days, 0, 0, 0, 0, 0, -1))
