"""Work items with their leases, blobs and the record of imports."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, or_, select, true, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import WorkId
from inchworm.domain.work import WorkItem, WorkState
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.database import Concern, parts
from inchworm.store.control.records import ImportRecord


class WorkStore(Concern):
    """What is to be done, by whom it is being done, and what was read in."""

    def add_work(self, items: Sequence[WorkItem]) -> int:
        """Add items that are not there yet, told apart by id; how many were new."""
        with self._db.write() as connection:
            return insert_work(connection, items)

    def lease_work(
        self,
        kinds: Collection[str],
        *,
        owner: str,
        now: float,
        lease_s: float,
        limit: int = 1,
        app: AppRef | None = None,
    ) -> list[WorkItem]:
        """Take items to work on, oldest first: ready ones, and those whose lease ran out at ``now``.

        Args:
            kinds: only of these kinds.
            owner: who takes them; only this owner can finish them.
            now: seconds since the epoch.
            lease_s: seconds for which nobody else gets them.
            limit: how many at most.
            app: only of this app.
        """
        table = tables.work
        free = or_(
            table.c.state == WorkState.READY.value,
            (table.c.state == WorkState.LEASED.value) & (table.c.lease_until <= now),
        )
        mine = true() if app is None else table.c.app == app_key(app)
        query = (
            select(table.c.number, table.c.data)
            .where(free, mine, table.c.kind.in_(list(kinds)))
            .order_by(table.c.number)
            .limit(limit)
        )
        taken: list[WorkItem] = []
        with self._db.write() as connection:
            for number, data in connection.execute(query).all():
                item = codec.decode(WorkItem, data)
                item = replace(
                    item, state=WorkState.LEASED, attempts=item.attempts + 1, lease_until=now + lease_s
                )
                row = update(table).where(table.c.number == number)
                connection.execute(row.values(owner=owner, **_columns(item)))
                taken.append(item)
        return taken

    def release_work(self, *, owner: str) -> int:
        """Give back what ``owner`` holds, for one that was killed at its work and begins anew; how many."""
        table = tables.work
        held = (table.c.state == WorkState.LEASED.value) & (table.c.owner == owner)
        with self._db.write() as connection:
            rows = connection.execute(select(table.c.number, table.c.data).where(held)).all()
            for number, data in rows:
                item = replace(codec.decode(WorkItem, data), state=WorkState.READY, lease_until=None)
                row = update(table).where(table.c.number == number)
                connection.execute(row.values(owner=None, **_columns(item)))
        return len(rows)

    def finish_work(self, id: WorkId, *, owner: str, result: dict[str, Any]) -> bool:  # noqa: A002  # the agreed name
        """Say that an item is done.

        Returns:
            ``False``, and nothing is written, if somebody else has leased it, or it is not leased.

        Raises:
            NotFoundError: if there is no such item.
        """
        return self._end(id, owner, {"state": WorkState.DONE, "result": result, "error": None})

    def fail_work(self, id: WorkId, *, owner: str, error: str, retry: bool) -> bool:  # noqa: A002  # the agreed name
        """Say that an item failed; with ``retry`` it is ready again at once.

        Returns:
            ``False``, and nothing is written, if somebody else has leased it, or it is not leased.

        Raises:
            NotFoundError: if there is no such item.
        """
        return self._end(id, owner, {"state": WorkState.READY if retry else WorkState.FAILED, "error": error})

    def _end(self, id: WorkId, owner: str, changes: dict[str, Any]) -> bool:  # noqa: A002  # as above
        table = tables.work
        query = select(table.c.owner, table.c.state, table.c.data).where(table.c.id == id)
        with self._db.write() as connection:
            row = connection.execute(query).one_or_none()
            if row is None:
                raise NotFoundError(f"there is no work item {id}")
            if row.state != WorkState.LEASED or row.owner != owner:
                return False
            item = replace(codec.decode(WorkItem, row.data), lease_until=None, **changes)
            connection.execute(update(table).where(table.c.id == id).values(owner=None, **_columns(item)))
        return True

    def work(self, app: AppRef | None = None, states: Collection[WorkState] | None = None) -> list[WorkItem]:
        """Items, oldest first; of all apps and in every state unless said otherwise."""
        return self._by_number(WorkItem, tables.work, app, states)

    def work_items(self, ids: Collection[WorkId]) -> dict[WorkId, WorkItem]:
        """These items; what does not exist is left out."""
        table = tables.work
        found: dict[WorkId, WorkItem] = {}
        with self._db.read() as connection:
            for some in parts(ids):
                query = select(table.c.data).where(table.c.id.in_(some))
                items = (codec.decode(WorkItem, data) for data in connection.execute(query).scalars())
                found |= {item.id: item for item in items}
        return found

    def put_blob(self, app: AppRef, kind: str, data: bytes, *, at: float) -> None:
        """Keep bytes under a name; a second time replaces them."""
        row = insert_or(tables.blobs).values(app=app_key(app), kind=kind, at=at, data=data)
        change = row.on_conflict_do_update(index_elements=["app", "kind"], set_={"at": at, "data": data})
        with self._db.write() as connection:
            connection.execute(change)

    def blob(self, app: AppRef, kind: str) -> bytes | None:
        """The bytes under a name; ``None`` if there are none."""
        table = tables.blobs
        query = select(table.c.data).where(table.c.app == app_key(app), table.c.kind == kind)
        with self._db.read() as connection:
            return connection.execute(query).scalar()

    def blob_at(self, app: AppRef, kind: str) -> float | None:
        """When the bytes under a name were put there; ``None`` if there are none."""
        table = tables.blobs
        query = select(table.c.at).where(table.c.app == app_key(app), table.c.kind == kind)
        with self._db.read() as connection:
            return connection.execute(query).scalar()

    def import_seen(self, app: AppRef, digest: str) -> ImportRecord | None:
        """The import of the file with this SHA-256, if it was read in for this app."""
        table = tables.imports
        query = select(table.c.data).where(table.c.app == app_key(app), table.c.digest == digest)
        return self._first(ImportRecord, query)

    def put_import(self, record: ImportRecord) -> None:
        """Remember that a file was read in; a second time replaces the counts."""
        data = codec.encode(record)
        row = insert_or(tables.imports).values(
            app=app_key(record.app), digest=record.digest, at=record.at, data=data
        )
        change = row.on_conflict_do_update(
            index_elements=["app", "digest"], set_={"at": record.at, "data": data}
        )
        with self._db.write() as connection:
            connection.execute(change)

    def imports(self, app: AppRef) -> list[ImportRecord]:
        """What was read in for an app, newest first."""
        return self._newest_first(ImportRecord, tables.imports, app)


def insert_work(connection: Connection, items: Iterable[WorkItem]) -> int:
    """Add items in the caller's transaction; how many were new."""
    new = 0
    for item in items:
        row = insert_or(tables.work).values(
            id=item.id, app=app_key(item.app), kind=item.kind, **_columns(item)
        )
        new += connection.execute(row.on_conflict_do_nothing()).rowcount
    return new


def want_work(connection: Connection, items: Iterable[WorkItem]) -> None:
    """Add what is waited for from now on, in the caller's transaction.

    What was asked for before as another kind, and has not been begun or has failed, becomes this kind and is
    ready again: it was optional then. What is being done, or done, stays.
    """
    table = tables.work
    for item in items:
        if insert_work(connection, [item]):
            continue
        idle = table.c.state.in_([WorkState.READY.value, WorkState.FAILED.value])
        other = update(table).where(table.c.id == item.id, table.c.kind != item.kind, idle)
        connection.execute(other.values(kind=item.kind, owner=None, **_columns(item)))


def _columns(item: WorkItem) -> dict[str, Any]:
    return {"state": item.state.value, "lease_until": item.lease_until, "data": codec.encode(item)}
