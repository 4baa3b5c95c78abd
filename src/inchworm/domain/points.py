"""Evidence over time: what a rollout's metrics said at some moments, for people to look at.

Decisions rest on none of it: they keep the evidence that they saw themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inchworm.domain.ids import RolloutId

MOST: Final = 240
"""Moments that are kept of one rollout: more than a plot has room for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint:
    """One metric at one moment.

    Attributes:
        name: the metric.
        effect: candidate minus baseline, in units of the metric; ``None`` while there is no estimate.
        low: lower end of the confidence sequence, or ``None`` likewise.
        high: upper end.
        baseline: baseline units with a value.
        candidate: candidate units with a value.
        log_e_harm: log evidence of harm.
        log_e_expand: log evidence that the loss is within the margin of ``stage``.
    """

    name: str
    effect: float | None
    low: float | None
    high: float | None
    baseline: int
    candidate: int
    log_e_harm: float
    log_e_expand: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePoint:
    """A rollout's evidence at one moment.

    Attributes:
        rollout_id: of which rollout.
        at: when it was looked at, seconds since the epoch.
        consumed: matured units until then, both arms; grows from point to point.
        stage: the stage that it stood at.
        metrics: in the order of the rollout's metrics.
    """

    rollout_id: RolloutId
    at: float
    consumed: int
    stage: int
    metrics: tuple[MetricPoint, ...]


def superfluous(times: Sequence[float], stages: Sequence[int], most: int = MOST) -> int | None:
    """Which point to drop so that at most ``most`` are kept; ``None`` while there is room.

    The point whose neighbours stand closest together, so that the rest stays about evenly spread over the
    rollout's whole life, however long that is. The first, the newest, and both sides of a change of stage are
    never dropped, unless nothing else is left; the newest never is.

    Args:
        times: of the points, oldest first.
        stages: their stages, as many.
        most: how many are kept, at least 1.
    """
    count = len(times)
    if count <= most:
        return None
    inner = range(1, count - 1)
    steady = [place for place in inner if stages[place - 1] == stages[place] == stages[place + 1]]
    among = steady or list(inner) or [0]
    return min(among, key=lambda place: (times[place + 1] - times[max(place - 1, 0)], place))
