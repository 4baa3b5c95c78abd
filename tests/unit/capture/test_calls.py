"""Recorded calls become interactions, whatever providers and callers make of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.calls import trace_of
from inchworm.capture.fields import DERIVED
from inchworm.capture.records import Assigned, Called, encode
from inchworm.capture.records import decode as decode_record
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.trace import Arm, Assignment, Usage

APP = AppRef(app="shop", environment="production")
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "When do you open?"}]
REQUEST = {"model": "m-1", "temperature": 0.2, "messages": MESSAGES}
CHOICE = {"index": 0, "message": {"role": "assistant", "content": "At nine."}, "finish_reason": "stop"}
ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 5,
    "model": "m-1-2026",
    "choices": [CHOICE],
    "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
}
UNREAD = "openai.response.unread"


def call(response: Any = ANSWER, request: Any = REQUEST, **members: Any) -> Called:
    """A call as a gateway records it; JSON values are written as JSON."""
    return Called(
        **{
            "id": "t-1",
            "app": "shop/production",
            "at": 1000.5,
            "unit": "s-1",
            "unit_from": "stated",
            "dialect": "openai-chat",
            "request": request if isinstance(request, bytes) else json.dumps(request).encode(),
            "response": response if isinstance(response, bytes) else json.dumps(response).encode(),
            "status": 200,
            "latency_ms": 420.0,
            **members,
        }
    )


def stream(*chunks: Any, done: bool = True) -> bytes:
    text = "".join(f"data: {json.dumps(one)}\n\n" for one in chunks)
    return (text + "data: [DONE]\n\n" * done).encode()


def said(text: str | None, **more: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [{"index": 0, "delta": {"content": text}, **more}],
    }


def answered(message: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**ANSWER, "choices": [{"index": 0, "message": {"role": "assistant", **message}, **more}]}


def test_a_plain_call():
    trace = trace_of(call())
    assert (trace.id, trace.app, trace.at) == ("t-1", APP, 1000.5)
    assert (trace.unit_id, trace.configuration_id, trace.assignment) == ("s-1", None, None)
    assert trace.inputs == {"messages": MESSAGES}
    assert (trace.output, trace.finish_reason, trace.outcome) == ("At nine.", "stop", Ok())
    assert (trace.latency_ms, trace.usage) == (420.0, Usage(input_tokens=12, output_tokens=3))
    assert trace.attributes == {
        "gen_ai.request.model": "m-1",
        "gen_ai.request.temperature": 0.2,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "m-1-2026",
        "gen_ai.usage.input_tokens": 12,
        "gen_ai.usage.output_tokens": 3,
        "http.response.status_code": 200,
    }


def test_what_the_gateway_knows_is_kept():
    trace = trace_of(
        call(
            configuration="c" * 64,
            assigned=Assigned("r-1", 2, "candidate", 0.25),
            call="answer",
            unit_from="first_user_message",
            inputs={"question": "When?"},
            reference="At nine.",
            ttft_ms=120.0,
            unapplied=("prompt", "tools"),
            attributes={"provider.request_id": "req-9"},
        )
    )
    assert trace.configuration_id == "c" * 64
    assert trace.assignment == Assignment(
        rollout_id=RolloutId("r-1"), stage=2, arm=Arm.CANDIDATE, probability=0.25
    )
    assert (trace.inputs, trace.reference) == ({"question": "When?"}, "At nine.")
    assert trace.attributes["inchworm.call"] == "answer"
    assert trace.attributes["inchworm.unapplied"] == ["prompt", "tools"]
    assert trace.attributes["gen_ai.response.time_to_first_chunk"] == 0.12
    assert trace.attributes["provider.request_id"] == "req-9"
    assert trace.attributes[DERIVED] == {"unit": "first_user_message"}


def test_parameters_are_those_that_were_sent_and_messages_those_of_the_caller():
    rendered = [{"role": "user", "content": "the rendered prompt"}]
    sent = {"model": "m-2", "temperature": 0.9, "messages": rendered, "max_tokens": 50, "stop": "x"}
    trace = trace_of(call(request={**REQUEST, "inchworm": {"unit": "s-1"}}, sent=json.dumps(sent).encode()))
    assert trace.inputs == {"messages": MESSAGES}
    named = {name: value for name, value in trace.attributes.items() if ".request." in name}
    assert named == {
        "gen_ai.request.model": "m-2",
        "gen_ai.request.temperature": 0.9,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ["x"],
    }


def test_the_member_for_the_gateway_is_no_parameter():
    trace = trace_of(call(request={**REQUEST, "inchworm": {"unit": "s-1"}, "seed": 4}))
    assert [name for name in trace.attributes if "inchworm" in name] == []
    assert trace.attributes["gen_ai.request.seed"] == 4


def test_a_streamed_call():
    body = stream(
        said("At "),
        said("nine.", finish_reason="stop"),
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 3}},
    )
    trace = trace_of(call(body, {**REQUEST, "stream": True}, streamed=True))
    assert (trace.output, trace.finish_reason, trace.outcome) == ("At nine.", "stop", Ok())
    assert trace.usage == Usage(input_tokens=12, output_tokens=3)
    assert trace.attributes["gen_ai.request.stream"] is True
    assert trace.attributes["gen_ai.response.model"] == "m"


def test_a_stream_without_its_end_is_errored_and_keeps_what_came():
    trace = trace_of(call(stream(said("At ni"), done=False), streamed=True))
    assert (trace.output, trace.outcome) == (
        "At ni",
        Errored(reason="the stream ended before its answer did"),
    )


def test_events_that_cannot_be_read_are_counted():
    body = stream(said("a")).replace(b"data: [DONE]", b"data: {broken\n\ndata: [DONE]")
    trace = trace_of(call(body, streamed=True))
    assert (trace.output, trace.outcome) == ("a", Ok())
    assert trace.attributes["openai.response.malformed_events"] == 1


@pytest.mark.parametrize(
    ("trouble", "words", "outcome"),
    [
        ("deadline", "deadline of 3 s missed", Failed(reason="deadline of 3 s missed")),
        ("deadline", None, Failed(reason="deadline missed")),
        ("connect", "connection refused", Errored(reason="connection refused")),
        ("connect", None, Errored(reason="the provider could not be reached")),
        ("cut", None, Errored(reason="the answer was cut off")),
        ("caller_left", None, Errored(reason="the caller left before the answer was whole")),
        ("novel", None, Errored(reason="novel")),
    ],
)
@pytest.mark.parametrize("status", [None, 200])
def test_trouble(trouble, words, outcome, status):
    body = b"" if status is None else stream(said("At n"), done=False)
    trace = trace_of(call(body, streamed=True, status=status, trouble=trouble, trouble_said=words))
    assert trace.outcome == outcome
    assert trace.output == (None if status is None else "At n")
    assert trace.inputs == {"messages": MESSAGES}


def test_who_had_the_whole_answer_and_did_not_wait_for_the_end_mark_was_answered():
    body = stream(said("At nine.", finish_reason="stop"), done=False)
    for trouble, outcome in (("caller_left", Ok()), ("cut", Errored(reason="the answer was cut off"))):
        assert trace_of(call(body, streamed=True, trouble=trouble)).outcome == outcome


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (
            400,
            {"error": {"type": "invalid_request_error", "message": "bad"}},
            Failed(reason="status 400: invalid_request_error: bad"),
        ),
        (404, {"error": {"message": "no such model"}}, Failed(reason="status 404: no such model")),
        (422, {"detail": "unprocessable"}, Failed(reason="status 422: unprocessable")),
        (404, {"message": "no model"}, Failed(reason="status 404: no model")),
        (401, {"error": {"message": "no key"}}, Errored(reason="status 401: no key")),
        (402, {"error": "pay"}, Errored(reason="status 402: pay")),
        (409, {}, Errored(reason="status 409: no reason given")),
        (425, {}, Errored(reason="status 425: no reason given")),
        (429, {"error": {"message": "slow down", "code": 400}}, Errored(reason="status 429: slow down")),
        (500, b"", Errored(reason="status 500: no reason given")),
        (502, b"<html>bad gateway</html>", Errored(reason="status 502: no reason given")),
        (307, b"", Errored(reason="status 307: no answer")),
        (200, {"error": {"message": "overloaded"}}, Errored(reason="overloaded")),
        (200, {"error": {"message": "too long", "code": 400}}, Failed(reason="status 400: too long")),
        (None, b"", Errored(reason="no answer came")),
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_errors_of_the_provider(status, body, outcome, streamed):
    trace = trace_of(call(body, status=status, streamed=streamed))
    assert (trace.outcome, trace.output) == (outcome, None)
    assert trace.attributes.get("http.response.status_code") == status


def test_an_error_that_was_cut_off_is_that_error():
    trace = trace_of(call(b'{"error": {"mess', status=400, trouble="cut"))
    assert trace.outcome == Failed(reason="status 400: no reason given")


def test_an_error_in_the_middle_of_a_stream():
    body = stream(said("At n"), {"error": {"message": "overloaded", "code": 502}}, done=False)
    trace = trace_of(call(body, streamed=True))
    assert (trace.output, trace.outcome) == ("At n", Errored(reason="status 502: overloaded"))


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"<html>", "the answer cannot be read: it is no JSON"),
        (b"\xff\xfe", "the answer cannot be read: it is no JSON"),
        (b"[1]", "the answer cannot be read: a line is a JSON object, not an array"),
        (b'{"id": "x"}', "response has neither choices nor an error"),
        (b'{"choices": []}', "response has neither choices nor an error"),
        (b'{"choices": [5]}', "response.choices[0] is a number; an object is expected"),
        (b'{"choices": {}}', "response.choices is an object; an array is expected"),
    ],
)
def test_an_answer_that_cannot_be_read_is_an_interaction_without_output(body, why):
    trace = trace_of(call(body))
    assert (trace.output, trace.outcome) == (None, Errored(reason="the answer is empty or cannot be read"))
    assert trace.attributes[UNREAD].startswith(why)
    assert trace.inputs == {"messages": MESSAGES}


def test_an_empty_answer_is_no_answer():
    assert trace_of(call(b"\n")).outcome == Errored(reason="the answer is empty or cannot be read")


@pytest.mark.parametrize(
    "odd", [{"usage": {"prompt_tokens": -4}}, {"usage": 3}, {"id": 5}, {"created": "now"}]
)
def test_what_is_odd_beside_the_text_costs_not_the_text(odd):
    trace = trace_of(call({**ANSWER, **odd}))
    assert (trace.output, trace.outcome) == ("At nine.", Ok())
    assert next(iter(odd)) in trace.attributes[UNREAD]


@pytest.mark.parametrize(
    "request_body", [b"", b"no", b"[]", b'"x"', b'{"messages": [NaN]}', b'{"x": "\\u0000"}']
)
def test_a_request_that_is_no_json_object_is_refused(request_body):
    with pytest.raises(InputError, match="the request cannot be read"):
        trace_of(call(request=request_body))
    with pytest.raises(InputError, match="the request as it was sent cannot be read"):
        trace_of(call(sent=request_body))


@pytest.mark.parametrize(
    "messages", [None, "hello", 5, [5], [{"content": "x"}], [{"role": "user", "content": 5}]]
)
def test_messages_that_cannot_be_read_are_no_inputs(messages):
    trace = trace_of(
        call({"error": {"message": "bad messages"}}, {**REQUEST, "messages": messages}, status=400)
    )
    assert (trace.inputs, trace.outcome) == ({}, Failed(reason="status 400: bad messages"))
    assert "messages" in trace.attributes["openai.request.unread"]
    assert trace.attributes["gen_ai.request.model"] == "m-1"


def test_members_that_the_dialect_takes_for_something_else_are_kept():
    trace = trace_of(call({**ANSWER, "body": {"x": 1}}, {**REQUEST, "model": 7, "body": {"messages": []}}))
    assert (trace.output, trace.inputs) == ("At nine.", {"messages": MESSAGES})
    assert trace.attributes["openai.request.model"] == 7
    assert trace.attributes["openai.request.body"] == {"messages": []}


def test_tool_calls_and_refusals_are_attributes():
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    trace = trace_of(call(answered({"content": None, "tool_calls": calls}, finish_reason="tool_calls")))
    assert (trace.output, trace.finish_reason, trace.outcome) == (None, "tool_calls", Ok())
    assert trace.attributes["openai.response.tool_calls"] == calls
    trace = trace_of(call(answered({"content": None, "refusal": "No."})))
    assert (trace.output, trace.attributes["openai.response.refusal"]) == (None, "No.")


def test_images_and_sound_are_noted_and_not_kept():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,SECRET"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, picture]}]
    sound = {"id": "a", "data": "SECRET", "transcript": "A cat."}
    trace = trace_of(
        call(answered({"content": None, "audio": sound, "images": [picture]}), {**REQUEST, "messages": asked})
    )
    assert trace.inputs == {"messages": [{"role": "user", "content": "What is it?"}]}
    assert trace.output == "A cat."
    assert trace.attributes["openai.request.parts"] == [{"message": 0, "type": "image_url"}]
    assert trace.attributes["openai.response.parts"] == [{"type": "audio"}, {"type": "image_url"}]
    assert "SECRET" not in repr(trace)


def test_other_choices_are_kept():
    two = [CHOICE, {"index": 1, "message": {"role": "assistant", "content": "Nine."}}]
    trace = trace_of(call({**ANSWER, "choices": two}))
    assert trace.output == "At nine."
    assert trace.attributes["openai.response.other_choices"] == [two[1]]


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"dialect": "anthropic"}, 'there is no dialect "anthropic"'),
        ({"unit_from": "guess"}, 'a unit cannot be from "guess"'),
        ({"assigned": Assigned("r-1", 0, "third", 0.5)}, 'there is no arm "third"'),
        ({"app": ""}, "names no app"),
    ],
)
def test_a_record_that_we_do_not_write_is_refused(members, why):
    with pytest.raises(InputError, match=why):
        trace_of(call(**members))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 600) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from("choices message content usage error delta index body x".split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON | st.binary(max_size=20), st.booleans(), st.sampled_from([None, 200, 404, 503]))
def test_no_answer_costs_an_interaction(answer, streamed, status):
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    for one in (body, b"data: " + body + b"\n\ndata: [DONE]\n\n"):
        record = call(one, streamed=streamed, status=status)
        read = decode_record(encode(record))
        assert isinstance(read, Called)
        assert trace_of(read).inputs == {"messages": MESSAGES}


@given(JSON, JSON)
def test_no_request_object_costs_an_interaction(messages, other):
    request = {**(other if isinstance(other, dict) else {"other": other}), "messages": messages}
    assert trace_of(call(request=request)).output == "At nine."
