"""Anthropic's messages: blocks become messages and tool calls in OpenAI's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from inchworm.capture.protocols.anthropic_stream import UNPARSED, assemble
from inchworm.capture.protocols.base import (
    PROTOCOL,
    Answer,
    Protocol,
    Request,
    function_call,
    moved,
    without,
)
from inchworm.capture.values import kind_of
from inchworm.domain.errors import InputError

NAME = "anthropic-messages"
STOP_REASON = "anthropic.response.stop_reason"
"""Attribute: why it stopped, in Anthropic's word; the trace's own has OpenAI's."""
_REQUEST = frozenset({"messages", "system", "stop_sequences", "tools"})
_READ = frozenset({"content", "usage", "stop_reason", "role", "type"})
_FINISH = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_CALLS = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_THOUGHT = frozenset({"thinking", "redacted_thinking"})


def _request(asked: Mapping[str, Any], sent: Mapping[str, Any]) -> Request:
    members = without(sent, _REQUEST)
    if "stop_sequences" in sent:
        members["stop"] = sent["stop_sequences"]
    if isinstance(tools := sent.get("tools"), list):
        members["tools"] = [_tool(one) for one in tools]
    moved(members, "output_config", "effort", "reasoning_effort")
    match moved(members, "output_config", "format", "response_format"):
        case {"type": "json_schema" as kind, **rest}:
            members["response_format"] = {"type": kind, kind: rest}
    if isinstance(choice := sent.get("tool_choice"), dict):
        _choice(members, choice)
    return Request(messages=_messages(asked), members=members, attributes={PROTOCOL: NAME})


def _messages(asked: Mapping[str, Any]) -> Any:
    messages, system = asked.get("messages"), asked.get("system")
    if not isinstance(messages, list):
        raise InputError(f"messages is {kind_of(messages)}; an array is expected")
    out: list[dict[str, Any]] = [] if system is None else [{"role": "system", "content": system}]
    for place, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InputError(f"messages[{place}] is {kind_of(message)}; an object is expected")
        content = message.get("content")
        if isinstance(content, list):
            out += _blocks(message, [one for one in content if isinstance(one, dict)])
        else:
            out.append(message)
    return out


def _blocks(message: Mapping[str, Any], content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A message in blocks: first what tools found, then what is said and which tools are called."""
    found = [one for one in content if one.get("type") == "tool_result"]
    out = [
        {"role": "tool", "tool_call_id": one.get("tool_use_id"), "content": one.get("content")}
        for one in found
    ]
    rest = [one for one in content if one.get("type") != "tool_result"]
    if rest or not found:
        out.append({**message, **_said(rest)})
    return out


def _said(content: list[dict[str, Any]]) -> dict[str, Any]:
    parts: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    thought: list[str] = []
    for block in content:
        kind = block.get("type")
        if kind in _CALLS:
            calls.append(function_call(block.get("id"), block.get("name"), _arguments(block)))
        elif kind in _THOUGHT:
            if isinstance(text := block.get("thinking"), str) and text:
                thought.append(text)
        elif kind == "text" and isinstance(block.get("text"), str):
            parts.append({"type": "text", "text": block["text"]})
        else:
            parts.append({"type": str(kind)})
    said: dict[str, Any] = {"content": parts or None}
    if thought:
        said["reasoning_content"] = "\n".join(thought)
    if calls:
        said["tool_calls"] = calls
    return said


def _arguments(block: Mapping[str, Any]) -> str:
    unparsed = block.get(UNPARSED)
    if isinstance(unparsed, str):
        return unparsed
    return msgspec.json.encode(block.get("input", {})).decode()


def _choice(members: dict[str, Any], choice: dict[str, Any]) -> None:
    if (alone := choice.get("disable_parallel_tool_use")) is not None:
        members["parallel_tool_calls"] = not alone
    match choice:
        case {"type": "auto" | "none" as kind}:
            members["tool_choice"] = kind
        case {"type": "any"}:
            members["tool_choice"] = "required"
        case {"type": "tool", "name": str(name)}:
            members["tool_choice"] = {"type": "function", "function": {"name": name}}


def _tool(tool: Any) -> Any:
    if not isinstance(tool, dict) or "input_schema" not in tool:
        return tool
    rest = without(tool, frozenset({"input_schema", "type"}))
    return {"type": "function", "function": {**rest, "parameters": tool["input_schema"]}}


def _answer(body: dict[str, Any]) -> Answer:
    content = body.get("content")
    if not isinstance(content, list):
        return Answer(completion=without(body, frozenset({"type"})) if "error" in body else body)
    completion = without(body, _READ)
    completion["object"] = "chat.completion"
    message = {"role": "assistant", **_said([one for one in content if isinstance(one, dict)])}
    choice: dict[str, Any] = {"index": 0, "message": message}
    noted: dict[str, Any] = {}
    if isinstance(why := body.get("stop_reason"), str):
        choice["finish_reason"] = _FINISH.get(why, why)
        noted[STOP_REASON] = why
    completion["choices"] = [choice]
    if isinstance(usage := body.get("usage"), dict):
        completion["usage"] = _usage(usage)
    return Answer(completion=completion, attributes=noted)


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Tokens as OpenAI counts them: what was read from a cache or written to it is among what was read."""
    said = without(
        usage,
        frozenset(
            {
                *("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"),
                "output_tokens_details",
            }
        ),
    )
    read, cached, written = (
        usage.get(name) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    )
    if type(read) is int:
        said["prompt_tokens"] = read + sum(one for one in (cached, written) if type(one) is int)
    details = {"cached_tokens": cached, "cache_write_tokens": written}
    said["prompt_tokens_details"] = {name: one for name, one in details.items() if type(one) is int}
    if isinstance(more := usage.get("output_tokens_details"), dict):
        said["completion_tokens_details"] = {
            ("reasoning_tokens" if name == "thinking_tokens" else name): one for name, one in more.items()
        }
    return said


MESSAGES = Protocol(name=NAME, request=_request, answer=_answer, assemble=assemble)
"""``POST /v1/messages``."""
