"""Lines of a JSONL file, plain or gzipped, in bounded memory; every line comes out exactly once.

The file is read in chunks. No more of a line is held than the limit allows: what is longer is read past and
refused, and the lines after it are read as if it were not there.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from inchworm.domain.errors import InputError

LIMIT_BYTES = 32 * 2**20
"""Longest line that is read, unless the caller says otherwise: 32 MiB."""
CHUNK_BYTES = 2**18
"""What is asked of a stream at once, and what a decompressor may hand back at once."""
EXCERPT_CHARACTERS = 80
_PACKED_BYTES = 2**14  # of a gzip stream at once: what a damaged spot can take with it
_GZIP_MAGIC = b"\x1f\x8b"
_GZIP = zlib.MAX_WBITS | 16  # zlib's manual, inflateInit2: 16 asks for the gzip format (RFC 1952)
_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class Stream(Protocol):
    """Anything binary that can be read from: an open file, ``sys.stdin.buffer``, a socket's file."""

    def read(self, size: int, /) -> bytes | None:
        """Up to ``size`` bytes; none at the end."""
        ...


Source = str | os.PathLike[str] | Stream
"""A file by its path, or a binary stream. A stream is left open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the source.

    Attributes:
        number: counted from 1.
        data: valid UTF-8 without byte order mark and line end; empty if the line is blank.
        terminated: whether a line end was read; only the last line may lack it.
    """

    number: int
    data: bytes
    terminated: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A line that was not imported. For people to read: it quotes raw data, so it belongs in no store.

    Attributes:
        line: counted from 1.
        reason: what is wrong, in words, naming the field.
        excerpt: the line's beginning, printable, at most 80 characters.
    """

    line: int
    reason: str
    excerpt: str = field(repr=False)

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}"


class DamagedError(Exception):
    """The source cannot be read further."""


def read_lines(source: Source, *, limit: int = LIMIT_BYTES) -> Iterator[Line | Rejected]:
    """The lines of a JSONL file; gzip is recognised by its first bytes, whatever the file is called.

    Lines end with LF or CRLF; a byte order mark is skipped; a blank line is a :class:`Line` without data.
    Refused are lines longer than ``limit`` bytes and lines that are no UTF-8. If the source cannot be read to
    its end, what could be read comes first, and one :class:`Rejected` stands for the rest.

    Args:
        source: a path or a binary stream.
        limit: longest line, in bytes, that is read.

    Raises:
        InputError: if the file cannot be opened, or the stream hands out text instead of bytes.
    """
    if isinstance(source, str | os.PathLike):
        try:
            stream = Path(source).open("rb")  # noqa: SIM115  # closed below; only opening may raise this error
        except (OSError, ValueError) as error:
            raise InputError(
                f"{os.fspath(source)!r} cannot be opened: {error}", hint="check the path and its permissions"
            ) from error
        with stream:
            yield from _numbered(stream, limit)
    else:
        yield from _numbered(source, limit)


def unpacked(stream: Stream) -> Iterator[bytes]:
    """What a stream holds, in chunks; unpacked, if it begins as gzip does.

    Raises:
        DamagedError: if it cannot be read further.
        InputError: if it hands out text instead of bytes.
    """
    return _unpacked(_chunks(stream))


def excerpt(data: bytes) -> str:
    """The beginning of a line, safe to show on a terminal: what does not print is shown as U+FFFD."""
    text = data[: 4 * EXCERPT_CHARACTERS].decode("utf-8", "replace")[:EXCERPT_CHARACTERS]
    return text if text.isprintable() else "".join(c if c.isprintable() else "\ufffd" for c in text)


def _numbered(stream: Stream, limit: int) -> Iterator[Line | Rejected]:
    number = 0
    try:
        for number, piece in enumerate(_pieces(_unpacked(_chunks(stream)), limit), start=1):
            data, length, terminated = piece
            if length > limit:
                reason = f"the line is {length:,} bytes long, and at most {limit:,} are read"
                yield Rejected(line=number, reason=reason, excerpt=excerpt(data))
            elif not data.isascii() and (problem := _utf8_problem(number, data, terminated=terminated)):
                yield Rejected(line=number, reason=problem, excerpt=excerpt(data))
            else:
                if number == 1:
                    data = data.removeprefix(_BOM)
                if data.isspace():
                    data = b""
                yield Line(number=number, data=data.removesuffix(b"\r"), terminated=terminated)
    except DamagedError as error:
        reason = f"nothing can be read from here on: {error}"
        yield Rejected(line=number + 1, reason=reason, excerpt="")


def _utf8_problem(number: int, data: bytes, *, terminated: bool) -> str | None:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if not terminated and error.reason == "unexpected end of data":
            return "half-written: the file ends within a character of this line"
        if number == 1 and data.startswith(_UTF_16):
            return "this is no UTF-8 (byte 0 of the line); the file looks like UTF-16: convert it first"
        return f"this is no UTF-8: byte {error.start} of the line is 0x{data[error.start]:02x}"
    return None


def _pieces(chunks: Iterator[bytes], limit: int) -> Iterator[tuple[bytes, int, bool]]:
    """Each line as its bytes (if it is too long, its beginning), its length and whether it was terminated."""
    held: list[bytes] = []
    length = 0
    damage: DamagedError | None = None

    def finish(end: bytes) -> tuple[bytes, int]:
        nonlocal held, length
        whole = length + len(end)
        line = b"".join([*held, end]) if whole <= limit else _start(held, end)
        held, length = [], 0
        return line, whole

    try:
        for chunk in chunks:
            *ends, rest = chunk.split(b"\n")
            for end in ends:
                if length or len(end) > limit:
                    yield (*finish(end), True)
                else:
                    yield end, len(end), True
            if length + len(rest) > limit:
                held = [_start(held, rest)]  # from here on it is only counted
            elif rest:
                held.append(rest)
            length += len(rest)
    except DamagedError as error:
        damage = error
    if length:
        yield (*finish(b""), False)
    if damage is not None:
        raise damage


def _start(held: list[bytes], then: bytes) -> bytes:
    """As much of a line as an excerpt needs."""
    start = b""
    for piece in (*held, then):
        start += piece[: 4 * EXCERPT_CHARACTERS - len(start)]
    return start


def _chunks(stream: Stream) -> Iterator[bytes]:
    # read1 hands over what a pipe has; read would wait until the chunk is full.
    read = getattr(stream, "read1", stream.read)
    while True:
        try:
            chunk = read(CHUNK_BYTES)
        except (
            OSError,
            ValueError,
        ) as error:  # ValueError: the stream is closed, or is text that does not decode
            raise DamagedError(str(error)) from error
        if isinstance(chunk, str):
            raise InputError(
                "lines are read from bytes", hint="hand in a binary stream, e.g. sys.stdin.buffer"
            )
        if chunk is None:
            raise InputError(
                "the stream has nothing to read yet", hint="hand in a stream that waits for data"
            )
        if not chunk:
            return
        yield chunk


def _unpacked(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks themselves or, if they begin as gzip does, what they unpack to."""
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= len(_GZIP_MAGIC):
            break
    if head.startswith(_GZIP_MAGIC):
        yield from _inflated(head, chunks)
    else:
        if head:
            yield head
        yield from chunks


def _inflated(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip members one after the other (RFC 1952, section 2.2); zeros may follow the last one."""
    member = zlib.decompressobj(_GZIP)
    for packed in _packed(head, chunks):
        data = packed
        while data:
            if member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                member = zlib.decompressobj(_GZIP)
            try:
                # Bounded, so that a small file which unpacks to a huge one does not fill the memory.
                unpacked = member.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise DamagedError(f"the gzip stream is damaged ({error})") from error
            if unpacked:
                yield unpacked
            data = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise DamagedError("the gzip stream ends too early, so the file is not whole")


def _packed(head: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield from (head[start : start + _PACKED_BYTES] for start in range(0, len(head), _PACKED_BYTES))
    for chunk in chunks:
        yield from (chunk[start : start + _PACKED_BYTES] for start in range(0, len(chunk), _PACKED_BYTES))
