"""The steps in a line of ``trace/1``: what is written is what is read, and what is wrong is said."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.capture.test_trace_1 import JSON, NAMES, OBJECTS

from inchworm.capture.dialects import trace_1
from inchworm.capture.dialects.steps import MEMBERS, MOST
from inchworm.capture.fields import Place
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Trace, Usage

APP = AppRef.parse("shop-support")
PLACE = Place(app=APP, id=TraceId("none"), at=0.0)
WHOLE = Trace(id=TraceId("t-1"), app=APP, at=10.0, unit_id=UnitId("u"), outcome=Ok())
TEXTS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
STEPS = st.builds(
    Span,
    app=st.just(APP),
    trace_id=st.just(WHOLE.id),
    id=NAMES,
    parent_id=st.none() | NAMES,
    name=st.text(st.characters(exclude_categories=["Cs"])),
    kind=st.sampled_from(SpanKind),
    started_at=st.sampled_from([1.0, 1_700_000_000.5]),
    ended_at=st.none() | st.sampled_from([1_700_000_001.0, 1_700_000_002.5]),
    outcome=st.none() | st.sampled_from([Ok(), Failed(reason="no"), Errored(reason="oh")]),
    model=TEXTS,
    usage=st.builds(Usage, input_tokens=st.none() | st.integers(0, 9), cost_usd=st.sampled_from([None, 0.5])),
    inputs=OBJECTS,
    output=TEXTS,
    finish_reason=TEXTS,
    attributes=OBJECTS,
)


def read(*spans):
    line = json.loads(trace_1.to_json(WHOLE)) | {"spans": list(spans)}
    return trace_1.read(line, PLACE).spans


@given(st.lists(STEPS, max_size=4, unique_by=lambda span: span.id))
def test_what_is_exported_and_imported_is_the_same(steps):
    parsed = trace_1.read(json.loads(trace_1.to_json(WHOLE, steps)), PLACE)
    for came, went in zip(parsed.spans, steps, strict=True):
        assert came.revision == went.started_at
        assert {name: getattr(came, name) for name in Span.__slots__ if name != "revision"} == {
            name: getattr(went, name) for name in Span.__slots__ if name != "revision"
        }
    assert parsed.trace == trace_1.read(json.loads(trace_1.to_json(WHOLE)), PLACE).trace


def test_without_steps_the_form_is_as_it_was():
    assert trace_1.to_json(WHOLE, ()) == trace_1.to_json(WHOLE)
    assert "spans" not in trace_1.to_json(WHOLE)


def test_they_need_no_more_than_an_id():
    (span,) = read({"id": "a"})
    assert (span.kind, span.started_at, span.ended_at, span.outcome) == (SpanKind.OTHER, None, None, None)
    assert (span.trace_id, span.app) == ("t-1", APP)
    assert read() == ()


@pytest.mark.parametrize(
    ("spans", "said"),
    [
        (["a"], r"spans\[0\] is a text; an object is expected"),
        ([{"name": "a"}], r"spans\[0\] has no id"),
        ([{"id": "a"}, {"id": "a"}], r"spans\[1\] has the id \"a\", which another has already"),
        ([{"id": "a", "kind": "search"}], r"spans\[0\].kind is \"search\"; it is one of llm, "),
        ([{"id": "a", "latency_ms": -1}], "latency_ms"),
        ([{"id": "a", "inputs": []}], "inputs"),
        ([{"id": "a", "outcome": 3}], "outcome is"),
        ([{"id": "a", "output": 3}], "output"),
        ([{"id": "a", "usage": {"tokens": 3}}], "unknown"),
        ([{"id": "a", "modle": "x"}], 'did you mean "model"'),
        ([{"id": str(number)} for number in range(MOST + 1)], "are read at most"),
    ],
)
def test_what_is_wrong_is_said(spans, said):
    with pytest.raises(InputError, match=said):
        read(*spans)


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON))
def test_whatever_a_step_says_it_is_read_or_refused(members):
    try:
        assert all(isinstance(span, Span) for span in read(members))
    except InputError as error:
        assert error.message  # noqa: PT017  # either is right
