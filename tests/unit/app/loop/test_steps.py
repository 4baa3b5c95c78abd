"""The steps that come with an interaction: sanitized, stored beside it, once, and with it or not at all."""

import io
from collections.abc import Iterator

import pytest
from tests.unit.app.loop.spooled import APP, KEY, root, spool, traced
from tests.unit.app.loop.world import NOW, World

from inchworm.app.loop import importing
from inchworm.app.loop.draining import Draining
from inchworm.app.loop.exporting import Exporting
from inchworm.app.loop.intake import Drain
from inchworm.app.loop.readers import pack, unpack
from inchworm.app.loop.reading import Reader, Rules
from inchworm.app.loop.sanitizing import Clean
from inchworm.capture.records import encode
from inchworm.capture.spool import closed_segments, quarantined
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Failed
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Usage
from inchworm.sanitize import Kind
from inchworm.store.traces import TraceFilter

EMAIL = "ann.example@mailhost.net"
MINE = TraceId("mine")
PLAN = {"id": "p", "name": "plan", "kind": "agent", "at": NOW, "latency_ms": 500.0}
SEARCH = {
    "id": "s",
    "parent": "p",
    "name": "search",
    "kind": "retriever",
    "at": NOW + 0.1,
    "latency_ms": 100.0,
    "inputs": {"query": f"what {EMAIL} bought"},
    "output": "nothing",
    "outcome": {"is": "failed", "reason": f"{EMAIL} is unknown"},
    "usage": {"input_tokens": 3},
    "attributes": {"index": "v2"},
}


def line(*steps: object, **changes: object) -> dict[str, object]:
    return {"id": MINE, "inputs": {"question": "Why?"}, "output": "So.", "spans": list(steps)} | changes


@pytest.fixture
def drain(world: World) -> Iterator[Draining]:
    made = Draining(world.house, KEY)
    yield made
    made.close()


def stored(world: World) -> dict[str, Span]:
    return {span.id: span for span in world.house.traces.spans(world.house.app, [MINE]).get(MINE, ())}


def test_they_are_stored_under_their_interaction_with_their_parents(world, drain):
    spool(world, traced(line(PLAN, SEARCH)))
    drained = drain.round()
    assert (drained.traces, drained.spans, drained.quarantined) == (1, 2, {})
    (trace,) = world.stored()
    assert (trace.id, trace.inputs, trace.output) == (MINE, {"question": "Why?"}, "So.")
    found = stored(world)
    assert {id_: span.parent_id for id_, span in found.items()} == {"p": None, "s": "p"}
    search = found["s"]
    assert (search.kind, search.name, search.output) == (SpanKind.RETRIEVER, "search", "nothing")
    assert search.started_at == NOW + 0.1
    assert search.ended_at == pytest.approx(NOW + 0.2)
    assert (search.usage, search.attributes) == (Usage(input_tokens=3), {"index": "v2"})
    assert isinstance(search.outcome, Failed)
    assert EMAIL not in repr(found)


def test_what_comes_again_is_stored_once(world, drain):
    for _ in range(2):
        spool(world, traced(line(PLAN, SEARCH)))
        drained = drain.round()
    assert (drained.traces, drained.duplicates) == (0, 1)
    assert (drained.spans, drained.spans_again) == (0, 2)
    assert len(stored(world)) == 2


def test_killed_between_an_interaction_and_its_steps_nothing_is_lost(world, drain, monkeypatch):
    spool(world, traced(line(PLAN, SEARCH)))

    def fails(_spans: object) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as broken:
        broken.setattr(world.house.traces, "put_spans", fails)
        with pytest.raises(StoreError):
            drain.round()
    assert closed_segments(root(world))
    drain.round()
    assert len(stored(world)) == 2
    assert len(world.stored()) == 1
    assert not closed_segments(root(world))


def test_the_steps_of_an_interaction_that_is_refused_are_not_stored(world, drain, monkeypatch):
    monkeypatch.setattr("inchworm.app.loop.intake.Stages.problem", lambda _, one: f"No stage {one.stage}.")
    impossible = {"rollout": "r-1", "stage": 99, "arm": "candidate", "probability": 0.5}
    spool(world, traced(line(PLAN, **impossible)), traced(line({"id": "x", "kind": "no"}, id="other")))
    drained = drain.round()
    assert drained.traces == drained.spans == 0
    assert stored(world) == {}
    reasons = sorted(one.reason for one in quarantined(root(world)))
    assert reasons[0] == "No stage 99."
    assert reasons[1].startswith("Spans[0].kind is")


def test_they_find_their_way_between_processes():
    rules = Rules(
        apps=frozenset({AppRef.parse(APP)}), kinds=tuple(Kind), custom=(), key=bytes(32), memo=bytes(8)
    )
    read = Reader(rules)(encode(traced(line(PLAN, SEARCH))))
    assert read is not None
    (whole,) = read
    assert isinstance(whole, Clean)
    assert len(whole.steps) == 2
    assert unpack(pack([read])) == [read]


def test_what_is_exported_and_imported_elsewhere_has_the_same_steps(world, drain, tmp_path):
    spool(world, traced(line(PLAN, SEARCH)))
    drain.round()
    (before,) = world.stored()
    file = b"".join(Exporting(world.house, TraceFilter(), "jsonl"))
    other = World.build(tmp_path / "elsewhere")
    try:
        said = importing.take(other.house, Drain(other.house), io.BytesIO(file), "a.jsonl")
        assert (said["new"], said["spans"]) == (1, 2)
        (after,) = other.stored()
        assert (after.inputs, after.output, after.outcome) == (before.inputs, before.output, before.outcome)
        assert stored(other) == stored(world)
        again = importing.take(other.house, Drain(other.house), io.BytesIO(file), "a.jsonl", anew=True)
        assert (again["new"], again["duplicate"]) == (0, 1)
        assert stored(other) == stored(world)
    finally:
        other.house.close()
