"""What comes out: traces one by one, page by page and all in order.

Only what returns traces, or searches for text, reads payloads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Score
from inchworm.domain.trace import Trace
from inchworm.store.traces.counted import narrowed, total, windows
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.keys import heads, key
from inchworm.store.traces.rollups import NUMBERS, among
from inchworm.store.traces.rows import SCORE_COLUMNS, TRACE_COLUMNS, table, to_score, to_trace
from inchworm.store.traces.search import LATEST_PER_SOURCE, Page, TraceFilter, cursor, place

_PREFIX = 4
_ALIKE = 10_000
_IDS = pa.schema([("id", pa.string())])
_EVERYTHING = TraceFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What came in.

    Attributes:
        traces: in the order of arrival, at most as many as were asked for.
        seen: up to where it was looked; hand it in to go on.
    """

    traces: tuple[Trace, ...]
    seen: int


class Reads(Concern):
    """What comes out."""

    def trace(self, app: AppRef, id_or_prefix: str) -> Trace:
        """One trace, by its id or by at least 4 characters that only its id begins with.

        Raises:
            NotFoundError: if there is none.
            UsageError: if several ids begin so; some are listed.
        """
        with self._db.read() as run:
            found = _by_id(run, app, id_or_prefix)
            if not found and len(id_or_prefix) >= _PREFIX:
                ids = _beginning(run, app, id_or_prefix)
                if len(ids) > 1:
                    listed = ", ".join(id_ for (id_,) in ids[:5]) + (", …" if len(ids) > 5 else "")
                    raise UsageError(f'"{id_or_prefix}" is ambiguous: {listed}', hint="type more of the id")
                if ids:
                    found = _by_id(run, app, ids[0][0])
        if not found:
            raise NotFoundError(f"{app} has no trace {id_or_prefix}", hint="inchworm traces list")
        return found[0]

    def shadow_of(self, app: AppRef, id: TraceId) -> Trace | None:  # noqa: A002  # the trace's own name for it
        """What a candidate answered to the same call, for nobody to see; ``None`` if it was not mirrored."""
        with self._db.read() as run:
            found = _select(run, app, "t.app = ? AND t.shadow_of = ?", [str(app), id])
        return found[0] if found else None

    def traces(
        self, app: AppRef, *, filters: TraceFilter = _EVERYTHING, after: str | None = None, limit: int = 50
    ) -> Page:
        """A page of traces, newest first.

        Args:
            app: whose.
            filters: which.
            after: ``next_cursor`` of the page before.
            limit: how many at most.

        Raises:
            InputError: if ``after`` is no cursor.
        """
        with self._db.read() as run:
            which = narrowed(run, app, filters)
            n = total(run, which)
            before, position, at = "", [], None
            if after is not None:
                at, id_ = place(after)
                before, position = " AND t.at_s <= ? AND (t.at_s < ? OR t.id < ?)", [at, at, id_]
            found: list[Trace] = []
            for window in windows(run, which, limit + 1, until=at) if n else ():
                found = _select(
                    run,
                    app,
                    window.condition + before,
                    [*window.values, *position],
                    order="t.at_s DESC, t.id DESC",
                    limit=limit + 1,
                )
                if len(found) > limit:
                    break
        shown = found[:limit]
        more = len(found) > limit and shown
        return Page(
            traces=tuple(shown),
            next_cursor=cursor(shown[-1].at, shown[-1].id) if more else None,
            total=n,
            searched=which.searched,
        )

    def arrived_after(
        self, app: AppRef, number: int | None, *, filters: TraceFilter = _EVERYTHING, limit: int = 200
    ) -> Arrivals:
        """What came in after something that was seen, in the order of arrival.

        A trace that is replaced keeps its number and does not come again.

        Args:
            app: whose.
            number: ``seen`` of the answer before; ``None`` for nothing yet, only where to go on from.
            filters: which.
            limit: how many at most.
        """
        with self._db.read() as run:
            ((last,),) = run.rows("SELECT coalesce(max(number), 0) FROM traces")
            if number is None or last <= number:
                return Arrivals(traces=(), seen=max(last, number or 0))
            which = narrowed(run, app, filters)
            condition, values = f"{which.condition} AND t.number > ?", [*which.values, number]
            numbers = run.rows(
                f"SELECT t.number FROM traces t WHERE {condition} ORDER BY t.number LIMIT {int(limit)}",  # noqa: S608  # our own terms
                values,
            )
            found = _load(run, app, numbers, order="t.number")
        return Arrivals(traces=tuple(found), seen=numbers[-1][0] if len(numbers) == limit else last)

    def known(self, app: AppRef, ids: Collection[TraceId]) -> set[TraceId]:
        """Those of these ids that an app has a trace by."""
        if not ids:
            return set()
        with self._db.read() as run:
            return {TraceId(id_) for id_, _ in _named(run, app, ids)}

    def iterate(
        self, app: AppRef, *, batch: int = 2000, filters: TraceFilter = _EVERYTHING
    ) -> Iterator[list[Trace]]:
        """The filtered traces of an app, by time and id, in lists of at most ``batch``.

        Traces that arrive meanwhile are seen if they lie ahead. By default answers that nobody saw are
        left out. Never more than one list is in memory.
        """
        position: list[Any] = []
        while True:
            with self._db.read() as run:
                which = narrowed(run, app, filters)
                condition = which.condition
                if position:
                    condition += " AND t.at_s >= ? AND (t.at_s > ? OR t.id > ?)"
                found = _select(
                    run, app, condition, [*which.values, *position], order="t.at_s, t.id", limit=batch
                )
            if found:
                yield found
            if len(found) < batch:
                return
            position = [found[-1].at, found[-1].at, found[-1].id]

    def clusters(self, app: AppRef, ids: Collection[TraceId] | None = None) -> dict[TraceId, str]:
        """The clusters of these traces, or of all, as far as they have one; ordered by id."""
        with self._db.read() as run:
            if ids is not None:
                named = _named(run, app, ids) if ids else []
                return {TraceId(id_): cluster for id_, cluster in sorted(named) if cluster is not None}
            rows = run.rows(
                "SELECT id, cluster FROM traces WHERE app = ? AND cluster IS NOT NULL ORDER BY id", [str(app)]
            )
            return dict(rows)


def _named(run: Run, app: AppRef, ids: Collection[TraceId]) -> list[tuple[str, str | None]]:
    """Ids and clusters of those of these traces that are there."""
    batch = table(_IDS, [(id_,) for id_ in sorted(set(ids))])
    numbers = run.table(
        f"SELECT number FROM traces t WHERE t.key IN (SELECT {key('?', 'id')} FROM batch)",  # noqa: S608  # our own terms
        [str(app)],
        batch=batch,
    )
    if not numbers.num_rows:
        return []
    rows = run.rows(
        f"SELECT app, id, cluster FROM traces WHERE {among(numbers)}",  # noqa: S608  # our own terms
        affected=numbers,
    )
    wanted = {(str(app), id_) for id_ in ids}
    return [(id_, cluster) for of, id_, cluster in rows if (of, id_) in wanted]


def _beginning(run: Run, app: AppRef, prefix: str) -> list[tuple[str]]:
    """The first ids that begin so, at most 6."""
    ((least, greatest),) = run.rows("SELECT {}, {}".format(*heads("$1")), [prefix])
    numbers = run.table(
        "SELECT number FROM traces WHERE head BETWEEN ? AND ? LIMIT ?", [least, greatest, _ALIKE + 1]
    )
    # Numbers are scanned several times faster than texts; where very many ids begin alike, that is in vain.
    few = "AND number IN (SELECT number FROM alike)" if numbers.num_rows <= _ALIKE else ""
    return run.rows(
        f"SELECT id FROM traces WHERE starts_with(id, ?) AND app = ? {few} ORDER BY id LIMIT 6",  # noqa: S608  # our own terms
        [prefix, str(app)],
        alike=numbers,
    )


def _by_id(run: Run, app: AppRef, id_: str) -> list[Trace]:
    alike = run.rows(f"SELECT number FROM traces t WHERE t.key = {key('?', '?')}", [str(app), id_])  # noqa: S608  # our own terms
    return [one for one in _load(run, app, alike, order="t.number") if one.id == id_]


def _select(
    run: Run,
    app: AppRef,
    condition: str,
    values: Sequence[Any],
    *,
    order: str = "t.id",
    limit: int = 1,
) -> list[Trace]:
    # First which, then their payloads: only those that are returned are read.
    numbers = run.rows(
        f"SELECT t.number FROM traces t WHERE {condition} ORDER BY {order} LIMIT {limit}",  # noqa: S608  # our own terms
        values,
    )
    return _load(run, app, numbers, order=order)


def _load(run: Run, app: AppRef, numbers: Sequence[tuple[int]], *, order: str) -> list[Trace]:
    if not numbers:
        return []
    wanted = table(NUMBERS, numbers)
    low, high = min(numbers)[0], max(numbers)[0]
    rows = run.rows(
        f"SELECT {TRACE_COLUMNS} FROM traces t JOIN payloads p USING (number) SEMI JOIN batch USING (number) "  # noqa: S608  # our own terms
        f"WHERE t.number BETWEEN {low} AND {high} AND p.number BETWEEN {low} AND {high} ORDER BY {order}",
        batch=wanted,
    )
    scores: dict[int, list[Score]] = {}
    for number, *score in run.rows(
        f"SELECT s.number, {SCORE_COLUMNS} FROM "  # noqa: S608  # our own terms
        f"(SELECT * FROM scores SEMI JOIN batch USING (number) {LATEST_PER_SOURCE}) s "
        "ORDER BY number, sequence",
        batch=wanted,
    ):
        scores.setdefault(number, []).append(to_score(score))
    return [to_trace(row, app, scores.get(row[0], ())) for row in rows]
