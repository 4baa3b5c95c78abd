"""What the monitor remembers, part by part: sums and wealth, never units."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.rollout.evidence.counts import NOBODY, Crossing, Pair
from inchworm.rollout.evidence.shadowed import ShadowStage
from inchworm.stats import eprocess, pairs, samples, sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricState:
    """One metric's processes on exposed units.

    Attributes:
        name: the metric.
        process: evidence of harm, and for each margin and population that the loss is within it.
        sequence: the confidence sequence and the sums of the estimate.
        coverage: evidence that values arrive more often in one arm.
        reported: units with a value, by stage.
        void_at: the unit at which coverage passed its line.
        alone: when its own harm passed its own share of the budget.
    """

    name: str
    process: eprocess.State
    sequence: sequences.GridState
    coverage: samples.Coverage
    reported: tuple[Pair, ...]
    void_at: int | None = None
    alone: Crossing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockState:
    """How far one clock has come.

    Attributes:
        consumed: units consumed, both arms; also the order of the next one.
        candidate: those that got the candidate.
        counted: units that count on it, by stage: all, or those drawn to be judged.
        harm: when its evidence of harm passed its line.
        known: evidence that a unit's cluster is known more often in one arm; ``None`` without clusters.
        unknown_at: the unit at which that passed its line.
        late: what came in behind the watermark.
        seen: up to where that was looked for; -1 before the first look.
    """

    consumed: int
    candidate: int
    counted: tuple[Pair, ...]
    harm: Crossing | None = None
    known: samples.Coverage | None = None
    unknown_at: int | None = None
    late: Pair = NOBODY
    seen: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMetricState:
    """One goal or guardrail within one cluster.

    Attributes:
        name: the metric.
        process: evidence of harm.
        units: units with a value, per arm, by stage.
        total: sums of y (baseline, candidate), by stage.
    """

    name: str
    process: eprocess.State
    units: tuple[Pair, ...]
    total: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterState:
    """One cluster. ``units`` are its units per arm, on the fast clock."""

    id: str
    units: Pair
    metrics: tuple[ClusterMetricState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentState:
    """Units assigned between two observed changes.

    Attributes:
        since: seconds since the epoch; ``None`` from the start.
        because: what changed.
        units: units with a value, by metric.
        total: sums of y (baseline, candidate), by metric.
    """

    since: float | None
    because: str
    units: tuple[Pair, ...]
    total: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedState:
    """One metric's processes on pairs.

    Attributes:
        name: the metric.
        processes: one per shadow population.
        reported: pairs with a value on both sides, by stage.
        raised: those of them with a value above 0 on either side, by stage.
        alone: when its own harm passed its own share of the budget of pairs.
    """

    name: str
    processes: tuple[pairs.State, ...]
    reported: tuple[int, ...]
    raised: tuple[int, ...]
    alone: Crossing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowState:
    """The pairs of a rollout.

    Attributes:
        consumed: mirrored calls consumed; also the order of the next one.
        stages: what was mirrored, by stage, the soak last.
        metrics: in the order of the rollout's metrics.
        harm: when evidence of harm passed its line.
    """

    consumed: int
    stages: tuple[ShadowStage, ...]
    metrics: tuple[PairedState, ...]
    harm: Crossing | None = None

    @property
    def pairs(self) -> int:
        """Those of them that are evidence: the first of each unit."""
        return sum(stage.pairs for stage in self.stages)


def segment(count: int, since: float | None, because: str) -> SegmentState:
    """A segment without units, of ``count`` metrics."""
    return SegmentState(since=since, because=because, units=(NOBODY,) * count, total=((0.0, 0.0),) * count)
