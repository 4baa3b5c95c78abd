"""The audit trail: append-only, a chain of hashes, and the rows that its entries pin.

An entry is hashed in the transaction that writes it. Writers take turns (``BEGIN IMMEDIATE``), so there is
one chain, whoever writes.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    cast,
    func,
    insert,
    select,
)

from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, StoreError
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.chain import BEGINNING, Walk, first, hash_of, line
from inchworm.store.control.database import Concern
from inchworm.store.control.records import (
    AuditBreak,
    AuditCheck,
    AuditEntry,
    AuditFilter,
    AuditHead,
    Pinned,
)

_SETS = tables.eval_sets.c
PINNED: Final[Mapping[str, tuple[ColumnElement[Any], tuple[Column[Any], ...]]]] = {
    table.name: (table.c[key], tuple(table.c[name] for name in names.split()))
    for table, key, names in (
        (tables.decisions, "id", "id rollout_id parent at data"),
        (tables.ledger, "number", "number app at data"),
        (tables.rollouts, "id", "number id app state generation plan_id step data"),
        (tables.lineages, "app", "app generation stable data"),
        (tables.serving, "app", "app generation data"),
        (tables.approvals, "number", "number rollout_id stage actor at reason"),
        (
            tables.api_keys,
            "id",
            "id digest name scope created_at created_by expires_at revoked_at",
        ),
        (tables.plans, "id", "number id app at data"),
        (tables.benchmarks, "id", "number id app at data"),
    )
} | {
    tables.eval_sets.name: (
        _SETS.app + " " + _SETS.name + "@" + cast(_SETS.version, Text),
        (_SETS.app, _SETS.name, _SETS.version, _SETS.at, _SETS.cases, _SETS.population, _SETS.data),
    )
}
"""Tables whose every row is pinned by an entry: their key, and the columns that the digest covers, in order.

Whoever writes a row of these names it to :func:`append_audit` in the same transaction. Of a row that changes,
the latest entry that names it counts. A column that is added to a table later is not added here: the digests
of before would not fit any more.
"""
_ALL = AuditFilter()
_BATCH = 1_000


class AuditStore(Concern):
    """Who did what, and whether that is still what was written."""

    def audit(self, app: AppRef, *, limit: int = 100) -> list[AuditEntry]:
        """Who did what, newest first, at most ``limit`` entries."""
        return self.audit_page(app, limit=limit)[0]

    def audit_page(
        self, app: AppRef, *, only: AuditFilter = _ALL, after: str | None = None, limit: int = 100
    ) -> tuple[list[AuditEntry], str | None]:
        """Who did what, newest first, page by page (see :meth:`LineageStore.ledger_page`).

        Raises:
            InputError: if ``after`` is no cursor.
        """
        table = tables.audit
        query = select(table).where(table.c.app == app_key(app))
        if only.actor is not None:
            query = query.where(table.c.actor == only.actor)
        if only.action is not None:
            inside = table.c.action.startswith(f"{only.action}.", autoescape=True)
            query = query.where((table.c.action == only.action) | inside)
        if only.subject is not None:
            query = query.where(table.c.subject == only.subject)
        if only.since is not None:
            query = query.where(table.c.at >= only.since)
        with self._db.read() as connection:
            rows, following = page(connection, query, table, after, limit)
        return [_entry(row) for row in rows], following

    def audit_counts(self, app: AppRef) -> dict[str, int]:
        """How many entries an app has of each action."""
        table = tables.audit
        query = select(table.c.action, func.count()).where(table.c.app == app_key(app))
        with self._db.read() as connection:
            found = connection.execute(query.group_by(table.c.action).order_by(table.c.action)).all()
        return {row[0]: row[1] for row in found}

    def audit_head(self) -> AuditHead:
        """The end of the chain."""
        with self._db.read() as connection:
            return _head(connection)

    def audit_lines(self) -> Iterator[dict[str, Any]]:
        """Every entry of the installation as JSON with the hash before it and its own, oldest first."""
        previous = BEGINNING
        with self._db.read() as connection:
            for entry in _entries(connection):
                yield {**line(entry, previous), "hash": entry["hash"]}
                previous = entry["hash"]

    def verify_audit(self, expect: str | None = None) -> AuditCheck:
        """Walk the chain from its beginning, and compare the rows that it pins with those that are there.

        Args:
            expect: a hash that was the head once and was kept elsewhere; without it entries that were cut
                off at the end, with all that they tell, are not missed.
        """
        walked, pins = Walk(expect), dict[tuple[str, str], tuple[int, str | None]]()
        with self._db.read() as connection:
            for entry in _entries(connection):
                walked.step(entry)
                for name, key, said in entry["pinned"]:
                    pins[name, key] = (entry["number"], said)
            walked.end()
            breaks = [*walked.breaks, *_cut_off(connection, walked.head), *_rows(connection, pins)]
        return AuditCheck(entries=walked.entries, head=walked.head, breaks=tuple(first(breaks)))


def append_audit(connection: Connection, entry: AuditEntry, *written: tuple[Table, str | int]) -> None:
    """Add one entry to the chain, in the caller's transaction and after what it tells of was written.

    Args:
        connection: of a transaction that writes, so that nobody else adds an entry meanwhile.
        entry: what is told.
        written: the rows that were written or removed: their table, one of :data:`PINNED`, and their key.
    """
    before = _head(connection)
    row: dict[str, Any] = {
        # The sequence, and not the last row: numbers of entries that somebody removed are not given again.
        "number": _sequence(connection) + 1,
        "app": app_key(entry.app),
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "because": entry.because,
        "pinned": [[table.name, str(key), _digest(connection, table.name, key)] for table, key in written],
    }
    chained = hash_of(row, before.hash)
    connection.execute(
        insert(tables.audit).values({**row, "pinned": codec.to_text(row["pinned"]), "hash": chained})
    )


def page(
    connection: Connection, query: Select[Any], table: Table, after: str | None, limit: int
) -> tuple[Sequence[Row[Any]], str | None]:
    """Rows of a table with ``at`` and ``number``, newest first, and the cursor of the next page if any.

    Raises:
        InputError: if ``after`` is no cursor.
    """
    if after is not None:
        at, number = _place(after)
        query = query.where((table.c.at < at) | ((table.c.at == at) & (table.c.number < number)))
    query = query.order_by(table.c.at.desc(), table.c.number.desc()).limit(limit + 1)
    rows = connection.execute(query).all()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], urlsafe_b64encode(json.dumps([last.at, last.number]).encode()).decode()


def _place(cursor: str) -> tuple[float, int]:
    try:
        at, number = json.loads(urlsafe_b64decode(cursor.encode()))
        return float(at), int(number)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError("this is no cursor of a page", hint="start at the first page") from error


def _head(connection: Connection) -> AuditHead:
    table = tables.audit
    query = select(table.c.number, table.c.hash).order_by(table.c.number.desc()).limit(1)
    last = connection.execute(query).one_or_none()
    return (
        AuditHead(number=0, hash=BEGINNING)
        if last is None
        else AuditHead(number=last.number, hash=last.hash or BEGINNING)
    )


def _sequence(connection: Connection) -> int:
    """The number that was given last; SQLite keeps it beside the table (sqlite.org/autoinc.html)."""
    found = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'audit'").scalar()
    return int(found or 0)


def _entries(connection: Connection) -> Iterator[dict[str, Any]]:
    """Every entry, oldest first, as what its hash covers."""
    query = select(tables.audit).order_by(tables.audit.c.number)
    for row in connection.execution_options(yield_per=_BATCH).execute(query):
        entry = dict(row._mapping)  # noqa: SLF001  # SQLAlchemy's name for it, and public
        entry["pinned"] = _pins(entry["pinned"])
        yield entry


def _pins(text: Any) -> list[Any]:
    """What is pinned; an entry of nothing that anybody would write if the text is not ours."""
    try:
        found = codec.from_text(text)
        if codec.to_text(found) == text and all(_is_pin(one) for one in found):
            return list(found)
    except (StoreError, TypeError, ValueError):
        pass
    return [["", "", None], ["", "", None]]


def _is_pin(one: Any) -> bool:
    return isinstance(one, list) and len(one) == 3 and isinstance(one[0], str) and isinstance(one[1], str)


def _cut_off(connection: Connection, head: AuditHead) -> list[AuditBreak]:
    given = _sequence(connection)
    if given == head.number:
        return []
    because = f"{given} numbers were given to entries, and the last one that is there is {head.number}"
    return [AuditBreak(number=None, because=because)]


def _rows(
    connection: Connection, pins: dict[tuple[str, str], tuple[int, str | None]]
) -> Iterator[AuditBreak]:
    """Rows that are not as the latest entry that names them says, or that no entry names."""
    left = {name: said for name, said in pins.items() if name[0] in PINNED}
    for name, (key, columns) in PINNED.items():
        query = select(key.label("pinned_key"), *columns)
        for row in connection.execution_options(yield_per=_BATCH).execute(query):
            which, *values = row
            said = left.pop((name, str(which)), None)
            if said is None:
                yield AuditBreak(number=None, because=f"row {which} of {name} is named by no entry")
            elif _safely(values) != said[1]:
                because = f"row {which} of {name} is not what entry {said[0]} says of it: it was changed"
                yield AuditBreak(number=said[0], because=because)
    for (name, which), (number, said_of_it) in left.items():
        if said_of_it is not None:
            because = f"row {which} of {name}, which entry {number} tells of, is gone"
            yield AuditBreak(number=number, because=because)


def _digest(connection: Connection, name: str, which: str | int) -> str | None:
    """Of a row as it is now; ``None`` if there is none."""
    key, columns = PINNED[name]
    row = connection.execute(select(*columns).where(key == which)).one_or_none()
    return None if row is None else digest(list(row))


def _safely(values: list[Any]) -> str | None:
    try:
        return digest(values)
    except ValueError:  # a value that nobody of ours writes
        return None


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        app=AppRef.parse(row.app),
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        because=row.because,
        number=row.number,
        pinned=tuple(Pinned(table=table, key=key, digest=said) for table, key, said in _pins(row.pinned)),
        hash=row.hash,
    )
