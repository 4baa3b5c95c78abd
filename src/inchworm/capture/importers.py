"""Files of records to traces. Every line is accounted for: imported, refused with a reason, or blank."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from inchworm.capture.dialects import DIALECTS, Refused, parse
from inchworm.capture.fields import Parsed, Place, UnitFrom
from inchworm.capture.lines import LIMIT_BYTES, Line, Rejected, Source, excerpt, read_lines
from inchworm.capture.values import NO_JSON, decode
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.trace import Trace

STEP_S = 0.001
"""Seconds from one line to the next where records say no time: enough to keep their order."""
_DIGEST = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What became of the lines so far: ``lines == accepted + rejected + blank``.

    Attributes:
        lines: lines read; what could not be read of a damaged file counts as one.
        accepted: became traces.
        rejected: were refused.
        blank: held nothing.
        without_content: accepted, but not saying what was asked.
        without_time: accepted, but not saying when; their time is made up.
        derived_units: accepted, but naming no session and no user.
        unit_from: accepted traces by where their unit comes from.
        by_dialect: accepted traces by the dialect that read them.
    """

    lines: int
    accepted: int
    rejected: int
    blank: int
    without_content: int
    without_time: int
    derived_units: int
    unit_from: Mapping[UnitFrom, int]
    by_dialect: Mapping[str, int]


class Reading(Iterator[Trace | Rejected]):
    """An import under way: iterate it, and ask for its :attr:`tally` at any time."""

    def __init__(
        self,
        source: Source,
        *,
        app: AppRef,
        default_at: float,
        dialect: str | None = None,
        limit: int = LIMIT_BYTES,
    ) -> None:
        if dialect is not None and dialect not in DIALECTS:
            raise InputError(f'there is no dialect "{dialect}"', hint=f"known are: {', '.join(DIALECTS)}")
        self._app = app
        self._default_at = default_at
        self._dialect = dialect
        self._lines = read_lines(source, limit=limit)
        self._read = self._rejected = self._blank = self._without_content = self._without_time = 0
        self._unit_from: Counter[UnitFrom] = Counter()
        self._by_dialect: Counter[str] = Counter()

    def __iter__(self) -> Self:
        """Itself: it can be read once."""
        return self

    def __next__(self) -> Trace | Rejected:
        """The next trace or refusal; blank lines are only counted.

        Raises:
            InputError: if the source cannot be opened.
        """
        for line in self._lines:
            became = self.take(line)
            if became is not None:
                return became.trace if isinstance(became, Parsed) else became
        raise StopIteration

    def take(self, line: Line | Rejected) -> Parsed | Rejected | None:
        """What a line becomes, counted; ``None`` for a blank one."""
        self._read += 1
        if isinstance(line, Line) and not line.data:
            self._blank += 1
            return None
        became = self._became(line) if isinstance(line, Line) else line
        if isinstance(became, Rejected):
            self._rejected += 1
            return became
        self._count(became)
        return became

    @property
    def tally(self) -> Tally:
        """What became of the lines so far."""
        return Tally(
            lines=self._read,
            accepted=self._by_dialect.total(),
            rejected=self._rejected,
            blank=self._blank,
            without_content=self._without_content,
            without_time=self._without_time,
            derived_units=sum(number for origin, number in self._unit_from.items() if origin.derived),
            unit_from=dict(self._unit_from),
            by_dialect=dict(self._by_dialect),
        )

    def _became(self, line: Line) -> Parsed | Rejected:
        try:
            record = decode(line.data)
        except InputError as error:
            half = not line.terminated and error.message.startswith(NO_JSON)
            reason = f"half-written, the file ends within this line: {error}" if half else error.message
            return Rejected(line=line.number, reason=reason, excerpt=excerpt(line.data))
        place = Place(app=self._app, id=_id(line), at=self._default_at + (line.number - 1) * STEP_S)
        result = parse(record.members, place, dialect=self._dialect)
        if isinstance(result, Parsed) and record.wide_integers:
            result = _comparable(result)
        if isinstance(result, Refused):
            return Rejected(line=line.number, reason=result.reason, excerpt=excerpt(line.data))
        return result

    def _count(self, parsed: Parsed) -> None:
        self._by_dialect[parsed.dialect] += 1
        self._unit_from[parsed.unit_from] += 1
        self._without_content += not parsed.trace.has_content
        self._without_time += not parsed.timed


def read(
    source: Source, *, app: AppRef, default_at: float, dialect: str | None = None, limit: int = LIMIT_BYTES
) -> Reading:
    """Import a JSONL file: an iterator of traces and refused lines that also keeps a tally.

    Args:
        source: a path or a binary stream, plain or gzipped.
        app: where the traces happened.
        default_at: time of the first line if it says none, seconds since the epoch; each later line is
            :data:`STEP_S` later.
        dialect: a name in :data:`~inchworm.capture.dialects.DIALECTS`; otherwise each line is recognised.
        limit: longest line that is read, in bytes.

    Raises:
        InputError: if there is no such dialect; when iterated, if the source cannot be opened.
    """
    return Reading(source, app=app, default_at=default_at, dialect=dialect, limit=limit)


def _id(line: Line) -> TraceId:
    """From content and place, so that a file imported twice, or grown in between, gives the same ids."""
    digest = hashlib.sha256(b"%d\n" % line.number + line.data).hexdigest()
    return TraceId(f"line-{digest[:_DIGEST]}")


def _comparable(parsed: Parsed) -> Parsed | Refused:
    """Refuse inputs without a canonical form: a case made of them could not be told from others."""
    for name, value in (("inputs", parsed.trace.inputs), ("reference", parsed.trace.reference)):
        try:
            canonical(value)
        except ValueError as error:
            return Refused(reason=f"{name}: {error}; write it as a text")
    return parsed
