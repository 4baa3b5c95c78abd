"""Spans: each report once in effect, in whatever order and batches they come."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.store.values import APP, OTHER, trace

from inchworm.app.remote.wire import arguments_of, result_of
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.span import Span, SpanKind, merged
from inchworm.domain.trace import Arm, Assignment, Usage
from inchworm.store.traces import SpansPut, TraceFilter, TraceStore


@pytest.fixture
def store(tmp_path):
    with TraceStore.open(tmp_path / "t.duckdb") as opened:
        yield opened


def span(n: int, trace_id: str = "t-1", **changes: Any) -> Span:
    made = Span(
        app=APP, trace_id=TraceId(trace_id), id=f"s-{n}", name="chat", started_at=100.0 + n, revision=1.0
    )
    return replace(made, **changes)


FULL = Span(
    app=APP,
    trace_id=TraceId("t-1"),
    id="s-1",
    parent_id="s-0",
    name="chat",
    kind=SpanKind.LLM,
    started_at=1.5,
    ended_at=2.5,
    outcome=Failed(reason="late"),
    model="m",
    usage=Usage(input_tokens=3, output_tokens=4, cost_usd=0.5),
    inputs={"messages": [{"role": "user", "content": "q\0ü"}]},
    output="a",
    finish_reason="stop",
    configuration_id=ConfigurationId("c" * 64),
    assignment=Assignment(rollout_id=RolloutId("r-1"), stage=1, arm=Arm.CANDIDATE, probability=0.25),
    people={"unit": "u1", "session": "x", "other": ""},
    reference=[1, None],
    attributes={"a.b": {"c": [1.5]}},
    revision=7.0,
)


def test_a_span_comes_back_whole(store):
    plain = span(2, started_at=None)
    assert store.put_spans([FULL, plain]) == SpansPut(new=2, changed=0, duplicate=0, known=frozenset())
    assert store.spans(APP, [TraceId("t-1"), TraceId("none")]) == {"t-1": (FULL, plain)}
    assert store.spans(OTHER, [TraceId("t-1")]) == {}
    assert store.spans(APP, []) == {}


def test_what_is_told_of_a_span_is_put_together(store):
    begun = span(1, inputs={"q": 1}, attributes={"a": 1})
    ended = span(1, started_at=None, name="", output="o", attributes={"b": 2}, outcome=Ok(), revision=2.0)
    store.put_spans([begun])
    assert store.put_spans([ended, ended]) == SpansPut(new=0, changed=1, duplicate=1, known=frozenset())
    assert store.spans(APP, [TraceId("t-1")])["t-1"] == (merged(begun, ended),)
    assert store.put_spans([begun]) == SpansPut(new=0, changed=0, duplicate=1, known=frozenset())


def test_the_same_said_later_is_a_duplicate_and_counts_as_said_later(store):
    store.put_spans([span(1, output="first")])
    again = span(1, output="first", revision=9.0)
    assert store.put_spans([again]).duplicate == 1
    assert store.put_spans([span(1, output="between", revision=5.0)]).duplicate == 1
    assert store.spans(APP, [TraceId("t-1")])["t-1"] == (again,)


def test_known_are_traces_with_spans_that_are_not_in_the_batch(store):
    store.put_spans([span(1), span(1, "t-2"), span(1, "t-3"), span(1, "t-4", app=OTHER)])
    put = store.put_spans([span(1), span(2, "t-2"), span(1, "t-4"), span(1, "t-5")])
    assert put == SpansPut(new=3, changed=0, duplicate=1, known=frozenset({TraceId("t-2")}))


def test_spans_are_in_order_of_their_start(store):
    store.put_spans([span(3), span(1), span(2, started_at=None), span(0, started_at=101.0)])
    store.put_spans([span(3, output="x", revision=2.0)])
    assert [one.id for one in store.spans(APP, [TraceId("t-1")])["t-1"]] == ["s-0", "s-1", "s-3", "s-2"]


@pytest.mark.parametrize(
    "bad",
    [
        {"output": "\ud800"},
        {"trace_id": "\ud800"},
        {"attributes": {"x": math.nan}},
        {"people": {"unit": "\udfff"}},
    ],
)
def test_what_cannot_be_stored_exactly_refuses_the_whole_batch(store, bad):
    with pytest.raises(InputError) as caught:
        store.put_spans([span(1), span(2, **bad)])
    caught.value.message.encode()
    assert store.spans(APP, [TraceId("t-1")]) == {}
    assert store.put_spans([span(1)]).new == 1


def test_traces_are_found_by_their_spans(store):
    store.add_traces([trace(n) for n in range(3)])
    store.put_spans([span(1, trace(1).id, kind=SpanKind.TOOL, name="search"), span(1, trace(2).id)])
    store.put_spans([span(1, trace(0).id, app=OTHER, kind=SpanKind.TOOL)])
    assert [one.id for one in store.traces(APP, filters=TraceFilter(span_kind="tool")).traces] == [
        trace(1).id
    ]
    assert store.traces(APP, filters=TraceFilter(span_name="chat")).total == 1
    assert store.traces(APP, filters=TraceFilter(span_name="chat", span_kind="tool")).total == 0


def test_spans_travel_over_the_wire():
    spans = arguments_of(TraceStore.put_spans)["spans"]
    assert spans.unpack(spans.pack([FULL, span(1)])) == [FULL, span(1)]
    read, _ = result_of(TraceStore.spans)
    assert read.unpack(read.pack({"t-1": (FULL,)})) == {"t-1": (FULL,)}
    put, _ = result_of(TraceStore.put_spans)
    told = SpansPut(new=1, changed=2, duplicate=3, known=frozenset({TraceId("t")}))
    assert put.unpack(put.pack(told)) == told


TEXT = st.sampled_from(["", "a", "b"])
REPORTS = st.builds(
    Span,
    app=st.sampled_from([APP, OTHER]),
    trace_id=st.sampled_from(["t-1", "t-2"]),
    id=st.sampled_from(["s-1", "s-2"]),
    parent_id=st.none() | TEXT,
    name=TEXT,
    kind=st.sampled_from(SpanKind),
    started_at=st.none() | st.integers(0, 3).map(float),
    outcome=st.none() | st.sampled_from([Ok(), Failed(reason=""), Errored(reason="x")]),
    usage=st.builds(Usage, input_tokens=st.none() | st.integers(0, 9)),
    inputs=st.dictionaries(TEXT, TEXT, max_size=1),
    output=st.none() | TEXT,
    people=st.dictionaries(TEXT, TEXT, max_size=2),
    reference=st.none() | TEXT,
    attributes=st.dictionaries(TEXT, st.integers(), max_size=2),
    revision=st.integers(0, 3).map(float),
)


@settings(max_examples=25)
@given(batches=st.lists(st.lists(REPORTS, max_size=5), max_size=4))
def test_spans_are_what_all_reports_come_to(tmp_path_factory, batches):
    known: dict[Any, Span] = {}
    with TraceStore.open(tmp_path_factory.mktemp("spans") / "t.duckdb") as store:
        for batch in batches:
            before = dict(known)
            for one in batch:
                known[one.key] = merged(known[one.key], one) if one.key in known else one
            put = store.put_spans(batch)
            assert put.new == len(known) - len(before)
            assert put.new + put.changed + put.duplicate == len(batch)
            keys = {one.key for one in batch}
            of = {one.key[:2] for one in batch}
            assert put.known == {key[1] for key in before if key[:2] in of and key not in keys}
        for app in (APP, OTHER):
            found = store.spans(app, [TraceId("t-1"), TraceId("t-2")])
            assert {one.key: one for some in found.values() for one in some} == {
                key: one for key, one in known.items() if one.app == app
            }
