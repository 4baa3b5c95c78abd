"""``multipart/form-data`` in pieces as it comes: what is not wanted is not held (RFC 7578, 2046). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

from inchworm.domain.errors import InputError

_BOUNDARY = re.compile(r'boundary=(?:"([^"\r\n]{1,70})"|([^\s;,"]{1,70}))', re.IGNORECASE)
_NAME = re.compile(rb'[;\s]name=(?:"([^"\r\n]*)"|([^\s;]+))', re.IGNORECASE)
_MOST_HEAD = 8 << 10
"""Bytes of the headers of a part, and of what may stand before the first one."""
_MOST_PARTS = 100_000
_MOST_PADDING = 200
"""Bytes of white space that may stand between a boundary and the end of its line."""
_END = b"--"


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts.

    Raises:
        InputError: if the content type does not say it.
    """
    found = _BOUNDARY.search(content_type)
    if found is None:
        raise InputError("its content type names no boundary")
    try:
        return (found[1] or found[2]).encode("ascii")
    except UnicodeEncodeError as error:
        raise InputError("its boundary is no ASCII text") from error


class _State(Enum):
    BEFORE = auto()
    HEAD = auto()
    CONTENT = auto()
    AFTER = auto()


@dataclass(slots=True)
class Form:
    """A form that is arriving.

    Attributes:
        boundary: what stands between the parts.
        wanted: whether a part of this name is kept.
        most: bytes that the kept ones may have together.
        parts: names and contents, in order, as far as they are whole.
        dropped: how many parts were not wanted.
    """

    boundary: bytes
    wanted: Callable[[str], bool]
    most: int
    parts: list[tuple[str, bytes]] = field(default_factory=list)
    dropped: int = 0
    _mark: bytes = b""
    _state: _State = _State.BEFORE
    _buffer: bytearray = field(default_factory=bytearray)
    _name: str | None = None
    _content: bytearray = field(default_factory=bytearray)
    held: int = 0
    """Bytes of the kept parts so far."""

    def __post_init__(self) -> None:
        self._mark = b"\r\n--" + self.boundary
        # The first boundary has no line before it; with one in front it looks like all others.
        self._buffer += b"\r\n"

    def feed(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            InputError: if it is no form, or keeps more than ``most`` bytes.
        """
        self._buffer += piece
        at = 0
        while (following := self._step(at)) is not None:
            at = following
        del self._buffer[:at]
        if self._state is _State.AFTER:  # what follows the end is nothing (RFC 2046, section 5.1.1)
            self._buffer.clear()

    def close(self) -> list[tuple[str, bytes]]:
        """The parts, after the last piece.

        Raises:
            InputError: if its end is missing.
        """
        if self._state is not _State.AFTER:
            raise InputError("it is cut short: its last boundary is missing")
        return self.parts

    def _step(self, at: int) -> int | None:
        """Go on from a place in the buffer; the place behind what was read, ``None`` to wait for more."""
        match self._state:
            case _State.HEAD:
                return self._head(at)
            case _State.AFTER:
                return None
            case _State.BEFORE | _State.CONTENT:
                return self._until_mark(at)

    def _until_mark(self, at: int) -> int | None:
        buffer, mark = self._buffer, self._mark
        found = buffer.find(mark, at)
        if found < 0:
            # All but what may be the beginning of a mark is content.
            safe = max(at, len(buffer) - len(mark) + 1)
            self._take(at, safe)
            return safe if safe > at else None
        after = found + len(mark)
        behind = bytes(buffer[after : after + len(_END)])
        if behind == _END:
            self._take(at, found)
            self._finish()
            self._state = _State.AFTER
            return len(buffer)
        line = buffer.find(b"\r\n", after, after + _MOST_PADDING)
        if line < 0 and len(buffer) < after + _MOST_PADDING:  # its line has not come to its end
            self._take(at, found)
            return found if found > at else None
        if line < 0 or bytes(buffer[after:line]).strip(b" \t"):  # content that begins as a boundary does
            self._take(at, after)
            return after
        self._take(at, found)
        self._finish()
        self._state = _State.HEAD
        return line + 2

    def _head(self, at: int) -> int | None:
        end = self._buffer.find(b"\r\n\r\n", at)
        if end < 0 or end - at > _MOST_HEAD:
            if len(self._buffer) - at > _MOST_HEAD:
                raise InputError("a part of it has headers that are too long")
            return None
        name = self._named(bytes(self._buffer[at:end]))
        self._name = name if self.wanted(name) else None
        if self._name is None:
            self.dropped += 1
        if len(self.parts) + self.dropped >= _MOST_PARTS:
            raise InputError(f"it has more than {_MOST_PARTS} parts")
        self._state = _State.CONTENT
        # The empty line's end may be the beginning of the next boundary, where a part is empty.
        return end + 2

    def _named(self, head: bytes) -> str:
        for line in head.split(b"\r\n"):
            title, _, value = line.partition(b":")
            if title.strip().lower() == b"content-disposition":
                found = _NAME.search(value)
                if found is not None:
                    return (found[1] if found[1] is not None else found[2]).decode("utf-8", "replace")
        raise InputError("a part of it has no name")

    def _take(self, start: int, end: int) -> None:
        if self._state is not _State.CONTENT or self._name is None or end <= start:
            return
        self.held += end - start
        if self.held > self.most:
            raise InputError(f"it has more than {self.most} bytes beside attachments")
        self._content += self._buffer[start:end]

    def _finish(self) -> None:
        if self._state is _State.CONTENT and self._name is not None:
            # Behind the head's own line break, which was left for the mark to be found.
            self.parts.append((self._name, bytes(self._content[2:])))
        self._content = bytearray()
        self._name = None
