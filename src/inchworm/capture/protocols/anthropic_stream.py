"""A recorded stream of a message put together again: events of Anthropic's to one message."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from inchworm.capture.streams import Assembled, events
from inchworm.capture.values import decode
from inchworm.domain.errors import InputError

UNPARSED = "inchworm.unparsed"
"""Member of a block whose arguments broke off: the text of them, as far as it came."""
_DELTAS = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature"}


@dataclass(slots=True)
class _Growing:
    """A message, as far as it came."""

    message: dict[str, Any] = field(default_factory=dict)
    blocks: dict[int, dict[str, Any]] = field(default_factory=dict)
    arguments: dict[int, str] = field(default_factory=dict)
    error: Any = None
    ended: bool = False
    seen: bool = False


def assemble(body: bytes) -> Assembled:
    """Put a stream together, as far as it came."""
    growing = _Growing()
    malformed = 0
    for data in events(body):
        try:
            _take(growing, decode(data).members)
        except InputError:
            malformed += 1
    if not growing.seen:
        return Assembled(completion=None, whole=False, malformed=malformed)
    whole = growing.ended or bool(growing.message.get("stop_reason")) or growing.error is not None
    if growing.error is not None and not growing.message:
        return Assembled(completion={"error": growing.error}, whole=whole, malformed=malformed)
    content = [_block(growing, index) for index in sorted(growing.blocks)]
    message = {**growing.message, "content": content}
    if growing.error is not None:
        message["error"] = growing.error
    return Assembled(completion=message, whole=whole, malformed=malformed)


def _take(growing: _Growing, event: dict[str, Any]) -> None:
    match event:
        case {"type": "message_start", "message": dict(message)}:
            growing.message = dict(message)
        case {"type": "content_block_start", "index": int(index), "content_block": dict(block)}:
            growing.blocks[index] = dict(block)
        case {"type": "content_block_delta", "index": int(index), "delta": dict(delta)}:
            _grow(growing, index, delta)
        case {"type": "message_delta"}:
            _end(growing, event)
        case {"type": "message_stop"}:
            growing.ended = True
        case {"type": "error", "error": error}:
            growing.error = error
        case {"type": "ping" | "content_block_stop"}:
            return
        case {"type": str()}:  # of a later version: a part of a stream, and nothing that is known here
            pass
        case _:
            raise InputError("an event has a type, and what belongs to it")
    growing.seen = True


def _grow(growing: _Growing, index: int, delta: dict[str, Any]) -> None:
    block = growing.blocks.setdefault(index, {"type": "text"})
    match delta:
        case {"type": "input_json_delta", "partial_json": str(text)}:
            growing.arguments[index] = growing.arguments.get(index, "") + text
        case {"type": "citations_delta", "citation": citation}:
            block["citations"] = [*(block.get("citations") or []), citation]
        case {"type": str(kind)} if kind in _DELTAS:
            name = _DELTAS[kind]
            if isinstance(more := delta.get(name), str):
                block[name] = str(block.get(name) or "") + more


def _end(growing: _Growing, event: dict[str, Any]) -> None:
    """What the end says of the whole message; its counts are of the whole, not of what is new."""
    if isinstance(delta := event.get("delta"), dict):
        growing.message |= {name: value for name, value in delta.items() if value is not None}
    if isinstance(usage := event.get("usage"), dict):
        before = growing.message.get("usage")
        known = before if isinstance(before, dict) else {}
        growing.message["usage"] = {
            **known,
            **{name: value for name, value in usage.items() if value is not None},
        }


def _block(growing: _Growing, index: int) -> dict[str, Any]:
    block, text = growing.blocks[index], growing.arguments.get(index)
    if not text:
        return block
    try:
        return {**block, "input": msgspec.json.decode(text)}
    except msgspec.DecodeError:
        return {**block, UNPARSED: text}
