"""A recorded stream of chat completions put together again: server-sent events to one completion.

Events are those of the HTML standard, section 9.2 (server-sent events); chunks are OpenAI's
``chat.completion.chunk``. Servers differ, so what is unusual is read as it is meant where that is clear,
and counted where it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.values import decode
from inchworm.domain.errors import InputError

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"
_DONE = b"[DONE]"
_OBFUSCATION = "obfuscation"  # padding against the measuring of lengths; says nothing
_SAME = frozenset({"role", "id", "type", "name", "index"})
"""Texts that are not continued by the next chunk."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """What a stream said.

    Attributes:
        completion: one completion, as it would have come without streaming; ``None`` if no chunk was read.
        whole: whether it came to its end: ``[DONE]``, or a reason to finish for each choice.
        malformed: how many events could not be read.
    """

    completion: dict[str, Any] | None
    whole: bool
    malformed: int


@dataclass(slots=True)
class _Choice:
    message: dict[str, Any] = field(default_factory=dict)
    parts: list[dict[str, Any]] = field(default_factory=list)
    calls: list[dict[str, Any]] = field(default_factory=list)
    others: dict[str, Any] = field(default_factory=dict)


def assemble(body: bytes) -> Assembled:
    """Put a stream together, as far as it came."""
    top: dict[str, Any] = {}
    choices: dict[int, _Choice] = {}
    malformed, done = 0, False
    for data in events(body):
        if data.strip() == _DONE:
            done = True
            continue
        try:
            chunk = decode(data).members
            given = _choices(chunk)
        except InputError:
            malformed += 1
            continue
        for index, one in given:
            _add(choices.setdefault(index, _Choice()), one)
        top |= {
            name: value
            for name, value in chunk.items()
            if value is not None and name not in {"choices", _OBFUSCATION}
        }
    if not top and not choices:
        return Assembled(completion=None, whole=done, malformed=malformed)
    top["object"] = "chat.completion"
    if choices:
        top["choices"] = [_whole(index, choices[index]) for index in sorted(choices)]
    ended = bool(choices) and all(one.others.get("finish_reason") for one in choices.values())
    return Assembled(completion=top, whole=done or ended, malformed=malformed)


def events(body: bytes) -> Iterator[bytes]:
    """The data of each event; of the last one too if the stream broke off before its blank line."""
    data: list[bytes] = []
    for line in _LINE_END.split(body.removeprefix(_BOM)):
        if not line:
            if any(data):
                yield b"\n".join(data)
            data = []
            continue
        name, _, value = line.partition(b":")
        if name == b"data":
            data.append(value.removeprefix(b" "))
    if any(data):
        yield b"\n".join(data)


def _choices(chunk: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The choices of a chunk and their numbers.

    Raises:
        InputError: if they are none.
    """
    given = chunk.get("choices")
    if given is None:
        return []
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise InputError("the choices of a chunk are an array of objects")
    numbered = [(one.get("index", place), one) for place, one in enumerate(given)]
    if not all(type(index) is int for index, _ in numbered):
        raise InputError("the index of a choice is a whole number")
    return numbered


def _add(choice: _Choice, given: dict[str, Any]) -> None:
    """Continue a choice by what a chunk says of it; some servers end with a whole message."""
    for name, value in given.items():
        if name == "delta" and isinstance(value, dict):
            _say(choice, value)
        elif name == "message" and isinstance(value, dict):
            choice.message, choice.calls = dict(value), []
        elif name == "logprobs" and isinstance(value, dict):
            choice.others[name] = _continued(choice.others.get(name), value)
        elif name == "text" and isinstance(value, str):
            choice.others[name] = choice.others.get(name, "") + value
        elif value is not None and name != "index":
            choice.others[name] = value


def _say(choice: _Choice, delta: dict[str, Any]) -> None:
    for name, value in delta.items():
        if name == "tool_calls" and isinstance(value, list):
            for call in value:
                if isinstance(call, dict):
                    _call(choice.calls, call)
        elif name == "content" and isinstance(value, list):
            for part in value:
                _part(choice, part)
        elif value is not None:
            choice.message[name] = _joined(name, choice.message.get(name), value)


def _part(choice: _Choice, part: Any) -> None:
    """Some servers stream parts: texts go on as text, others are kept beside it."""
    match part:
        case {"type": "text", "text": str(text)}:
            choice.message["content"] = _joined("content", choice.message.get("content"), text)
        case {"type": str()}:
            choice.parts.append(part)


def _call(calls: list[dict[str, Any]], given: dict[str, Any]) -> None:
    """Continue a tool call: that of its index, or without one that of its id, or else the last."""
    index, id_ = given.get("index"), given.get("id")
    known: dict[str, Any] | None
    if type(index) is int:
        known = next((one for one in calls if one.get("index") == index), None)
    elif id_:
        known = next((one for one in calls if one.get("id") == id_), None)
    else:
        known = calls[-1] if calls else None
    if known is None:
        known = {}
        calls.append(known)
    known |= _continued(known, given)


def _place(call: dict[str, Any]) -> int:
    index = call.get("index")
    return index if type(index) is int else 0


def _joined(name: str, known: Any, value: Any) -> Any:
    """A member of a message and its continuation: texts and arrays grow, objects member by member."""
    if isinstance(known, str) and isinstance(value, str):
        return (known or value) if name in _SAME else known + value
    if isinstance(known, list) and isinstance(value, list):
        return known + value
    if isinstance(value, dict):
        return _continued(known, value)
    return value


def _continued(known: Any, given: dict[str, Any]) -> dict[str, Any]:
    held: dict[str, Any] = dict(known) if isinstance(known, dict) else {}
    for name, value in given.items():
        if value is not None:
            held[name] = _joined(name, held.get(name), value)
    return held


def _whole(index: int, choice: _Choice) -> dict[str, Any]:
    whole: dict[str, Any] = {"index": index, **choice.others}
    if "text" not in whole or choice.message:
        message = {"role": "assistant", "content": None, **choice.message}
        if choice.parts:
            text = message["content"]
            said = [{"type": "text", "text": text}] if isinstance(text, str) else []
            message["content"] = [*choice.parts, *said]
        if choice.calls:
            ordered = sorted(choice.calls, key=_place)
            message["tool_calls"] = [
                {name: value for name, value in call.items() if name != "index"} for call in ordered
            ]
        whole["message"] = message
    return whole
