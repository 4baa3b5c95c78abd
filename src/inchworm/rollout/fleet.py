"""What a tick looks at: every app's lock, what holds it and what waits, in a handful of reads for all.

Nothing here is decided on without a check: a decision lands by compare-and-set on the generations that were
read, so that rows which moved in between make it miss, and the next tick reads again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.rollout import Approval, Lineage, Rollout, RolloutState
from inchworm.domain.serving import ServingTable
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.ports import Store, Units
from inchworm.rollout.transitions import IN_FLIGHT, WATCHED

V = TypeVar("V")
OPEN: Final = IN_FLIGHT | {RolloutState.QUEUED}
"""States of rollouts that a tick may move."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One app, as a tick finds it.

    Attributes:
        lineage: what is stable, and the lock.
        table: what is served.
        flying: what is in flight, if anything is.
        queued: what waits: emergencies first, then in the order in which it came.
        approvals: who agreed to any of these.
        watermark: how far the monitor has come with what is in flight; ``None`` if more may have matured.
        fresh: whether more of its units may have matured by now.
    """

    lineage: Lineage
    table: ServingTable
    flying: Rollout | None = None
    queued: tuple[Rollout, ...] = ()
    approvals: tuple[Approval, ...] = ()
    watermark: int | None = None
    fresh: bool = True

    @property
    def app(self) -> AppRef:
        """Whose."""
        return self.lineage.app

    def approved(self, rollout: Rollout) -> tuple[Approval, ...]:
        """Who agreed to ``rollout``."""
        return tuple(one for one in self.approvals if one.rollout_id == rollout.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was derived from a rollout's evidence and decisions."""

    evidence: Evidence
    acknowledged: tuple[str, ...]


class Memo:
    """What was derived before, per rollout: the latest only, and what it was derived from.

    It only saves time. An empty one leads to the same decisions, so that it may be lost at any line.

    Args:
        most: of how many rollouts something is kept; those used longest ago go first.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._looked: OrderedDict[RolloutId, tuple[tuple[int, int | None], Looked]] = OrderedDict()
        self._asked: OrderedDict[RolloutId, ConfigurationId] = OrderedDict()

    def __len__(self) -> int:
        return len(self._looked) + len(self._asked)

    def get(self, rollout: RolloutId, of: tuple[int, int | None]) -> Looked | None:
        """What was derived of a rollout, if it was ``of`` this generation and this watermark."""
        kept = self._looked.get(rollout)
        if kept is None or kept[0] != of:
            return None
        self._looked.move_to_end(rollout)
        return kept[1]

    def put(self, rollout: RolloutId, of: tuple[int, int | None], looked: Looked) -> None:
        """Keep it in place of what was derived before."""
        _keep(self._looked, rollout, (of, looked), self._most)

    def asked(self, waiting: RolloutId, base: ConfigurationId) -> bool:
        """Whether its early benchmark on ``base`` was seen to."""
        return self._asked.get(waiting) == base

    def ask(self, waiting: RolloutId, base: ConfigurationId) -> None:
        """Remember that it was."""
        _keep(self._asked, waiting, base, self._most)


def _keep(kept: OrderedDict[RolloutId, V], rollout: RolloutId, value: V, most: int) -> None:
    kept[rollout] = value
    kept.move_to_end(rollout)
    while len(kept) > most:
        kept.popitem(last=False)


def survey(store: Store, units: Units, now: float, app: AppRef | None = None) -> list[Standing]:
    """Every app that is served, or the one that is asked for.

    Args:
        store: the control store.
        units: asked once which rollouts have units that are not consumed yet.
        now: seconds since the epoch.
        app: only this one.
    """
    lineages, tables = _served(store, app)
    flying: dict[AppRef, Rollout] = {}
    queued: dict[AppRef, list[Rollout]] = {}
    for rollout in store.rollouts(app, OPEN):
        if rollout.state is RolloutState.QUEUED:
            queued.setdefault(rollout.app, []).append(rollout)
        else:
            flying.setdefault(rollout.app, rollout)
    approvals = _approvals(store, [*flying.values(), *(one for rows in queued.values() for one in rows)])
    watched = [one for one in flying.values() if one.state in WATCHED and one.stage >= 0]
    stale = _consumed(store, units, watched, now) if watched else {}
    found: list[Standing] = []
    for lineage in lineages:
        table, holder = tables.get(lineage.app), flying.get(lineage.app)
        if table is None:
            continue
        waiting = queued.get(lineage.app, [])
        ids = {one.id for one in waiting} | ({holder.id} if holder is not None else set())
        standing = Standing(
            lineage=lineage,
            table=table,
            flying=holder,
            queued=tuple(sorted(waiting, key=lambda one: one.emergency is None)),
            approvals=tuple(one for name in ids for one in approvals.get(name, ())),
        )
        if holder is not None and holder.id in stale:
            standing = replace(standing, watermark=stale[holder.id], fresh=False)
        found.append(standing)
    return found


def _served(store: Store, app: AppRef | None) -> tuple[Sequence[Lineage], dict[AppRef, ServingTable]]:
    if app is None:
        return store.lineages(), {table.app: table for table in store.servings()}
    lineage, table = store.lineage(app), store.serving(app)
    return [] if lineage is None else [lineage], {} if table is None else {app: table}


def _approvals(store: Store, rollouts: Sequence[Rollout]) -> dict[RolloutId, list[Approval]]:
    """Who agreed, asked only for rollouts that need somebody's word."""
    asking = [one.id for one in rollouts if one.policy.approvals is not None or one.joint]
    found: dict[RolloutId, list[Approval]] = {}
    for approval in store.approvals(asking) if asking else ():
        found.setdefault(approval.rollout_id, []).append(approval)
    return found


def _consumed(store: Store, units: Units, watched: Collection[Rollout], now: float) -> dict[RolloutId, int]:
    """The watermarks of the rollouts that have nothing new."""
    watermarks = store.watermarks([one.id for one in watched])
    matured = units.matured(list(watched), now)
    consumed = {one.id: watermarks.get(one.id, 0) for one in watched}
    return {name: count for name, count in consumed.items() if matured.get(name, 0) <= count}
