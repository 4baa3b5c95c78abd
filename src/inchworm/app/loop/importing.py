"""Files of interactions, read in: every line accounted for, and the file remembered."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from inchworm.app.house import House
from inchworm.app.loop.intake import Drain
from inchworm.capture import Reading, Rejected, read
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.trace import Trace
from inchworm.domain.wording import counted
from inchworm.sanitize import Sanitizer, UnsanitizableError
from inchworm.store.control import ImportRecord

SHOWN = 10
"""Rejected lines whose reasons are told."""


class Stream(Protocol):
    """Where bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class _Hashing:
    """A stream that is hashed as it is read."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.hash = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self.hash.update(data)
        return data


def known(house: House, name: str, digest: str) -> dict[str, Any] | None:
    """What is told of a file with this SHA-256 that was read in before; ``None`` if it was not."""
    before = house.control.import_seen(house.app, digest)
    if before is None:
        return None
    counts = dict.fromkeys(
        "lines accepted rejected new duplicate sanitized without_content without_time derived_units".split(),
        0,
    )
    empty: dict[str, Any] = {"refused": {}, "found": {}, "first_rejected": []}
    return {"file": name, "known": True, "at": before.at, **counts, **empty}


def take(
    house: House,
    drain: Drain,
    stream: Stream,
    name: str,
    *,
    dialect: str | None = None,
    watch: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Read a file in, sanitized and scored; what became of its lines, as JSON.

    Args:
        house: where it goes.
        drain: of that house.
        stream: the file, JSONL, plain or gzipped.
        name: what it is called, for the ledger.
        dialect: how its lines are written; recognised line by line if left out.
        watch: told how many lines were read so far.

    Raises:
        InputError: if it is not gzip although it begins so, or the dialect is unknown.
    """
    now = house.now()
    hashing = _Hashing(stream)
    reading = read(hashing, app=house.app, default_at=now, dialect=dialect)
    rejected: list[Rejected] = []
    intake = drain.take(_accepted(reading, rejected, watch))
    drain.finish()
    tally = reading.tally
    counts = {
        "lines": tally.lines,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "new": intake.new,
        "duplicate": intake.duplicate,
        "refused": intake.refused.total(),
    }
    _remember(house, hashing.hash.hexdigest(), name, counts, now)
    return {
        "file": name,
        "known": False,
        "at": now,
        **counts,
        "refused": dict(intake.refused.most_common()),
        "sanitized": intake.sanitized,
        "found": dict(intake.report.by_kind.most_common()),
        "without_content": tally.without_content,
        "without_time": tally.without_time,
        "derived_units": tally.derived_units,
        "first_rejected": _reasons(house, rejected),
    }


def _accepted(
    reading: Reading, rejected: list[Rejected], watch: Callable[[int], None] | None
) -> Iterator[Trace]:
    for item in reading:
        if watch is not None:
            watch(reading.tally.lines)
        if not isinstance(item, Rejected):
            yield item
        elif len(rejected) < SHOWN:
            rejected.append(item)


def _reasons(house: House, rejected: Sequence[Rejected]) -> list[dict[str, Any]]:
    """Why lines were rejected. Reasons may quote a name or a short value, so they are sanitized too."""
    sanitizer = Sanitizer(kinds=house.spec.sanitize.kinds, custom=house.spec.sanitize.custom)
    reasons: list[dict[str, Any]] = []
    for one in rejected:
        try:
            reason = _printable(sanitizer.unit().text(one.reason).text)
        except UnsanitizableError as error:
            reason = f"it cannot be shown: {error.message}"
        reasons.append({"line": one.line, "reason": reason})
    return reasons


def _remember(house: House, digest: str, name: str, counts: dict[str, int], at: float) -> None:
    # a file of which nothing was accepted is no import: mended, or read by another dialect, it may come again
    if not counts["accepted"]:
        return
    house.control.put_import(ImportRecord(app=house.app, digest=digest, file=name, counts=counts, at=at))
    if counts["new"]:
        what = f"{counted(counts['new'], 'interaction')} imported from {_printable(name)}."
        data = {"digest": digest, "counts": counts}
        house.control.append_ledger(
            LedgerEntry(app=house.app, at=at, kind="import", actor=house.actor, what=what, data=data)
        )


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in text)
