"""The spans of a trace to its interaction."""

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.capture.fields import conversation_of
from inchworm.capture.observed.fingerprint import model_of, parameters_of, prompt_of, tools_of
from inchworm.capture.telemetry import fold
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.rollout import UnitKind
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import UNKNOWN_USAGE, Arm, Assignment, Usage

APP = AppRef(app="shop", environment="production")
TRACE = TraceId("0af7651916cd43dd8448eb211c80319c")
ASKED = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Where is it?"}]
TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}


def span_of(id_="root", parent=None, start=100.0, end=101.0, **more):
    given = {"kind": SpanKind.CHAIN, "outcome": Ok() if end is not None else None, **more}
    return Span(
        app=APP,
        trace_id=TRACE,
        id=id_,
        parent_id=parent,
        started_at=start,
        ended_at=end,
        revision=end or start,
        **given,
    )


def model_call(id_="llm", parent="root", start=100.1, end=100.6, **more):
    return span_of(
        id_,
        parent,
        start,
        end,
        **{
            "kind": SpanKind.LLM,
            "inputs": {"messages": ASKED},
            "output": "Soon.",
            "finish_reason": "stop",
            "usage": Usage(input_tokens=11, output_tokens=4, cost_usd=0.001),
            "attributes": {
                "gen_ai.request.model": "m",
                "gen_ai.request.temperature": 0.2,
                "gen_ai.tool.definitions": [TOOL],
                "otel.resource": {"service.name": "shop", "host.name": "box"},
                "server.port": 443,
                "inchworm.read": ["gen_ai.input.messages"],
            },
            **more,
        },
    )


def folded(*spans, unit=UnitKind.SESSION):
    return fold(spans, unit=unit, conversation=lambda said: conversation_of(said, bytes(32)))


def test_a_plain_root_over_a_call_of_a_model():
    trace = folded(span_of(name="handle", attributes={"http.route": "/ask"}), model_call())
    assert (trace.id, trace.app, trace.at) == (TRACE, APP, 100.0)
    assert trace.inputs == {"messages": ASKED}
    assert (trace.output, trace.finish_reason, trace.outcome) == ("Soon.", "stop", Ok())
    assert trace.latency_ms == 1_000.0
    assert trace.usage == Usage(input_tokens=11, output_tokens=4, cost_usd=0.001)
    assert trace.attributes == {
        "gen_ai.request.model": "m",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.tool.definitions": [TOOL],
        "http.route": "/ask",
        "inchworm.derived": {"unit": "first_user_message"},
        "inchworm.name": "handle",
        "inchworm.spans": 2,
        "service.name": "shop",
    }
    assert trace.has_content


def test_its_configuration_can_be_told_from_it():
    trace = folded(span_of(inputs={"question": "Where?"}), model_call())
    assert model_of(trace) == "m"
    assert parameters_of(trace) == {"temperature": 0.2}
    assert tools_of(trace)[1] == [TOOL]
    prompt = prompt_of(trace)
    assert prompt is not None
    assert (prompt.system, prompt.user) == (("Be brief.",), "Where is it?")
    assert trace.inputs["question"] == "Where?"


def test_what_the_root_says_goes_first():
    root = span_of(inputs={"messages": ASKED[1:]}, output="Really soon.", finish_reason="length")
    trace = folded(root, model_call())
    assert trace.inputs == {"messages": ASKED[1:]}
    assert (trace.output, trace.finish_reason) == ("Really soon.", "length")


def test_the_first_asked_and_the_last_answered():
    later = [{"role": "user", "content": "And now?"}]
    trace = folded(
        span_of(),
        model_call(),
        model_call("second", start=100.7, end=100.9, inputs={"messages": later}, output="Here."),
    )
    assert (trace.inputs, trace.output) == ({"messages": ASKED}, "Here.")
    assert trace.usage == Usage(input_tokens=22, output_tokens=8, cost_usd=0.002)


def test_one_span_alone_is_an_interaction():
    trace = folded(model_call(parent=None))
    assert (trace.inputs, trace.output, trace.latency_ms) == ({"messages": ASKED}, "Soon.", 500.0)
    assert "inchworm.incomplete" not in trace.attributes
    assert trace.attributes["server.port"] == 443


def test_a_root_that_never_came_is_noted():
    trace = folded(model_call(parent="lost"), model_call("second", "lost", 100.7, 100.9))
    assert trace.attributes["inchworm.incomplete"] is True
    assert (trace.output, trace.outcome, trace.latency_ms) == ("Soon.", Ok(), 500.0)


def test_an_interaction_that_goes_on_is_noted_and_folded_anew():
    begun = folded(span_of(end=None), model_call(end=None, outcome=None, output=None))
    assert begun.attributes["inchworm.incomplete"] is True
    assert begun.outcome == Errored(reason="nothing says how it ended")
    done = folded(span_of(), span_of(end=None), model_call(), model_call(end=None, outcome=None, output=None))
    assert (done.outcome, done.output) == (Ok(), "Soon.")
    assert "inchworm.incomplete" not in done.attributes


def test_without_content():
    trace = folded(span_of(), model_call(inputs={}, output=None))
    assert not trace.has_content
    assert trace.attributes["inchworm.contentless"] is True
    assert trace.attributes["gen_ai.request.model"] == "m"
    assert trace.outcome == Ok()


@pytest.mark.parametrize(
    ("root", "model", "output", "outcome"),
    [
        (Ok(), Failed(reason="f"), None, Failed(reason="f")),
        (Ok(), Failed(reason="f"), "Sorry.", Ok()),
        (Errored(reason="e"), Ok(), "Soon.", Errored(reason="e")),
        (None, Failed(reason="f"), None, Failed(reason="f")),
    ],
)
def test_the_outcome_is_the_roots_unless_nothing_was_answered(root, model, output, outcome):
    trace = folded(span_of(outcome=root, output=output), model_call(outcome=model, output=None))
    assert trace.outcome == outcome


@pytest.mark.parametrize(
    ("own", "first", "second", "together"),
    [
        (
            UNKNOWN_USAGE,
            Usage(input_tokens=1),
            Usage(input_tokens=2, output_tokens=3),
            Usage(input_tokens=3, output_tokens=3),
        ),
        (Usage(input_tokens=3), Usage(input_tokens=1), Usage(input_tokens=2), Usage(input_tokens=3)),
        (Usage(input_tokens=9), Usage(input_tokens=1), UNKNOWN_USAGE, Usage(input_tokens=9)),
        (Usage(cost_usd=0.5), Usage(input_tokens=1), UNKNOWN_USAGE, Usage(input_tokens=1, cost_usd=0.5)),
        (UNKNOWN_USAGE, UNKNOWN_USAGE, UNKNOWN_USAGE, UNKNOWN_USAGE),
    ],
)
def test_parents_that_repeat_their_children_count_once(own, first, second, together):
    agent = span_of("agent", "root", usage=own, kind=SpanKind.AGENT)
    trace = folded(
        span_of(usage=own),
        agent,
        model_call(parent="agent", usage=first),
        model_call("b", "agent", usage=second),
    )
    assert trace.usage == together


def test_a_wrapped_call_of_a_model_is_told_once():
    inner = model_call(
        "inner", "llm", inputs={"messages": ASKED[1:]}, attributes={"gen_ai.request.model": "inner"}
    )
    trace = folded(span_of(), model_call(), inner)
    assert trace.usage.input_tokens == 11
    assert trace.attributes["gen_ai.request.model"] == "inner"


def test_a_wrapped_call_that_says_nothing_hides_nothing():
    bare = model_call("bare", "llm", inputs={}, output=None, finish_reason=None, attributes={})
    trace = folded(span_of(), model_call(), bare)
    assert trace.inputs == {"messages": ASKED}
    assert trace.finish_reason == "stop"
    assert trace.usage.input_tokens == 11


@pytest.mark.parametrize(
    ("unit", "people", "expected"),
    [
        (UnitKind.SESSION, {"unit": "u", "session": "s", "user": "p"}, "u"),
        (UnitKind.SESSION, {"session": "s", "user": "p"}, "s"),
        (UnitKind.SESSION, {"user": "p"}, "p"),
        (UnitKind.USER, {"session": "s", "user": "p"}, "p"),
        (UnitKind.USER, {"session": "s"}, "s"),
        (UnitKind.REQUEST, {"session": "s", "user": "p"}, TRACE),
    ],
)
def test_the_unit_is_of_the_apps_kind(unit, people, expected):
    trace = folded(span_of(), model_call(people=people), unit=unit)
    assert trace.unit_id == expected
    assert ("inchworm.derived" in trace.attributes) is (unit is UnitKind.REQUEST)


def test_a_derived_unit_is_that_of_the_conversation():
    one, other = folded(span_of(), model_call()), folded(span_of(), model_call(output="Other."))
    assert one.unit_id == other.unit_id
    assert one.unit_id.startswith("conversation-")
    unkeyed = fold([span_of(), model_call()], unit=UnitKind.SESSION)
    assert str(unkeyed.unit_id) == str(unkeyed.id), "never without a key"
    assert folded(span_of()).unit_id == TRACE


def test_the_roots_person_goes_first():
    assert folded(span_of(people={"session": "a"}), model_call(people={"session": "b"})).unit_id == "a"


def test_assignment_configuration_call_and_reference_of_any_span():
    given = Assignment(rollout_id=RolloutId("r-7"), stage=1, arm=Arm.CANDIDATE, probability=0.25)
    call = model_call(
        assignment=given,
        configuration_id=ConfigurationId("c7f1"),
        reference="Soon.",
        attributes={"inchworm.call": "rerank", "inchworm.application": "2.1"},
    )
    trace = folded(span_of(), call)
    assert (trace.assignment, trace.configuration_id, trace.reference) == (given, "c7f1", "Soon.")
    assert (trace.call, trace.attributes["inchworm.application"]) == ("rerank", "2.1")
    assert "inchworm.contradictions" not in trace.attributes
    other = replace(call, id="other", assignment=replace(given, arm=Arm.BASELINE), started_at=100.5)
    again = folded(span_of(), call, other)
    assert again.assignment == given
    assert again.attributes["inchworm.contradictions"] == [{"of": "assignment", "spans": 2}]


def test_a_trace_of_its_own_is_the_root():
    top = Span(
        app=APP,
        trace_id=TRACE,
        id=TRACE,
        kind=SpanKind.TRACE,
        name="support",
        started_at=99.5,
        inputs={"q": 1},
        output="x",
    )
    trace = folded(model_call(parent=TRACE), top)
    assert (trace.inputs["q"], trace.output, trace.outcome) == (1, "x", Ok())
    assert trace.latency_ms == pytest.approx(1_100.0)
    assert trace.attributes["inchworm.name"] == "support"


def test_spans_that_are_one_anothers_parents_are_folded_all_the_same():
    trace = folded(model_call("a", "b"), model_call("b", "a", 100.2))
    assert trace.usage == Usage(input_tokens=11, output_tokens=4, cost_usd=0.001)
    assert trace.output == "Soon."


def test_a_chain_of_thousands_is_folded():
    spans = [
        span_of(str(place), str(place - 1) if place else None, usage=Usage(input_tokens=1))
        for place in range(5_000)
    ]
    assert folded(*spans).usage.input_tokens == 1


def test_no_spans_and_spans_of_two_traces_are_no_interaction():
    with pytest.raises(ValueError, match="no spans"):
        folded()
    with pytest.raises(ValueError, match="several traces"):
        folded(span_of(), replace(span_of(), trace_id=TraceId("other")))


_PARENTS = st.none() | st.sampled_from(["a", "b", "c", "lost"])
_SPANS = st.builds(
    Span,
    app=st.just(APP),
    trace_id=st.just(TRACE),
    id=st.sampled_from(["a", "b", "c", "d", "e"]),
    parent_id=_PARENTS,
    name=st.sampled_from(["", "x", "y"]),
    kind=st.sampled_from(SpanKind),
    started_at=st.none() | st.sampled_from([100.0, 100.5, 101.0]),
    ended_at=st.none() | st.sampled_from([101.0, 102.0]),
    outcome=st.none() | st.sampled_from([Ok(), Failed(reason="f"), Errored(reason="e")]),
    usage=st.builds(
        Usage,
        input_tokens=st.none() | st.integers(0, 9),
        output_tokens=st.none() | st.integers(0, 9),
        cost_usd=st.none() | st.sampled_from([0.1, 0.2, 0.7]),
    ),
    inputs=st.sampled_from([{}, {"messages": ASKED}, {"question": "x"}]),
    output=st.none() | st.sampled_from(["x", "y"]),
    people=st.sampled_from([{}, {"session": "s"}, {"user": "p"}, {"unit": "u"}]),
    attributes=st.sampled_from(
        [{}, {"gen_ai.request.model": "m"}, {"gen_ai.request.model": "n", "inchworm.call": "c"}]
    ),
    revision=st.sampled_from([1.0, 2.0, 3.0]),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_SPANS, min_size=1, max_size=6), st.randoms(use_true_random=False), st.sampled_from(UnitKind))
def test_the_order_does_not_matter_and_twice_is_once(spans, random, unit):
    once = fold(spans, unit=unit)
    mixed = [*spans, random.choice(spans)]
    random.shuffle(mixed)
    assert fold(mixed, unit=unit) == once
    json.dumps([once.inputs, once.output, once.attributes], allow_nan=False)


def test_an_exported_span_twice_is_once(make, spans_of):
    both = [
        make.span(),
        make.span({"gen_ai.operation.name": "chat"}, span_id=make.child, parent_id=make.root),
    ]
    assert folded(*spans_of(both), *spans_of(both)) == folded(*spans_of(both))
