"""Rows of a CSV file as lines of JSON, in bounded memory; every row comes out exactly once (RFC 4180)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Final

import msgspec

from inchworm.capture.files.cells import columns, members
from inchworm.capture.lines import LIMIT_BYTES, Line, Rejected, Stream, excerpt, unpacked
from inchworm.capture.lines import DamagedError as Damaged
from inchworm.domain.errors import InputError

_DELIMITERS: Final = ",;\t|"
_encode = msgspec.json.Encoder().encode


def csv_lines(stream: Stream, *, limit: int = LIMIT_BYTES) -> Iterator[Line | Rejected]:
    """The rows below the head, each as a line of JSON; the head is row 1, as tables are counted.

    Args:
        stream: the file, plain or gzipped, UTF-8. Between cells stands what stands most often in the head: a
            comma, a semicolon, a tab or a bar.
        limit: longest row, in bytes.

    Raises:
        InputError: if it has no head, or two columns of one name.
    """
    csv.field_size_limit(limit)
    text = io.TextIOWrapper(
        io.BufferedReader(_Raw(stream)), encoding="utf-8-sig", errors="surrogateescape", newline=""
    )
    number = 1
    try:
        head = text.readline(limit)
        if not head.strip():
            raise InputError("it has no head: the first row names the columns")
        delimiter = max(_DELIMITERS, key=head.count)
        rows = csv.reader(_physical(head, text, limit), delimiter=delimiter, strict=False)
        names = next(rows)
        paths = columns(names)
        while True:
            number += 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield Rejected(line=number, reason=f"the row cannot be read: {error}", excerpt="")
                continue
            yield _line(number, paths, cells)
    except Damaged as error:
        yield Rejected(line=number, reason=f"nothing can be read from here on: {error}", excerpt="")


def _line(number: int, paths: list[tuple[str, ...]], cells: list[str]) -> Line | Rejected:
    if not any(cells):
        return Line(number=number, data=b"")
    if len(cells) != len(paths):
        begun = excerpt(",".join(cells).encode("utf-8", "surrogateescape"))
        reason = f"the row has {len(cells)} cells, and the head has {len(paths)}"
        return Rejected(line=number, reason=reason, excerpt=begun)
    try:
        return Line(number=number, data=_encode(members(paths, cells, texts=True)))
    except UnicodeEncodeError:
        begun = excerpt(",".join(cells).encode("utf-8", "surrogateescape"))
        return Rejected(line=number, reason="this is no UTF-8", excerpt=begun)
    except InputError as error:
        return Rejected(line=number, reason=error.message, excerpt="")


def _physical(head: str, text: io.TextIOWrapper, limit: int) -> Iterator[str]:
    """Lines as they stand in the file; no more of one is held than the limit."""
    yield head
    while line := text.readline(limit):
        yield line


class _Raw(io.RawIOBase):
    """What a stream unpacks to, as a file that can be read from."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._chunks = unpacked(stream)
        self._held = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """Fill a buffer; none at the end."""
        room = memoryview(buffer)  # type: ignore[arg-type]  # whatever io hands in is one
        if not self._held:
            self._held = next(self._chunks, b"")
        part, self._held = self._held[: len(room)], self._held[len(room) :]
        room[: len(part)] = part
        return len(part)
