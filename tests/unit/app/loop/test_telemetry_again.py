"""Telemetry that is refused, comes late or by halves: kept once, counted once, and deleted with the rest."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.unit.app.loop.spooled import KEY, arm, called, root, spool
from tests.unit.app.loop.telling import exported, span, trace_id
from tests.unit.app.loop.world import DAY, World

from inchworm.app.config.retention import Retention
from inchworm.app.loop import retaining
from inchworm.app.loop.draining import Draining
from inchworm.capture.records import Called, Exported, encode
from inchworm.capture.spool import quarantined
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, TraceId, UnitId

ASSIGNED = {
    "inchworm.rollout.id": "r-1",
    "inchworm.stage": "0",
    "inchworm.arm": "candidate",
    "inchworm.probability": "0.2",
}
MODEL = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"role":"user","parts":[]}]'}


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


def test_a_request_of_which_many_spans_are_refused_is_kept_once(world, drain, flying):
    wrong = [
        span(
            number,
            said={**ASSIGNED, "inchworm.rollout.id": flying.id, "inchworm.stage": f"{70 + number % 3}"},
        )
        for number in range(1, 61)
    ]
    whole = exported(*wrong, span(100))
    spool(world, whole)
    drained = drain.round()
    assert drained.traces == 1
    (kept,) = quarantined(root(world))
    assert kept.records == 1
    assert kept.bytes < len(encode(whole)) + 500


def test_what_was_refused_before_the_store_failed_is_quarantined_once(world, drain, monkeypatch):
    def full(*_, **__):
        raise StoreError("the disk is full")

    spool(world, b"nothing", called("1"))
    monkeypatch.setattr(world.house.traces, "add_traces", full)
    with pytest.raises(StoreError):
        drain.round()
    monkeypatch.undo()
    drain.round()
    assert [one.records for one in quarantined(root(world))] == [1]
    assert [one.id for one in world.stored()] == ["t-1"]


@pytest.mark.parametrize("who", ["session.id", "user.id"])
def test_a_step_that_comes_before_it_is_known_whose_it_is_exposes_nobody_else(world, drain, who):
    spool(world, exported(span(1, 2, parent=1, said={**ASSIGNED, **MODEL})))
    drain.round()
    spool(world, exported(span(1, 1, said={who: "s-7"})), gateway="another")
    drain.round()
    rollout = RolloutId("r-1")
    (told,) = world.stored()
    assert (told.unit_id, told.assignment is not None) == ("s-7", True)
    assert sum(world.house.traces.exposures_count(rollout).values()) == 1
    assert world.house.traces.assignments(rollout, [UnitId("s-7")]).keys() == {"s-7"}


@pytest.mark.parametrize("order", [("call", "one", "two"), ("one", "call", "two"), ("one", "two", "call")])
def test_a_call_of_the_gateway_stays_what_it_is_whatever_telemetry_tells_under_its_id(world, drain, order):
    call = called("1", id=trace_id(1).hex(), assigned=arm(which="candidate"))
    two = exported(span(1, 2, parent=1))
    told: dict[str, Called | Exported] = {"call": call, "one": exported(span(1)), "two": two}
    for number, name in enumerate(order):
        spool(world, told[name], gateway=f"g-{number}")
        assert not drain.round().quarantined
    (stored,) = world.stored()
    assert (stored.unit_id, stored.assignment is not None) == ("s-1", True)
    assert "Where is parcel 1?" in str(stored.inputs)
    trace = TraceId(trace_id(1).hex())
    assert len(world.house.traces.spans(world.house.app, [trace])[trace]) == 2
    spool(world, call, gateway="again")
    again = drain.round()
    assert (again.duplicates, again.retold) == (1, 0)
    assert world.stored() == [stored]


@pytest.mark.parametrize("later", [span(1), span(1, 2, parent=1), span(1, 2, parent=1, said={"a": "b"})])
def test_content_that_comes_again_after_it_was_deleted_for_its_age_is_deleted_again(world, drain, later):
    world.house.spec = replace(world.house.spec, retention=Retention(payloads_s=30 * DAY))
    spool(world, exported(span(1)))
    drain.round()
    world.clock.at += 31 * DAY
    retaining.run(world.house)
    (before,) = world.stored()
    spool(world, exported(later), gateway="another")
    drain.round()
    retaining.run(world.house)
    (after,) = world.stored()
    assert after.is_expired
    assert (after.inputs, after.output) == ({}, None)
    trace = TraceId(trace_id(1).hex())
    spans = world.house.traces.spans(world.house.app, [trace])[trace]
    assert [(one.inputs, one.output) for one in spans] == [({}, None)] * len(spans)
    # What code says of an interaction is said of its content, and not of what is left of it.
    assert [one.result for one in after.scores if one.metric == "answered"] == [
        one.result for one in before.scores if one.metric == "answered"
    ]
