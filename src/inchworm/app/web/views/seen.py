"""What is read of one rollout before anything is said about it: the only part that looks into the stores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from inchworm.app.house import House
from inchworm.app.loop.queueing import AHEAD_S
from inchworm.app.loop.seeing import base_of
from inchworm.app.serve.state import GatewaySeen, Publisher
from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import ValueDiff, diff
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.points import EvidencePoint
from inchworm.domain.rollout import Approval, Decision, LedgerEntry, Rollout, RolloutState, StageKind
from inchworm.domain.shadow import ShadowSpent
from inchworm.rollout import calendar
from inchworm.rollout.calendar import Span
from inchworm.rollout.controller import acknowledged
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.gating import WorkBenchmarks
from inchworm.rollout.monitor import MonitorState
from inchworm.rollout.observed import Watched
from inchworm.rollout.permits import NONE_ASKED, Permits
from inchworm.rollout.permitting import gather
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL

_MOST_TOLD = 500
_ABOUT = frozenset({"approval", "emergency", "rollout"})
"""Kinds of ledger entries that tell of a rollout; the configuration it made is told by its decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What is published, and who holds it.

    Attributes:
        version: of what is published now.
        weight: the rollout's share in the serving table; ``None`` if the table does not name it.
        shadow: the share that is mirrored to it, by the same table.
        other: another rollout that the table names.
        stable: what the table says is stable.
        gateways: those that asked since the server started.
    """

    version: str
    weight: float | None
    other: RolloutId | None
    stable: ConfigurationId | None
    gateways: tuple[GatewaySeen, ...]
    shadow: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One rollout with all that its page is made from.

    Attributes:
        rollout: as it stands.
        base: the configuration it is compared with: its own, or stable before it starts.
        candidate: the base with its layer.
        diffs: the values that differ.
        evidence: what its matured units say; ``None`` before the monitor looked first.
        exposed: units that were assigned, matured or not.
        changed_arms: units that were seen in another arm than their own.
        points: the evidence over time.
        decisions: oldest first.
        benchmark: the one that let it through or stopped it.
        others: rollouts that are in flight or queued beside it, by number.
        served: what is published.
        now: seconds since the epoch.
        state: what the monitor remembers; ``None`` before it looked first.
        permits: what besides evidence is in order: freeze, approvals, loss budget.
        freezes: those that are on or ahead.
        spent: what each shadow stage took so far, by its number.
        told: ledger entries about it that are no decisions of its own, oldest first.
        again: the rollout that tries it again, the latest.
    """

    rollout: Rollout
    base: Configuration
    candidate: Configuration
    diffs: tuple[ValueDiff, ...]
    evidence: Evidence | None
    exposed: int
    changed_arms: int
    points: tuple[EvidencePoint, ...]
    decisions: tuple[Decision, ...]
    benchmark: Benchmark | None
    others: tuple[Rollout, ...]
    served: Served
    now: float
    state: MonitorState | None = None
    permits: Permits = NONE_ASKED
    freezes: tuple[Span, ...] = ()
    spent: Mapping[int, ShadowSpent] = field(default_factory=dict)
    told: tuple[LedgerEntry, ...] = ()
    again: RolloutId | None = None

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """Who has agreed to it."""
        return self.permits.approvals

    @property
    def watched(self) -> Watched | None:
        """What the rules look at; ``None`` before there is evidence."""
        if self.evidence is None:
            return None
        return Watched(
            evidence=self.evidence, acknowledged=acknowledged(self.decisions), permits=self.permits
        )


def look(house: House, publisher: Publisher, rollout: Rollout) -> Seen:
    """Read everything about ``rollout``.

    Raises:
        StoreError: if a store cannot be read.
    """
    control = house.control
    base = base_of(house, rollout)
    candidate = rollout.moved(base)
    last = house.traces.last_order(rollout.id)
    stored = control.monitor(rollout.id)
    state = None if stored is None else MonitorState.from_json(stored[1])
    now, every = house.now(), control.rollouts(house.app)
    over = rollout.state in TERMINAL
    frozen = None if over else calendar.said(house.spec.freeze, now)
    return Seen(
        rollout=rollout,
        base=base,
        candidate=candidate,
        diffs=diff(base, candidate),
        evidence=None if state is None else snapshot(rollout, state),
        exposed=0 if last is None else last + 1,
        changed_arms=0 if last is None else house.traces.changed_arms(rollout.id),
        points=tuple(control.points(rollout.id)),
        decisions=tuple(control.decisions(rollout.id)),
        benchmark=None if rollout.benchmark_id is None else control.benchmark(rollout.benchmark_id),
        others=tuple(
            one
            for one in every
            if one.id != rollout.id and (one.state in IN_FLIGHT or one.state is RolloutState.QUEUED)
        ),
        served=_served(house, publisher, rollout.id),
        now=now,
        state=state,
        permits=gather(rollout, control.approvals([rollout.id]), frozen, WorkBenchmarks(control)),
        freezes=() if over else tuple(calendar.between(house.spec.freeze, now, now + AHEAD_S)),
        spent=_spent(house, rollout),
        told=_told(house, rollout),
        again=next((one.id for one in reversed(every) if one.retries == rollout.id), None),
    )


def _spent(house: House, rollout: Rollout) -> dict[int, ShadowSpent]:
    """What its shadow stages took, those that it has come to."""
    return {
        place: house.traces.shadow_spent(house.app, rollout.id, place)
        for place, stage in enumerate(rollout.policy.stages)
        if stage.kind is StageKind.SHADOW and place <= rollout.stage
    }


def _told(house: House, rollout: Rollout) -> tuple[LedgerEntry, ...]:
    found = house.control.ledger(house.app, since=rollout.created_at, limit=_MOST_TOLD)
    return tuple(
        one
        for one in reversed(found)
        if one.kind in _ABOUT
        and "decision" not in one.data
        and (one.data.get("rollout") == rollout.id or rollout.id in one.data.get("rollouts", ()))
    )


def find(house: House, name: str) -> Rollout:
    """A rollout of this app by its id.

    Raises:
        NotFoundError: if there is none.
    """
    rollout = house.control.rollout(RolloutId(name))
    if rollout.app != house.app:
        raise NotFoundError(f"{house.app} has no rollout {name}", hint="inchworm rollout ls")
    return rollout


def _served(house: House, publisher: Publisher, rollout_id: RolloutId) -> Served:
    table = house.control.serving(house.app)
    candidate = None if table is None else table.candidate
    mine = candidate is not None and candidate.rollout_id == rollout_id
    return Served(
        version=publisher.version,
        weight=candidate.weight if candidate is not None and mine else None,
        shadow=candidate.shadow if candidate is not None and mine else 0.0,
        other=candidate.rollout_id if candidate is not None and not mine else None,
        stable=None if table is None else table.stable,
        gateways=publisher.gateways(),
    )
