"""Rollouts, their decisions, and the monitor's state. Everything lands by compare-and-set."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Table, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or
from sqlalchemy.exc import IntegrityError

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConflictError, NotFoundError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.rollout import Decision, LedgerEntry, Lineage, Rollout, RolloutState
from inchworm.domain.serving import ServingTable
from inchworm.domain.work import WorkItem
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit
from inchworm.store.control.database import parts
from inchworm.store.control.lineage import append_ledger
from inchworm.store.control.notices import NoticeStore, insert_notices
from inchworm.store.control.records import AuditEntry
from inchworm.store.control.work import want_work

_COUNTER = "rollouts"


class RolloutStore(NoticeStore):
    """Rollouts and what was decided about them."""

    def reserve_rollouts(self, count: int) -> list[RolloutId]:
        """The next ``count`` ids: ``r-1``, ``r-2``, … None is ever given twice."""
        table = tables.counters
        with self._db.write() as connection:
            used = connection.execute(select(table.c.value).where(table.c.name == _COUNTER)).scalar() or 0
            row = insert_or(table).values(name=_COUNTER, value=used + count)
            connection.execute(
                row.on_conflict_do_update(index_elements=["name"], set_={"value": used + count})
            )
        return [RolloutId(f"r-{number}") for number in range(used + 1, used + count + 1)]

    def enqueue(
        self, rollouts: Sequence[Rollout], *, expected_stable: ConfigurationId, ledger: Sequence[LedgerEntry]
    ) -> bool:
        """Queue the steps of a plan, in one transaction.

        Returns:
            ``False``, and nothing is written, if the lineage's stable is another by now.

        Raises:
            ConflictError: if a step of the plan is queued or in flight already, or an id is taken.
            NotFoundError: if the app has no lineage.
            ValueError: if the rollouts are of several apps, or there are none.
        """
        apps = {rollout.app for rollout in rollouts}
        if len(apps) != 1:
            raise ValueError("rollouts are queued together for exactly one app")
        key = app_key(rollouts[0].app)
        with self._db.write() as connection:
            lineages = tables.lineages
            stable = connection.execute(select(lineages.c.stable).where(lineages.c.app == key)).scalar()
            if stable is None:
                raise NotFoundError(f"{key} has no stable configuration yet", hint="inchworm adopt")
            if stable != expected_stable:
                return False
            told = [append_ledger(connection, entry) for entry in ledger]
            for place, rollout in enumerate(rollouts):
                row = _row(rollout) | {"number": _number(rollout.id), "id": rollout.id}
                try:
                    connection.execute(insert(tables.rollouts).values(row))
                except IntegrityError as error:
                    raise ConflictError(
                        f"step {rollout.step} of {rollout.plan_id} is queued or in flight already",
                        hint="inchworm rollout ls",
                    ) from error
                append_audit(
                    connection,
                    AuditEntry(
                        app=rollout.app,
                        at=rollout.created_at,
                        actor=rollout.author,
                        action="rollout.enqueue",
                        subject=rollout.id,
                        because=rollout.because,
                    ),
                    (tables.rollouts, rollout.id),
                    *(() if place else told),
                )
            if self.outbox is not None:
                insert_notices(connection, self.outbox.queued(rollouts))
        return True

    def rollout(self, id: RolloutId) -> Rollout:  # noqa: A002  # the agreed name
        """The rollout with this id.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.rollouts
        found = self._first(Rollout, select(table.c.data).where(table.c.id == id))
        if found is None:
            raise _unknown(id)
        return found

    def rollouts(
        self, app: AppRef | None = None, states: Collection[RolloutState] | None = None
    ) -> list[Rollout]:
        """Rollouts by number; of all apps and in every state unless said otherwise."""
        return self._by_number(Rollout, tables.rollouts, app, states)

    def commit(
        self,
        decision: Decision,
        rollout: Rollout,
        *,
        lineage: Lineage | None = None,
        expected_lineage: int | None = None,
        serving: ServingTable | None = None,
        ledger: Sequence[LedgerEntry] = (),
        work: Sequence[WorkItem] = (),
    ) -> bool:
        """Land a decision with all that follows from it, in one transaction.

        Args:
            decision: what was decided, on generation ``decision.parent`` of the rollout.
            rollout: the rollout after it, of generation ``decision.parent + 1``.
            lineage: the lineage after it, if it moves; of a higher generation than the one it replaces.
            expected_lineage: the lineage's generation before it; asked for where ``lineage`` is given,
                and held to where it is not.
            serving: the serving table after it, if it moves; of a higher generation than the stored one.
            ledger: what changed.
            work: what is waited for next; items that are being done or done already are left alone.

        Returns:
            ``False``, and nothing is written, if the rollout, the lineage or the serving table is of
            another generation by now, or another rollout of the app is in flight.

        Raises:
            NotFoundError: if there is no such rollout.
            ValueError: if the arguments contradict each other.
        """
        _check(decision, rollout, lineage, expected_lineage, serving)
        with self._db.write() as connection:
            landed = (
                _replace_rollout(connection, decision, rollout)
                and _replace_lineage(connection, rollout.app, lineage, expected_lineage)
                and _replace_serving(connection, serving)
            )
            if not landed:
                connection.rollback()
                return False
            told = [append_ledger(connection, entry) for entry in ledger]
            moved = [
                (table, app_key(rollout.app))
                for table, row in ((tables.lineages, lineage), (tables.serving, serving))
                if row is not None
            ]
            _append_decision(connection, decision, rollout.app, [*moved, *told])
            want_work(connection, work)
            if self.outbox is not None:
                insert_notices(connection, self.outbox.decided(decision, rollout))
        return True

    def decisions(self, rollout_id: RolloutId) -> list[Decision]:
        """All that was decided about a rollout, oldest first.

        Raises:
            NotFoundError: if there is no such rollout.
        """
        table = tables.decisions
        query = select(table.c.data).where(table.c.rollout_id == rollout_id).order_by(table.c.parent)
        with self._db.read() as connection:
            found = [codec.decode(Decision, data) for data in connection.execute(query).scalars()]
            if not found:
                require_rollout(connection, rollout_id)
        return found

    def monitor(self, rollout_id: RolloutId) -> tuple[int, dict[str, Any]] | None:
        """How many units the monitor has consumed, and its state after them; ``None`` before the first."""
        table = tables.monitors
        query = select(table.c.watermark, table.c.state).where(table.c.rollout_id == rollout_id)
        with self._db.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else (row.watermark, codec.from_text(row.state))

    def watermarks(self, rollout_ids: Collection[RolloutId]) -> dict[RolloutId, int]:
        """How many units the monitor has consumed of each; those it has not looked at are left out."""
        table = tables.monitors
        found: dict[RolloutId, int] = {}
        with self._db.read() as connection:
            for some in parts(rollout_ids):
                query = select(table.c.rollout_id, table.c.watermark).where(table.c.rollout_id.in_(some))
                found |= {RolloutId(row.rollout_id): row.watermark for row in connection.execute(query)}
        return found

    def save_monitor(
        self, rollout_id: RolloutId, *, expected: int, watermark: int, state: dict[str, Any]
    ) -> bool:
        """Keep the monitor's state after ``watermark`` units.

        Returns:
            ``False``, and nothing is written, unless the kept watermark is ``expected`` (0: none yet).

        Raises:
            NotFoundError: if there is no such rollout.
            ValueError: if the watermark would go back.
        """
        if watermark < expected:
            raise ValueError(f"a watermark never goes back: {expected} to {watermark}")
        table = tables.monitors
        row = {"watermark": watermark, "state": codec.to_text(state)}
        with self._db.write() as connection:
            require_rollout(connection, rollout_id)
            held = update(table).where(table.c.rollout_id == rollout_id, table.c.watermark == expected)
            if connection.execute(held.values(row)).rowcount:
                return True
            if expected:
                return False
            first = insert_or(table).values(rollout_id=rollout_id, **row).on_conflict_do_nothing()
            return connection.execute(first).rowcount == 1


def _check(
    decision: Decision,
    rollout: Rollout,
    lineage: Lineage | None,
    expected_lineage: int | None,
    serving: ServingTable | None,
) -> None:
    if decision.rollout_id != rollout.id or rollout.generation != decision.parent + 1:
        raise ValueError(
            f"decision {decision.id} on generation {decision.parent} of {decision.rollout_id} does not lead "
            f"to generation {rollout.generation} of {rollout.id}"
        )
    if lineage is not None:
        if expected_lineage is None:
            raise ValueError("a lineage is replaced only where its generation is the expected one: name it")
        if lineage.generation <= expected_lineage:
            raise ValueError(f"the lineage's generation does not grow: {lineage.generation}")
        if lineage.app != rollout.app:
            raise ValueError(f"{rollout.id} of {rollout.app} does not move the lineage of {lineage.app}")
    if serving is not None and serving.app != rollout.app:
        raise ValueError(f"{rollout.id} of {rollout.app} does not move what {serving.app} serves")


def _replace_rollout(connection: Connection, decision: Decision, rollout: Rollout) -> bool:
    table = tables.rollouts
    change = (
        update(table)
        .where(table.c.id == rollout.id, table.c.generation == decision.parent)
        .values(_row(rollout))
    )
    try:
        if connection.execute(change).rowcount:
            return True
    except IntegrityError:  # ux_rollouts_in_flight: another rollout of the app holds the lock
        return False
    require_rollout(connection, rollout.id)
    return False


def _replace_lineage(
    connection: Connection, app: AppRef, lineage: Lineage | None, expected: int | None
) -> bool:
    if expected is None:
        return True
    table = tables.lineages
    here = (table.c.app == app_key(app)) & (table.c.generation == expected)
    if lineage is None:
        return connection.execute(select(table.c.app).where(here)).first() is not None
    change = update(table).where(here)
    row = {"generation": lineage.generation, "stable": lineage.stable, "data": codec.encode(lineage)}
    return connection.execute(change.values(row)).rowcount == 1


def _replace_serving(connection: Connection, serving: ServingTable | None) -> bool:
    if serving is None:
        return True
    table = tables.serving
    older = update(table).where(table.c.app == app_key(serving.app), table.c.generation < serving.generation)
    row = {"generation": serving.generation, "data": codec.encode(serving)}
    return connection.execute(older.values(row)).rowcount == 1


def _append_decision(
    connection: Connection, decision: Decision, app: AppRef, written: Sequence[tuple[Table, str | int]]
) -> None:
    """Keep a decision, and tell the audit trail of it and of everything that was written with it."""
    connection.execute(
        insert(tables.decisions).values(
            id=decision.id,
            rollout_id=decision.rollout_id,
            parent=decision.parent,
            at=decision.at,
            data=codec.encode(decision),
        )
    )
    append_audit(
        connection,
        AuditEntry(
            app=app,
            at=decision.at,
            actor=decision.actor,
            action=f"rollout.{decision.kind}",
            subject=decision.rollout_id,
            because=decision.because,
        ),
        (tables.decisions, decision.id),
        (tables.rollouts, decision.rollout_id),
        *written,
    )


def _row(rollout: Rollout) -> dict[str, Any]:
    return {
        "app": app_key(rollout.app),
        "state": rollout.state.value,
        "generation": rollout.generation,
        "plan_id": rollout.plan_id,
        "step": rollout.step,
        "data": codec.encode(rollout),
    }


def _number(rollout_id: RolloutId) -> int:
    head, _, number = rollout_id.partition("-")
    if head != "r" or not number.isdecimal():
        raise ValueError(f"{rollout_id!r} is no rollout id: they come from reserve_rollouts()")
    return int(number)


def require_rollout(connection: Connection, rollout_id: RolloutId) -> None:
    """NotFoundError if there is no such rollout."""
    table = tables.rollouts
    if connection.execute(select(table.c.number).where(table.c.id == rollout_id)).first() is None:
        raise _unknown(rollout_id)


def _unknown(rollout_id: RolloutId) -> NotFoundError:
    return NotFoundError(f"there is no rollout {rollout_id}", hint="inchworm rollout ls")
