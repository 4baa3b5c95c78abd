"""Evidence by parts of the traffic: its clusters, and the times between observed changes."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.rollout.evidence.counts import Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMetric:
    """One goal or guardrail within one cluster.

    Attributes:
        name: the metric.
        weight: its share of its clock's budget.
        log_e_harm: log evidence of harm.
        effect: candidate minus baseline, in units of the metric; ``None`` until a stage saw both arms.
        baseline: mean of the baseline, stages weighted alike in both arms; ``None`` likewise.
        candidate: mean of the candidate.
        units: units with a value in the process, per arm.
    """

    name: str
    weight: float
    log_e_harm: float
    effect: float | None
    baseline: float | None
    candidate: float | None
    units: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterEvidence:
    """One cluster that is watched on its own, so that a mean cannot hide it.

    Attributes:
        id: as traces carry it.
        name: as people call it.
        share: of the traffic before the rollout started.
        units: matured units per arm whose first interaction fell into it, on the fast clock.
        metrics: goals and guardrails.
    """

    id: str
    name: str
    share: float
    units: Pair
    metrics: tuple[ClusterMetric, ...]

    def metric(self, name: str) -> ClusterMetric:
        """One metric by its name.

        Raises:
            KeyError: if it is not watched.
        """
        return {metric.name: metric for metric in self.metrics}[name]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentMetric:
    """One metric between two observed changes: plain means, for reading.

    Attributes:
        name: the metric.
        units: units with a value, per arm.
        baseline: mean of the baseline; ``None`` without units.
        candidate: mean of the candidate, likewise.
    """

    name: str
    units: Pair
    baseline: float | None
    candidate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Units assigned after one observed change and before the next.

    Attributes:
        since: seconds since the epoch; ``None`` from the rollout's start.
        because: what changed; empty at the start.
        metrics: in the order of the rollout's metrics.
    """

    since: float | None
    because: str
    metrics: tuple[SegmentMetric, ...]
