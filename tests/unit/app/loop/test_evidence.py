"""From stored interactions to the values that metrics are judged by, and the thresholds they are held to."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.app.loop.world import DAY, NOW, World, assigned

from inchworm.app.loop.evidence import StoredUnits, freeze, freeze_now, unit_values, watch_clusters
from inchworm.domain.assignment import is_judged
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.outcome import Errored, Failed
from inchworm.domain.rollout import Judging, LedgerEntry, Rollout
from inchworm.domain.trace import Arm, Usage
from inchworm.rollout.ports import UnitBatch


def metric(name: str, **source: object) -> Metric:
    return Metric(
        name=name,
        source=dict(source),
        role=Role.GUARDRAIL,
        clock=Clock.FAST,
        margin=0.1,
        harm_margin=0.05,
        absence=Absence.FAILURE,
    )


ANSWERED = metric("answered", check="contains_reference")
SUCCESS = metric("success", builtin="success")
LATENCY = metric("latency", builtin="latency_p95", threshold_ms=100)
COST = metric("cost", builtin="cost", cap_usd=0.01)
ALL = (ANSWERED, SUCCESS, LATENCY, COST)

LATE, DOWN = Failed(reason="deadline of 20 s missed"), Errored(reason="status 503")

UNITS: list[tuple[str, list[dict[str, Any]], dict[str, float | None]]] = [
    ("right", [{}], {"answered": 1.0, "success": 1.0, "latency": 1.0, "cost": None}),
    ("wrong", [{"number": 10}], {"answered": 0.0, "success": 1.0, "latency": 1.0, "cost": None}),
    (
        "slow and dear",
        [{"latency_ms": 100.5, "usage": Usage(cost_usd=0.004)}],
        {"answered": 1.0, "success": 1.0, "latency": 0.0, "cost": 0.6},
    ),
    (
        "beyond the cap",
        [{"latency_ms": 100.0, "usage": Usage(cost_usd=0.5)}],
        {"answered": 1.0, "success": 1.0, "latency": 1.0, "cost": 0.0},
    ),
    (
        "failed untimed",
        [{"outcome": LATE, "output": None, "latency_ms": None, "usage": Usage()}],
        {"answered": 0.0, "success": 0.0, "latency": 0.0, "cost": None},
    ),
    (
        "failed at once",
        [{"outcome": LATE, "output": None, "latency_ms": 3.0, "usage": Usage()}],
        {"answered": 0.0, "success": 0.0, "latency": 0.0, "cost": None},
    ),
    (
        "errored",
        [{"outcome": DOWN, "output": None, "latency_ms": None, "usage": Usage()}],
        {"answered": None, "success": None, "latency": None, "cost": None},
    ),
    (
        "untimed",
        [{"latency_ms": None}],
        {"answered": 1.0, "success": 1.0, "latency": None, "cost": None},
    ),
    (
        "no reference",
        [{"reference": None}],
        {"answered": None, "success": 1.0, "latency": 1.0, "cost": None},
    ),
    (
        "twice, once failed",
        [{"usage": Usage(cost_usd=0.002)}, {"outcome": LATE, "output": None, "usage": Usage(cost_usd=0.001)}],
        {"answered": 0.5, "success": 0.5, "latency": 1.0, "cost": 0.85},
    ),
    (
        "twice, once errored",
        [{"latency_ms": 300.0}, {"outcome": DOWN, "output": None, "latency_ms": None}],
        {"answered": 1.0, "success": 1.0, "latency": 0.0, "cost": None},
    ),
    ("never came", [], {"answered": None, "success": None, "latency": None, "cost": None}),
]


def fill(world: World) -> None:
    traces = []
    for place, (name, calls, _) in enumerate(UNITS):
        for call, changes in enumerate(calls or [{}]):
            given: dict[str, Any] = {"number": 1, "latency_ms": 90.0, **changes}
            number = given.pop("number")
            traces.append(
                world.trace(
                    number,
                    f"{place}-{call}",
                    unit_id=UnitId(name),
                    at=NOW + place,
                    assignment=assigned("r-9", Arm.CANDIDATE if place % 2 else Arm.BASELINE),
                    **given,
                )
            )
    world.take(traces)


def read(world: World, metrics: tuple[Metric, ...], flying: Rollout) -> UnitBatch:
    rollout = replace(flying, id=RolloutId("r-9"), metrics=metrics)
    return StoredUnits(world.house).read(
        rollout, clock=Clock.FAST, start=0, matured_before=NOW + 99, limit=99
    )


@pytest.fixture
def batch(world, flying):
    spec = world.house.spec
    world.house.spec = replace(spec, metrics=ALL)
    fill(world)
    return read(world, ALL, flying)


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_unit_has_its_value_or_none(batch, one):
    found = {}
    for place, (name, calls, _) in enumerate(UNITS):
        if calls:
            present = bool(batch.present[one.name][place])
            found[name] = round(float(batch.values[one.name][place]), 9) if present else None
    assert found == {name: expected[one.name] for name, calls, expected in UNITS if calls}


def test_units_come_as_they_were_assigned(batch):
    assert batch.order.tolist() == list(range(len(UNITS)))
    assert batch.candidate.tolist() == [bool(place % 2) for place in range(len(UNITS))]
    assert set(batch.probability.tolist()) == {0.2}
    assert batch.at.tolist() == [NOW] * len(UNITS), "assigned by now at the latest, whatever a clock says"
    assert batch.errored.tolist() == [
        sum(isinstance(call.get("outcome"), Errored) for call in calls) for _, calls, _ in UNITS
    ]


def test_a_unit_of_which_nothing_came_has_no_value(world, flying):
    from inchworm.app.loop.exposing import expose

    expose(world.house, [(UnitId("gone"), NOW)])
    rows = world.house.traces.units(flying.id, start=0, matured_before=NOW, limit=9)
    assert len(rows) == 1
    for one in ALL:
        _, present = unit_values(one, rows)
        assert present.tolist() == [False]


def test_a_builtin_without_its_threshold_and_a_metric_that_nobody_scored_are_absent(world, flying):
    fill(world)
    for one in (metric("l", builtin="latency_p95"), metric("c", builtin="cost"), metric("other", judge="x")):
        batch = read(world, (one,), flying)
        assert not batch.present[one.name].any()


def thresholds(metrics: tuple[Metric, ...]) -> dict[str, float | None]:
    keys = {"latency": "threshold_ms", "cost": "cap_usd"}
    return {one.name: one.source.get(keys[one.name]) for one in metrics if one.name in keys}


DECLARED = (ANSWERED, metric("latency", builtin="latency_p95"), metric("cost", builtin="cost"))


@pytest.fixture
def priced(world):
    world.house.spec = replace(world.house.spec, metrics=DECLARED)
    return world


def spread(world: World, name: str, latency: float, *, at: float, configuration: object) -> None:
    """Twenty-one answers whose latencies go up in even steps to ``latency``."""
    world.take(
        [
            world.trace(
                n,
                f"{name}-{n}",
                at=at,
                latency_ms=latency * n / 20,
                usage=Usage(cost_usd=latency * n / 20_000_000),
                configuration_id=configuration,
            )
            for n in range(21)
        ]
    )


def test_thresholds_come_from_the_last_seven_days_of_stable(priced):
    stable = priced.house.lineage().stable
    spread(priced, "now", 2_000.0, at=NOW - DAY, configuration=stable)
    spread(priced, "old", 90_000.0, at=NOW - 7.5 * DAY, configuration=stable)
    spread(priced, "other", 50_000.0, at=NOW - DAY, configuration=ConfigurationId("f" * 64))
    spread(priced, "future", 70_000.0, at=NOW, configuration=stable)
    frozen = freeze_now(priced.house)
    found = thresholds(frozen)
    latencies = np.linspace(0, 2_000, 21)
    assert found["latency"] == pytest.approx(np.quantile(latencies, 0.95))
    assert found["cost"] == pytest.approx(np.quantile(latencies, 0.999) / 1e6)
    assert [one.name for one in frozen] == [one.name for one in DECLARED]
    assert frozen[0] == ANSWERED


def test_traffic_that_does_not_say_what_answered_counts_where_stable_has_none(priced):
    spread(priced, "imported", 2_000.0, at=NOW - DAY, configuration=None)
    assert thresholds(freeze_now(priced.house))["latency"] == pytest.approx(1_900)


def test_where_nothing_is_known_a_metric_stays_without_threshold(priced):
    assert freeze_now(priced.house) == DECLARED
    spread(priced, "old", 2_000.0, at=NOW - 8 * DAY, configuration=priced.house.lineage().stable)
    assert freeze_now(priced.house) == DECLARED


def test_a_threshold_that_is_declared_stays(priced):
    spread(priced, "now", 2_000.0, at=NOW - DAY, configuration=priced.house.lineage().stable)
    priced.house.spec = replace(priced.house.spec, metrics=(LATENCY, COST))
    assert freeze_now(priced.house) == (LATENCY, COST)


def test_answers_that_cost_nothing_set_no_cap(priced):
    stable = priced.house.lineage().stable
    priced.take(
        [
            priced.trace(
                n,
                f"free-{n}",
                at=NOW - 9,
                usage=Usage(cost_usd=0.0),
                configuration_id=stable,
                latency_ms=None,
            )
            for n in range(9)
        ]
    )
    assert freeze_now(priced.house) == DECLARED


def test_a_rollout_keeps_the_thresholds_of_its_start(priced, flying):
    rollout = replace(flying, metrics=DECLARED)
    spread(priced, "now", 2_000.0, at=NOW - DAY, configuration=priced.house.lineage().stable)
    found = thresholds(freeze(priced.house, rollout, NOW))
    assert found["latency"] == pytest.approx(1_900)
    assert freeze(priced.house, replace(rollout, metrics=(LATENCY,)), NOW) == (LATENCY,)
    assert thresholds(freeze(priced.house, rollout, NOW - 30 * DAY)) == {"latency": None, "cost": None}


def test_the_frozen_thresholds_of_a_step_are_on_its_record(world):
    world.history()
    from inchworm.app.loop.changing import apply
    from inchworm.app.loop.planning import make_plan

    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    (queued,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    assert thresholds(queued.metrics) == {"latency": None}
    world.round()
    started = world.house.control.rollout(queued.id)
    limit = np.quantile([80.0 + n % 60 for n in range(300)], 0.95)
    assert thresholds(started.metrics) == {"latency": pytest.approx(limit)}
    assert TraceId("t-h-0") in {trace.id for trace in world.stored()}


HELPFUL = replace(metric("helpful", judge="x"), clock=Clock.JUDGED)


def test_each_clock_reads_its_own_metrics(world, flying):
    fill(world)
    rollout = replace(flying, id=RolloutId("r-9"), metrics=(SUCCESS, HELPFUL))
    given: dict[str, Any] = {"start": 0, "matured_before": NOW + 99, "limit": 99}
    units = StoredUnits(world.house)
    assert units.read(rollout, clock=Clock.FAST, **given).present.keys() == {"success"}
    judged = units.read(rollout, clock=Clock.JUDGED, **given)
    assert judged.present.keys() == {"helpful"}
    assert judged.judged is None, "all are judged unless the policy says otherwise"


def test_a_share_of_each_arm_is_judged_by_the_draw_at_its_assignment(world, flying):
    fill(world)
    rates = Judging(candidate=1.0, baseline=0.5)
    rollout = replace(
        flying,
        id=RolloutId("r-9"),
        metrics=(HELPFUL,),
        policy=replace(flying.policy, judging=rates),
        hash_version=1,
        salt="fixed",
    )
    batch = StoredUnits(world.house).read(
        rollout, clock=Clock.JUDGED, start=0, matured_before=NOW + 99, limit=99
    )
    rows = world.house.traces.units(RolloutId("r-9"), start=0, matured_before=NOW + 99, limit=99)
    expected = [
        arm or is_judged(1, "fixed", unit, 0.5)
        for unit, arm in zip(rows.unit, batch.candidate.tolist(), strict=True)
    ]
    assert batch.judged is not None
    assert batch.judged.tolist() == expected


def test_topics_of_the_last_week_are_watched_and_told_per_unit(priced, flying):
    stable = priced.house.lineage().stable
    for name, count, at in (
        ("orders", 30, NOW - DAY),
        ("refunds", 10, NOW - DAY),
        ("old", 50, NOW - 8 * DAY),
    ):
        traces = [
            priced.trace(n, f"{name}-{n}", at=at, configuration_id=stable, latency_ms=None)
            for n in range(count)
        ]
        priced.take(traces)
        priced.house.traces.set_clusters(priced.house.app, {one.id: name for one in traces})
    found = watch_clusters(priced.house, NOW)
    assert [(one.name, one.share) for one in found] == [("orders", 0.75), ("refunds", 0.25)]
    assert watch_clusters(priced.house, NOW - 30 * DAY) == ()
    given: dict[str, Any] = {"clock": Clock.FAST, "start": 0, "matured_before": NOW, "limit": 9}
    units = StoredUnits(priced.house)
    assert units.read(flying, **given).cluster is None
    watched = units.read(replace(flying, clusters=found), **given)
    assert watched.cluster is not None
    assert watched.cluster.size == len(watched)


def test_what_was_observed_since_the_start_segments_the_evidence(world, flying):
    control, app = world.house.control, world.house.app
    units = StoredUnits(world.house)
    assert units.changes(flying) == []
    assert flying.started_at is not None
    for at, kind in ((-5.0, "observed"), (5.0, "observed"), (6.0, "import"), (9.0, "observed")):
        what = f"{kind} at {at:g}"
        control.append_ledger(
            LedgerEntry(app=app, at=flying.started_at + at, kind=kind, actor="inchworm", what=what)
        )
    found = [(at - flying.started_at, what) for at, what in units.changes(flying)]
    assert found == [(5.0, "observed at 5"), (9.0, "observed at 9")]
    assert units.changes(replace(flying, started_at=None)) == ()


def test_what_comes_late_is_counted_per_clock(world, flying):
    fill(world)
    rollout = replace(flying, id=RolloutId("r-9"), metrics=(SUCCESS, HELPFUL))
    units = StoredUnits(world.house)
    seen = {clock: units.late(rollout, clock=clock, before=0, since=-1).seen for clock in Clock}
    world.take(
        [
            world.trace(
                9,
                "straggler",
                unit_id=UnitId("right"),
                at=NOW + 1,
                assignment=assigned("r-9", Arm.BASELINE),
            )
        ]
    )
    late = units.late(rollout, clock=Clock.FAST, before=1, since=seen[Clock.FAST])
    assert (late.baseline, late.candidate) == (1, 0)
    judged = units.late(rollout, clock=Clock.JUDGED, before=1, since=seen[Clock.JUDGED])
    assert (judged.baseline, judged.candidate) == (0, 0)
