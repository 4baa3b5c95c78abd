"""What the room needs from outside, in domain types. Wired in ``app``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from inchworm.domain.change import Plan
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import BenchmarkId, ConfigurationId, PlanId, RolloutId
from inchworm.domain.metric import Metric
from inchworm.domain.points import EvidencePoint
from inchworm.domain.rollout import Decision, LedgerEntry, Lineage, Rollout, RolloutState
from inchworm.domain.serving import ServingTable
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.effects import Effects

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


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

    def __len__(self) -> int:
        return int(self.order.size)


class Units(Protocol):
    """Where units come from: traces, turned into the values of the rollout's metrics."""

    def read(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> UnitBatch:
        """The unbroken run of matured units from order ``start`` on, at most ``limit``; may be empty."""
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


class Freeze(Protocol):
    """Sets what a metric compares with (latency and cost thresholds) at the moment of the start."""

    def __call__(self, rollout: Rollout, now: float) -> tuple[Metric, ...]:
        """The rollout's metrics with their thresholds, fixed for its whole life."""
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

    def work(
        self, app: AppRef | None = None, states: Collection[WorkState] | None = None
    ) -> Sequence[WorkItem]:
        """Work items."""
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
