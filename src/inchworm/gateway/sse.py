"""Watching a stream of server-sent events go by. Pure; the bytes are never changed.

An incomplete event is of no use to anybody, so it is held until it is complete; that delays nothing, and
after a cut nothing half stands before the error event. The final event is held until it is let go.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

_HELD_LIMIT = 64 << 10
"""Bytes of an event without an end that are held; what is longer passes as it comes."""
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DONE = re.compile(rb"(?:^|[\r\n])(data: ?\[DONE\])")
_SAYS = ("content", "tool_calls", "refusal", "function_call", "reasoning_content", "reasoning", "audio")
_decode = msgspec.json.Decoder().decode


class Watch(Protocol):
    """What a relay lets the pieces of an answer go through."""

    first_content: bool
    """Whether the first content was among what was fed."""

    def feed(self, piece: bytes) -> bytes:
        """What may go to the caller now; the rest is held."""
        ...

    def rest(self) -> bytes:
        """What is held at the end of the answer."""
        ...

    def cut(self) -> bytes:
        """What of it may go out if the answer broke off."""
        ...


class Events:
    """Holds back incomplete events and the final ``[DONE]``; notices the first content."""

    __slots__ = ("_held", "_over", "first_content")

    def __init__(self) -> None:
        self._held = b""
        self._over = False
        self.first_content = False

    def feed(self, piece: bytes) -> bytes:
        """What may go to the caller now."""
        if self._over:  # behind [DONE] there is nothing to hurry for, and nothing that anybody reads
            if len(self._held) < _HELD_LIMIT:
                self._held += piece
            return b""
        data = self._held + piece if self._held else piece
        end = _last_end(data)
        if not self.first_content and end:
            self.first_content = any(map(_says_something, data[:end].splitlines()))
        if b"[DONE]" in data and (found := _DONE.search(data)) is not None:
            self._over = True
            end = found.start(1)
        elif len(data) - end > _HELD_LIMIT:
            end = len(data)
        self._held = data[end:]
        return data[:end]

    def rest(self) -> bytes:
        """The final event, or what is incomplete at the end of a malformed stream."""
        return self._held

    def cut(self) -> bytes:
        """Nothing: half an event would garble the one that says what happened."""
        return b""


class Plain:
    """For an answer that is no stream, and too large to be collected: the last piece is held."""

    __slots__ = ("_held", "first_content")

    def __init__(self) -> None:
        self._held = b""
        self.first_content = False

    def feed(self, piece: bytes) -> bytes:
        """The piece before."""
        out, self._held = self._held, piece
        return out

    def rest(self) -> bytes:
        """The last piece."""
        return self._held

    def cut(self) -> bytes:
        """The last piece: it came."""
        return self._held


def _last_end(data: bytes) -> int:
    """Where the last complete event ends; 0 if there is none."""
    if data.endswith(b"\n\n"):
        return len(data)
    simple = data.rfind(b"\n\n")
    if b"\r" not in data:
        return simple + 2 if simple >= 0 else 0
    return max((found.end() for found in _END.finditer(data)), default=0)


def _says_something(line: bytes) -> bool:
    if not line.startswith(b"data:"):
        return False
    try:
        event: Any = _decode(line[5:])
    except msgspec.DecodeError:
        return False
    choices = event.get("choices") if isinstance(event, dict) else None
    for choice in choices if isinstance(choices, list) else ():
        delta = choice.get("delta") if isinstance(choice, dict) else None
        if isinstance(delta, dict) and any(delta.get(name) for name in _SAYS):
            return True
    return False
