"""What a provider answers in the protocols beside chat completions, in the shapes of their SDKs."""

import base64
import json
import re
import struct
from typing import Any

WORDS = ("It ", "comes ", "on ", "Tuesday.")
TEXT = "".join(WORDS)
VECTOR = [0.25, -0.5, 1.0]
USAGE: dict[str, Any] = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 8, "cache_write_tokens": 2},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 3},
    "total_tokens": 19,
}
ANTHROPIC_USAGE = {
    "input_tokens": 2,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 8,
    "output_tokens": 7,
}


def error_of(path: str, chats: dict[str, Any]) -> dict[str, Any]:
    """An error in the shape of the path's protocol."""
    if not path.startswith("/v1/messages"):
        return chats
    error = {"type": "invalid_request_error", "message": "The provider said no."}
    return {"type": "error", "error": error, "request_id": "req-9"}


def answer_of(method: str, path: str, body: bytes) -> dict[str, Any] | None:
    """The answer to anything but a chat completion."""
    asked = json.loads(body) if body else {}
    match method, re.sub(r"^/openai(?:/deployments/[^/]+(?=/embeddings))?(?:/v1)?|^/v1", "/v1", path):
        case "POST", "/v1/responses":
            return _response(asked)
        case "POST", "/v1/embeddings":
            return _embeddings(asked)
        case "POST", "/v1/messages":
            return _message(asked)
        case "POST", "/v1/messages/count_tokens":
            return {"input_tokens": 12, "asked": asked}
        case "GET", "/v1/models":
            return {"object": "list", "data": [_model("m-1")], "has_more": False}
        case "GET", other if other.startswith("/v1/models/"):
            return _model(other.removeprefix("/v1/models/"))
        case "GET", "/v1/responses/resp_1":
            return _response({"model": "m-1"})
        case _:
            return None


def stream_of(path: str, asked: dict[str, Any]) -> list[bytes]:
    """The events of a stream; none for a chat completion."""
    match path.removeprefix("/openai"):
        case "/v1/responses":
            return [_event(one["type"], one) for one in _response_events(asked)]
        case "/v1/messages":
            return [_event(one["type"], one) for one in _message_events(asked)]
        case _:
            return []


def middle_of(events: list[bytes]) -> int:
    """Which event stands in the middle: the first word has been said, the second comes."""
    return [n for n, one in enumerate(events) if b"text.delta" in one or b"content_block_delta" in one][1]


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()


def _model(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 1,
        "owned_by": "mock",
        "type": "model",
        "display_name": name,
        "created_at": "2026-01-02T03:04:05Z",
        "lifecycle": "active",
    }


def _response(asked: dict[str, Any]) -> dict[str, Any]:
    text = TEXT
    if (asked.get("text") or {}).get("format", {}).get("type") == "json_schema":
        text = json.dumps({"arrives": "Tuesday"})
    output: list[dict[str, Any]] = [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Think."}]}
    ]
    if tools := asked.get("tools"):
        call = {"type": "function_call", "id": "fc_1", "call_id": "call-1", "status": "completed"}
        output.append({**call, "name": tools[0]["name"], "arguments": '{"number": 7}'})
    else:
        part = {"type": "output_text", "text": text, "annotations": []}
        said = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        output.append({**said, "content": [part]})
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.get("instructions"),
        "model": asked.get("model", "none"),
        "output": output,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": USAGE,
        "service_tier": "default",
    }


def _response_events(asked: dict[str, Any]) -> list[dict[str, Any]]:
    whole = _response(asked)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    part = {"type": "output_text", "annotations": []}
    place = {"item_id": "msg_1", "output_index": 1, "content_index": 0}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": whole["output"][0]},
        {"type": "response.output_item.done", "output_index": 0, "item": whole["output"][0]},
        {"type": "response.output_item.added", "output_index": 1, "item": item},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **place, "delta": word, "logprobs": []} for word in WORDS),
        {"type": "response.output_text.done", **place, "text": TEXT, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": {**part, "text": TEXT}},
        {"type": "response.output_item.done", "output_index": 1, "item": whole["output"][1]},
        {"type": "response.completed", "response": whole},
    ]
    return [{**one, "sequence_number": number} for number, one in enumerate(events)]


def _embeddings(asked: dict[str, Any]) -> dict[str, Any]:
    given = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
    vector: Any = VECTOR
    if asked.get("encoding_format") == "base64":
        vector = base64.b64encode(struct.pack("<3f", *VECTOR)).decode()
    data = [{"object": "embedding", "index": n, "embedding": vector} for n, _ in enumerate(given)]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    return {"object": "list", "data": data, "model": asked["model"], "usage": usage}


def _message(asked: dict[str, Any]) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": TEXT}]
    why = "end_turn"
    if tools := asked.get("tools"):
        use = {"type": "tool_use", "id": "toolu_1", "name": tools[0]["name"], "input": {"number": 7}}
        content, why = [{"type": "text", "text": "Let me look."}, use], "tool_use"
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "none"),
        "content": content,
        "stop_reason": why,
        "stop_sequence": None,
        "usage": ANTHROPIC_USAGE,
    }


def _message_events(asked: dict[str, Any]) -> list[dict[str, Any]]:
    whole = _message(asked)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**ANTHROPIC_USAGE, "output_tokens": 1}}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}]
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            start: dict[str, Any] = {"type": "text", "text": ""}
            words = WORDS if block["text"] == TEXT else (block["text"],)
            deltas: list[dict[str, Any]] = [{"type": "text_delta", "text": word} for word in words]
        else:
            start = {**block, "input": {}}
            deltas = [
                {"type": "input_json_delta", "partial_json": part} for part in ("", '{"num', 'ber": 7}')
            ]
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [{"type": "content_block_delta", "index": index, "delta": one} for one in deltas]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 7}})
    return [*events, {"type": "message_stop"}]
