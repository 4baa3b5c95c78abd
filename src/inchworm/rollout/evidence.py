"""What is known of a rollout at one moment: all that a decision needs and that the pages show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from inchworm.domain.codec import plain, typed
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import EVIDENCE_FORMAT

LEVEL: Final = 0.95
"""Level of the confidence sequences shown: each covers its effect at all times at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One count per arm."""

    baseline: int = 0
    candidate: int = 0

    @property
    def both(self) -> int:
        """Their sum."""
        return self.baseline + self.candidate

    def __add__(self, other: Pair) -> Pair:
        return Pair(baseline=self.baseline + other.baseline, candidate=self.candidate + other.candidate)

    def __sub__(self, other: Pair) -> Pair:
        return Pair(baseline=self.baseline - other.baseline, candidate=self.candidate - other.candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Evidence of harm passed its line, once and for good.

    Attributes:
        unit: at which unit of the rollout, both arms, from 1.
        candidate: how many of these had got the candidate.
        log_e: log of the evidence then.
        culprits: the metrics named by closed testing then, strongest first; may be empty.
        leading: the metric that contributed most.
    """

    unit: int
    candidate: int
    log_e: float
    culprits: tuple[str, ...]
    leading: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockEvidence:
    """Evidence of harm on one clock, gates only.

    Attributes:
        clock: which.
        alpha: the false-rollback budget; the line is 1/α.
        log_e: log Σ w_j E_j now; ``None`` if every metric of it is void.
        crossing: when it passed the line, if it did.
    """

    clock: Clock
    alpha: float
    log_e: float | None
    crossing: Crossing | None


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

    units: Pair = Pair()
    silent: Pair = Pair()
    errored: Pair = Pair()


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

    @property
    def gates(self) -> tuple[MetricEvidence, ...]:
        """Goals and guardrails."""
        return tuple(metric for metric in self.metrics if metric.gates)

    @property
    def harm(self) -> ClockEvidence | None:
        """The first clock on which evidence of harm passed its line, the earlier crossing first."""
        crossed = [(c.crossing.unit, c) for c in self.clocks if c.crossing is not None]
        return min(crossed, key=lambda pair: pair[0])[1] if crossed else None

    @property
    def culprits(self) -> tuple[str, ...]:
        """The harmed metrics, strongest first; empty if nothing is harmed or nobody can be named."""
        harm = self.harm
        return () if harm is None or harm.crossing is None else harm.crossing.culprits

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
