"""OpenAI's responses: items become messages; what repeats the request is not kept twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from inchworm.capture.protocols.base import (
    PROTOCOL,
    Answer,
    Protocol,
    Request,
    function_call,
    moved,
    without,
)
from inchworm.capture.protocols.responses_stream import assemble
from inchworm.capture.values import kind_of
from inchworm.domain.errors import InputError

NAME = "openai-responses"
_REQUEST = frozenset({"input", "instructions", "max_output_tokens", "tools"})
_RENAMED = {"max_output_tokens": "max_tokens"}
# What the answer says again of the request, and what is read apart.
_ECHOED = frozenset(
    {
        *("instructions", "tools", "tool_choice", "parallel_tool_calls", "temperature", "top_p", "text"),
        *("reasoning", "max_output_tokens", "max_tool_calls", "metadata", "previous_response_id"),
        *("truncation", "user", "safety_identifier", "prompt_cache_key", "top_logprobs", "store"),
        *("background", "prompt", "conversation", "include", "input"),
        *("output", "usage", "created_at", "completed_at", "object", "output_text"),
    }
)
_CALLS = {"function_call": "arguments", "custom_tool_call": "input"}
_OUTPUTS = frozenset({"function_call_output", "custom_tool_call_output"})
_TEXTS = frozenset({"output_text", "input_text", "text"})
_FINISH = {"max_output_tokens": "length"}
_WAITING = frozenset({"queued", "in_progress"})


def _request(asked: Mapping[str, Any], sent: Mapping[str, Any]) -> Request:
    members = without(sent, _REQUEST)
    for name, chats in _RENAMED.items():
        if name in sent:
            members[chats] = sent[name]
    if isinstance(tools := sent.get("tools"), list):
        members["tools"] = [_tool(one) for one in tools]
    moved(members, "reasoning", "effort", "reasoning_effort")
    moved(members, "text", "verbosity", "verbosity")
    match moved(members, "text", "format", "response_format"):
        case {"type": "json_schema" as kind, **rest}:
            members["response_format"] = {"type": kind, kind: rest}
    match sent.get("tool_choice"):
        case {"type": "function" as kind, "name": str(name)}:
            members["tool_choice"] = {"type": kind, kind: {"name": name}}
    noted: dict[str, Any] = {PROTOCOL: NAME}
    messages = _messages(asked, noted)
    return Request(messages=messages, members=members, attributes=noted)


def _messages(asked: Mapping[str, Any], noted: dict[str, Any]) -> Any:
    items, instructions = asked.get("input"), asked.get("instructions")
    first = [{"role": "system", "content": instructions}] if isinstance(instructions, str) else []
    if isinstance(items, str):
        return [*first, {"role": "user", "content": items}]
    if items is None:
        return first
    if not isinstance(items, list):
        raise InputError(f"input is {kind_of(items)}; a text or an array is expected")
    messages: list[dict[str, Any]] = list(first)
    others: list[str] = []
    for place, item in enumerate(items):
        if not isinstance(item, dict):
            raise InputError(f"input[{place}] is {kind_of(item)}; an object is expected")
        kind = item.get("type", "message")
        if kind in _CALLS:
            call = function_call(item.get("call_id"), item.get("name"), str(item.get(_CALLS[kind], "")))
            if messages and "tool_calls" in messages[-1]:
                messages[-1]["tool_calls"].append(call)
            else:
                messages.append({"role": "assistant", "content": "", "tool_calls": [call]})
        elif kind in _OUTPUTS:
            said = item.get("output")
            messages.append({"role": "tool", "tool_call_id": item.get("call_id"), "content": said})
        elif kind == "message" and "role" in item:
            messages.append(without(item, frozenset({"type", "id", "status"})))
        else:
            others.append(str(kind))
    if others:
        noted["openai.request.items"] = [{"type": kind} for kind in others]
    return messages


def _tool(tool: Any) -> Any:
    if not isinstance(tool, dict) or tool.get("type") != "function" or "function" in tool:
        return tool
    return {"type": "function", "function": without(tool, frozenset({"type"}))}


def _answer(body: dict[str, Any]) -> Answer:
    output = body.get("output")
    if not isinstance(output, list):
        return Answer(completion=body)
    message = _said(one for one in output if isinstance(one, dict))
    completion: dict[str, Any] = {name: value for name, value in body.items() if name not in _ECHOED}
    completion["object"] = "chat.completion"
    if "created_at" in body:
        completion["created"] = body["created_at"]
    status = body.get("status")
    choice: dict[str, Any] = {"index": 0, "message": message}
    if status == "completed":
        choice["finish_reason"] = "tool_calls" if "tool_calls" in message else "stop"
    elif isinstance(why := body.get("incomplete_details"), dict) and isinstance(why.get("reason"), str):
        choice["finish_reason"] = _FINISH.get(why["reason"], why["reason"])
    completion["choices"] = [choice]
    if isinstance(usage := body.get("usage"), dict):
        completion["usage"] = _usage(usage)
    lacking = "it is made in the background, and did not come this way" if status in _WAITING else None
    return Answer(completion=completion, lacking=lacking)


def _said(items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The items of an answer as one message; what is no text is noted by its type."""
    texts: list[dict[str, Any]] = []
    refused: list[str] = []
    thought: list[str] = []
    calls: list[dict[str, Any]] = []
    for item in items:
        kind = item.get("type")
        if kind in _CALLS:
            calls.append(
                function_call(item.get("call_id"), item.get("name"), str(item.get(_CALLS[kind], "")))
            )
        elif kind == "reasoning":
            thought += [text for part in _parts(item, "summary", "content") if (text := _text(part))]
        elif kind == "message":
            for part in _parts(item, "content"):
                if part.get("type") == "refusal" and isinstance(part.get("refusal"), str):
                    refused.append(part["refusal"])
                elif part.get("type") in _TEXTS and isinstance(part.get("text"), str):
                    texts.append({"type": "text", "text": part["text"]})
                else:
                    texts.append({"type": str(part.get("type"))})
        else:
            texts.append({"type": str(kind)})
    message: dict[str, Any] = {"role": "assistant", "content": texts or None}
    if refused:
        message["refusal"] = "\n".join(refused)
    if thought:
        message["reasoning_content"] = "\n".join(thought)
    if calls:
        message["tool_calls"] = calls
    return message


def _parts(item: Mapping[str, Any], *names: str) -> list[dict[str, Any]]:
    return [
        part
        for name in names
        if isinstance(parts := item.get(name), list)
        for part in parts
        if isinstance(part, dict)
    ]


def _text(part: Mapping[str, Any]) -> str | None:
    text = part.get("text")
    return text if isinstance(text, str) else None


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    renamed = {"input_tokens_details": "prompt_tokens_details"}
    renamed["output_tokens_details"] = "completion_tokens_details"
    return {renamed.get(name, name): value for name, value in usage.items()}


RESPONSES = Protocol(name=NAME, request=_request, answer=_answer, assemble=assemble)
"""``POST /v1/responses``."""
