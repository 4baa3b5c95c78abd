"""A small world for the room: a store with real compare-and-set, seeded traffic, and helpers."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from inchworm.domain.assignment import served_weight
from inchworm.domain.change import Change, Plan, Step
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import BenchmarkId, ConfigurationId, PlanId, RolloutId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.points import EvidencePoint
from inchworm.domain.rollout import (
    Approval,
    Decision,
    LedgerEntry,
    Lineage,
    Policy,
    Rollout,
    RolloutState,
    Stage,
)
from inchworm.domain.serving import ServingTable
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.evidence.populations import clocks_of, matures_after
from inchworm.rollout.ports import GateResult, Late, PairBatch, UnitBatch
from inchworm.rollout.transitions import IN_FLIGHT, WATCHED, weight_of

APP = AppRef(app="shop", environment="production")
_LAYERS: dict[str, dict[str, Any]] = {
    "model": {"name": "old"},
    "prompt": {"system": "hello"},
    "context": {"k": 1},
}
STABLE = Configuration.of(_LAYERS)
HOUR = 3600.0


class Killed(Exception):  # noqa: N818  # not an error of ours: the process ends here
    """The process was killed."""


def metric(name: str = "answered", **changes: Any) -> Metric:
    given: dict[str, Any] = {
        "name": name,
        "source": {"check": name},
        "role": Role.GOAL,
        "clock": Clock.FAST,
        "margin": 0.03,
        "harm_margin": 0.015,
        "absence": Absence.FAILURE,
    }
    return Metric(**(given | changes))


def policy(**changes: Any) -> Policy:
    given: dict[str, Any] = {
        "stages": (
            Stage(weight=0.2, min_units=200, min_bake_s=HOUR, max_bake_s=50 * HOUR, margin_factor=2.7),
            Stage(weight=0.5, min_units=200, min_bake_s=HOUR, max_bake_s=50 * HOUR, margin_factor=1.7),
        ),
        "soak_s": 2 * HOUR,
        "holdback": 0.1,
        "gate": False,
    }
    return Policy(**(given | changes))


def rollout(number: int = 1, **changes: Any) -> Rollout:
    given: dict[str, Any] = {
        "id": RolloutId(f"r-{number}"),
        "app": APP,
        "plan_id": PlanId("plan-1"),
        "step": number,
        "steps": 1,
        "layer": Layer.MODEL,
        "values": {"name": "new"},
        "after": (),
        "policy": policy(),
        "metrics": (metric(),),
        "salt": f"salt-{number}",
        "hash_version": 1,
        "author": "ana",
        "state": RolloutState.QUEUED,
        "stage": 0,
        "generation": 0,
        "because": "queued",
        "created_at": 0.0,
        "entered_at": 0.0,
    }
    return Rollout(**(given | changes))


def exposing(stage: int = 0, **changes: Any) -> Rollout:
    """A rollout that stands at a stage."""
    given: dict[str, Any] = {
        "state": RolloutState.EXPOSING,
        "stage": stage,
        "generation": 3,
        "base": STABLE.id,
        "candidate": STABLE.with_layer(Layer.MODEL, {"name": "new"}).id,
        "started_at": 0.0,
    }
    return rollout(**(given | changes))


def batch(
    *,
    a: Sequence[int] | np.ndarray[Any, Any],
    values: Mapping[str, Sequence[float] | np.ndarray[Any, Any]],
    present: Mapping[str, Sequence[bool] | np.ndarray[Any, Any]] | None = None,
    start: int = 0,
    stage: int | np.ndarray[Any, Any] = 0,
    probability: float = 0.2,
    errored: Sequence[int] | np.ndarray[Any, Any] | None = None,
    silent: Sequence[int] | np.ndarray[Any, Any] | None = None,
) -> UnitBatch:
    count = len(a)
    return UnitBatch(
        order=np.arange(start, start + count),
        stage=np.broadcast_to(np.asarray(stage, dtype=np.int64), (count,)).copy(),
        candidate=np.asarray(a, dtype=bool),
        probability=np.full(count, probability),
        at=np.arange(start, start + count, dtype=np.float64),
        silent=np.zeros(count, dtype=bool) if silent is None else np.asarray(silent, dtype=bool),
        errored=np.zeros(count, dtype=np.int64) if errored is None else np.asarray(errored, dtype=np.int64),
        values={name: np.asarray(value, dtype=np.float64) for name, value in values.items()},
        present={name: np.asarray((present or {}).get(name, np.ones(count)), dtype=bool) for name in values},
    )


def draw(
    seed: int,
    count: int,
    *,
    rates: Mapping[str, tuple[float, float]],
    probability: float = 0.2,
    start: int = 0,
    stage: int = 0,
    share: float | None = None,
    present: Callable[[np.random.Generator, np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None = None,
) -> UnitBatch:
    """``count`` units; ``rates`` per metric is (baseline, candidate). ``share`` is the split if it is off."""
    rng = np.random.default_rng(seed)
    a = rng.random(count) < (probability if share is None else share)
    values = {
        name: (rng.random(count) < np.where(a, candidate, baseline)).astype(np.float64)
        for name, (baseline, candidate) in rates.items()
    }
    known = None if present is None else {name: present(rng, a) for name in rates}
    return batch(a=a, values=values, present=known, start=start, stage=stage, probability=probability)


def cut(units: UnitBatch, first: int, last: int) -> UnitBatch:
    """A part of a batch."""
    part = slice(first, last)
    return UnitBatch(
        order=units.order[part],
        stage=units.stage[part],
        candidate=units.candidate[part],
        probability=units.probability[part],
        at=units.at[part],
        silent=units.silent[part],
        errored=units.errored[part],
        values={name: value[part] for name, value in units.values.items()},
        present={name: value[part] for name, value in units.present.items()},
        cluster=None if units.cluster is None else units.cluster[part],
        judged=None if units.judged is None else units.judged[part],
    )


@dataclass
class FakeStore:
    """The store's contract in memory. ``countdown`` kills the process before that many calls from now."""

    lineage_rows: dict[AppRef, Lineage] = field(default_factory=dict)
    tables: dict[AppRef, ServingTable] = field(default_factory=dict)
    rows: dict[RolloutId, Rollout] = field(default_factory=dict)
    made: list[Decision] = field(default_factory=list)
    told: list[LedgerEntry] = field(default_factory=list)
    items: dict[str, WorkItem] = field(default_factory=dict)
    kept: dict[ConfigurationId, Configuration] = field(default_factory=dict)
    plans: dict[PlanId, Plan] = field(default_factory=dict)
    monitors: dict[RolloutId, tuple[int, str]] = field(default_factory=dict)
    points: dict[RolloutId, list[EvidencePoint]] = field(default_factory=dict)
    agreed: list[Approval] = field(default_factory=list)
    calls: int = 0
    countdown: int | None = None
    before_commit: Callable[[], object] | None = None
    """What happens between reading and committing, once."""
    overtaking: tuple[int, Callable[[], object]] | None = None
    """What another process does before the n-th call from now, once."""

    def _call(self) -> None:
        self.calls += 1
        if self.countdown is not None:
            self.countdown -= 1
            if self.countdown < 0:
                raise Killed
        if self.overtaking is not None:
            left, meanwhile = self.overtaking
            self.overtaking = (left - 1, meanwhile) if left else None
            if not left:
                meanwhile()

    def apps(self) -> Sequence[AppRef]:
        self._call()
        return list(self.lineage_rows)

    def lineage(self, app: AppRef) -> Lineage | None:
        self._call()
        return self.lineage_rows.get(app)

    def serving(self, app: AppRef) -> ServingTable | None:
        self._call()
        return self.tables.get(app)

    def lineages(self) -> Sequence[Lineage]:
        self._call()
        return list(self.lineage_rows.values())

    def servings(self) -> Sequence[ServingTable]:
        self._call()
        return list(self.tables.values())

    def stable_at(self, app: AppRef, at: float) -> ConfigurationId | None:
        self._call()
        moved = [entry for entry in self.told if entry.kind == "configuration" and entry.app == app]
        before = [entry for entry in moved if entry.at <= at]
        if before:
            return ConfigurationId(before[-1].data["to"])
        return ConfigurationId(moved[0].data["from"]) if moved else self.lineage_rows[app].stable

    def approvals(self, rollout_ids: Collection[RolloutId]) -> Sequence[Approval]:
        self._call()
        return [one for one in self.agreed if one.rollout_id in rollout_ids]

    def put_approval(self, app: AppRef, approval: Approval, entry: LedgerEntry) -> bool:
        self._call()
        assert entry.app == app
        key = (approval.rollout_id, approval.stage, approval.actor)
        if key in {(one.rollout_id, one.stage, one.actor) for one in self.agreed}:
            return False
        self.agreed.append(approval)
        self.told.append(entry)
        return True

    def watermarks(self, rollout_ids: Collection[RolloutId]) -> Mapping[RolloutId, int]:
        self._call()
        return {id: row[0] for id, row in self.monitors.items() if id in rollout_ids}  # noqa: A001

    def add_work(self, items: Sequence[WorkItem]) -> int:
        self._call()
        new = [item for item in items if item.id not in self.items]
        self.items |= {item.id: item for item in new}
        return len(new)

    def work_items(self, ids: Collection[WorkId]) -> Mapping[WorkId, WorkItem]:
        self._call()
        return {id: self.items[id] for id in ids if id in self.items}  # noqa: A001

    def configuration(self, id: ConfigurationId) -> Configuration:  # noqa: A002  # the port's name
        self._call()
        if id not in self.kept:
            raise NotFoundError(id)
        return self.kept[id]

    def put_configuration(self, app: AppRef, configuration: Configuration, *, note: str, at: float) -> None:
        self._call()
        assert app in self.lineage_rows
        assert note.endswith(tuple(self.rows))
        assert at == at  # noqa: PLR0124  # no NaN
        self.kept[configuration.id] = configuration

    def plan(self, id: PlanId) -> Plan:  # noqa: A002  # the port's name
        self._call()
        if id not in self.plans:
            raise NotFoundError(id)
        return self.plans[id]

    def rollout(self, id: RolloutId) -> Rollout:  # noqa: A002  # the port's name
        self._call()
        if id not in self.rows:
            raise NotFoundError(id)
        return self.rows[id]

    def rollouts(
        self, app: AppRef | None = None, states: Collection[RolloutState] | None = None
    ) -> Sequence[Rollout]:
        self._call()
        found = [
            row
            for row in self.rows.values()
            if (app is None or row.app == app) and (states is None or row.state in states)
        ]
        return sorted(found, key=lambda row: int(row.id.removeprefix("r-")))

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
        self._call()
        if self.before_commit is not None:
            meanwhile, self.before_commit = self.before_commit, None
            meanwhile()
        if self.rows[rollout.id].generation != decision.parent:
            return False
        if lineage is not None and self.lineage_rows[rollout.app].generation != expected_lineage:
            return False
        others = [r for r in self.rows.values() if r.app == rollout.app and r.id != rollout.id]
        if rollout.state in IN_FLIGHT and any(r.state in IN_FLIGHT for r in others):
            return False
        # What the database keeps is JSON: a decision comes back as other objects.
        stored = replace(decision, evidence=json.loads(json.dumps(decision.evidence, allow_nan=False)))
        self.rows[rollout.id] = rollout
        if lineage is not None:
            self.lineage_rows[rollout.app] = lineage
        if serving is not None:
            self.tables[rollout.app] = serving
        self.made.append(stored)
        self.told += ledger
        for item in work:
            present = self.items.get(item.id)
            again = present is not None and present.kind != item.kind
            if present is None or (again and present.state in {WorkState.READY, WorkState.FAILED}):
                self.items[item.id] = item
        return True

    def decisions(self, rollout_id: RolloutId) -> Sequence[Decision]:
        self._call()
        return [decision for decision in self.made if decision.rollout_id == rollout_id]

    def monitor(self, rollout_id: RolloutId) -> tuple[int, dict[str, Any]] | None:
        self._call()
        row = self.monitors.get(rollout_id)
        return None if row is None else (row[0], json.loads(row[1]))

    def save_monitor(
        self, rollout_id: RolloutId, *, expected: int, watermark: int, state: dict[str, Any]
    ) -> bool:
        self._call()
        present = self.monitors.get(rollout_id, (0, ""))[0]
        if present != expected:
            return False
        self.monitors[rollout_id] = (watermark, json.dumps(state, allow_nan=False))
        return True

    def save_point(self, point: EvidencePoint) -> bool:
        self._call()
        kept = self.points.setdefault(point.rollout_id, [])
        if kept and kept[-1].consumed >= point.consumed:
            return False
        kept.append(point)
        return True

    def work(
        self, app: AppRef | None = None, states: Collection[WorkState] | None = None
    ) -> Sequence[WorkItem]:
        self._call()
        return [
            item
            for item in self.items.values()
            if (app is None or item.app == app) and (states is None or item.state in states)
        ]

    def finish(self, id: str, **changes: Any) -> None:  # noqa: A002  # the port's name
        """The handler finished a work item."""
        self.items[id] = replace(self.items[id], **changes)

    def copy(self) -> FakeStore:
        """Another store with the same rows."""
        return copy.deepcopy(self)


@dataclass
class Traffic:
    """Sessions that arrive one every ``gap`` seconds and are assigned by what is served.

    Outcomes hang on the number of the session and on its arm, never on who asks when.
    """

    store: FakeStore
    rates: Mapping[str, tuple[float, float]]
    seed: int = 7
    gap: float = 6.0
    exposures: dict[RolloutId, list[tuple[int, int, bool, float, float]]] = field(default_factory=dict)
    arrived: float = 0.0

    def until(self, now: float) -> None:
        """Let sessions arrive until ``now``."""
        while self.arrived + self.gap <= now:
            self.arrived += self.gap
            number = round(self.arrived / self.gap)
            table = self.store.tables[APP]
            if table.candidate is None:
                continue
            weight = served_weight(table.candidate.weight)
            draw_ = np.random.default_rng((self.seed, number)).random()
            rows = self.exposures.setdefault(table.candidate.rollout_id, [])
            rows.append((number, table.candidate.stage, bool(draw_ < weight), weight, self.arrived))

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        assert (rollout.id, matured_before >= 0, limit > 0, start) == (rollout.id, True, True, 0)
        return PairBatch.none()

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        assert rollout.id
        assert clock in Clock
        assert before >= 0
        return Late(baseline=0, candidate=0, seen=since)

    def matured(self, rollouts: Sequence[Rollout], now: float) -> Mapping[RolloutId, int]:
        return {
            one.id: sum(
                row[4] <= now - matures_after(one.policy, clock)
                for clock in clocks_of(one)
                for row in self.exposures.get(one.id, [])
            )
            for one in rollouts
        }

    def spent(self, rollout: Rollout) -> ShadowSpent:
        assert rollout.id
        return ShadowSpent()

    def changes(self, rollout: Rollout) -> Sequence[tuple[float, str]]:
        assert rollout.id
        return ()

    def read(
        self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
    ) -> UnitBatch:
        assert clock in Clock
        rows = [row for row in self.exposures.get(rollout.id, [])[start:][:limit] if row[4] <= matured_before]
        a = np.array([row[2] for row in rows], dtype=bool)
        luck = np.array(
            [np.random.default_rng((self.seed, row[0], 1)).random(len(self.rates)) for row in rows]
        ).reshape(len(rows), len(self.rates))
        values = {
            name: (luck[:, place] < np.where(a, candidate, baseline)).astype(np.float64)
            for place, (name, (baseline, candidate)) in enumerate(self.rates.items())
        }
        found = batch(a=a, values=values, start=start)
        return replace(
            found,
            stage=np.array([row[1] for row in rows], dtype=np.int64),
            probability=np.array([row[3] for row in rows], dtype=np.float64),
            at=np.array([row[4] for row in rows], dtype=np.float64),
        )


@dataclass
class Verdicts:
    """Benchmarks that are done the moment they are asked for."""

    verdict: Verdict | None = Verdict.PASS

    def result(self, rollout: Rollout) -> GateResult | None:
        if self.verdict is None:
            return None
        return GateResult(
            verdict=self.verdict,
            benchmark_id=BenchmarkId(f"bench-{rollout.id}"),
            because="answered −0.2 points (−1.0 … +0.6) over 600 cases",
        )

    def budget(self, rollout: Rollout) -> GateResult | None:
        return None if rollout.anchor is None else self.result(rollout)


def store_with(*rollouts: Rollout, stable: Configuration = STABLE) -> FakeStore:
    """A store with one app, its stable configuration and these rollouts, each plan's steps in a row."""
    store = FakeStore()
    store.kept[stable.id] = stable
    store.lineage_rows[APP] = Lineage(
        app=APP, stable=stable.id, generation=1, in_flight=None, since=0.0, note="init"
    )
    store.tables[APP] = ServingTable(app=APP, generation=1, stable=stable.id)
    for row in rollouts:
        store.rows[row.id] = row
    for plan_id in {row.plan_id for row in rollouts}:
        before, steps = stable, []
        for row in sorted((r for r in rollouts if r.plan_id == plan_id), key=lambda r: r.step):
            after = before.with_layer(row.layer, row.values)
            steps.append(
                Step(
                    number=row.step,
                    layer=row.layer,
                    base=before.id,
                    candidate=after,
                    because="default order",
                    after=row.after,
                )
            )
            before = after
        store.plans[plan_id] = Plan(
            id=plan_id,
            change=Change(app=APP, base=stable, candidate=before, author="ana"),
            steps=tuple(steps),
            diffs=(),
            notes=(),
        )
    return store


def check_recorded(store: FakeStore) -> None:
    """What is served is what is recorded, at most one rollout is in flight, and it holds the lock."""
    flying = [row for row in store.rows.values() if row.state in IN_FLIGHT]
    assert len(flying) <= 1
    lineage, table = store.lineage_rows[APP], store.tables[APP]
    assert lineage.in_flight == (flying[0].id if flying else None)
    assert table.stable == lineage.stable
    if flying and flying[0].state in WATCHED and flying[0].stage >= 0:
        assert table.candidate is not None
        last = [d for d in store.made if d.rollout_id == flying[0].id][-1]
        assert table.candidate.weight == last.weight
        assert table.candidate.weight == weight_of(flying[0].state, flying[0].stage, flying[0].policy)
        assert table.candidate.configuration_id == flying[0].candidate
    else:
        assert table.candidate is None
