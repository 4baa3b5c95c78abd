"""Watching a stream of server-sent events go by. Pure; the bytes are never changed.

An incomplete event is of no use to anybody, so it is held until it is complete; that delays nothing, and
after a cut nothing half stands before the error event. The final event is held until it is let go; what it
is, and which event has content, the wire says.
"""

from __future__ import annotations

import re
from typing import Any, Protocol

import msgspec

from inchworm.gateway.wires import OPENAI_CHAT, Wire

_HELD_LIMIT, _FINAL_LIMIT = 1 << 20, 4 << 20
"""Bytes of an event without an end, and of the final one, that are held; longer ones pass as they come."""
_SHORT = 64 << 10
_END_LONGEST = 3  # bytes of an event's end but its last
_END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
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
    """Holds back incomplete events and the final one; notices the first content.

    Args:
        wire: the protocol.
    """

    __slots__ = ("_ending", "_held", "_open", "_over", "_says", "_size", "first_content")

    def __init__(self, wire: Wire = OPENAI_CHAT) -> None:
        self._ending, self._says = wire.ending, wire.says_something
        self._held: list[bytes] = []
        self._size = 0
        self._over = self._open = False
        self.first_content = False

    def feed(self, piece: bytes) -> bytes:
        """What may go to the caller now."""
        if self._over:
            return self._behind(piece)
        if self._size > _SHORT and self._goes_on(piece):
            return b""
        data = self.rest() + piece if self._size else piece
        end = _last_end(data)
        if end:
            self._open = False
            if not self.first_content:
                self.first_content = any(map(self._says_something, data[:end].splitlines()))
        ending = self._ending
        if ending.hint in data and (found := ending.mark.search(data)) is not None:
            self._over = True
            end = found.start(1)
        elif len(data) - end > _HELD_LIMIT:
            self._open = True
            end = len(data)
        self._hold(data[end:])
        return data[:end]

    def _goes_on(self, piece: bytes) -> bool:
        """Whether a long event does not end in this piece, which is held then, with nothing read again."""
        seen = b"".join(self._held[-_END_LONGEST:])[-_END_LONGEST:] + piece
        if self._size + len(piece) > _HELD_LIMIT or _END.search(seen) is not None:
            return False
        self._held.append(piece)
        self._size += len(piece)
        return True

    def _behind(self, piece: bytes) -> bytes:
        """What may go of what comes behind the beginning of the final event."""
        terse = self._ending.terse
        if self._size < _SHORT if terse else self._size + len(piece) <= _FINAL_LIMIT:
            self._held.append(piece)
            self._size += len(piece)
        elif not terse:  # it holds the whole answer again: of a very long one the last byte waits
            data = self.rest() + piece
            self._open = True
            self._hold(data[-1:])
            return data[:-1]
        return b""  # of what is terse nobody reads what is behind

    def _hold(self, data: bytes) -> None:
        self._held, self._size = [data] if data else [], len(data)

    def _says_something(self, line: bytes) -> bool:
        if not line.startswith(b"data:"):
            return False
        try:
            event: Any = _decode(line[5:])
        except msgspec.DecodeError:
            return False
        return isinstance(event, dict) and self._says(event)

    def rest(self) -> bytes:
        """The final event, or what is incomplete at the end of a malformed stream."""
        return self._held[0] if len(self._held) == 1 else b"".join(self._held)

    def cut(self) -> bytes:
        """Nothing, for half an event would garble what is said of it; its end, if half is out already."""
        return b"\n\n" if self._open else b""


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
