"""Eval sets and proposals for them, benchmarks, the cache of trials, attributions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or

from inchworm.domain.attribution import Attribution, Proposal
from inchworm.domain.benchmark import Benchmark, Trial
from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConflictError, NotFoundError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import BenchmarkId, CaseId, ConfigurationId, short
from inchworm.domain.outcome import Errored
from inchworm.store import codec
from inchworm.store.codec import app_key
from inchworm.store.control import tables
from inchworm.store.control.audit import append_audit
from inchworm.store.control.database import Concern
from inchworm.store.control.forgetting import without_forgotten
from inchworm.store.control.records import AuditEntry, EvalSetSummary

OPEN = "open"
_MACHINE = "inchworm"
"""Who keeps what was measured: whoever asked for it stands in the ledger."""
_MANY = 10_000
"""Ids per query; SQLite takes 32,766 variables."""


class BenchmarkStore(Concern):
    """What was measured on which cases."""

    def put_eval_set(self, eval_set: EvalSet, *, at: float) -> None:
        """Keep a version of an eval set; the same one a second time changes nothing.

        Cases of somebody who was forgotten meanwhile are kept empty.

        Raises:
            ConflictError: if that version exists with other content: versions are immutable.
        """
        with self._db.write() as connection:
            gone = without_forgotten(connection, eval_set.cases)
            self._put_eval_set(connection, eval_set.forgetting(gone) if gone else eval_set, at)

    def _put_eval_set(self, connection: Connection, eval_set: EvalSet, at: float) -> None:
        table = tables.eval_sets
        row = {
            "app": app_key(eval_set.app),
            "name": eval_set.name,
            "version": eval_set.version,
            "at": at,
            "cases": len(eval_set.cases),
            "population": eval_set.population,
            "data": codec.encode(eval_set),
        }
        same = (
            (table.c.app == row["app"])
            & (table.c.name == eval_set.name)
            & (table.c.version == eval_set.version)
        )
        if connection.execute(insert_or(table).values(row).on_conflict_do_nothing()).rowcount:
            append_audit(
                connection,
                AuditEntry(
                    app=eval_set.app,
                    at=at,
                    actor=_MACHINE,
                    action="evalset.keep",
                    subject=eval_set.id,
                    because=f"a version of {len(eval_set.cases):,} cases.",
                ),
                (table, f"{row['app']} {eval_set.id}"),
            )
            return
        kept = connection.execute(select(table.c.data).where(same)).scalar_one()
        if codec.decode(EvalSet, kept) != eval_set:
            raise ConflictError(
                f"eval set {eval_set.id} exists with other cases, and a version never changes",
                hint=f"keep it as {eval_set.name}@{eval_set.version + 1}",
            )

    def eval_set(self, app: AppRef, name: str, version: int | None = None) -> EvalSet:
        """An eval set; its latest version unless one is named.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.eval_sets
        query = select(table.c.data).where(table.c.app == app_key(app), table.c.name == name)
        if version is not None:
            query = query.where(table.c.version == version)
        found = self._first(EvalSet, query.order_by(table.c.version.desc()).limit(1))
        if found is None:
            wanted = name if version is None else f"{name}@{version}"
            raise NotFoundError(f"{app} has no eval set {wanted}", hint="inchworm evalset list")
        return found

    def eval_sets(self, app: AppRef) -> list[EvalSetSummary]:
        """Every version of every eval set of an app, by name and version."""
        table = tables.eval_sets
        query = (
            select(table.c.name, table.c.version, table.c.cases, table.c.population, table.c.at)
            .where(table.c.app == app_key(app))
            .order_by(table.c.name, table.c.version)
        )
        with self._db.read() as connection:
            return [EvalSetSummary(**row) for row in connection.execute(query).mappings()]

    def put_proposal(self, proposal: Proposal, cases: Sequence[Case], *, at: float) -> None:
        """Keep a proposal with its cases, open; a second time changes nothing, also when it is closed.

        Cases of somebody who was forgotten meanwhile are kept empty.
        """
        with self._db.write() as connection:
            gone = without_forgotten(connection, cases)
            row = {
                "id": proposal.id,
                "app": app_key(proposal.app),
                "at": at,
                "status": OPEN,
                "data": codec.encode(proposal),
                "cases": codec.encode_many([one.forgotten() if one.id in gone else one for one in cases]),
            }
            connection.execute(insert_or(tables.proposals).values(row).on_conflict_do_nothing())

    def proposals(self, app: AppRef, *, open_only: bool = True) -> list[Proposal]:
        """Proposals of an app, oldest first; those not closed yet unless all are asked for."""
        table = tables.proposals
        query = select(table.c.data).where(table.c.app == app_key(app)).order_by(table.c.at, table.c.number)
        if open_only:
            query = query.where(table.c.status == OPEN)
        return self._every(Proposal, query)

    def proposal(self, id: str) -> tuple[Proposal, list[Case]]:  # noqa: A002  # the agreed name
        """A proposal with its cases.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.proposals
        with self._db.read() as connection:
            row = connection.execute(
                select(table.c.data, table.c.cases).where(table.c.id == id)
            ).one_or_none()
        if row is None:
            raise NotFoundError(f"there is no proposal {id}")
        return codec.decode(Proposal, row.data), codec.decode_many(Case, row.cases)

    def close_proposal(self, id: str, status: str) -> bool:  # noqa: A002  # the agreed name
        """Close an open proposal, e.g. as ``admitted`` or ``declined``.

        Returns:
            ``False``, and nothing is written, if it is closed already.

        Raises:
            NotFoundError: if there is none.
            ValueError: if ``status`` is ``open``.
        """
        if status == OPEN:
            raise ValueError("a proposal is not closed as open")
        table = tables.proposals
        change = update(table).where(table.c.id == id, table.c.status == OPEN).values(status=status)
        with self._db.write() as connection:
            if connection.execute(change).rowcount:
                return True
            if connection.execute(select(table.c.number).where(table.c.id == id)).first() is None:
                raise NotFoundError(f"there is no proposal {id}")
        return False

    def put_benchmark(self, benchmark: Benchmark, *, at: float) -> None:
        """Keep what came of a benchmark; a second time changes nothing."""
        row = {
            "id": benchmark.id,
            "app": app_key(benchmark.app),
            "at": at,
            "data": codec.encode(benchmark),
        }
        added = insert_or(tables.benchmarks).values(row).on_conflict_do_nothing()
        with self._db.write() as connection:
            if not connection.execute(added).rowcount:
                return
            append_audit(
                connection,
                AuditEntry(
                    app=benchmark.app,
                    at=at,
                    actor=_MACHINE,
                    action="benchmark.make",
                    subject=benchmark.id,
                    because=f"{short(benchmark.base)} → {short(benchmark.candidate)} on "
                    f"{benchmark.eval_set}: {benchmark.verdict.value.replace('_', ' ')}.",
                ),
                (tables.benchmarks, benchmark.id),
            )

    def benchmark(self, id: BenchmarkId) -> Benchmark:  # noqa: A002  # the agreed name
        """The benchmark with this id.

        Raises:
            NotFoundError: if there is none.
        """
        table = tables.benchmarks
        found = self._first(Benchmark, select(table.c.data).where(table.c.id == id))
        if found is None:
            raise NotFoundError(f"there is no benchmark {id}")
        return found

    def benchmarks(self, app: AppRef) -> list[Benchmark]:
        """All of an app, newest first."""
        return self._newest_first(Benchmark, tables.benchmarks, app)

    def put_trials(self, trials: Sequence[Trial]) -> None:
        """Cache trials by case, configuration and repetition; a later one replaces an earlier one.

        Errored trials are left out, so that they are made again, and those of cases that are forgotten.
        """
        rows: list[dict[str, Any]] = [
            {
                "case_id": trial.case_id,
                "configuration_id": trial.configuration_id,
                "repetition": trial.repetition,
                "data": codec.encode(trial),
            }
            for trial in trials
            if not isinstance(trial.outcome, Errored)
        ]
        if not rows:
            return
        row = insert_or(tables.trials)
        keys = ["case_id", "configuration_id", "repetition"]
        change = row.on_conflict_do_update(index_elements=keys, set_={"data": row.excluded.data})
        forgotten = tables.forgotten_cases
        with self._db.write() as connection:
            gone = set(connection.execute(select(forgotten.c.case_id)).scalars())
            if left := [row for row in rows if row["case_id"] not in gone]:
                connection.execute(change, left)

    def trials(
        self, case_ids: Collection[CaseId], configuration_ids: Collection[ConfigurationId]
    ) -> dict[tuple[CaseId, ConfigurationId, int], Trial]:
        """Cached trials of these cases under these configurations, ordered by their keys."""
        table = tables.trials
        found: dict[tuple[CaseId, ConfigurationId, int], Trial] = {}
        wanted = sorted(set(configuration_ids))
        with self._db.read() as connection:
            for some in _chunks(sorted(set(case_ids))):
                query = (
                    select(table.c.data)
                    .where(table.c.case_id.in_(some), table.c.configuration_id.in_(wanted))
                    .order_by(table.c.case_id, table.c.configuration_id, table.c.repetition)
                )
                for data in connection.execute(query).scalars():
                    trial = codec.decode(Trial, data)
                    found[(trial.case_id, trial.configuration_id, trial.repetition)] = trial
        return found

    def put_attribution(self, attribution: Attribution, *, at: float) -> None:
        """Keep an attribution; the same one a second time changes nothing."""
        data = codec.encode(attribution)
        row = {
            "digest": digest(codec.from_text(data)),
            "app": app_key(attribution.app),
            "at": at,
            "data": data,
        }
        with self._db.write() as connection:
            connection.execute(insert_or(tables.attributions).values(row).on_conflict_do_nothing())

    def attributions(self, app: AppRef) -> list[Attribution]:
        """All of an app, newest first."""
        return self._newest_first(Attribution, tables.attributions, app)


def _chunks(ids: list[CaseId]) -> Iterator[list[CaseId]]:
    for start in range(0, len(ids), _MANY):
        yield ids[start : start + _MANY]
