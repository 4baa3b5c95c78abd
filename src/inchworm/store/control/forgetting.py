"""Requests to forget somebody, and what the control store deletes for them.

Rows that the audit trail pins are changed in place, and the entry that tells of it pins them anew: the trail
verifies, and says why they are not what they were. Ledger, decisions and audit trail are not changed: they
hold numbers, ids of rollouts and sentences of ours, and what people typed (:meth:`ForgettingStore.mentions`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, Text, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.forgetting import OPEN, Forgetting
from inchworm.domain.ids import CaseId, TraceId
from inchworm.domain.rollout import LedgerEntry
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit
from inchworm.store.control.database import Concern, parts
from inchworm.store.control.lineage import append_ledger
from inchworm.store.control.records import AuditEntry

_MACHINE: Final = "inchworm"
_SHORTEST: Final = 4
"""Characters of a name from which on a text that holds it speaks of it."""
_Theirs = Callable[[str, Iterable[Case]], list[Case]]
"""Those of some cases of an app that are somebody's who is to be forgotten."""
_PLAIN: Final = frozenset({"alembic_version", "forgettings", "forgotten_cases", "blobs"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What the control store deleted.

    Attributes:
        cases: different cases, in eval sets and proposals.
        eval_sets: versions that held some of them.
        proposals: proposals that did.
        trials: answers to them.
    """

    cases: int
    eval_sets: int
    proposals: int
    trials: int


class ForgettingStore(Concern):
    """Who is to be forgotten, as a digest, and the rows that are theirs."""

    def ask_forgetting(self, app: AppRef, asked: Forgetting, sealed: bytes, entry: LedgerEntry) -> None:
        """Make a request durable, and say so in the ledger and the audit trail.

        Args:
            app: where it is told.
            asked: without a name in clear.
            sealed: the names, encrypted; gone when it is done.
            entry: what the ledger says.
        """
        row = {
            "id": asked.id,
            "app": app_key(app),
            "at": asked.at,
            "state": asked.state.value,
            "sealed": sealed,
            "data": codec.encode(asked),
        }
        with self._db.write() as connection:
            connection.execute(insert(tables.forgettings).values(row))
            self._tell(connection, entry, "unit.forget", asked)

    def forgettings(self, *, open_only: bool = False) -> list[Forgetting]:
        """Requests, oldest first; those that are not done yet, or all."""
        table = tables.forgettings
        query = select(table.c.data).order_by(table.c.number)
        if open_only:
            query = query.where(table.c.state.in_([state.value for state in OPEN]))
        return self._every(Forgetting, query)

    def forgetting(self, id: str) -> Forgetting:  # noqa: A002  # the agreed name
        """A request by its id.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.forgettings
        found = self._first(Forgetting, select(table.c.data).where(table.c.id == id))
        if found is None:
            raise NotFoundError(f"nothing was forgotten as {id}", hint="inchworm forget --list")
        return found

    def forgetting_sealed(self, id: str) -> bytes | None:  # noqa: A002  # as above
        """Whom it is about, encrypted; ``None`` once nothing is left of them."""
        table = tables.forgettings
        with self._db.read() as connection:
            return connection.execute(select(table.c.sealed).where(table.c.id == id)).scalar()

    def move_forgetting(
        self, now: Forgetting, *, sealed: bytes | None, entry: LedgerEntry | None = None
    ) -> None:
        """Say how far a request is; with ``entry`` ledger and audit trail say it too.

        Args:
            now: the request as it is from now on.
            sealed: whom and what it is about, encrypted; ``None`` once nothing is left of them.
            entry: what the ledger says.
        """
        table = tables.forgettings
        row = {"state": now.state.value, "sealed": sealed, "data": codec.encode(now)}
        with self._db.write() as connection:
            _overwrite(connection)
            connection.execute(update(table).where(table.c.id == now.id).values(row))
            if entry is not None:
                self._tell(connection, entry, "unit.forgotten", now)

    def forget_cases(
        self,
        asked: Forgetting,
        units: Collection[str],
        traces: Mapping[AppRef, Collection[TraceId]],
        at: float,
    ) -> Emptied:
        """Empty the cases that were made of somebody's traces, and delete the answers to them.

        A case keeps its id and its weight. Answers stay where another case of the same content, which was
        made of somebody else's trace, has the same id.
        """
        origins = {app_key(app): {f"trace:{one}" for one in ids} for app, ids in traces.items()}
        names = frozenset(units)

        def theirs(app: str, cases: Iterable[Case]) -> list[Case]:
            mine = origins.get(app, set())
            return [
                case
                for case in cases
                if not case.is_forgotten and (case.group in names or case.origin in mine)
            ]

        gone: dict[CaseId, Case] = {}
        with self._db.write() as connection:
            _overwrite(connection)
            sets = _empty_sets(connection, asked, theirs, gone, at)
            proposals = _empty_proposals(connection, theirs, gone)
            live = _live(connection)
            for case in gone.values():
                row = {"case_id": case.id, "origin": origin_of(case)}
                held = insert_or(tables.forgotten_cases).values(row)
                connection.execute(held.on_conflict_do_update(index_elements=["case_id"], set_=row))
            trials = 0
            for some in parts(sorted(gone.keys() - live)):
                trials += connection.execute(
                    delete(tables.trials).where(tables.trials.c.case_id.in_(some))
                ).rowcount
        return Emptied(cases=len(gone), eval_sets=sets, proposals=proposals, trials=trials)

    def mentions(self, names: Collection[str]) -> dict[str, int]:
        """Rows whose text holds one of these names, by table: what people typed, such as a reason.

        Names of fewer than four characters are not looked for.
        """
        wanted = [name for name in names if len(name) >= _SHORTEST]
        found: dict[str, int] = {}
        with self._db.read() as connection:
            for table in tables.metadata.sorted_tables:
                columns = [column for column in table.c if isinstance(column.type, Text)]
                if table.name in _PLAIN or not columns or not wanted:
                    continue
                said = [
                    func.instr(column, text) > 0
                    for column in columns
                    for name in wanted
                    for text in {name, codec.to_text(name)[1:-1]}
                ]
                clause = said[0]
                for one in said[1:]:
                    clause = clause | one
                count = connection.execute(select(func.count()).select_from(table).where(clause)).scalar_one()
                if count:
                    found[table.name] = count
        return found

    def compact(self) -> None:
        """Write the file anew, so that no byte of what was deleted is left in it or in its log.

        Raises:
            StoreError: if it cannot be written, or another process reads it for too long.
        """
        self._db.compact()

    def _tell(self, connection: Connection, entry: LedgerEntry, action: str, asked: Forgetting) -> None:
        told = append_ledger(connection, entry)
        append_audit(
            connection,
            AuditEntry(
                app=entry.app,
                at=entry.at,
                actor=entry.actor,
                action=action,
                subject=asked.id,
                because=entry.what,
            ),
            told,
        )


def origin_of(case: Case) -> str:
    """Which trace a case was made of, as a digest."""
    return digest([case.id, case.origin])


def without_forgotten(connection: Connection, cases: Iterable[Case]) -> frozenset[CaseId]:
    """Those of these cases that are forgotten: they were read before, and are about to be written again.

    A case of the same content that was made of somebody else's trace may be kept.
    """
    table = tables.forgotten_cases
    fresh = {case.id: origin_of(case) for case in cases if not case.is_forgotten}
    gone: set[CaseId] = set()
    for some in parts(sorted(fresh)):
        for row in connection.execute(select(table).where(table.c.case_id.in_(some))):
            if row.origin == fresh[CaseId(row.case_id)]:
                gone.add(CaseId(row.case_id))
            else:
                connection.execute(delete(table).where(table.c.case_id == row.case_id))
    return frozenset(gone)


def _overwrite(connection: Connection) -> None:
    """What is deleted from now on by this connection is overwritten with zeros."""
    connection.exec_driver_sql("PRAGMA secure_delete=ON")


def _empty_sets(
    connection: Connection,
    asked: Forgetting,
    theirs: _Theirs,
    gone: dict[CaseId, Case],
    at: float,
) -> int:
    table, changed = tables.eval_sets, 0
    for app, data in connection.execute(select(table.c.app, table.c.data)).all():
        known = codec.decode(EvalSet, data)
        found = theirs(app, known.cases)
        if not found:
            continue
        gone |= {case.id: case for case in found}
        changed += 1
        left = known.forgetting(frozenset(case.id for case in found))
        connection.execute(
            update(table)
            .where(table.c.app == app, table.c.name == known.name, table.c.version == known.version)
            .values(data=codec.encode(left), population=left.population)
        )
        what = "1 case" if len(found) == 1 else f"{len(found):,} cases"
        append_audit(
            connection,
            AuditEntry(
                app=known.app,
                at=at,
                actor=_MACHINE,
                action="evalset.forget",
                subject=known.id,
                because=f"{what} emptied because {asked.id} asks for it.",
            ),
            (table, f"{app} {known.id}"),
        )
    return changed


def _empty_proposals(connection: Connection, theirs: _Theirs, gone: dict[CaseId, Case]) -> int:
    table, changed = tables.proposals, 0
    for number, app, text in connection.execute(select(table.c.number, table.c.app, table.c.cases)).all():
        cases = codec.decode_many(Case, text)
        found = {case.id: case for case in theirs(app, cases)}
        if found:
            gone |= found
            changed += 1
            left = [case.forgotten() if case.id in found else case for case in cases]
            row = update(table).where(table.c.number == number)
            connection.execute(row.values(cases=codec.encode_many(left)))
    return changed


def _live(connection: Connection) -> set[CaseId]:
    """Ids of the cases that still say something."""
    sets = connection.execute(select(tables.eval_sets.c.data)).scalars()
    live = {case.id for data in sets for case in codec.decode(EvalSet, data).cases if not case.is_forgotten}
    for text in connection.execute(select(tables.proposals.c.cases)).scalars():
        live |= {case.id for case in codec.decode_many(Case, text) if not case.is_forgotten}
    return live
