"""What the room needs from outside, in domain types. Wired in ``app``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inchworm.domain.change import Plan
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import BenchmarkId, ConfigurationId, PlanId, RolloutId, WorkId
from inchworm.domain.metric import Clock, Metric
from inchworm.domain.points import EvidencePoint
from inchworm.domain.rollout import (
    Approval,
    Decision,
    LedgerEntry,
    Lineage,
    Rollout,
    RolloutState,
    WatchedCluster,
)
from inchworm.domain.serving import ServingTable
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem
from inchworm.rollout.effects import Effects
from inchworm.rollout.evidence.counts import Pair

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
ObjectArray = NDArray[np.object_]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitBatch:
    """Matured units in the order of their assignment, all arrays of shape (N,).

    Attributes:
        order: place in the order of assignment, without gaps.
        stage: 0-based stage at assignment; the number of stages for the soak.
        candidate: whether the unit got the candidate.
        probability: the probability of the candidate arm that was in force.
        at: when it was assigned, seconds since the epoch.
        silent: whether no interaction of the unit came in at all.
        errored: how many of the unit's interactions the harness or a judge failed on.
        values: per metric, the unit's value in [0, 1]; whatever where there is none.
        present: per metric, whether there is a value. A metric that is left out was never reported.
        cluster: id of the cluster of the unit's first interaction, ``None`` where it has none. ``None`` as a
            whole where nobody looked.
        judged: whether the unit was drawn at its assignment to be judged; ``None`` if all are.
    """

    order: IntArray
    stage: IntArray
    candidate: BoolArray
    probability: FloatArray
    at: FloatArray
    silent: BoolArray
    errored: IntArray
    values: Mapping[str, FloatArray]
    present: Mapping[str, BoolArray]
    cluster: ObjectArray | None = None
    judged: BoolArray | None = None

    def __len__(self) -> int:
        return int(self.order.size)

    def count(self, which: BoolArray) -> Pair:
        """How many of the marked units are in each arm."""
        candidate = int(np.count_nonzero(which & self.candidate))
        return Pair(baseline=int(np.count_nonzero(which)) - candidate, candidate=candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairBatch:
    """Matured pairs of a shadow stage in the order of mirroring, all arrays of shape (N,).

    A pair is one input that both configurations answered: stable for the user, the candidate for nobody.

    Attributes:
        order: place in the order of mirroring, without gaps.
        stage: 0-based stage at which it was mirrored.
        at: when, seconds since the epoch.
        silent: whether the candidate's answer never came.
        errored: whether the harness or a judge failed on either side.
        values: per metric, the values in [0, 1] of baseline and candidate; whatever where there is none.
        present: per metric, whether both sides have a value.
        again: whether a call of the same unit was mirrored before; ``None`` if none was.
    """

    order: IntArray
    stage: IntArray
    at: FloatArray
    silent: BoolArray
    errored: BoolArray
    values: Mapping[str, tuple[FloatArray, FloatArray]]
    present: Mapping[str, BoolArray]
    again: BoolArray | None = None

    def __len__(self) -> int:
        return int(self.order.size)

    @property
    def first(self) -> BoolArray:
        """Which pairs are the first of their unit, shape (N,)."""
        return np.ones(len(self), dtype=np.bool_) if self.again is None else ~self.again

    def only(self, which: BoolArray) -> PairBatch:
        """The marked pairs."""
        return PairBatch(
            order=self.order[which],
            stage=self.stage[which],
            at=self.at[which],
            silent=self.silent[which],
            errored=self.errored[which],
            values={name: (old[which], new[which]) for name, (old, new) in self.values.items()},
            present={name: flags[which] for name, flags in self.present.items()},
            again=None if self.again is None else self.again[which],
        )

    @classmethod
    def none(cls) -> PairBatch:
        """No pairs."""
        whole, real, flag = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.bool_)
        return cls(order=whole, stage=whole, at=real, silent=flag, errored=flag, values={}, present={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """What came in behind the watermark, and so is in no evidence.

    Attributes:
        baseline: interactions, or scores, of the baseline.
        candidate: of the candidate.
        seen: where to look on from next time: a count of all that ever arrived.
    """

    baseline: int
    candidate: int
    seen: int


class Units(Protocol):
    """Where units come from: traces, turned into the values of the rollout's metrics."""

    def read(
        self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
    ) -> UnitBatch:
        """The unbroken run of units from order ``start`` on that were assigned at ``matured_before`` at last.

        At most ``limit``; may be empty. ``values`` and ``present`` are those of the clock's metrics.
        """
        ...

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        """The unbroken run of pairs from order ``start`` on, likewise."""
        ...

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        """What arrived after ``since`` for units whose order is below ``before``, which are consumed."""
        ...

    def matured(self, rollouts: Sequence[Rollout], now: float) -> Mapping[RolloutId, int]:
        """How many units have matured by ``now``, counted as the watermark counts them; in one question.

        As long as that is not more than the watermark, :meth:`read` has nothing new. A rollout without any
        may be left out.
        """
        ...

    def spent(self, rollout: Rollout) -> ShadowSpent:
        """What the calls that were mirrored at the rollout's present stage took so far."""
        ...

    def changes(self, rollout: Rollout) -> Sequence[tuple[float, str]]:
        """When something changed that Inchworm only observed, and its sentence; oldest first.

        Ledger entries of the kind ``observed`` since the rollout started. They segment its evidence.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """What came of a rollout's benchmark.

    Attributes:
        verdict: goals and guardrails together. Only ``pass`` passes.
        benchmark_id: the benchmark, if one was made.
        because: its sentence.
    """

    verdict: Verdict
    benchmark_id: BenchmarkId | None
    because: str


class Benchmarks(Protocol):
    """Where the results of requested benchmarks are found."""

    def result(self, rollout: Rollout) -> GateResult | None:
        """The result of the rollout's benchmark, or ``None`` while there is none."""
        ...

    def budget(self, rollout: Rollout) -> GateResult | None:
        """The result of its benchmark against the anchor of the loss budget, or ``None`` likewise."""
        ...


class Calendar(Protocol):
    """The freezes of an app: times in which nothing starts and nothing grows."""

    def __call__(self, app: AppRef, now: float) -> tuple[str, float] | None:
        """The freeze that is on, as a clause, and when it ends; ``None`` if none is."""
        ...


class Freeze(Protocol):
    """Sets what a metric compares with (latency and cost thresholds) at the moment of the start."""

    def __call__(self, rollout: Rollout, now: float) -> tuple[Metric, ...]:
        """The rollout's metrics with their thresholds, fixed for its whole life."""
        ...


class WatchClusters(Protocol):
    """Chooses the clusters that are watched on their own, at the moment of the start."""

    def __call__(self, rollout: Rollout, now: float) -> tuple[WatchedCluster, ...]:
        """The largest clusters of the traffic before ``now``; none if it has no topics."""
        ...


class Validate(Protocol):
    """Says why a configuration could not run."""

    def __call__(self, rollout: Rollout, configuration: Configuration) -> Sequence[str]:
        """Problems of what ``rollout`` is about to expose, as sentences; empty if it is valid."""
        ...


class Store(Protocol):
    """The control store, as far as this room uses it."""

    def apps(self) -> Sequence[AppRef]:
        """All apps that have a lineage."""
        ...

    def lineage(self, app: AppRef) -> Lineage | None:
        """What is stable, and the lock."""
        ...

    def lineages(self) -> Sequence[Lineage]:
        """The lineages of all apps."""
        ...

    def servings(self) -> Sequence[ServingTable]:
        """What is served for all apps."""
        ...

    def stable_at(self, app: AppRef, at: float) -> ConfigurationId | None:
        """What was stable at ``at``; the first that ever was, if that was later."""
        ...

    def approvals(self, rollout_ids: Collection[RolloutId]) -> Sequence[Approval]:
        """Who agreed to these rollouts, in the order in which they did."""
        ...

    def watermarks(self, rollout_ids: Collection[RolloutId]) -> Mapping[RolloutId, int]:
        """How many units the monitor has consumed of each; those it has not looked at are left out."""
        ...

    def add_work(self, items: Sequence[WorkItem]) -> int:
        """Add items that are not there yet; how many were new."""
        ...

    def work_items(self, ids: Collection[WorkId]) -> Mapping[WorkId, WorkItem]:
        """These items; what does not exist is left out."""
        ...

    def serving(self, app: AppRef) -> ServingTable | None:
        """What is served."""
        ...

    def configuration(self, id: ConfigurationId) -> Configuration:  # noqa: A002  # the store's name for it
        """One configuration; NotFoundError."""
        ...

    def put_configuration(self, app: AppRef, configuration: Configuration, *, note: str, at: float) -> None:
        """Keep a configuration; idempotent."""
        ...

    def plan(self, id: PlanId) -> Plan:  # noqa: A002  # the store's name for it
        """One plan; NotFoundError."""
        ...

    def rollout(self, id: RolloutId) -> Rollout:  # noqa: A002  # the store's name for it
        """One rollout; NotFoundError."""
        ...

    def rollouts(
        self, app: AppRef | None = None, states: Collection[RolloutState] | None = None
    ) -> Sequence[Rollout]:
        """Rollouts by number."""
        ...

    def commit(
        self,
        decision: Decision,
        rollout: Rollout,
        *,
        lineage: Lineage | None = None,
        expected_lineage: int | None = None,
        serving: ServingTable | None = None,
        ledger: Sequence[LedgerEntry] = (),
        work: Sequence[WorkItem] = (),
    ) -> bool:
        """Everything in one transaction, or nothing and ``False`` if somebody else moved first."""
        ...

    def decisions(self, rollout_id: RolloutId) -> Sequence[Decision]:
        """A rollout's decisions, oldest first."""
        ...

    def monitor(self, rollout_id: RolloutId) -> tuple[int, dict[str, Any]] | None:
        """Units consumed, and the monitor's state."""
        ...

    def save_monitor(
        self, rollout_id: RolloutId, *, expected: int, watermark: int, state: dict[str, Any]
    ) -> bool:
        """Replace the monitor's state if ``expected`` units were consumed; else ``False``."""
        ...

    def save_point(self, point: EvidencePoint) -> bool:
        """Keep a moment of the evidence for people to look at; ``False`` if nothing came since the last."""
        ...


def land(store: Store, decision: Decision, change: Effects, lineage: Lineage) -> bool:
    """Commit a decision with all that it changes, on the lineage it was taken on.

    Returns:
        ``False``, and nothing is written, if somebody else moved first.
    """
    return store.commit(
        decision,
        change.rollout,
        lineage=change.lineage,
        expected_lineage=None if change.lineage is None else lineage.generation,
        serving=change.serving,
        ledger=change.ledger,
        work=change.work,
    )
