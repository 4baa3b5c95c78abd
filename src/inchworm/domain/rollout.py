"""A rollout: one step being exposed; its policy, its decisions and the lineage it may move."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import BenchmarkId, ConfigurationId, DecisionId, PlanId, RolloutId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.metric import Metric
from inchworm.domain.targeting import Condition
from inchworm.domain.unitkind import UnitKind as UnitKind  # noqa: PLC0414  # it is to be had here, too

EVIDENCE_FORMAT = "evidence/1"


class RolloutState(StrEnum):
    """Where a rollout stands. What follows what is a table: ``inchworm.rollout.transitions``."""

    QUEUED = "queued"
    """Waits for its predecessors, for the soak, or for the change that is in flight."""
    BENCHMARKING = "benchmarking"
    """Holds the lock; the gate on the eval set is being measured."""
    EXPOSING = "exposing"
    """Holds the lock; the candidate gets its stage's share of the traffic."""
    PAUSED = "paused"
    """Stopped growing by a person or a signal; its share stays, guardrails run."""
    HOLDING = "holding"
    """The deadline passed, or the gate was inconclusive, and a person is asked; guardrails run."""
    SOAKING = "soaking"
    """Everybody but a holdback gets the candidate."""
    COMPLETED = "completed"
    """The candidate is stable."""
    REJECTED = "rejected"
    """The gate on the eval set stopped it; nobody saw it."""
    ROLLED_BACK = "rolled_back"
    """Evidence of harm stopped it."""
    ABORTED = "aborted"
    """A person stopped it."""
    CANCELLED = "cancelled"
    """A step that it needs was stopped."""
    UNDONE = "undone"
    """It was stable, and a person took it back."""


class StageKind(StrEnum):
    """What a stage does with its share of the traffic."""

    SPLIT = "split"
    """The candidate answers it."""
    SHADOW = "shadow"
    """Stable answers it, and the candidate answers the same input beside it, for nobody to see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One rung of the ladder.

    Attributes:
        weight: the candidate's share of the traffic, in (0, 1); of a shadow stage the share that is mirrored,
            in (0, 1].
        min_units: units (both arms) before it may expand; of a shadow stage pairs.
        min_bake_s: seconds before it may expand.
        max_bake_s: seconds after which it holds and asks.
        margin_factor: the stage's margins are this times each metric's final margin.
        kind: whether the candidate's answers are given to anybody.
        audience: who takes part; everybody if empty. Others get stable, without an assignment.
        max_calls: of a shadow stage, how many calls are mirrored at most.
        budget_usd: of a shadow stage, what mirrored calls may cost at most.
    """

    weight: float
    min_units: int
    min_bake_s: float
    max_bake_s: float
    margin_factor: float
    kind: StageKind = StageKind.SPLIT
    audience: tuple[Condition, ...] = ()
    max_calls: int | None = None
    budget_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """Which share of each arm's units is judged, drawn at assignment (docs/deciding.md).

    Attributes:
        candidate: of units that got the candidate, in (0, 1].
        baseline: of units that got the baseline, in (0, 1].
    """

    candidate: float = 1.0
    baseline: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Approvals:
    """Who must agree before a rollout goes on. The author's own word does not count.

    Attributes:
        count: how many different people.
        by: who may; anybody that may deploy if empty.
        before: the stages that need it, 0-based; the number of stages stands for the soak.
    """

    count: int = 1
    by: tuple[str, ...] = ()
    before: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBudget:
    """What may be lost in all against the anchor, however many rollouts it is spread over.

    Attributes:
        margin: in units of each metric, in (0, 1].
        per_s: the anchor is what was stable this many seconds ago.
    """

    margin: float
    per_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How changes are exposed.

    Attributes:
        unit: what is randomised.
        stages: rungs, by growing weight.
        soak_s: seconds at 1 − holdback before the candidate becomes stable.
        holdback: share of the traffic that stays on stable through the soak.
        alpha_harm_fast: share of the false-rollback budget of the fast clock.
        alpha_harm_judged: share of the judged clock. A clock without metrics gives its share away.
        alpha_expand: error of an expansion beyond a margin.
        alpha_ratio: false alarms of the sample-ratio test.
        alpha_pause: at how weak evidence of harm it pauses and asks a person, on all clocks together; 0 if
            only harm that rolls back stops it. For low traffic (docs/deciding.md).
        maturation_s: how long an outcome of the fast clock may take before it counts as missing.
        gate: whether a step must pass its benchmark before it is exposed.
        gate_margin_factor: the gate's margins are this times each metric's final margin.
        hash_version: how units are drawn, see :func:`inchworm.domain.assignment.bucket`.
        holdout: share of the units that no rollout of the app ever exposes, the same ones each time.
        maturation_judged_s: the same for outcomes of the judged clock, which has a watermark of its own.
        user_window_s: of unit ``user``, seconds from the first exposure over which a user's mean is taken.
        judging: which share of each arm's units is judged.
        approvals: who must agree; ``None`` if nobody need.
        loss_budget: what may be lost against the anchor in all; ``None`` if nobody counts.
    """

    unit: UnitKind = UnitKind.SESSION
    stages: tuple[Stage, ...] = (
        Stage(weight=0.05, min_units=1_000, min_bake_s=7_200, max_bake_s=7 * 86_400, margin_factor=2.7),
        Stage(weight=0.25, min_units=1_000, min_bake_s=7_200, max_bake_s=7 * 86_400, margin_factor=1.7),
        Stage(weight=0.50, min_units=1_000, min_bake_s=86_400, max_bake_s=14 * 86_400, margin_factor=1.0),
    )
    soak_s: float = 86_400
    holdback: float = 0.05
    alpha_harm_fast: float = 0.01
    alpha_harm_judged: float = 0.04
    alpha_expand: float = 0.05
    alpha_ratio: float = 0.01
    alpha_pause: float = 0.0
    maturation_s: float = 0.0
    gate: bool = True
    gate_margin_factor: float = 1.0
    hash_version: int = 1
    holdout: float = 0.0
    maturation_judged_s: float = 0.0
    user_window_s: float = 86_400.0
    judging: Judging = Judging()
    approvals: Approvals | None = None
    loss_budget: LossBudget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCluster:
    """A cluster whose own evidence is watched, so that a mean cannot hide a broken tail.

    Attributes:
        id: as traces carry it.
        name: as people call it.
        share: of the traffic before the rollout started, in (0, 1].
    """

    id: str
    name: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One step, from the queue to its end.

    Base and candidate are set when it starts, on the stable of that moment: a step is carried as
    the values of its layer, so that re-basing it is nothing special.

    Attributes:
        id: ``r-`` and a number.
        app: where.
        plan_id: the plan it is a step of.
        step: 1-based place in the plan.
        steps: how many steps the plan has.
        layer: the layer that moves.
        values: what it moves to.
        after: layers of the same plan without which it is cancelled.
        policy: how it is exposed.
        metrics: what it is judged by.
        salt: fresh per rollout.
        hash_version: see :func:`inchworm.domain.assignment.bucket`.
        author: who applied it.
        state: where it stands.
        stage: 0-based stage; the number of stages while it soaks, −1 while nobody is exposed yet.
        generation: counts up with every decision; decisions land by compare-and-set on it.
        base: stable when it started.
        candidate: what it exposes.
        benchmark_id: the benchmark that let it through, or stopped it.
        because: the last decision's sentence.
        created_at: when it was applied, seconds since the epoch.
        entered_at: when it entered its present state and stage.
        started_at: when it took the lock.
        ended_at: when it ended.
        joint: what other layers move to together with ``layer``, of a joint step that was approved as one.
        emergency: why it went past gate, freeze and approvals; ``None`` unless the glass was broken.
        retries: the rollout that this one tries again.
        anchor: what the loss budget is counted from; set when it starts, if its policy has one.
        clusters: the clusters that are watched on their own; set when it starts.
    """

    id: RolloutId
    app: AppRef
    plan_id: PlanId
    step: int
    steps: int
    layer: Layer
    values: dict[str, Any]
    after: tuple[Layer, ...]
    policy: Policy
    metrics: tuple[Metric, ...]
    salt: str
    hash_version: int
    author: str
    state: RolloutState
    stage: int
    generation: int
    base: ConfigurationId | None = None
    candidate: ConfigurationId | None = None
    benchmark_id: BenchmarkId | None = None
    because: str
    created_at: float
    entered_at: float
    started_at: float | None = None
    ended_at: float | None = None
    joint: dict[Layer, dict[str, Any]] = field(default_factory=dict)
    emergency: str | None = None
    retries: RolloutId | None = None
    anchor: ConfigurationId | None = None
    clusters: tuple[WatchedCluster, ...] = ()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that move, in the default order: one, unless the step is a joint one."""
        return tuple(layer for layer in LAYERS if layer == self.layer or layer in self.joint)

    def moved(self, base: Configuration) -> Configuration:
        """``base`` with what this step moves."""
        after = base.with_layer(self.layer, self.values)
        for layer, values in self.joint.items():
            after = after.with_layer(layer, values)
        return after


class DecisionKind(StrEnum):
    """What was decided."""

    QUEUE = "queue"
    START = "start"
    EXPOSE = "expose"
    EXPAND = "expand"
    HOLD = "hold"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    SOAK = "soak"
    COMPLETE = "complete"
    ROLLBACK = "rollback"
    REJECT = "reject"
    ABORT = "abort"
    CANCEL = "cancel"
    UNDO = "undo"
    EMERGENCY = "emergency"
    """The glass was broken: straight to the soak's share."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One automatic or human act, with the evidence it saw.

    Attributes:
        id: ``ROLLOUT/GENERATION``.
        rollout_id: of which rollout.
        parent: the rollout's generation that it was taken on; it lands only if that is current.
        kind: what was decided.
        state: the state it leads to.
        stage: the stage it leads to.
        weight: the candidate's share of the traffic from now on.
        because: one sentence with the number that decided.
        actor: ``inchworm`` or a person.
        at: when, seconds since the epoch.
        evidence: JSON, format ``evidence/1``: all that the decision was computed from.
    """

    id: DecisionId
    rollout_id: RolloutId
    parent: int
    kind: DecisionKind
    state: RolloutState
    stage: int
    weight: float
    because: str
    actor: str
    at: float
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A person agrees to a rollout going on. Append-only.

    Attributes:
        rollout_id: of which rollout.
        stage: before which stage, 0-based; the number of stages stands for the soak.
        actor: who.
        at: when, seconds since the epoch.
        reason: in their words; may be empty.
    """

    rollout_id: RolloutId
    stage: int
    actor: str
    at: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What is stable for an app, and the lock on it.

    Attributes:
        app: where.
        stable: the configuration that a rollback lands on.
        generation: counts up whenever stable, the lock or the served weights change.
        in_flight: the rollout that holds the lock, if one does.
        since: when stable became stable, seconds since the epoch.
        note: why it became stable.
    """

    app: AppRef
    stable: ConfigurationId
    generation: int
    in_flight: RolloutId | None
    since: float
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """Something changed. The ledger is append-only.

    Attributes:
        app: where.
        at: when, seconds since the epoch.
        kind: ``configuration``, ``rollout``, ``evalset``, ``import``, ``observed``, ``approval``,
            ``emergency``.
        actor: who or what.
        what: one sentence.
        data: JSON with ids.
    """

    app: AppRef
    at: float
    kind: str
    actor: str
    what: str
    data: dict[str, Any] = field(default_factory=dict)
