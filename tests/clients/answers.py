"""What the provider of the tests answers: OpenAI's and Anthropic's shapes, whole and streamed."""

import base64
import json
import struct
from typing import Any

PIECES = ("It ", "comes ", "on ", "Tuesday.")
TEXT = "".join(PIECES)
STRUCTURE = {"city": "Bern", "days": 2}
VECTOR = (0.25, -0.5, 1.0)
DATED = "-2026-08-01"
"""What a provider appends to the alias that it was asked for."""

TOKENS_IN, TOKENS_CACHED, TOKENS_OUT, TOKENS_REASONING = 21, 8, 5, 2

Events = list[tuple[str | None, dict[str, Any]]]


def last_text(body: dict[str, Any]) -> str:
    """The text of the last message."""
    messages = body.get("messages") or body.get("input") or ""
    if isinstance(messages, str):
        return messages
    content = messages[-1].get("content") if isinstance(messages[-1], dict) else messages[-1]
    if isinstance(content, list):
        content = next((part["text"] for part in content if isinstance(part, dict) and "text" in part), "")
    return content if isinstance(content, str) else ""


def _used(body: dict[str, Any]) -> bool:
    """Whether the answer of a tool is in the conversation."""
    text = json.dumps(body.get("messages") or body.get("input") or [])
    return any(mark in text for mark in ('"role": "tool"', '"function_call_output"', '"tool_result"'))


def _tool(body: dict[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """The tool to call, the first one unless one was, and with what."""
    tools = body.get("tools") or []
    if not tools or _used(body):
        return None
    first = tools[0].get("function", tools[0])
    takes = (first.get("parameters") or first.get("input_schema"))["properties"]
    return first["name"], {name: value for name, value in STRUCTURE.items() if name in takes}


def _schema(body: dict[str, Any]) -> bool:
    form = body.get("response_format") or (body.get("text") or {}).get("format")
    form = form or (body.get("output_config") or {}).get("format")
    return form is not None and form.get("type") in {"json_schema", "json_object"}


def _pieces(body: dict[str, Any]) -> tuple[str, ...]:
    if _schema(body):
        text = json.dumps(STRUCTURE)
        return text[:9], text[9:]
    return PIECES


def _chat_usage() -> dict[str, Any]:
    return {
        "prompt_tokens": TOKENS_IN,
        "completion_tokens": TOKENS_OUT,
        "total_tokens": TOKENS_IN + TOKENS_OUT,
        "prompt_tokens_details": {"cached_tokens": TOKENS_CACHED, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": TOKENS_REASONING, "audio_tokens": 0},
    }


def _chat(body: dict[str, Any]) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": "".join(_pieces(body)), "refusal": None}
    if call := _tool(body):
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        message |= {
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        }
    finish = "tool_calls" if _tool(body) else "stop"
    return {
        "id": "chatcmpl-mock-1",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": body["model"] + DATED,
        "system_fingerprint": "fp_mock",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}],
        "usage": _chat_usage(),
    }


def _chat_events(body: dict[str, Any]) -> Events:
    made: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if call := _tool(body):
        first = {
            "index": 0,
            "id": "call_1",
            "type": "function",
            "function": {"name": call[0], "arguments": ""},
        }
        made.append({"tool_calls": [first]})
        text = json.dumps(call[1])
        made += [
            {"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in (text[:5], text[5:])
        ]
    else:
        made += [{"content": piece} for piece in _pieces(body)]
    finish = "tool_calls" if _tool(body) else "stop"
    base = {
        "id": "chatcmpl-mock-1",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": body["model"] + DATED,
        "system_fingerprint": "fp_mock",
    }
    events: Events = [
        (None, {**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}) for delta in made
    ]
    events.append((None, {**base, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append((None, {**base, "choices": [], "usage": _chat_usage()}))
    return events


def _response_usage() -> dict[str, Any]:
    return {
        "input_tokens": TOKENS_IN,
        "input_tokens_details": {"cached_tokens": TOKENS_CACHED, "cache_write_tokens": 0},
        "output_tokens": TOKENS_OUT,
        "output_tokens_details": {"reasoning_tokens": TOKENS_REASONING},
        "total_tokens": TOKENS_IN + TOKENS_OUT,
    }


def _response_item(body: dict[str, Any]) -> dict[str, Any]:
    if call := _tool(body):
        return {
            "type": "function_call",
            "id": "fc_1",
            "call_id": "call_1",
            "name": call[0],
            "arguments": json.dumps(call[1]),
            "status": "completed",
        }
    part = {"type": "output_text", "text": "".join(_pieces(body)), "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def _response(body: dict[str, Any], *, status: str = "completed") -> dict[str, Any]:
    complete = status == "completed"
    return {
        "id": "resp_mock_1",
        "object": "response",
        "created_at": 1_790_000_000,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "model": body["model"] + DATED,
        "output": [_response_item(body)] if complete else [],
        "parallel_tool_calls": True,
        "temperature": body.get("temperature", 1.0),
        "tool_choice": "auto",
        "tools": body.get("tools", []),
        "top_p": 1.0,
        "text": body.get("text", {"format": {"type": "text"}}),
        "metadata": body.get("metadata") or {},
        "usage": _response_usage() if complete else None,
    }


def _response_events(body: dict[str, Any]) -> Events:
    item = _response_item(body)
    made: list[dict[str, Any]] = [
        {"type": "response.created", "response": _response(body, status="in_progress")},
        {"type": "response.in_progress", "response": _response(body, status="in_progress")},
    ]
    where = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "function_call":
        empty = {**item, "arguments": "", "status": "in_progress"}
        text = item["arguments"]
        made.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        made += [
            {"type": "response.function_call_arguments.delta", **where, "delta": part}
            for part in (text[:5], text[5:])
        ]
        done = {"arguments": text, "name": item["name"]}
        made.append({"type": "response.function_call_arguments.done", **where, **done})
    else:
        where["content_index"] = 0
        empty = {**item, "content": [], "status": "in_progress"}
        part = item["content"][0]
        made.append({"type": "response.output_item.added", "output_index": 0, "item": empty})
        made.append({"type": "response.content_part.added", **where, "part": {**part, "text": ""}})
        made += [
            {"type": "response.output_text.delta", **where, "delta": piece, "logprobs": []}
            for piece in _pieces(body)
        ]
        made.append({"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []})
        made.append({"type": "response.content_part.done", **where, "part": part})
    made.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    made.append({"type": "response.completed", "response": _response(body)})
    return [(event["type"], {**event, "sequence_number": n}) for n, event in enumerate(made)]


def _embeddings(body: dict[str, Any]) -> dict[str, Any]:
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector: Any = list(VECTOR)
    if body.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack(f"<{len(VECTOR)}f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, _ in enumerate(texts)]
    usage = {"prompt_tokens": TOKENS_IN, "total_tokens": TOKENS_IN}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def _message_usage() -> dict[str, Any]:
    return {
        "input_tokens": TOKENS_IN - TOKENS_CACHED,  # Anthropic counts what was read from a cache apart
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": TOKENS_CACHED,
        "output_tokens": TOKENS_OUT,
        "service_tier": "standard",
    }


def _message(body: dict[str, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {"type": "text", "text": "".join(_pieces(body))}
    if call := _tool(body):
        content = {"type": "tool_use", "id": "toolu_1", "name": call[0], "input": call[1]}
    return {
        "id": "msg_mock_1",
        "type": "message",
        "role": "assistant",
        "model": body["model"] + DATED,
        "content": [content],
        "stop_reason": "tool_use" if _tool(body) else "end_turn",
        "stop_sequence": None,
        "usage": _message_usage(),
    }


def _message_events(body: dict[str, Any]) -> Events:
    whole = _message(body)
    usage = {**_message_usage(), "output_tokens": 1}
    start = {**whole, "content": [], "stop_reason": None, "usage": usage}
    block = whole["content"][0]
    made: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in ("", text[:5], text[5:])]
    else:
        empty = {"type": "text", "text": ""}
        deltas = [{"type": "text_delta", "text": piece} for piece in _pieces(body)]
    made.append({"type": "content_block_start", "index": 0, "content_block": empty})
    made.append({"type": "ping"})
    made += [{"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas]
    made.append({"type": "content_block_stop", "index": 0})
    stop = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    made.append({"type": "message_delta", "delta": stop, "usage": {"output_tokens": TOKENS_OUT}})
    made.append({"type": "message_stop"})
    return [(event["type"], event) for event in made]


WIRES: dict[str, tuple[Any, Any]] = {
    "chat/completions": (_chat, _chat_events),
    "responses": (_response, _response_events),
    "embeddings": (_embeddings, _embeddings),
    "messages": (_message, _message_events),
}
