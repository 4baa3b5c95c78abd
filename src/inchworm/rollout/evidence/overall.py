"""What is known of a rollout at one moment: all that a decision needs and that the pages show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from inchworm.domain.codec import plain, typed
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import EVIDENCE_FORMAT
from inchworm.rollout.evidence.counts import NOBODY, Crossing, Pair
from inchworm.rollout.evidence.divided import ClusterEvidence, Segment
from inchworm.rollout.evidence.shadowed import PairedMetric, ShadowEvidence, ShadowStage

LEVEL: Final = 0.95
"""Level of the confidence sequences shown: each covers its effect at all times at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvidence:
    """Evidence of harm on one clock, gates only.

    Attributes:
        clock: which.
        alpha: the false-rollback budget; the line is 1/α.
        log_e: log Σ w_j E_j now; ``None`` if every metric of it is void.
        crossing: when it passed the line, if it did.
        consumed: matured units that were looked at on this clock, both arms.
        counted: those of them that count on it, per arm: all, or those drawn to be judged.
        late: interactions (of the judged clock: scores) that came in behind, per arm, and are in no evidence.
    """

    clock: Clock
    alpha: float
    log_e: float | None
    crossing: Crossing | None
    consumed: int = 0
    counted: Pair = NOBODY
    late: Pair = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """Candidate minus baseline, in units of the metric.

    Attributes:
        effect: point estimate, stages weighted alike in both arms.
        low: lower end of the confidence sequence.
        high: upper end.
        baseline: mean of the baseline.
        candidate: mean of the candidate.
        units: units with a value in the process, per arm.
    """

    effect: float
    low: float
    high: float
    baseline: float
    candidate: float
    units: Pair


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEvidence:
    """One metric.

    Attributes:
        name: as the user calls it.
        role: goal, guardrail or signal.
        clock: fast or judged.
        absence: what a missing outcome means.
        harm_margin: harm is a loss beyond this.
        margin: the margin to be met at the present stage.
        final_margin: the margin of the last stage.
        alpha_harm: false-rollback budget of its clock (signals: of their own).
        weight: its share of that budget.
        log_e_harm: log evidence of harm.
        log_e_expand: log evidence that the loss is within ``margin``.
        consumed: units that its process has consumed.
        effect: the estimate; ``None`` until some stage has values from both arms.
        reported: units with a value, per arm, all stages.
        missing: matured units without one, per arm, all stages.
        reported_in_stage: units of the present stage with a value, per arm.
        log_e_coverage: log evidence that values arrive more often in one arm.
        void_at: the unit at which that passed its line: from then on the metric is void.
        alone: when its own evidence of harm passed its own share of the budget.
        came: matured units on its clock, with a value or not, judged or not, of the population that the
            present stage belongs to: as fast as these come, ``log_e_expand`` grows.
        floored: whether all values of the present stage are 0, in both arms: nobody can be worse than that.
    """

    name: str
    role: Role
    clock: Clock
    absence: Absence
    harm_margin: float
    margin: float
    final_margin: float
    alpha_harm: float
    weight: float
    log_e_harm: float
    log_e_expand: float
    consumed: int
    effect: Effect | None
    reported: Pair
    missing: Pair
    reported_in_stage: Pair
    log_e_coverage: float
    void_at: int | None
    alone: Crossing | None
    came: int = 0
    floored: bool = False

    @property
    def gates(self) -> bool:
        """Whether its harm rolls back and expansion waits for it."""
        return self.role is not Role.SIGNAL

    @property
    def has_data(self) -> bool:
        """Whether both arms of the present stage reported it. Nothing measured is not a pass."""
        return min(self.reported_in_stage.baseline, self.reported_in_stage.candidate) > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvidence:
    """Who was exposed at one stage.

    Attributes:
        units: matured units per arm.
        silent: units of which no interaction came in, per arm. They count as missing everywhere.
        errored: units on which the harness or a judge failed at least once, per arm.
    """

    units: Pair = NOBODY
    silent: Pair = NOBODY
    errored: Pair = NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Harm:
    """Evidence of harm that has passed its line.

    Attributes:
        crossing: when, and by what.
        alpha: the budget; the line was 1/α.
        paired: whether it was found in the pairs of a shadow stage, where nobody was exposed.
    """

    crossing: Crossing
    alpha: float
    paired: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """A rollout's evidence at one moment.

    Attributes:
        stage: the stage it was taken at; -1 before anybody is exposed.
        consumed: matured units in all, both arms.
        candidate: those that got the candidate.
        expected: how many of them the recorded probabilities promise.
        alpha_ratio: false alarms of the sample-ratio test.
        log_e_ratio: log evidence that the arms are not split as recorded, at most 700.
        ratio_void_at: the unit at which it was seen past its line: from then on all evidence is void.
        alpha_expand: error of an expansion beyond a margin.
        stages: per stage, the soak last.
        clocks: harm per clock, gates only.
        metrics: goals, guardrails and signals in the order of the registry.
        clusters: those that are watched on their own.
        clusters_void_at: the unit at which the clusters of units were seen to be known more often in one arm:
            from then on no cluster rolls back.
        shadow: what pairs say, if there was a shadow stage.
        paired: whether the present stage is a shadow stage: what is asked is asked of pairs.
        segments: between observed changes, at most the last six; none if nothing was observed to change.
    """

    stage: int
    consumed: int
    candidate: int
    expected: float
    alpha_ratio: float
    log_e_ratio: float
    ratio_void_at: int | None
    alpha_expand: float
    stages: tuple[StageEvidence, ...]
    clocks: tuple[ClockEvidence, ...]
    metrics: tuple[MetricEvidence, ...]
    clusters: tuple[ClusterEvidence, ...] = ()
    clusters_void_at: int | None = None
    shadow: ShadowEvidence | None = None
    paired: bool = False
    segments: tuple[Segment, ...] = ()

    @property
    def seen(self) -> int:
        """Matured units and pairs in all."""
        return self.consumed + (0 if self.shadow is None else self.shadow.pairs)

    @property
    def asked(self) -> tuple[MetricEvidence | PairedMetric, ...]:
        """The goals and guardrails that the present stage waits for."""
        if self.paired:
            return () if self.shadow is None else self.shadow.gates
        return self.gates

    @property
    def gates(self) -> tuple[MetricEvidence, ...]:
        """Goals and guardrails."""
        return tuple(metric for metric in self.metrics if metric.gates)

    @property
    def harm(self) -> Harm | None:
        """Evidence of harm that passed its line: in pairs, or else on the clock that crossed earlier."""
        if self.shadow is not None and self.shadow.crossing is not None:
            return Harm(crossing=self.shadow.crossing, alpha=self.shadow.alpha, paired=True)
        crossed = [Harm(crossing=c.crossing, alpha=c.alpha) for c in self.clocks if c.crossing is not None]
        return min(crossed, key=lambda one: one.crossing.unit) if crossed else None

    @property
    def culprits(self) -> tuple[str, ...]:
        """The harmed metrics, strongest first; empty if nothing is harmed or nobody can be named."""
        harm = self.harm
        return () if harm is None else harm.crossing.culprits

    def cluster(self, name: str) -> ClusterEvidence:
        """One cluster by its id.

        Raises:
            KeyError: if it is not watched.
        """
        return {cluster.id: cluster for cluster in self.clusters}[name]

    @property
    def shadow_stage(self) -> ShadowStage:
        """What was mirrored at the present stage."""
        stages = () if self.shadow is None else self.shadow.stages
        return stages[self.stage] if 0 <= self.stage < len(stages) else ShadowStage()

    @property
    def ratio_void(self) -> bool:
        """Whether the split voids all evidence: once past its line where it was looked at, for good.

        Evidence between two looks does not count, or a rollout would be held on a passing moment.
        """
        return self.ratio_void_at is not None

    @property
    def in_stage(self) -> StageEvidence:
        """Who was exposed at the present stage."""
        return self.stages[self.stage] if 0 <= self.stage < len(self.stages) else StageEvidence()

    def metric(self, name: str) -> MetricEvidence:
        """One metric by its name.

        Raises:
            KeyError: if it is not watched.
        """
        return {metric.name: metric for metric in self.metrics}[name]

    def to_json(self) -> dict[str, Any]:
        """The JSON form, format ``evidence/1``."""
        return {"format": EVIDENCE_FORMAT, **plain(self)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Evidence:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: for another format, or content that does not fit.
        """
        if data.get("format") != EVIDENCE_FORMAT:
            msg = f"evidence has format {data.get('format')!r}, this version reads {EVIDENCE_FORMAT}"
            raise ValueError(msg)
        try:
            return typed(cls, {name: value for name, value in data.items() if name != "format"})
        except ValueError as error:
            msg = f"the stored value is no Evidence: {error}"
            raise ValueError(msg) from error
