"""Recorded calls in every protocol become interactions in one form."""

import base64
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.calls import MALFORMED, UNREAD, UNREAD_REQUEST, trace_of
from inchworm.capture.protocols import PROTOCOLS
from inchworm.capture.protocols.anthropic_messages import STOP_REASON
from inchworm.capture.records import Called
from inchworm.domain.outcome import Errored, Failed, Ok
from inchworm.domain.trace import Trace

RESPONSES, MESSAGES, EMBEDDINGS = "openai-responses", "anthropic-messages", "openai-embeddings"
ARGUMENTS = '{"number": 7}'


def read(dialect: str, asked: Any, said: Any, **more: Any) -> Trace:
    called = {
        "id": "t-1",
        "app": "shop/production",
        "at": 1.0,
        "unit": "u-1",
        "unit_from": "stated",
        "dialect": dialect,
        "request": json.dumps(asked).encode(),
        "response": said if isinstance(said, bytes) else json.dumps(said).encode(),
        "status": 200,
        **more,
    }
    return trace_of(Called(**called))


def events(*given: dict[str, Any]) -> bytes:
    return b"".join(f"event: {one.get('type')}\ndata: {json.dumps(one)}\n\n".encode() for one in given)


def response(*output: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "m",
        "output": [*output],
        "instructions": "Be brief.",
        **more,
    }


def part(text: str, kind: str = "output_text") -> dict[str, Any]:
    return {"type": kind, ("refusal" if kind == "refusal" else "text"): text}


def item(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "assistant", "content": [*parts]}


CALL = {"type": "function_call", "call_id": "c-1", "name": "find", "arguments": ARGUMENTS}
TOOL_CALL = {"id": "c-1", "type": "function", "function": {"name": "find", "arguments": ARGUMENTS}}


# --- responses


def test_items_become_messages() -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    asked = {
        "model": "m",
        "instructions": "Be brief.",
        "max_output_tokens": 9,
        "tools": [{"type": "function", "name": "find", "parameters": {}}],
        "input": [
            {"role": "user", "content": [{"type": "input_text", "text": "Where?"}, image]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            CALL,
            {**CALL, "call_id": "c-2"},
            {"type": "function_call_output", "call_id": "c-1", "output": "7"},
            {"type": "message", "id": "m", "role": "assistant", "content": [part("Here.")], "status": "x"},
            {"role": "user", "content": "And when?"},
        ],
    }
    trace = read(RESPONSES, asked, response(item(part("Now."))))
    assert trace.inputs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "", "tool_calls": [TOOL_CALL, {**TOOL_CALL, "id": "c-2"}]},
        {"role": "tool", "tool_call_id": "c-1", "content": "7"},
        {"role": "assistant", "content": "Here."},
        {"role": "user", "content": "And when?"},
    ]
    said = trace.attributes
    assert said["openai.request.parts"] == [{"message": 1, "type": "input_image"}]
    assert said["openai.request.items"] == [{"type": "reasoning"}]
    assert said["gen_ai.request.max_tokens"] == 9
    assert said["gen_ai.tool.definitions"] == [
        {"type": "function", "function": {"name": "find", "parameters": {}}}
    ]
    assert "AAAA" not in json.dumps([trace.inputs, said])
    assert "openai.response.instructions" not in said  # it is the request's


def test_an_answer_in_items_is_one_message() -> None:
    thought = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    drawn = {"type": "image_generation_call", "result": "AAAA"}
    trace = read(RESPONSES, {"input": "x"}, response(thought, item(part("A."), part("B.")), CALL, drawn))
    assert trace.output == "A.\nB."
    assert trace.finish_reason == "tool_calls"
    assert trace.attributes["openai.response.tool_calls"] == [TOOL_CALL]
    assert trace.attributes["openai.response.reasoning_content"] == "Hm."
    assert trace.attributes["openai.response.parts"] == [{"type": "image_generation_call"}]
    assert "AAAA" not in json.dumps(trace.attributes)


@pytest.mark.parametrize(
    ("said", "output", "finish", "outcome"),
    [
        (response(item(part("No.", "refusal"))), None, "stop", Ok()),
        (
            response(
                item(part("Hal")), status="incomplete", incomplete_details={"reason": "max_output_tokens"}
            ),
            "Hal",
            "length",
            Ok(),
        ),
        (
            response(status="failed", error={"code": "server_error", "message": "Oh."}),
            None,
            None,
            Errored(reason="Oh."),
        ),
        (
            response(status="queued"),
            None,
            None,
            Errored(reason="it is made in the background, and did not come this way"),
        ),
    ],
)
def test_how_a_response_can_end(said: Any, output: str | None, finish: str | None, outcome: Any) -> None:
    trace = read(RESPONSES, {"input": "x"}, said)
    assert (trace.output, trace.finish_reason, trace.outcome) == (output, finish, outcome)


BEGUN: list[dict[str, Any]] = [
    {"type": "response.created", "response": response(status="in_progress")},
    {"type": "response.output_item.added", "output_index": 0, "item": item()},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "It "},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "comes."},
    {"type": "response.output_item.added", "output_index": 1, "item": {**CALL, "arguments": ""}},
    {"type": "response.function_call_arguments.delta", "output_index": 1, "delta": ARGUMENTS},
]


def test_a_stream_of_a_response_is_what_its_last_event_says() -> None:
    done = {"type": "response.completed", "response": response(item(part("It comes.")))}
    trace = read(RESPONSES, {"input": "x"}, events(*BEGUN, done), streamed=True)
    assert (trace.output, trace.outcome) == ("It comes.", Ok())


def test_a_stream_of_a_response_without_its_end_is_what_came() -> None:
    trace = read(
        RESPONSES, {"input": "x"}, events(*BEGUN) + b"data: {broken\n\n", streamed=True, trouble="cut"
    )
    assert trace.output == "It comes."
    assert trace.attributes["openai.response.tool_calls"] == [TOOL_CALL]
    assert trace.attributes[MALFORMED] == 1
    assert isinstance(trace.outcome, Errored)


def test_an_error_in_a_stream_is_its_outcome() -> None:
    said = {"type": "error", "code": "server_error", "message": "Oh.", "param": None}
    responded = read(RESPONSES, {"input": "x"}, events(*BEGUN, said), streamed=True)
    assert responded.outcome == Errored(reason="error: Oh.")
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    trace = read(MESSAGES, ASKED, events(overloaded), streamed=True)
    assert trace.outcome == Errored(reason="overloaded_error: Busy.")


# --- messages

ASKED: dict[str, Any] = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Where?"}]}
USAGE = {
    "input_tokens": 2,
    "cache_read_input_tokens": 8,
    "cache_creation_input_tokens": 3,
    "output_tokens": 7,
    "output_tokens_details": {"thinking_tokens": 4},
    "service_tier": "standard",
}


def message(*content: dict[str, Any], why: str | None = "end_turn", **more: Any) -> dict[str, Any]:
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [*content]}
    return {**said, "stop_reason": why, "usage": USAGE, **more}


USE = {"type": "tool_use", "id": "c-1", "name": "find", "input": {"number": 7}}


def test_blocks_become_messages() -> None:
    picture = {"type": "image", "source": {"type": "base64", "data": "AAAA"}}
    found = [{"type": "text", "text": "7"}, picture]
    asked = ASKED | {
        "system": [{"type": "text", "text": "Be brief."}],
        "stop_sequences": ["END"],
        "tools": [{"name": "find", "input_schema": {"type": "object"}}],
        "messages": [
            {"role": "user", "content": [picture, {"type": "text", "text": "Where?"}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "Hm."}, USE]},
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "c-1", "content": found},
                    {"type": "text", "text": "And when?"},
                ],
            },
        ],
    }
    trace = read(MESSAGES, asked, message({"type": "text", "text": "Here."}))
    call = {"id": "c-1", "type": "function", "function": {"name": "find", "arguments": '{"number":7}'}}
    assert trace.inputs["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": "", "reasoning_content": "Hm.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c-1", "content": "7"},
        {"role": "user", "content": "And when?"},
    ]
    said = trace.attributes
    assert said["openai.request.parts"] == [{"message": 1, "type": "image"}, {"message": 3, "type": "image"}]
    assert said["gen_ai.request.stop_sequences"] == ["END"]
    assert said["gen_ai.tool.definitions"][0]["function"]["parameters"] == {"type": "object"}
    assert "AAAA" not in json.dumps([trace.inputs, said])


def test_tokens_are_counted_as_openai_counts_them() -> None:
    trace = read(MESSAGES, ASKED, message({"type": "text", "text": "Here."}))
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (13, 7)
    assert trace.attributes["gen_ai.usage.cache_read.input_tokens"] == 8
    assert trace.attributes["gen_ai.usage.cache_write.input_tokens"] == 3
    assert trace.attributes["gen_ai.usage.reasoning.output_tokens"] == 4
    assert trace.attributes["gen_ai.response.id"] == "msg_1"


@pytest.mark.parametrize(
    ("why", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
    ],
)
def test_why_a_message_ends_is_said_in_openai_s_word_too(why: str, finish: str) -> None:
    trace = read(MESSAGES, ASKED, message({"type": "text", "text": "Here."}, why=why))
    assert trace.finish_reason == finish
    assert trace.attributes[STOP_REASON] == why


def test_a_provider_s_refusal_is_the_outcome() -> None:
    error = {"type": "error", "error": {"type": "invalid_request_error", "message": "No."}, "request_id": "r"}
    assert read(MESSAGES, ASKED, error, status=400).outcome == Failed(
        reason="status 400: invalid_request_error: No."
    )
    assert isinstance(read(MESSAGES, ASKED, error, status=429).outcome, Errored)


STREAM: list[dict[str, Any]] = [
    {"type": "message_start", "message": message(why=None, usage={"input_tokens": 2, "output_tokens": 1})},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm."}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "S"}},
    {"type": "ping"},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "It "}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "comes."}},
    {"type": "content_block_start", "index": 2, "content_block": {**USE, "input": {}}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ""}},
    {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"n'}},
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": 'umber": 7}'},
    },
    {"type": "content_block_stop", "index": 2},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 7}},
    {"type": "message_stop"},
]


def test_a_stream_of_a_message_is_put_together() -> None:
    trace = read(MESSAGES, ASKED, events(*STREAM), streamed=True)
    assert (trace.output, trace.finish_reason, trace.outcome) == ("It comes.", "tool_calls", Ok())
    assert (trace.usage.input_tokens, trace.usage.output_tokens) == (2, 7)
    calls = trace.attributes["openai.response.tool_calls"]
    assert calls[0]["function"] == {"name": "find", "arguments": '{"number":7}'}
    assert trace.attributes["openai.response.reasoning_content"] == "Hm."


def test_a_stream_of_a_message_without_its_end_is_what_came() -> None:
    trace = read(MESSAGES, ASKED, events(*STREAM[:11]), streamed=True)
    assert trace.output == "It comes."
    assert trace.outcome == Errored(reason="the stream ended before its answer did")
    assert trace.attributes["openai.response.tool_calls"][0]["function"]["arguments"] == '{"n'


# --- embeddings


@pytest.mark.parametrize("vector", [[0.5, 1.0], base64.b64encode(struct.pack("<2f", 0.5, 1.0)).decode()])
def test_of_vectors_only_their_number_and_size_are_kept(vector: Any) -> None:
    said = {"object": "list", "model": "m", "data": [{"embedding": vector}, {"embedding": vector}]}
    trace = read(EMBEDDINGS, {"model": "m", "input": "one"}, {**said, "usage": {"prompt_tokens": 3}})
    assert trace.inputs == {"input": "one"}
    assert (trace.output, trace.outcome, trace.usage.input_tokens) == (None, Ok(), 3)
    assert trace.attributes["openai.response.embeddings"] == 2
    assert trace.attributes["gen_ai.embeddings.dimension.count"] == 2
    assert trace.attributes["gen_ai.operation.name"] == "embeddings"
    assert "data" not in json.dumps(list(trace.attributes))


@pytest.mark.parametrize(
    ("given", "inputs", "tokens"),
    [(["a", "b"], {"input": ["a", "b"]}, None), ([1, 2], {}, 1), ([[1], [2]], {}, 2)],
)
def test_texts_are_kept_and_tokens_are_counted(given: Any, inputs: Any, tokens: int | None) -> None:
    trace = read(EMBEDDINGS, {"input": given}, {"data": []})
    assert trace.inputs == inputs
    assert trace.attributes.get("openai.request.token_inputs") == tokens


# --- what cannot be read


@pytest.mark.parametrize(
    ("dialect", "asked"),
    [
        (RESPONSES, {"input": 7}),
        (RESPONSES, {"input": [7]}),
        (RESPONSES, {"input": [{"type": "message", "role": "user", "content": 7}]}),
        (MESSAGES, {"messages": 7}),
        (MESSAGES, {"messages": [7]}),
        (MESSAGES, {}),
    ],
)
def test_a_request_that_cannot_be_read_costs_no_interaction(dialect: str, asked: Any) -> None:
    trace = read(dialect, asked, {"error": {"message": "No."}}, status=400)
    assert trace.outcome == Failed(reason="status 400: No.")
    assert UNREAD_REQUEST in trace.attributes
    assert trace.inputs == {}


NAMES = st.sampled_from(
    [
        *("type", "role", "content", "text", "input", "output", "messages", "system", "usage", "data"),
        *("index", "delta", "item", "message", "response", "error", "status", "arguments", "embedding"),
    ]
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(
    [
        *("message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop"),
        *("response.created", "response.output_text.delta", "response.completed", "error", "text", "message"),
    ]
)


@given(st.sampled_from(sorted(PROTOCOLS)), JSON, st.dictionaries(NAMES, JSON | KINDS), st.booleans())
def test_whatever_comes_becomes_an_interaction(dialect: str, asked: Any, said: Any, streamed: bool) -> None:
    body = events(said, said) if streamed else json.dumps(said).encode()
    trace = read(dialect, {"model": "m", "input": asked, "messages": asked}, body, streamed=streamed)
    json.dumps([trace.inputs, trace.attributes])
    assert trace.unit_id == "u-1"


def test_an_answer_that_is_no_json_says_so() -> None:
    for dialect in PROTOCOLS:
        trace = read(dialect, {"input": "x", "messages": []}, b"<html>")
        assert isinstance(trace.outcome, Errored)
        assert UNREAD in trace.attributes
