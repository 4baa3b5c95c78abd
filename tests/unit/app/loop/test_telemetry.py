"""Telemetry through the drain: sanitized, kept span by span, and told as interactions, once in effect."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.app.loop.spooled import APP, KEY, called, rated, root, spool
from tests.unit.app.loop.telling import WHO, exported, span, trace_id
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop import postponing, telemetry
from inchworm.app.loop.draining import Draining
from inchworm.capture.keyfile import KEY as KEY_FILE
from inchworm.capture.records import Exported, Graded, decode
from inchworm.capture.spool import closed_segments, quarantined, read_segment
from inchworm.capture.telemetry import fold, read
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.rollout import UnitKind
from inchworm.domain.span import Span
from inchworm.domain.trace import Arm, Trace
from inchworm.gateway.units import unit_of_request

ASSIGNED = {
    "inchworm.rollout.id": "r-1",
    "inchworm.stage": "0",
    "inchworm.arm": "candidate",
    "inchworm.probability": "0.2",
}


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


def named(number: int) -> TraceId:
    return TraceId(trace_id(number).hex())


def spans_of(world: World, *numbers: int) -> dict[TraceId, tuple[Span, ...]]:
    return world.house.traces.spans(world.house.app, [named(number) for number in numbers])


def without_times(traces: list[Trace]) -> list[Trace]:
    return [
        replace(one, scores=tuple(sorted((replace(s, at=0.0) for s in one.scores), key=lambda s: s.metric)))
        for one in sorted(traces, key=lambda one: one.id)
    ]


def test_spans_are_kept_and_told_as_interactions_without_what_is_personal(world, drain):
    spool(world, exported(span(1), span(1, 2, parent=1), span(2)))
    drained = drain.round()
    assert (drained.records, drained.spans, drained.traces, drained.retold) == (1, 3, 2, 0)
    assert not drained.quarantined
    assert drained.found["EMAIL"] > 0
    assert closed_segments(root(world)) == []
    first, second = sorted(world.stored(), key=lambda one: one.id)
    assert (first.id, second.id) == (named(1), named(2))
    assert first.inputs["messages"][-1] == {"role": "user", "content": "I am EMAIL_1, where is 1?"}
    assert first.output == "Here."
    assert first.scores, "code gave its scores"
    known = spans_of(world, 1, 2)
    assert [len(known[named(number)]) for number in (1, 2)] == [2, 1]
    assert known[named(1)][0].people["user"] == world.house.pseudonym(UnitId(WHO))
    world.house.close()
    files = [file for file in world.house.spec.data.rglob("*") if file.is_file()]
    assert [file.name for file in files if WHO.encode() in file.read_bytes()] == []


def test_a_trace_that_comes_in_several_requests_is_told_anew(world, drain):
    spool(world, exported(span(1, 2, parent=1)))
    assert drain.round().traces == 1
    (before,) = world.stored()
    spool(world, exported(span(1), span(2)))
    drained = drain.round()
    assert (drained.spans, drained.traces, drained.retold) == (2, 1, 1)
    after = {one.id: one for one in world.stored()}
    assert set(after) == {named(1), named(2)}
    assert before.attributes.get("inchworm.incomplete") is True
    assert "inchworm.incomplete" not in after[named(1)].attributes
    assert after[named(1)].attributes["inchworm.spans"] == 2


@settings(max_examples=6, deadline=None, phases=(Phase.generate,))  # each opens two houses
@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6), st.booleans())
def test_what_is_known_in_the_end_follows_from_no_order_and_no_cut(tmp_path_factory, order, cuts, singly):
    spans = [span(1), span(1, 2, parent=1), span(1, 3, parent=2), span(2, 1), span(2, 2, parent=1), span(3)]
    results: list[Any] = []
    for requests in ([spans], cut([spans[place] for place in order], cuts)):
        world = World.build(tmp_path_factory.mktemp("shop"))
        (world.house.spec.data / KEY_FILE).write_bytes(bytes(32))  # pseudonyms are the same in both
        drain = Draining(world.house, KEY)
        for place, some in enumerate(requests):
            spool(world, exported(*some), at=NOW + place)
            if singly:  # one after the other, or all at once
                drain.round()
        drain.round()
        results.append((without_times(world.stored()), spans_of(world, 1, 2, 3)))
        drain.close()
        world.house.close()
    assert results[0] == results[1]


def cut(spans: list[Any], cuts: list[bool]) -> list[list[Any]]:
    requests: list[list[Any]] = [[]]
    for one, is_cut in zip(spans, cuts, strict=True):
        requests[-1].append(one)
        if is_cut:
            requests.append([])
    return [some for some in requests if some]


def test_what_is_drained_again_after_a_crash_changes_nothing(world, drain):
    spool(world, exported(span(1), span(1, 2, parent=1, said=ASSIGNED)), exported(span(2)), b"nothing")
    (segment,) = closed_segments(root(world))
    data = segment.read_bytes()
    drain.round()
    before = (world.stored(), spans_of(world, 1, 2), world.house.traces.exposures_count(RolloutId("r-1")))
    world.clock.at += 60
    segment.write_bytes(data)
    again = drain.round()
    assert (again.spans, again.spans_again, again.traces, again.retold) == (0, 3, 0, 0)
    after = (world.stored(), spans_of(world, 1, 2), world.house.traces.exposures_count(RolloutId("r-1")))
    assert after == before
    assert len(quarantined(root(world))) == 1


@pytest.mark.parametrize("last", ["put_spans", "put_traces"])
def test_a_store_that_fails_at_any_step_costs_nothing(world, drain, monkeypatch, last):
    def full(*_: Any, **__: Any) -> None:
        raise StoreError("the disk is full")

    spool(world, exported(span(1), span(1, 2, parent=1)))
    with monkeypatch.context() as patched:
        patched.setattr(world.house.traces, last, full)
        with pytest.raises(StoreError):
            drain.round()
    assert world.stored() == []
    assert drain.round().traces == 1
    assert closed_segments(root(world)) == []
    assert world.stored()[0].attributes["inchworm.spans"] == 2


def test_a_span_of_another_app_is_quarantined_alone(world, drain):
    foreign = span(9, said={"inchworm.app": "another/production", "gen_ai.operation.name": "chat"})
    spool(world, exported(span(1), foreign, span(2)))
    drained = drain.round()
    assert (drained.spans, drained.traces) == (2, 2)
    assert drained.quarantined == {f"It is of another/production, and this is {APP}.": 1}
    (lying,) = quarantined(root(world))
    (raw,) = read_segment(lying.path, KEY).records
    record = decode(raw)
    assert isinstance(record, Exported)
    (kept,) = read(record)
    assert isinstance(kept, Span)
    assert kept.trace_id == named(9)


def test_an_assignment_that_a_span_names_is_an_exposure(world, drain):
    spool(world, exported(span(1, said={**ASSIGNED, "session.id": "s-1"})))
    drained = drain.round()
    assert not drained.quarantined
    known = world.house.traces.assignments(RolloutId("r-1"), [UnitId("s-1")])
    assert [one.arm for one in known.values()] == [Arm.CANDIDATE]


def test_a_span_that_names_a_stage_that_the_rollout_lacks_is_refused(world, drain, flying):
    wrong = {**ASSIGNED, "inchworm.rollout.id": flying.id, "inchworm.stage": "77"}
    spool(world, exported(span(1), span(2, said=wrong)))
    drained = drain.round()
    assert (drained.spans, drained.traces) == (1, 1)
    assert [reason for reason in drained.quarantined if "stage" in reason] != []


def test_a_score_finds_the_interaction_that_telemetry_tells(world, drain):
    spool(
        world,
        exported(span(1)),
        Graded(app=APP, trace=named(1), metric="helpful", value=1.0, source="user", at=NOW),
        rated("of-nobody"),
    )
    drained = drain.round()
    assert drained.scores == 1
    assert "helpful" in {score.metric for score in world.stored()[0].scores}
    assert drain.backlog().waiting == 1


def test_what_nobody_can_fold_is_quarantined_and_costs_no_other(world, drain, monkeypatch):
    def faulty(spans: Any, *, unit: Any, conversation: Any) -> Trace:
        if spans[0].trace_id == named(2):
            raise ZeroDivisionError
        return fold(spans, unit=unit, conversation=conversation)

    monkeypatch.setattr(telemetry, "fold", faulty)
    spool(world, exported(*(span(number) for number in range(1, 5))))
    drained = drain.round()
    assert drained.traces == 3
    assert drained.quarantined == {"This is a fault in Inchworm, not in the record: ZeroDivisionError.": 1}


def test_folders_of_the_spool_are_empty_in_the_end(world, drain):
    spool(world, exported(span(1)), gateway="one")
    spool(world, exported(span(1, 2, parent=1)), gateway="another", at=NOW + 1)
    drained = drain.round()
    assert (drained.segments, drained.traces, drained.retold) == (2, 1, 0)
    assert list(Path(root(world)).rglob("*.closed")) == []


def test_a_unit_told_from_what_somebody_said_is_keyed_and_the_same_by_the_gateway(world, drain):
    request = {"model": "tiny", "messages": [{"role": "user", "content": "Where is it?"}]}
    trace = TraceId("t-g")
    unit, _ = unit_of_request({}, request, kind=UnitKind.SESSION, trace_id=trace, key=unit_key(world))
    call = called("g", unit=unit, unit_from="first_user_message", request=json.dumps(request).encode())
    asked = json.dumps([{"role": "user", "parts": [{"type": "text", "content": "Where is it?"}]}])
    said = {"gen_ai.operation.name": "chat", "gen_ai.input.messages": asked}
    spool(world, call, exported(span(1, said=said)))
    drain.round()
    by_gateway, told = sorted(world.stored(), key=lambda one: one.id != "t-g")
    assert told.unit_id == by_gateway.unit_id
    assert told.unit_id.startswith("conversation-")
    plain = hashlib.sha256(b"Where is it?").hexdigest()[:16]
    assert plain not in {told.unit_id, told.unit_id.removeprefix("conversation-")}


def growing(world: World, numbers: range, *, at: float) -> None:
    spool(world, exported(*(span(1, number, parent=1 if number > 1 else None) for number in numbers)), at=at)


def test_an_interaction_of_very_many_spans_is_told_now_and_then_and_whole_in_the_end(
    world, drain, monkeypatch
):
    folded = []

    def counting(spans: Any, **rest: Any) -> Trace:
        folded.append(len(spans))
        return fold(spans, **rest)

    monkeypatch.setattr(telemetry, "fold", counting)
    monkeypatch.setattr(postponing, "FEW", 20)
    monkeypatch.setattr(postponing, "PAUSE_S", 0.1)
    for place in range(30):
        growing(world, range(place * 10 + 1, place * 10 + 11), at=NOW + place)
        world.clock.at += 1
        drain.round()
    # Up to 20 spans at once; then with a pause of three seconds for 30, six for 60, twelve for 120, ...
    assert folded[:3] == [10, 20, 30]
    assert len(folded) <= 9
    assert world.stored()[0].attributes["inchworm.spans"] < 300
    world.clock.at += 60
    drain.round()
    assert world.stored()[0].attributes["inchworm.spans"] == 300
    told = len(folded)
    world.clock.at += 60
    drain.round()
    assert len(folded) == told, "nothing is left to be told"


def test_what_was_postponed_is_told_by_the_next_drain_if_this_one_dies(world, drain, monkeypatch):
    monkeypatch.setattr(postponing, "FEW", 5)
    for place in range(2):
        growing(world, range(place * 10 + 1, place * 10 + 11), at=NOW + place)
        drain.round()
    assert world.stored()[0].attributes["inchworm.spans"] == 10
    other = Draining(world.house, KEY)
    assert other.round().retold == 1
    assert world.stored()[0].attributes["inchworm.spans"] == 20
    assert world.house.control.blob(world.house.app, postponing.NAME) == b"[]"
    other.close()


def unit_key(world: World) -> bytes:
    return derive(world.house.key(), Purpose.UNIT)
