"""From views to plots: what the templates of Now and Rollout draw."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from inchworm.app.web import svg
from inchworm.app.web.svg_calendar import calendar
from inchworm.app.web.svg_clusters import clusters
from inchworm.app.web.svg_quality import quality
from inchworm.app.web.views.stages import StageStart
from inchworm.app.web.views.tile import Bar, Tile
from inchworm.domain.layers import LAYERS

__all__ = ["LAYERS", "bar", "calendar", "clusters", "quality", "rung", "spark", "tile"]

rung = svg.rung


def tile(one: Tile, stages: Sequence[StageStart], until: float, ends: str = "now") -> Markup:
    """The plot of a tile; nothing before there is an estimate."""
    said = band_of(one, stages, until, ends)
    return Markup("") if said is None else svg.band(said)


def spark(one: Tile, stages: Sequence[StageStart], until: float) -> Markup:
    """The same, small."""
    said = band_of(one, stages, until)
    return Markup("") if said is None else svg.spark(said)


def bar(one: Bar) -> Markup:
    """Evidence as a bar."""
    return svg.evidence_bar(one.log_e, one.log_line, harmed=one.harm and one.passed)


def band_of(one: Tile, stages: Sequence[StageStart], until: float, ends: str = "now") -> svg.Band | None:
    """What is drawn of a tile; ``None`` before it has been estimated."""
    known = [
        (moment, moment.low, moment.high, moment.effect)
        for moment in one.series
        if moment.low is not None and moment.high is not None and moment.effect is not None
    ]
    if not known or not one.margins or one.estimate is None:
        return None
    moments = [moment for moment, *_ in known]
    return svg.Band(
        times=[moment.at for moment in moments],
        low=[low for _, low, _, _ in known],
        high=[high for _, _, high, _ in known],
        margins=one.margins,
        effect=known[-1][3],
        told=one.told.value,
        stages=[(stage.at, stage.label) for stage in stages],
        end=until,
        ends=ends,
        estimate=one.estimate,
        margin=one.margin,
        label=one.summary,
    )
