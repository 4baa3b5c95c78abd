"""What was only observed to change while it ran, and what the arms did before and after."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.words import sentence
from inchworm.domain import wording
from inchworm.rollout.evidence import Segment, SegmentMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCell:
    """One metric in one segment.

    Attributes:
        metric: its name.
        effect: ``+1.2``, candidate minus baseline of plain means; empty without units in both arms.
        means: ``92.3 against 91.1``, candidate first; empty likewise.
        n: ``n = 120 of 480``.
    """

    metric: str
    effect: str
    means: str
    n: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentRow:
    """Units assigned after one observed change and before the next.

    Attributes:
        since: seconds since the epoch; ``None`` from the start.
        because: what changed, as a sentence.
        cells: one per goal and guardrail.
    """

    since: float | None
    because: str
    cells: tuple[SegmentCell, ...]


def segments(seen: Seen) -> tuple[SegmentRow, ...]:
    """Between observed changes, oldest first; none if nothing was observed to change."""
    if seen.evidence is None:
        return ()
    gating = {metric.name for metric in seen.evidence.gates}
    return tuple(_row(one, gating) for one in seen.evidence.segments)


def _row(one: Segment, gating: set[str]) -> SegmentRow:
    return SegmentRow(
        since=one.since,
        because=sentence(one.because) if one.because else "From its start.",
        cells=tuple(_cell(metric) for metric in one.metrics if metric.name in gating),
    )


def _cell(one: SegmentMetric) -> SegmentCell:
    n = f"n = {one.units.candidate:,} of {one.units.both:,}"
    if one.baseline is None or one.candidate is None:
        return SegmentCell(metric=one.name, effect="", means="", n=n)
    return SegmentCell(
        metric=one.name,
        effect=wording.points(one.candidate - one.baseline),
        means=f"{wording.percent(one.candidate)} against {wording.percent(one.baseline)}",
        n=n,
    )
