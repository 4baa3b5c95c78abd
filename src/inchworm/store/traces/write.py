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
from inchworm.store.traces.rows import EXPOSURES, exposure_table, score_table, table, to_score, trace_batch

_PLACES = pa.schema([("place", pa.int64()), ("app", pa.string()), ("id", pa.string())])
_NUMBERS = pa.schema([("number", pa.int64())])
_CLUSTERS = pa.schema([("id", pa.string()), ("cluster", pa.string())])


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
        keys = _keys(traces)
        first: dict[tuple[str, TraceId], Trace] = {}
        for trace, key in zip(traces, keys, strict=True):
            first.setdefault((key, trace.id), trace)
        if not first:
            return Added(new=0, duplicate=0)
        with self._db.write() as run:
            start = _next(run, "traces", "number")
            batch = trace_batch(list(first.values()), [key for key, _ in first], cluster or {}, start=start)
            new = [
                number
                for (number,) in run.rows(
                    "INSERT INTO traces SELECT * FROM batch "
                    "ON CONFLICT (app, id) DO NOTHING RETURNING number",
                    batch=batch.traces,
                )
            ]
            if new:
                payloads = batch.payloads
                if len(new) < len(first):
                    payloads = payloads.take(pa.array(sorted(number - start for number in new)))
                run("INSERT INTO payloads SELECT * FROM batch ORDER BY number", batch=payloads)
                arrived = set(new)
                _append_scores(
                    run,
                    [
                        (number, score)
                        for number, trace in enumerate(first.values(), start=start)
                        if number in arrived
                        for score in trace.scores
                    ],
                )
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

        A score that is there already, with the same metric, result, source and time, is not appended again:
        what was handed in before a crash may be handed in once more.

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
            found = run.rows(
                "SELECT b.place, t.number FROM batch b JOIN traces t ON t.app = b.app AND t.id = b.id "
                "ORDER BY b.place",
                batch=_lookup(_PLACES, places),
            )
            if len(found) < len(rows):
                missing = min(set(range(len(rows))) - {place for place, _ in found})
                app, id_, _ = rows[missing]
                raise NotFoundError(f"{app} has no trace {id_}; none of the scores was stored")
            # Told apart in both senses: twice in the batch, and there already.
            handed_in = dict.fromkeys((number, rows[place][2]) for place, number in found)
            present = _present(run, {number for _, number in found})
            return _append_scores(run, [row for row in handed_in if row not in present])

    def set_clusters(self, app: AppRef, mapping: Mapping[TraceId, str]) -> None:
        """Say which cluster each trace belongs to; traces that are not there are passed over."""
        if not mapping:
            return
        with self._db.write() as run:
            run(
                "UPDATE traces SET cluster = batch.cluster FROM batch "
                "WHERE traces.app = ? AND traces.id = batch.id",
                [str(app)],
                batch=_lookup(_CLUSTERS, sorted(mapping.items())),
            )


def _keys(traces: Sequence[Trace]) -> list[str]:
    """The app column of each trace; apps are checked once each."""
    known = {app: app_key(app) for app in {trace.app for trace in traces}}
    return [known[trace.app] for trace in traces]


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


def _next(run: Run, name: str, column: str) -> int:
    """The next free number; one connection writes, so nobody else takes it."""
    last: int = run.rows(f"SELECT coalesce(max({column}), 0) FROM {name}")[0][0]  # noqa: S608  # our own names
    return last + 1


def _present(run: Run, numbers: Collection[int]) -> set[tuple[int, Score]]:
    """The scores that these traces have."""
    rows = run.rows(
        "SELECT number, metric, result, value, reason, source, at_s FROM scores "
        "WHERE number IN (SELECT number FROM batch)",
        batch=_lookup(_NUMBERS, [(number,) for number in sorted(numbers)]),
    )
    return {(number, to_score(rest)) for number, *rest in rows}


def _append_scores(run: Run, rows: Sequence[tuple[int, Score]]) -> int:
    if not rows:
        return 0
    batch = score_table(rows, start=_next(run, "scores", "sequence"))
    run("INSERT INTO scores SELECT * FROM batch ORDER BY sequence", batch=batch)
    return len(rows)
