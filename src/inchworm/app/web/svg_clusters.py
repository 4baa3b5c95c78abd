"""One metric by cluster: a line each with its interval, on one axis with zero and the margin."""

from __future__ import annotations

from markupsafe import Markup

from inchworm.app.web.svg import Plot
from inchworm.app.web.views.clustered import ClusterTile, Dot
from inchworm.app.web.views.words import Told
from inchworm.domain import wording

_ROW, _TOP, _FOOT = 19.0, 4.0, 18.0
_LABELS = 38.0
"""Percent of the width that the names take."""
_LONGEST = 21


def clusters(tile: ClusterTile) -> Markup:
    """The plot of a tile; nothing before a cluster has an estimate."""
    if not tile.dots:
        return Markup("")
    height = int(_TOP + _ROW * len(tile.dots) + _FOOT)
    low, high = _range(tile)
    # The axis begins to the right of the names: the range is widened to the left by what they take.
    left = low - (high - low) * _LABELS / (100.0 - _LABELS)
    plot = Plot(height=height, x=(left, high), y=(0.0, float(height)), label=tile.summary, kind="clusters")
    top, bottom = height - _TOP, _FOOT
    plot.upright(0.0, "zero", bottom, top)
    plot.upright(tile.margin_points, "margin", bottom, top)
    for number, one in enumerate(tile.dots):
        _line(plot, one, top - _ROW * (number + 0.5), low, high)
    _axis(plot, tile, high, float(height - 3))
    return plot.markup()


def _line(plot: Plot, one: Dot, y: float, low: float, high: float) -> None:
    kind = {Told.NULL: "", Told.CANDIDATE: "c", Told.HARM: "h"}[one.told]
    plot.across(y, f"iv {kind}", max(one.low, low), min(one.high, high))
    if one.told is Told.HARM:
        plot.box(one.effect, y, kind)
    else:
        plot.dot(one.effect, y, kind, 3.0)
    name = one.name if len(one.name) <= _LONGEST else f"{one.name[: _LONGEST - 1]}…"
    plot.text(
        0.0, plot.up(y) + 4, f"■ {name}" if one.told is Told.HARM else name, {"h": "t-h"}.get(kind, "t-ink")
    )


def _range(tile: ClusterTile) -> tuple[float, float]:
    """What is asked and what is found fit; an interval that says nothing yet is cut off."""
    effects = [one.effect for one in tile.dots]
    deep, tall = min(tile.margin_points, *effects), max(-tile.margin_points, *effects)
    room = (tall - deep) * 0.45
    low = max(deep - room, min(tile.margin_points, *(one.low for one in tile.dots)))
    high = min(tall + room, max(-tile.margin_points, *(one.high for one in tile.dots)))
    return low, high


def _axis(plot: Plot, tile: ClusterTile, high: float, y: float) -> None:
    plot.text(plot.at(0.0), y, "0", "m")
    plot.text(plot.at(tile.margin_points), y, f"margin {tile.margin}", "e", 5.0)
    if plot.at(0.0) < 88.0:
        plot.text(100.0, y, wording.points(high / 100).partition(".")[0], "e")
