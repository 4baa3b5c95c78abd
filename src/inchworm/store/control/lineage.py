"""Configurations, what is stable and served, plans and the ledger."""

from __future__ import annotations

from sqlalchemy import Connection, Table, delete, exists, insert, select
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.change import Plan
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId, PlanId, short
from inchworm.domain.rollout import LedgerEntry, Lineage
from inchworm.domain.serving import ServingTable
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit, page
from inchworm.store.control.database import Concern
from inchworm.store.control.records import AuditEntry, StoredConfiguration

_CONFIGURATION = "configuration"
"""Kind of the ledger's entries that say what became stable."""
_MOVES = f'"kind":"{_CONFIGURATION}"'
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

    def lineages(self) -> list[Lineage]:
        """The lineages of all apps, by name."""
        return self._every(Lineage, select(tables.lineages.c.data).order_by(tables.lineages.c.app))

    def stable_at(self, app: AppRef, at: float) -> ConfigurationId | None:
        """What was stable at ``at``, by the ledger; the first that ever was, if that was later.

        ``None`` if the ledger tells nothing of it.
        """
        table = tables.ledger
        # A look at the text first: of a year's entries few move stable. What it finds is read and looked at.
        mine = (table.c.app == app_key(app)) & table.c.data.contains(_MOVES, autoescape=True)
        query = select(table.c.data).where(mine).order_by(table.c.at, table.c.number)
        moves: list[LedgerEntry] = []
        for entry in self._every(LedgerEntry, query):
            if entry.kind != _CONFIGURATION or not {"from", "to"} & entry.data.keys():
                continue
            # One that was declared and taken back was the stable of nothing.
            moves = [*moves, entry] if entry.data.get("to") else []
        if not moves:
            return None
        before = [entry.data["to"] for entry in moves if entry.at <= at]
        return ConfigurationId(before[-1] if before else moves[0].data.get("from") or moves[0].data["to"])

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

    def servings(self) -> list[ServingTable]:
        """What is served for all apps, by name."""
        return self._every(ServingTable, select(tables.serving.c.data).order_by(tables.serving.c.app))

    def put_plan(self, plan: Plan, *, at: float) -> None:
        """Keep a plan; a second time changes nothing."""
        row = {"app": app_key(plan.change.app), "id": plan.id, "at": at, "data": codec.encode(plan)}
        change = plan.change
        with self._db.write() as connection:
            if not connection.execute(insert_or(tables.plans).values(row).on_conflict_do_nothing()).rowcount:
                return
            append_audit(
                connection,
                AuditEntry(
                    app=change.app,
                    at=at,
                    actor=change.author,
                    action="plan.make",
                    subject=plan.id,
                    because=f"planned {short(change.base.id)} → {short(change.candidate.id)}.",
                ),
                (tables.plans, plan.id),
            )

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
            told = append_ledger(connection, entry)
            append_audit(
                connection,
                AuditEntry(
                    app=entry.app,
                    at=entry.at,
                    actor=entry.actor,
                    action="ledger.append",
                    subject=entry.kind,
                    because=entry.what,
                ),
                told,
            )

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
        with self._db.read() as connection:
            rows, following = page(connection, query, table, after, limit)
        return [codec.decode(LedgerEntry, row.data) for row in rows], following


def append_ledger(connection: Connection, entry: LedgerEntry) -> tuple[Table, int]:
    """Add one entry in the caller's transaction; the row, for the audit entry that has to pin it."""
    row = {"app": app_key(entry.app), "at": entry.at, "data": codec.encode(entry)}
    (number,) = connection.execute(insert(tables.ledger).values(row)).inserted_primary_key or (0,)
    return tables.ledger, number


def _tell(connection: Connection, entry: LedgerEntry, action: str, lineage: Lineage) -> None:
    """A lineage begins or ends: ledger and audit trail say the same."""
    told, key = append_ledger(connection, entry), app_key(lineage.app)
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
        told,
        (tables.lineages, key),
        (tables.serving, key),
    )
