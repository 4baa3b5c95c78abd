"""What goes in: traces, exposures, scores and clusters, in Arrow batches. A call is one transaction."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConflictError, InputError, NotFoundError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Score
from inchworm.domain.trace import Exposure, Trace
from inchworm.store.codec import app_key
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.graded import append_new_scores, append_scores
from inchworm.store.traces.keys import head, key
from inchworm.store.traces.numbers import next_number
from inchworm.store.traces.rollups import MATCHES, NUMBERS, among, changing, enter, register, tidy
from inchworm.store.traces.rows import (
    EXPOSURES,
    SCORE_COLUMNS,
    Batch,
    exposure_table,
    table,
    to_score,
    trace_batch,
)

_PLACES = pa.schema([("number", pa.int64()), ("app", pa.string()), ("id", pa.string())])
_CLUSTERS = pa.schema([("number", pa.int64()), ("cluster", pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What became of traces that were handed in.

    Attributes:
        new: how many were stored.
        duplicate: how many had an id that was there already, or twice in the batch; the first one stays.
    """

    new: int
    duplicate: int


class Writes(Concern):
    """What goes in."""

    def add_traces(self, traces: Sequence[Trace], *, cluster: Mapping[TraceId, str] | None = None) -> Added:
        """Store traces with the scores they bring; told apart by app and id. Durable on return.

        Args:
            traces: sanitized ones.
            cluster: the names of their clusters, where known.

        Raises:
            InputError: if one of them cannot be stored exactly (a lone surrogate, NaN, no JSON); then
                none of them is. Text with NUL characters is stored.
        """
        keys = app_keys(traces)
        first: dict[tuple[str, TraceId], Trace] = {}
        for trace, app in zip(traces, keys, strict=True):
            first.setdefault((app, trace.id), trace)
        if not first:
            return Added(new=0, duplicate=0)
        with self._db.write() as run:
            start = next_number(run, "traces", "number")
            batch = trace_batch(list(first.values()), [app for app, _ in first], cluster or {}, start=start)
            known = stored(run, batch.traces)
            new = {
                number: trace
                for number, trace in enumerate(first.values(), start=start)
                if number not in known
            }
            insert(run, batch, new)
            append_new_scores(
                run, [(number, score) for number, trace in new.items() for score in trace.scores]
            )
            enter_new(run, new)
        return Added(new=len(new), duplicate=len(traces) - len(new))

    def add_exposures(self, exposures: Sequence[Exposure]) -> int:
        """Store assignments; told apart by rollout and order. Durable on return.

        Returns:
            How many were new.

        Raises:
            ConflictError: if another unit has one of the places, or one of the units another place or
                another arm in the same draw; then none is stored.
            InputError: if one cannot be stored exactly; then none is.
        """
        if not exposures:
            return 0
        batch = exposure_table(exposures)
        try:
            with self._db.write() as run:
                return _append_exposures(run, batch)
        except duckdb.ConstraintException as error:  # UNIQUE (rollout_id, unit_id, draw)
            raise ConflictError(
                "a unit has another place in the order of assignment already, and exposures never change; "
                "none of the batch was stored"
            ) from error

    def add_scores(self, rows: Sequence[tuple[AppRef, TraceId, Score]]) -> int:
        """Append scores; of one trace and metric the latest by time, then by arrival, counts.

        A score that is there already, with the same content, is not appended again: what was handed in
        before a crash may be handed in once more. Of those with one id in an app only one is there: the
        later by time, then by arrival, takes the place of the other, also at another trace.

        Returns:
            How many were appended.

        Raises:
            NotFoundError: if a trace does not exist; then none is appended.
            InputError: if one cannot be stored exactly; then none is appended.
        """
        if not rows:
            return 0
        places = [(place, str(app), id_) for place, (app, id_, _) in enumerate(rows)]
        with self._db.write() as run:
            found = sorted(stored(run, _lookup(_PLACES, places)).items())
            if len(found) < len(rows):
                missing = min(set(range(len(rows))) - {place for place, _ in found})
                app, id_, _ = rows[missing]
                raise NotFoundError(f"{app} has no trace {id_}; none of the scores was stored")
            # Told apart in both senses: twice in the batch, and there already.
            handed_in = dict.fromkeys((number, rows[place][2]) for place, number in found)
            present = _present(run, {number for _, number in found})
            new = [row for row in handed_in if row not in present]
            appended = append_scores(run, new)
            tidy(run)
            return appended

    def set_clusters(self, app: AppRef, mapping: Mapping[TraceId, str]) -> None:
        """Say which cluster each trace belongs to; traces that are not there are passed over."""
        if not mapping:
            return
        names = [(place, str(app), id_) for place, id_ in enumerate(mapping)]
        with self._db.write() as run:
            found = stored(run, _lookup(_PLACES, names))
            clusters = list(mapping.values())
            batch = _lookup(_CLUSTERS, [(number, clusters[place]) for place, number in found.items()])
            with changing(run, found.values()):
                run(
                    "UPDATE traces SET cluster = named.cluster FROM named WHERE traces.number = named.number",
                    named=batch,
                )
            tidy(run)


def app_keys(traces: Sequence[Trace]) -> list[str]:
    """The app column of each trace; apps are checked once each."""
    known = {app: app_key(app) for app in {trace.app for trace in traces}}
    return [known[trace.app] for trace in traces]


def stored(run: Run, batch: pa.Table) -> dict[int, int]:
    """Which of these are stored already: the numbers of stored traces by those of the batch.

    Args:
        run: the transaction.
        batch: with the columns ``number``, ``app`` and ``id``.
    """
    alike = run.rows(
        f"SELECT b.number, t.number FROM traces t "  # noqa: S608  # our own terms
        f"JOIN (SELECT number, {key('app', 'id')} AS key FROM batch) b ON t.key = b.key",
        batch=batch,
    )
    if not alike:
        return {}
    # Two ids may have one key. They are compared here: joined by text, all of the texts would be read.
    there = table(NUMBERS, sorted({(number,) for _, number in alike}))
    names = run.rows(f"SELECT number, app, id FROM traces WHERE {among(there)}", affected=there)  # noqa: S608  # our own terms
    stored_as = {number: (app, id_) for number, app, id_ in names}
    columns = (batch[name].to_pylist() for name in ("number", "app", "id"))
    asked = {number: (app, id_) for number, app, id_ in zip(*columns, strict=True)}
    return {here: number for here, number in alike if asked[here] == stored_as[number]}


def insert(run: Run, batch: Batch, new: Collection[int]) -> None:
    """Store the rows of a batch that have these numbers."""
    if not new:
        return
    traces, payloads = batch.traces, batch.payloads
    if len(new) < traces.num_rows:
        start = traces["number"][0].as_py()
        places = pa.array([number - start for number in sorted(new)])
        traces, payloads = traces.take(places), payloads.take(places)
    register(run, traces)
    run(
        f"INSERT INTO traces SELECT b.*, {key('b.app', 'b.id')}, {head('b.id')}, c.id "  # noqa: S608  # our own terms
        f"FROM batch b JOIN combinations c ON {MATCHES.format('b')} ORDER BY b.number",
        batch=traces,
    )
    run("INSERT INTO payloads SELECT * FROM batch ORDER BY number", batch=payloads)


def enter_new(run: Run, new: Collection[int]) -> None:
    """Count traces that were not there before, with their scores."""
    if new:
        enter(run, table(NUMBERS, [(number,) for number in sorted(new)]))
        tidy(run)


def _append_exposures(run: Run, batch: pa.Table) -> int:
    # With its target named the clause looks at one index; without, DuckDB slows down as the table grows.
    new = run.rows(
        "INSERT INTO exposures SELECT * FROM batch "
        "ON CONFLICT (rollout_id, place) DO NOTHING RETURNING place",
        batch=batch,
    )
    if len(new) < batch.num_rows:
        columns = ", ".join(EXPOSURES.names)
        differing = run.rows(
            f"SELECT rollout_id, place, unit_id FROM "  # noqa: S608  # names of our own columns
            f"(SELECT {columns} FROM batch EXCEPT SELECT {columns} FROM exposures) "
            "ORDER BY rollout_id, place, unit_id LIMIT 1",
            batch=batch,
        )
        if differing:
            rollout_id, place, unit_id = differing[0]
            raise ConflictError(
                f"unit {unit_id} at place {place} of {rollout_id} contradicts an exposure that is stored, "
                "and exposures never change; none of the batch was stored"
            )
    return len(new)


def _lookup(schema: pa.Schema, rows: Sequence[tuple[object, ...]]) -> pa.Table:
    try:
        return table(schema, rows)
    except ValueError as error:
        raise InputError(f"an id or a name is no Unicode text: {error}") from error


def _present(run: Run, numbers: Collection[int]) -> set[tuple[int, Score]]:
    """The scores that these traces have."""
    rows = run.rows(
        f"SELECT s.number, {SCORE_COLUMNS} FROM scores s "  # noqa: S608  # our own terms
        "WHERE number IN (SELECT number FROM batch)",
        batch=_lookup(NUMBERS, [(number,) for number in sorted(numbers)]),
    )
    return {(number, to_score(rest)) for number, *rest in rows}
