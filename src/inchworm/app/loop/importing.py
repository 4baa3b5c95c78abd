"""Files of interactions, read in: every line accounted for, and the file remembered.

After each batch it is kept how far a file is, so that an import that was ended, however, goes on from there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from inchworm.app.house import House
from inchworm.app.loop.intake import BATCH, Drain
from inchworm.app.loop.resuming import Point, Resuming
from inchworm.app.loop.taking import SHOWN, Refusals, Sums, Taking
from inchworm.capture.files import Entry, FileReading, Form, Head, form_of
from inchworm.capture.importers import Tally
from inchworm.capture.lines import Rejected, Stream
from inchworm.domain.errors import InputError
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace
from inchworm.domain.wording import counted
from inchworm.store.control import ImportRecord

__all__ = ["SHOWN", "Stood", "known", "take"]

_FROM_TALLY: Final = (
    *("lines", "accepted", "rejected", "blank"),
    *("without_content", "without_time", "derived_units"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stood:
    """How far an import is.

    Attributes:
        line: the last one that was read.
        stored: the last one of a batch that is stored; an import that ends here goes on after it.
        lines: read in all.
        new: stored and not known before.
        duplicate: known already.
        refused: could not be read, or not be stored.
        taken: bytes of the file that were read, packed as they are; ``None`` where it is sought in.
    """

    line: int
    stored: int
    lines: int
    new: int
    duplicate: int
    refused: int
    taken: int | None


Watch = Callable[[Stood], None]


class _Hashing:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size) or b""
        self.hash.update(data)
        return data


def known(house: House, name: str, digest: str) -> dict[str, Any] | None:
    """What is told of a file with this SHA-256 that was read in before; ``None`` if it was not."""
    before = house.control.import_seen(house.app, digest)
    if before is None:
        return None
    return {"file": name, "known": True, "at": before.at, "form": None, "resumed": 0, **Sums().told()}


def take(
    house: House,
    drain: Drain,
    stream: Stream,
    name: str,
    *,
    form: Form | None = None,
    media: str = "",
    dialect: str | None = None,
    digest: str | None = None,
    anew: bool = False,
    watch: Watch | None = None,
    refusals: Refusals | None = None,
) -> dict[str, Any]:
    """Read a file in, sanitized and scored; what became of its lines, as JSON.

    Args:
        house: where it goes.
        drain: of that house.
        stream: the file, plain or gzipped; one of Parquet is a file that can be sought in.
        name: what it is called, for the ledger, and to tell its form.
        form: how it is written; told by its name and its beginning if left out.
        media: its media type, where somebody says one.
        dialect: how its lines are written; recognised line by line if left out.
        digest: SHA-256 of the file, where it is known beforehand: only then can the import be resumed.
        anew: begin at the beginning, although it was begun before.
        watch: told how far it is.
        refusals: told of each line that is not stored.

    Raises:
        InputError: if the file is not of its form, or the dialect is unknown.
    """
    resuming = Resuming(house, digest)
    point = resuming.begin(anew=anew)
    head, form = _begun(stream, name, form, media)
    hashing = None if digest is not None or form is Form.PARQUET else _Hashing(head)
    start = int(point.place.get("line", 0))
    reading = FileReading(
        stream if form is Form.PARQUET else hashing or head,
        app=house.app,
        form=form,
        default_at=point.at,
        dialect=dialect,
        start=start,
    )
    taking = Taking(house, drain, Sums.of(point.counts), refusals=refusals)
    counting = _Counting(taking.sums, reading)
    stored = line = start

    def told() -> None:
        if watch is not None:
            taken = None if form is Form.PARQUET else head.taken
            watch(counting.stood(line=line, stored=stored, taken=taken))

    for batch in _batches(reading):
        line = batch[-1].number
        told()
        _take(taking, batch)
        stored = line
        counting.count()
        drain.finish(at_once=False)
        resuming.keep(replace(point, place={"line": stored}, counts=taking.sums.plain()))
        told()
    counting.count()
    drain.finish()
    digest = digest or (hashing.hash.hexdigest() if hashing is not None else _digest(stream))
    _remember(house, digest, name, taking.sums, point)
    resuming.done()
    return {
        "file": name,
        "known": False,
        "at": point.at,
        "form": form.value,
        "resumed": start,
        **taking.sums.told(),
    }


def _begun(stream: Stream, name: str, form: Form | None, media: str) -> tuple[Head, Form]:
    head = Head(stream)
    form = form or form_of(name, head.peek(), media)
    if form is Form.PARQUET and not hasattr(stream, "seek"):
        raise InputError("a Parquet file is read from a file, and not from a stream")
    return head, form


class _Counting:
    """Adds what a reading tells to what was counted before."""

    def __init__(self, sums: Sums, reading: FileReading) -> None:
        self._sums, self._reading = sums, reading
        self._before = reading.tally

    def count(self) -> None:
        """Note what was read since it was last noted."""
        now = self._reading.tally
        for name in _FROM_TALLY:
            self._sums.counts[name] += _of(now, name) - _of(self._before, name)
        self._before = now

    def stood(self, *, line: int, stored: int, taken: int | None) -> Stood:
        """How far it is."""
        counts, now = self._sums.counts, self._reading.tally
        return Stood(
            line=line,
            stored=stored,
            lines=counts["lines"] + now.lines - self._before.lines,
            new=counts["new"],
            duplicate=counts["duplicate"],
            refused=counts["rejected"] + self._sums.refused.total(),
            taken=taken,
        )


def _of(tally: Tally, name: str) -> int:
    return int(getattr(tally, name))


def _batches(reading: FileReading) -> Iterator[list[Entry]]:
    """Entries that hold about as much as is stored at once."""
    batch: list[Entry] = []
    size = 0
    for entry in reading:
        batch.append(entry)
        size += max(len(entry.found), 1)
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _take(taking: Taking, batch: list[Entry]) -> None:
    """Store a batch: interactions, then spans, then why the rest is not stored."""
    traces = [(entry.number, one) for entry in batch for one in entry.found if isinstance(one, Trace)]
    spans = [(entry.number, one) for entry in batch for one in entry.found if isinstance(one, Span)]
    refused, lines = taking.traces(traces), {number for number, _ in traces}
    # The spans of a line that tells its interaction itself stand beside it, if it is stored.
    taking.steps([(number, span) for number, span in spans if number in lines - refused])
    taking.spans([(number, span) for number, span in spans if number not in lines])
    for entry in batch:
        whole = len(entry.found) == 1
        for one in entry.found:
            if isinstance(one, Rejected):
                taking.rejected(one, of_span=not whole)


def _digest(stream: Stream) -> str:
    """The SHA-256 of a file that can be sought in."""
    digest = hashlib.sha256()
    seek = getattr(stream, "seek", None)
    if seek is not None:
        seek(0)
    while data := stream.read(1 << 20):
        digest.update(data)
    return digest.hexdigest()


def _remember(house: House, digest: str, name: str, sums: Sums, point: Point) -> None:
    # a file of which nothing was accepted is no import: mended, or read by another dialect, it may come again
    if not sums.counts["accepted"]:
        return
    kept = ("lines", "accepted", "rejected", "new", "duplicate")
    counts = {one: sums.counts[one] for one in kept} | {"refused": sums.refused.total()}
    now = house.now()
    house.control.put_import(
        ImportRecord(app=house.app, digest=digest, file=name, counts=counts, at=point.at)
    )
    if counts["new"]:
        shown = "".join(char if char.isprintable() else "�" for char in name)
        what = f"{counted(counts['new'], 'interaction')} imported from {shown}."
        data = {"digest": digest, "counts": counts}
        house.control.append_ledger(
            LedgerEntry(app=house.app, at=now, kind="import", actor=house.actor, what=what, data=data)
        )
