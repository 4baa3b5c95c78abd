"""A file under way: what each of its lines or rows becomes, and where it stands."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, Self, cast

from inchworm.capture.fields import Parsed
from inchworm.capture.files.csv_rows import csv_lines
from inchworm.capture.files.forms import Form, telemetry_of
from inchworm.capture.importers import Reading, Tally
from inchworm.capture.lines import Line, Rejected, Stream, excerpt, read_lines
from inchworm.capture.records import Exported
from inchworm.capture.telemetry import Refused, check_clock, read_each
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a line or row became.

    Attributes:
        number: of the line, counted from 1.
        found: a trace, or the spans of a line of telemetry; what was refused of it; nothing if it is blank.
    """

    number: int
    found: tuple[Trace | Span | Rejected, ...]


class FileReading(Iterator[Entry]):
    """A file that is read: iterate it, and ask for its :attr:`tally` at any time.

    Args:
        stream: the file. Parquet is sought in; the others are read as they come, plain or gzipped.
        app: where it happened.
        form: how it is written.
        default_at: as in :func:`inchworm.capture.importers.read`.
        dialect: the same, for lines and rows that are no telemetry.
        start: lines that were dealt with before, and are passed over.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        app: AppRef,
        form: Form,
        default_at: float,
        dialect: str | None = None,
        start: int = 0,
    ) -> None:
        self._app, self._form, self._at, self._start = app, form, default_at, start
        self._lines = lines_of(stream, form, start=start)
        self._reading = Reading(io.BytesIO(), app=app, default_at=default_at, dialect=dialect)
        self._told = self._untold = 0
        self.spans = 0
        """Spans in lines of telemetry."""

    def __iter__(self) -> Self:
        """Itself: it can be read once."""
        return self

    def __next__(self) -> Entry:
        """What the next line became.

        Raises:
            InputError: if the file cannot be opened, or is not of its form.
        """
        for line in self._lines:
            number = line.number if isinstance(line, Line) else line.line
            if number <= self._start:
                continue
            dialect = self._dialect(line)
            if isinstance(line, Line) and dialect is not None:
                return Entry(number=number, found=self._spans(line, dialect))
            became = self._reading.take(line)
            if isinstance(became, Parsed):
                self.spans += len(became.spans)
                return Entry(number=number, found=(became.trace, *became.spans))
            return Entry(number=number, found=() if became is None else (became,))
        raise StopIteration

    @property
    def tally(self) -> Tally:
        """What became of the lines so far; a line of telemetry is accepted if a span of it could be read."""
        plain = self._reading.tally
        return replace(
            plain,
            lines=plain.lines + self._told + self._untold,
            accepted=plain.accepted + self._told,
            rejected=plain.rejected + self._untold,
        )

    def _dialect(self, line: Line | Rejected) -> str | None:
        if not isinstance(line, Line) or not line.data:
            return None
        match self._form:
            case Form.OTLP_JSON | Form.LANGFUSE:
                return self._form.value
            case Form.JSONL:
                return telemetry_of(line.data)
            case _:
                return None

    def _spans(self, line: Line, dialect: str) -> tuple[Span | Rejected, ...]:
        exported = Exported(app=str(self._app), dialect=dialect, body=line.data, at=self._at)
        found = tuple(self._one(line.number, one) for one in read_each(exported, self._taken))
        if not found:
            found = (Rejected(line=line.number, reason="it holds no spans", excerpt=excerpt(line.data)),)
        spans = sum(isinstance(one, Span) for one in found)
        self.spans += spans
        if spans:
            self._told += 1
        else:
            self._untold += 1
        return found

    def _taken(self, span: Span) -> Span:
        """The span, if it can be one of this import's."""
        if span.app != self._app:
            raise InputError(f"it is of {span.app}, and this is {self._app}")
        check_clock(span, self._at)
        return span

    def _one(self, number: int, one: Span | Refused) -> Span | Rejected:
        if isinstance(one, Refused):
            return Rejected(line=number, reason=one.reason, excerpt=excerpt(one.body))
        return one


def lines_of(stream: Stream, form: Form, *, start: int = 0) -> Iterator[Line | Rejected]:
    """A file as lines of JSON, whatever its form.

    Args:
        stream: the file.
        form: how it is written.
        start: rows that need not come out again, where that saves work.

    Raises:
        InputError: if it is not of its form.
    """
    match form:
        case Form.CSV:
            return csv_lines(stream)
        case Form.PARQUET:
            if not hasattr(stream, "seek"):
                raise InputError("a Parquet file is read from a file, and not from a stream")
            from inchworm.capture.files.parquet_rows import parquet_lines  # noqa: PLC0415  # slow to load, and rare

            return parquet_lines(cast("IO[bytes]", stream), start=start)
        case Form.JSONL | Form.OTLP_JSON | Form.LANGFUSE:
            return read_lines(stream)
