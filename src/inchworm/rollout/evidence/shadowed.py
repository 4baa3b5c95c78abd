"""Evidence from shadow stages: pairs of answers to the same input."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.domain.metric import Role
from inchworm.rollout.evidence.counts import Crossing


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMetric:
    """One metric over the pairs of the shadow stages so far: the same input, answered by both.

    Attributes:
        name: the metric.
        role: goal, guardrail or signal.
        margin: the margin to be met at the present stage, or at the last shadow stage.
        weight: its share of the budget of pairs (signals: of their own).
        log_e_harm: log evidence of harm.
        log_e_expand: log evidence that the loss is within ``margin``.
        effect: mean of candidate minus baseline; ``None`` before the first pair with a value.
        low: lower end of the confidence sequence.
        high: upper end.
        consumed: pairs with a value on both sides, of the present population.
        in_stage: those of the present stage.
        missing: pairs without one, all stages.
        alone: when its own evidence of harm passed its own share of the budget.
        floored: whether all values of the present stage are 0, on both sides.
    """

    name: str
    role: Role
    margin: float
    weight: float
    log_e_harm: float
    log_e_expand: float
    effect: float | None
    low: float
    high: float
    consumed: int
    in_stage: int
    missing: int
    alone: Crossing | None
    floored: bool = False

    @property
    def gates(self) -> bool:
        """Whether its harm rolls back and expansion waits for it."""
        return self.role is not Role.SIGNAL

    @property
    def has_data(self) -> bool:
        """Whether the present stage has a pair with a value. Nothing measured is not a pass."""
        return self.in_stage > 0

    @property
    def came(self) -> int:
        """The pairs by which its evidence grew."""
        return self.consumed

    @property
    def void_at(self) -> int | None:
        """Pairs are never void: what is missing is missing of both sides."""
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowStage:
    """What was mirrored at one stage.

    Attributes:
        pairs: matured pairs, one per unit.
        silent: of which the candidate's answer never came.
        errored: on which the harness or a judge failed, on either side.
        again: matured calls of units that had been mirrored before; they are no evidence.
    """

    pairs: int = 0
    silent: int = 0
    errored: int = 0
    again: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowEvidence:
    """What the pairs of the shadow stages say. Nobody was exposed to any of it.

    Attributes:
        pairs: matured pairs in all.
        alpha: budget of rolling back on pairs; the line is 1/α.
        log_e: log Σ w_j E_j over goals and guardrails now.
        crossing: when it passed the line, if it did.
        stages: per stage, the soak last; nothing where a stage is no shadow stage.
        metrics: in the order of the rollout's metrics.
    """

    pairs: int
    alpha: float
    log_e: float
    crossing: Crossing | None
    stages: tuple[ShadowStage, ...]
    metrics: tuple[PairedMetric, ...]

    @property
    def gates(self) -> tuple[PairedMetric, ...]:
        """Goals and guardrails."""
        return tuple(metric for metric in self.metrics if metric.gates)

    def metric(self, name: str) -> PairedMetric:
        """One metric by its name.

        Raises:
            KeyError: if it is not watched.
        """
        return {metric.name: metric for metric in self.metrics}[name]
