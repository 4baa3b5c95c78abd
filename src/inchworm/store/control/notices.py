"""Notices: kept with what they tell of, leased to be sent, tried again, and given up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from sqlalchemy import Connection, RowMapping, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.configuration import AppRef
from inchworm.domain.notice import Notice, NoticeState
from inchworm.domain.rollout import Approval, Decision, Rollout
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.database import Concern

KEPT_S = 30 * 86_400.0
"""How long a notice that was sent is kept."""


class Outbox(Protocol):
    """Says whom to tell, while a transaction is being made."""

    def decided(self, decision: Decision, rollout: Rollout) -> Sequence[Notice]:
        """Of a decision and the rollout after it."""
        ...

    def queued(self, rollouts: Sequence[Rollout]) -> Sequence[Notice]:
        """Of the steps of a plan that are queued together."""
        ...

    def approved(self, approval: Approval, rollout: Rollout) -> Sequence[Notice]:
        """Of an approval."""
        ...


class NoticeStore(Concern):
    """What people are still to be told, and what they were told.

    Attributes:
        outbox: whom to tell of what is written through this object; nobody if it is not set.
    """

    outbox: Outbox | None = None

    def add_notices(self, notices: Sequence[Notice]) -> int:
        """Keep notices that are not there yet, told apart by id; how many were new."""
        with self._db.write() as connection:
            return insert_notices(connection, notices)

    def notices(
        self, app: AppRef, states: Collection[NoticeState] | None = None, *, limit: int = 100
    ) -> list[Notice]:
        """Of an app, newest first; in every state unless said otherwise."""
        table = tables.notices
        query = select(table).where(table.c.app == app_key(app))
        if states is not None:
            query = query.where(table.c.state.in_([state.value for state in states]))
        with self._db.read() as connection:
            rows = connection.execute(query.order_by(table.c.number.desc()).limit(limit)).mappings()
            return [_notice(row) for row in rows]

    def notice_counts(self, app: AppRef) -> dict[NoticeState, int]:
        """How many an app has in each state."""
        table = tables.notices
        query = select(table.c.state, func.count()).where(table.c.app == app_key(app))
        with self._db.read() as connection:
            found = {row[0]: row[1] for row in connection.execute(query.group_by(table.c.state))}
        return {state: found.get(state.value, 0) for state in NoticeState}

    def lease_notices(
        self, app: AppRef, *, owner: str, now: float, lease_s: float, limit: int = 1
    ) -> list[Notice]:
        """Take notices that are due, oldest first. Whoever does not settle them gives them back in time.

        Args:
            app: of this app.
            owner: who takes them; only this owner can settle them.
            now: seconds since the epoch.
            lease_s: seconds for which nobody else gets them.
            limit: how many at most.
        """
        table = tables.notices
        due = select(table).where(
            table.c.app == app_key(app),
            table.c.state == NoticeState.WAITING.value,
            table.c.due_at <= now,
        )
        with self._db.read() as connection:  # most of the time there is none, and nothing to wait for
            if connection.execute(due.limit(1)).first() is None:
                return []
        taken: list[Notice] = []
        with self._db.write() as connection:
            rows = connection.execute(due.order_by(table.c.number).limit(limit)).mappings().all()
            for row in rows:
                held = {"owner": owner, "attempts": row["attempts"] + 1, "due_at": now + lease_s}
                connection.execute(update(table).where(table.c.number == row["number"]).values(held))
                taken.append(_notice({**row, **held}))
            old = (table.c.state == NoticeState.SENT.value) & (table.c.at < now - KEPT_S)
            connection.execute(delete(table).where(old))
        return taken

    def settle_notice(
        self,
        id: str,  # noqa: A002  # the agreed name
        *,
        owner: str,
        error: str | None = None,
        again_at: float | None = None,
    ) -> bool:
        """Say what came of sending.

        Args:
            id: which notice.
            owner: who leased it.
            error: why it failed; ``None`` if it was taken.
            again_at: when to try again; ``None`` to give it up.

        Returns:
            ``False``, and nothing is written, if somebody else has it by now.
        """
        state = (
            NoticeState.SENT
            if error is None
            else NoticeState.FAILED
            if again_at is None
            else NoticeState.WAITING
        )
        values: dict[str, Any] = {"state": state.value, "owner": None, "error": error}
        table = tables.notices
        held = update(table).where(
            table.c.id == id, table.c.owner == owner, table.c.state == NoticeState.WAITING.value
        )
        with self._db.write() as connection:
            changed = held.values(values if again_at is None else {**values, "due_at": again_at})
            return connection.execute(changed).rowcount == 1

    def release_notices(self, *, owner: str, now: float) -> int:
        """Give back what ``owner`` holds, for one that was killed while sending and begins anew; how many."""
        table = tables.notices
        held = update(table).where(table.c.owner == owner, table.c.state == NoticeState.WAITING.value)
        with self._db.write() as connection:
            return connection.execute(held.values(owner=None, due_at=now)).rowcount

    def retry_notices(self, app: AppRef, *, now: float, id: str | None = None) -> int:  # noqa: A002  # the agreed name
        """Have given-up notices sent again, all of them or one, with all their attempts; how many."""
        table = tables.notices
        failed = update(table).where(table.c.app == app_key(app), table.c.state == NoticeState.FAILED.value)
        if id is not None:
            failed = failed.where(table.c.id == id)
        with self._db.write() as connection:
            waiting = {"state": NoticeState.WAITING.value, "owner": None, "attempts": 0, "due_at": now}
            return connection.execute(failed.values(waiting)).rowcount


def insert_notices(connection: Connection, notices: Iterable[Notice]) -> int:
    """Add notices in the caller's transaction; how many were new."""
    new = 0
    for one in notices:
        row = insert_or(tables.notices).values(
            id=one.id,
            app=app_key(one.app),
            target=one.target,
            event=one.event,
            at=one.at,
            state=one.state.value,
            attempts=one.attempts,
            due_at=one.due_at,
            error=one.error,
            data=codec.to_text(one.data),
        )
        new += connection.execute(row.on_conflict_do_nothing()).rowcount
    return new


def _notice(row: RowMapping | dict[str, Any]) -> Notice:
    return Notice(
        id=row["id"],
        app=AppRef.parse(row["app"]),
        target=row["target"],
        event=row["event"],
        at=row["at"],
        data=codec.from_text(row["data"]),
        state=NoticeState(row["state"]),
        attempts=row["attempts"],
        due_at=row["due_at"],
        error=row["error"],
    )
