"""Mirrored calls from the spool to pairs: once, in order, sanitized, and seen by nobody else."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.unit.app.loop.spooled import APP, KEY, called, root, spool, traced
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop.changing import apply
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.evidence import StoredUnits
from inchworm.app.loop.pairs import patience_s
from inchworm.app.loop.planning import make_plan
from inchworm.capture.records import Assigned, Exposed, Mirrored, Shadowed
from inchworm.capture.spool import closed_segments, quarantined
from inchworm.domain.ids import TraceId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Metric, Role
from inchworm.domain.outcome import Failed, Scored
from inchworm.domain.rollout import Rollout, Stage, StageKind
from inchworm.rollout.ports import PairBatch

SHADOW = Stage(
    weight=1.0,
    min_units=10,
    min_bake_s=0.0,
    max_bake_s=86_400.0,
    margin_factor=2.7,
    kind=StageKind.SHADOW,
    max_calls=5_000,
)


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


@pytest.fixture
def shadowing(world: World) -> Rollout:
    """A rollout whose first stage is a shadow stage; nothing of it has begun."""
    spec = world.house.spec
    policy = replace(spec.policy, gate=False, stages=(SHADOW, *spec.policy.stages))
    world.house.spec = replace(spec, policy=policy)
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS))
    (rollout,) = apply(world.house, plan.id)
    return replace(rollout, base=plan.change.base.id, candidate=plan.steps[0].candidate.id)


def mirrored(name: str, *, at: float = NOW - 5, **changes: Any) -> Mirrored:
    given: dict[str, Any] = {
        "app": APP,
        "unit": f"s-{name}",
        "rollout": "r-1",
        "stage": 0,
        "trace": f"t-{name}",
        "shadow": f"c-{name}",
        "probability": 1.0,
        "at": at,
    }
    return Mirrored(**(given | changes))


def answered(name: str, **changes: Any) -> list[Any]:
    """A mirrored call with stable's answer."""
    return [mirrored(name), called(name, at=NOW - 5, **changes)]


def shadowed(name: str, **changes: Any) -> Shadowed:
    ordinary = called(name, at=NOW - 4, **changes)
    fields = {one: getattr(ordinary, one) for one in ordinary.__struct_fields__}
    return Shadowed(**fields | {"id": f"c-{name}", "unit": f"s-{name}"}, shadow_of=f"t-{name}")


def pairs(world: World, rollout: Rollout, *, before: float = NOW) -> PairBatch:
    return StoredUnits(world.house).pairs(rollout, start=0, matured_before=before, limit=100)


def reasons(world: World) -> list[str]:
    return [one.reason for one in quarantined(root(world))]


def test_a_mirrored_call_and_both_answers_become_a_pair(world, shadowing, drain):
    spool(world, *answered("1"), shadowed("1", latency_ms=300.0))
    drained = drain.round()
    assert (drained.records, drained.mirrored, drained.traces, drained.exposures) == (3, 1, 2, 0)
    assert not drained.quarantined
    rows = world.house.traces.pairs(
        world.house.app, shadowing.id, start=0, matured_before=NOW, waited_before=0.0, limit=9
    )
    assert (len(rows), rows.at.tolist(), rows.stage.tolist()) == (1, [NOW - 5], [0])
    assert (rows.baseline.latency_ms.values[0], rows.candidate.latency_ms.values[0]) == (120.0, 300.0)
    shadow = world.house.traces.shadow_of(world.house.app, TraceId("t-1"))
    assert shadow is not None
    assert (shadow.id, shadow.output) == ("c-1", "Here.")
    assert "answered" in {one.metric for one in shadow.scores}
    assert [one.id for one in world.stored()] == ["t-1"]


def test_what_is_drained_again_keeps_its_place(world, shadowing, drain):
    spool(world, *answered("1"), *answered("2"), shadowed("1"), shadowed("2"))
    (copy,) = closed_segments(root(world))
    data = copy.read_bytes()
    drain.round()
    before = pairs(world, shadowing)
    spool(world, *answered("3"), shadowed("3"))
    copy.write_bytes(data)
    again = drain.round()
    assert (again.mirrored, again.traces, again.duplicates) == (1, 2, 4)
    after = pairs(world, shadowing)
    assert after.order.tolist() == [0, 1, 2]
    assert after.at[:2].tolist() == before.at.tolist()


def test_killed_between_the_places_and_the_answers_it_goes_on_where_it_was(
    world, shadowing, drain, monkeypatch
):
    spool(world, *answered("1"), *answered("2"), shadowed("1"), shadowed("2"))

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(world.house.traces), "add_traces", killed)
        with pytest.raises(KeyboardInterrupt):
            drain.round()
    assert world.house.traces.last_mirrored(shadowing.id) == 1
    world.reopen()
    drained = Draining(world.house, KEY).round()
    assert (drained.mirrored, drained.traces) == (0, 4)
    assert pairs(world, shadowing).order.tolist() == [0, 1]


def test_places_follow_time_then_arrival_whatever_answers_first(world, shadowing, drain):
    spool(world, mirrored("late", at=NOW - 3), mirrored("b", at=NOW - 5), mirrored("a", at=NOW - 5))
    spool(world, shadowed("a"), called("late"), called("b"), shadowed("late"), called("a"), shadowed("b"))
    drain.round()
    spool(world, mirrored("early", at=NOW - 9))
    drain.round()
    rows = world.house.traces.pairs(
        world.house.app, shadowing.id, start=0, matured_before=NOW, waited_before=NOW, limit=9
    )
    assert rows.at.tolist() == [NOW - 5, NOW - 5, NOW - 3, NOW - 9]


def test_a_clock_that_is_ahead_holds_nobody_up(world, shadowing, drain):
    spool(world, mirrored("1", at=NOW + 9_999), called("1", at=NOW + 9_999), shadowed("1"), *answered("2"))
    spool(world, shadowed("2"))
    drain.round()
    assert pairs(world, shadowing).order.tolist() == [0, 1]


def test_ids_with_personal_data_still_belong_together(world, shadowing, drain):
    person = "ann.example@mailhost.net"
    spool(
        world,
        mirrored("1", unit=person, trace=f"t-{person}"),
        called("1", id=f"t-{person}", unit=person, at=NOW - 5),
        replace_struct(shadowed("1"), unit=person, shadow_of=f"t-{person}"),
    )
    drain.round()
    rows = pairs(world, shadowing)
    assert (len(rows), rows.silent.tolist()) == (1, [False])
    (stable,) = world.stored()
    assert "@" not in stable.id + stable.unit_id
    shadow = world.house.traces.shadow_of(world.house.app, stable.id)
    assert shadow is not None
    assert (shadow.unit_id, shadow.shadow_of) == (stable.unit_id, stable.id)


def replace_struct(record: Shadowed, **changes: Any) -> Shadowed:
    return Shadowed(**{one: getattr(record, one) for one in record.__struct_fields__} | changes)


@pytest.mark.usefixtures("shadowing")
@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (mirrored("1", stage=1), "Its stage is no shadow stage of r-1."),
        (mirrored("1", rollout="r-9"), "It is of r-9, which nobody knows here."),
        (mirrored("1", trace=""), "It does not say which call it mirrors."),
        (mirrored("1", unit=""), "It names no unit."),
        (replace_struct(shadowed("1"), shadow_of=""), "It does not say which call it mirrors."),
    ],
)
def test_what_mirrors_nothing_is_quarantined_with_its_reason(world, drain, record, reason):
    spool(world, record, *answered("2"))
    drained = drain.round()
    assert drained.quarantined == {reason: 1}
    assert reasons(world) == [reason]
    assert drained.mirrored == 1


@pytest.mark.usefixtures("shadowing")
def test_nobody_can_be_exposed_at_a_shadow_stage(world, shadowing, drain):
    def exposed(unit: str, stage: int) -> Exposed:
        given = Assigned(shadowing.id, stage, "candidate", 0.5)
        return Exposed(app=APP, unit=unit, assigned=given, at=NOW - 5)

    spool(world, exposed("a", 0), exposed("b", 1))
    drained = drain.round()
    assert drained.exposures == 1
    assert reasons(world) == ["Its stage is a shadow stage of r-1, at which nobody is exposed."]


def test_the_traffic_teaches_nothing_by_answers_that_nobody_saw(world, drain):
    calls = [one for n in range(30) for one in (*answered(str(n)), shadowed(str(n)))]
    spool(world, *calls)
    drain.round()
    assert world.house.traces.count(world.house.app) == 30
    assert world.house.traces.traffic(world.house.app, now=NOW, days=1) == 30
    shadow_ids = [TraceId(f"c-{n}") for n in range(30)]
    assert world.house.traces.clusters(world.house.app, shadow_ids) == {}


# --- values

SUCCESS = Metric(
    name="success",
    source={"builtin": "success"},
    role=Role.GOAL,
    clock=Clock.FAST,
    margin=0.1,
    harm_margin=0.05,
)
COST = replace(SUCCESS, name="cost", source={"builtin": "cost", "cap_usd": 1.0})
BRIEF = replace(SUCCESS, name="brief", source={"check": {"max_words": 3}})
VOID = replace(BRIEF, absence=Absence.VOID)
LIKED = replace(SUCCESS, name="liked", source={"judge": "liked"}, clock=Clock.JUDGED)


def value(batch: PairBatch, name: str, place: int) -> tuple[float, float] | None:
    baseline, candidate = batch.values[name]
    return (float(baseline[place]), float(candidate[place])) if batch.present[name][place] else None


def test_an_answer_that_never_came_is_a_failure_on_either_side_where_absence_is_one(world, shadowing, drain):
    spool(world, *answered("0"), shadowed("0"), *answered("1"), mirrored("2"), shadowed("2"), mirrored("3"))
    drain.round()
    rollout = replace(shadowing, metrics=(SUCCESS, replace(SUCCESS, name="either", absence=Absence.VOID)))
    batch = pairs(world, rollout, before=NOW + patience_s(world.house, rollout))
    assert batch.silent.tolist() == [False, True, False, True]
    assert not batch.errored.any()
    assert [value(batch, "success", n) for n in range(4)] == [(1, 1), (1, 0), (0, 1), (0, 0)]
    assert [value(batch, "either", n) for n in range(4)] == [(1, 1), None, None, None]


def test_an_answer_that_is_still_awaited_holds_its_pair_and_those_behind_it(world, shadowing, drain):
    spool(world, *answered("0"), shadowed("0"), *answered("1"), *answered("2"), shadowed("2"))
    drain.round()
    assert pairs(world, shadowing).order.tolist() == [0]
    due = NOW - 5 + patience_s(world.house, shadowing)
    assert pairs(world, shadowing, before=due - 0.1).order.tolist() == [0]
    assert pairs(world, shadowing, before=due).order.tolist() == [0, 1, 2]
    spool(world, shadowed("1"))
    drain.round()
    assert pairs(world, shadowing).order.tolist() == [0, 1, 2]


def test_a_call_with_a_longer_deadline_of_its_own_is_waited_for_as_long(world, shadowing):
    control, app = world.house.control, world.house.app
    base = control.configuration(shadowing.base)
    infrastructure = base.layer(Layer.INFRASTRUCTURE)
    slow = base.with_layer(
        Layer.INFRASTRUCTURE,
        infrastructure | {"calls": {"draft": {"timeout_s": 900}, "rerank": {"timeout_s": 3}}},
    )
    control.put_configuration(app, slow, note="", at=NOW)
    stated = patience_s(world.house, shadowing)
    assert patience_s(world.house, replace(shadowing, candidate=slow.id)) == stated - 20 + 900


def test_what_the_harness_failed_on_is_no_evidence_and_what_the_candidate_failed_on_is(
    world, shadowing, drain
):
    late: dict[str, Any] = {"status": None, "response": b"", "trouble": "deadline"}
    cut: dict[str, Any] = {"status": None, "response": b"", "trouble": "cut"}
    spool(world, *answered("0"), shadowed("0", **late), *answered("1"), shadowed("1", **cut))
    spool(world, *answered("2", **cut), shadowed("2"))
    drain.round()
    kept = world.house.traces.shadow_of(world.house.app, TraceId("t-0"))
    assert kept is not None
    assert isinstance(kept.outcome, Failed)
    batch = pairs(world, replace(shadowing, metrics=(SUCCESS, BRIEF)))
    assert batch.errored.tolist() == [False, True, True]
    assert [value(batch, "success", n) for n in range(3)] == [(1, 0), None, None]


def test_a_cost_that_only_one_side_says_is_no_failure_of_the_other(world, shadowing, drain):
    spool(world, *answered("0"), shadowed("0"), *answered("1"), shadowed("1"))
    drain.round()
    rows = StoredUnits(world.house)
    priced = world.house.traces.pairs

    def only_candidate(*args: Any, **named: Any) -> Any:
        found = priced(*args, **named)
        found.candidate.cost_usd.present[:] = True
        found.candidate.cost_usd.values[:] = 0.25
        return found

    world.house.traces.pairs = only_candidate
    batch = rows.pairs(replace(shadowing, metrics=(COST,)), start=0, matured_before=NOW, limit=9)
    assert not batch.present["cost"].any()


def test_a_score_that_nobody_can_give_to_what_nobody_saw_is_no_failure(world, shadowing, drain):
    line = {"id": "other", "inputs": {"question": "Why?"}, "output": "So.", "unit": "s-2"}
    spool(world, *answered("0"), shadowed("0"), traced(line))
    drain.round()
    batch = pairs(world, replace(shadowing, metrics=(SUCCESS, LIKED, VOID)))
    assert value(batch, "success", 0) == (1, 1)
    assert value(batch, "liked", 0) is None
    assert not np.isnan(batch.values["liked"][1]).any()


@pytest.mark.usefixtures("shadowing")
def test_checks_score_both_answers_alike(world, drain):
    spool(world, *answered("0"), shadowed("0"))
    drain.round()
    (stable,) = world.stored()
    shadow = world.house.traces.shadow_of(world.house.app, stable.id)
    assert shadow is not None
    both = [{one.metric: one.result for one in side.scores} for side in (stable, shadow)]
    assert both[0].keys() == both[1].keys() != set()
    assert all(not isinstance(one, Scored) or 0 <= one.value <= 1 for side in both for one in side.values())
