"""A recorded stream of a response put together again. The last event holds all of it, if it came."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.streams import Assembled, events
from inchworm.capture.values import decode
from inchworm.domain.errors import InputError

_ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
_DONE = b"[DONE]"
_GROWING = {
    "response.function_call_arguments.delta": "arguments",
    "response.mcp_call_arguments.delta": "arguments",
    "response.custom_tool_call_input.delta": "input",
}
_PARTS = {
    "response.output_text.delta": ("content", "content_index", "output_text", "text"),
    "response.refusal.delta": ("content", "content_index", "refusal", "refusal"),
    "response.reasoning_summary_text.delta": ("summary", "summary_index", "summary_text", "text"),
    "response.reasoning_text.delta": ("content", "content_index", "reasoning_text", "text"),
}


@dataclass(slots=True)
class _Growing:
    """A response, as far as it came."""

    response: dict[str, Any] = field(default_factory=dict)
    items: dict[int, dict[str, Any]] = field(default_factory=dict)
    error: dict[str, Any] | None = None
    ended: bool = False
    seen: bool = False


def assemble(body: bytes) -> Assembled:
    """Put a stream together, as far as it came."""
    growing = _Growing()
    malformed = 0
    for data in events(body):
        if data.strip() == _DONE:
            continue
        try:
            event = decode(data).members
            _take(growing, event)
        except InputError:
            malformed += 1
    if not growing.seen:
        return Assembled(completion=None, whole=False, malformed=malformed)
    response = dict(growing.response)
    if not growing.ended and growing.items:
        response["output"] = [growing.items[index] for index in sorted(growing.items)]
    response.setdefault("output", [])
    if not growing.ended and response.get("status") in {"queued", "in_progress"}:
        response["status"] = "incomplete"  # that it is not whole is said beside it
    if growing.error is not None:
        response["error"] = growing.error
    whole = growing.ended or growing.error is not None
    return Assembled(completion=response, whole=whole, malformed=malformed)


def _take(growing: _Growing, event: dict[str, Any]) -> None:
    kind, item = event.get("type"), event.get("item")
    if not isinstance(kind, str):
        raise InputError("an event has a type")
    growing.seen = True
    if isinstance(response := event.get("response"), dict):
        growing.response |= response
        growing.ended = growing.ended or kind in _ENDS
    elif kind == "error":
        inner = event.get("error")
        growing.error = inner if isinstance(inner, dict) else {**event, "type": "error"}
    elif isinstance(item, dict) and (index := event.get("output_index")) is not None:
        growing.items[_number(index)] = dict(item)
    elif isinstance(delta := event.get("delta"), str):
        _grow(growing, kind, event, delta)


def _grow(growing: _Growing, kind: str, event: dict[str, Any], delta: str) -> None:
    if (name := _GROWING.get(kind)) is not None:
        item = growing.items.setdefault(_number(event.get("output_index")), {"type": "function_call"})
        item[name] = str(item.get(name) or "") + delta
    elif (place := _PARTS.get(kind)) is not None:
        inside, number, type_, text = place
        item = growing.items.setdefault(_number(event.get("output_index")), {"type": "message"})
        parts = list(item.get(inside) or [])
        at = _number(event.get(number))
        while len(parts) <= min(at, len(parts)):
            parts.append({"type": type_, text: ""})
        at = min(at, len(parts) - 1)
        held = parts[at] if isinstance(parts[at], dict) else {}
        parts[at] = {**held, "type": type_, text: str(held.get(text) or "") + delta}
        item[inside] = parts


def _number(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise InputError("an index is a whole number")
    return value
