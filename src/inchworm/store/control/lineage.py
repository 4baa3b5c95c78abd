"""Configurations, what is stable and served, plans, the ledger and the audit trail."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, Table, delete, exists, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.change import Plan
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError, NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId, PlanId, short
from inchworm.domain.rollout import LedgerEntry, Lineage
from inchworm.domain.serving import ServingTable
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.database import Concern
from inchworm.store.control.records import AuditEntry, StoredConfiguration

_PREFIX = 4
"""Characters of an id that a user must type at least."""


class LineageStore(Concern):
    """What an app is made of, what it serves, and everything that changed."""

    def put_configuration(self, app: AppRef, configuration: Configuration, *, note: str, at: float) -> None:
        """Keep a configuration; a second time changes nothing."""
        row = {
            "app": app_key(app),
            "id": configuration.id,
            "note": note,
            "at": at,
            "data": codec.encode(configuration),
        }
        with self._db.write() as connection:
            connection.execute(insert_or(tables.configurations).values(row).on_conflict_do_nothing())

    def configuration(self, id: ConfigurationId) -> Configuration:  # noqa: A002  # the agreed name
        """The configuration with exactly this id, whichever app it was kept for.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.configurations
        query = select(table.c.data).where(table.c.id == id).order_by(table.c.number).limit(1)
        found = self._first(Configuration, query)
        if found is None:
            raise NotFoundError(f"there is no configuration {short(id)}")
        return found

    def find_configuration(self, app: AppRef, name: str) -> Configuration:
        """A configuration by the name a user types: ``stable``, an id, or at least 4 characters of one.

        Raises:
            NotFoundError: if none goes by it.
            UsageError: if it is too short, or several do; they are listed.
        """
        if name == "stable":
            lineage = self.lineage(app)
            if lineage is None:
                raise NotFoundError(f"{app} has no stable configuration yet", hint="inchworm adopt")
            return self.configuration(lineage.stable)
        if len(name) < _PREFIX:
            raise UsageError(f'"{name}" is too short: type at least {_PREFIX} characters of the id')
        table = tables.configurations
        query = (
            select(table.c.id, table.c.data)
            .where(table.c.app == app_key(app), table.c.id.startswith(name.lower(), autoescape=True))
            .order_by(table.c.id)
        )
        with self._db.read() as connection:
            found = connection.execute(query).all()
        if not found:
            raise NotFoundError(f'{app} has no configuration "{name}"')
        if len(found) > 1:
            listed = ", ".join(row.id[:12] for row in found)
            raise UsageError(f'"{name}" is ambiguous: {listed}', hint="type more characters of the id")
        return codec.decode(Configuration, found[0].data)

    def configurations(self, app: AppRef) -> list[StoredConfiguration]:
        """All of an app, newest first."""
        table = tables.configurations
        query = (
            select(table.c.data, table.c.note, table.c.at)
            .where(table.c.app == app_key(app))
            .order_by(table.c.at.desc(), table.c.number.desc())
        )
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        return [
            StoredConfiguration(configuration=codec.decode(Configuration, data), note=note, at=at)
            for data, note, at in rows
        ]

    def apps(self) -> list[AppRef]:
        """Every app that has a lineage, in alphabetical order."""
        with self._db.read() as connection:
            keys = connection.execute(select(tables.lineages.c.app).order_by(tables.lineages.c.app)).scalars()
            return [AppRef.parse(key) for key in keys]

    def lineage(self, app: AppRef) -> Lineage | None:
        """What is stable, and the lock; ``None`` before :meth:`start_lineage`."""
        table = tables.lineages
        return self._first(Lineage, select(table.c.data).where(table.c.app == app_key(app)))

    def start_lineage(self, lineage: Lineage, serving: ServingTable, entry: LedgerEntry) -> bool:
        """Begin an app's lineage, with what it serves, in one transaction.

        Returns:
            ``False``, and nothing is written, if the app has one already.

        Raises:
            ValueError: if the three are not about one app.
        """
        if not lineage.app == serving.app == entry.app:
            raise ValueError("lineage, serving table and ledger entry belong to one app")
        key = app_key(lineage.app)
        begun = (
            insert_or(tables.lineages)
            .values(app=key, generation=lineage.generation, stable=lineage.stable, data=codec.encode(lineage))
            .on_conflict_do_nothing()
        )
        served = insert(tables.serving).values(
            app=key, generation=serving.generation, data=codec.encode(serving)
        )
        with self._db.write() as connection:
            if connection.execute(begun).rowcount == 0:
                return False
            connection.execute(served)
            _tell(connection, entry, "lineage.start", lineage)
        return True

    def end_lineage(self, lineage: Lineage, entry: LedgerEntry) -> bool:
        """Take the beginning of a lineage back, with what it serves, in one transaction.

        Returns:
            ``False``, and nothing is written, if it has moved since, or anything was queued on it.
        """
        key = app_key(lineage.app)
        lineages, serving, rollouts = tables.lineages, tables.serving, tables.rollouts
        ended = delete(lineages).where(
            lineages.c.app == key,
            lineages.c.generation == lineage.generation,
            lineages.c.stable == lineage.stable,
            ~exists().where(rollouts.c.app == key),
        )
        with self._db.write() as connection:
            if connection.execute(ended).rowcount == 0:
                return False
            connection.execute(delete(serving).where(serving.c.app == key))
            _tell(connection, entry, "lineage.end", lineage)
        return True

    def serving(self, app: AppRef) -> ServingTable | None:
        """What gateways and clients obey; ``None`` before :meth:`start_lineage`."""
        table = tables.serving
        return self._first(ServingTable, select(table.c.data).where(table.c.app == app_key(app)))

    def put_plan(self, plan: Plan, *, at: float) -> None:
        """Keep a plan; a second time changes nothing."""
        row = {"app": app_key(plan.change.app), "id": plan.id, "at": at, "data": codec.encode(plan)}
        with self._db.write() as connection:
            connection.execute(insert_or(tables.plans).values(row).on_conflict_do_nothing())

    def plan(self, id: PlanId) -> Plan:  # noqa: A002  # the agreed name
        """The plan with this id.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.plans
        found = self._first(Plan, select(table.c.data).where(table.c.id == id))
        if found is None:
            raise NotFoundError(f"there is no plan {id}")
        return found

    def plans(self, app: AppRef) -> list[Plan]:
        """All of an app, newest first."""
        return self._newest_first(Plan, tables.plans, app)

    def append_ledger(self, entry: LedgerEntry) -> None:
        """Say that something changed. There is no way to unsay it."""
        with self._db.write() as connection:
            append_ledger(connection, entry)

    def ledger(self, app: AppRef, *, since: float | None = None, limit: int = 100) -> list[LedgerEntry]:
        """What changed at ``since`` or later, newest first, at most ``limit`` entries."""
        table = tables.ledger
        query = select(table.c.data).where(table.c.app == app_key(app))
        if since is not None:
            query = query.where(table.c.at >= since)
        query = query.order_by(table.c.at.desc(), table.c.number.desc()).limit(limit)
        return self._every(LedgerEntry, query)

    def ledger_page(
        self, app: AppRef, *, since: float | None = None, after: str | None = None, limit: int = 100
    ) -> tuple[list[LedgerEntry], str | None]:
        """What changed at ``since`` or later, newest first, page by page.

        Args:
            app: whose.
            since: seconds since the epoch.
            after: the cursor that came with the page before.
            limit: entries per page.

        Returns:
            The entries, and the cursor of the next page if there is one.

        Raises:
            InputError: if ``after`` is no cursor.
        """
        table = tables.ledger
        query = select(table.c.number, table.c.at, table.c.data).where(table.c.app == app_key(app))
        if since is not None:
            query = query.where(table.c.at >= since)
        rows, following = self._page(query, table, after, limit)
        return [codec.decode(LedgerEntry, row.data) for row in rows], following

    def audit_page(
        self, app: AppRef, *, after: str | None = None, limit: int = 100
    ) -> tuple[list[AuditEntry], str | None]:
        """Who did what, newest first, page by page (see :meth:`ledger_page`).

        Raises:
            InputError: if ``after`` is no cursor.
        """
        table = tables.audit
        rows, following = self._page(select(table).where(table.c.app == app_key(app)), table, after, limit)
        entries = [
            AuditEntry(
                app=app,
                at=row.at,
                actor=row.actor,
                action=row.action,
                subject=row.subject,
                because=row.because,
            )
            for row in rows
        ]
        return entries, following

    def _page(
        self, query: Select[Any], table: Table, after: str | None, limit: int
    ) -> tuple[Sequence[Row[Any]], str | None]:
        if after is not None:
            at, number = _place(after)
            before = (table.c.at < at) | ((table.c.at == at) & (table.c.number < number))
            query = query.where(before)
        query = query.order_by(table.c.at.desc(), table.c.number.desc()).limit(limit + 1)
        with self._db.read() as connection:
            rows = connection.execute(query).all()
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], urlsafe_b64encode(json.dumps([last.at, last.number]).encode()).decode()

    def audit(self, app: AppRef, *, limit: int = 100) -> list[AuditEntry]:
        """Who did what, newest first, at most ``limit`` entries."""
        table = tables.audit
        query = (
            select(table.c.at, table.c.actor, table.c.action, table.c.subject, table.c.because)
            .where(table.c.app == app_key(app))
            .order_by(table.c.at.desc(), table.c.number.desc())
            .limit(limit)
        )
        with self._db.read() as connection:
            rows = connection.execute(query).mappings().all()
        return [AuditEntry(app=app, **row) for row in rows]


def _place(cursor: str) -> tuple[float, int]:
    try:
        at, number = json.loads(urlsafe_b64decode(cursor.encode()))
        return float(at), int(number)
    except (ValueError, TypeError, OverflowError) as error:
        raise InputError("this is no cursor of a page", hint="start at the first page") from error


def append_ledger(connection: Connection, entry: LedgerEntry) -> None:
    """Add one entry in the caller's transaction."""
    row = {"app": app_key(entry.app), "at": entry.at, "data": codec.encode(entry)}
    connection.execute(insert(tables.ledger).values(row))


def append_audit(connection: Connection, entry: AuditEntry) -> None:
    """Add one entry in the caller's transaction."""
    connection.execute(
        insert(tables.audit).values(
            app=app_key(entry.app),
            at=entry.at,
            actor=entry.actor,
            action=entry.action,
            subject=entry.subject,
            because=entry.because,
        )
    )


def _tell(connection: Connection, entry: LedgerEntry, action: str, lineage: Lineage) -> None:
    """A lineage begins or ends: ledger and audit trail say the same."""
    append_ledger(connection, entry)
    append_audit(
        connection,
        AuditEntry(
            app=entry.app,
            at=entry.at,
            actor=entry.actor,
            action=action,
            subject=lineage.stable,
            because=entry.what,
        ),
    )
