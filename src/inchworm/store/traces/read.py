"""What comes out: traces one by one, page by page and all in order; counts and aggregates.

Only what returns traces, or searches for text, reads payloads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import ConfigurationId, TraceId
from inchworm.domain.outcome import Score
from inchworm.domain.trace import Trace
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.rows import TRACE_COLUMNS, table, to_score, to_trace
from inchworm.store.traces.search import (
    LATEST_PER_METRIC,
    LATEST_PER_SOURCE,
    SEEN,
    Page,
    TraceFilter,
    cursor,
    place,
    where,
)

_DAY_S = 86_400.0
_PREFIX = 4
_FACETS = {
    "configuration": "configuration_id",
    "arm": "arm",
    "rollout": "rollout_id",
    "cluster": "cluster",
    "outcome": "outcome",
    "finish_reason": "finish_reason",
}
_FACET_VALUES = 100
_NUMBERS = pa.schema([("number", pa.int64())])
_EVERYTHING = TraceFilter()
_SEEN = SEEN.format("")


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricMean:
    """One metric over some traces, by the latest score of each.

    Attributes:
        mean: of the scored ones; ``None`` if none is.
        scored: how many have a value.
    """

    mean: float | None
    scored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryRow:
    """One configuration or cluster over a period.

    Attributes:
        key: its id or name; ``None`` for traces that have none.
        n: traces.
        failed: traces on which the configuration failed.
        errored: traces on which the harness failed.
        metrics: one entry per metric asked for.
    """

    key: str | None
    n: int
    failed: int
    errored: int
    metrics: dict[str, MetricMean]


class Reads(Concern):
    """What comes out."""

    def trace(self, app: AppRef, id_or_prefix: str) -> Trace:
        """One trace, by its id or by at least 4 characters that only its id begins with.

        Raises:
            NotFoundError: if there is none.
            UsageError: if several ids begin so; some are listed.
        """
        with self._db.read() as run:
            found = _select(run, app, "t.app = ? AND t.id = ?", [str(app), id_or_prefix])
            if not found and len(id_or_prefix) >= _PREFIX:
                prefix = [str(app), id_or_prefix]
                ids = run.rows(
                    "SELECT id FROM traces WHERE app = ? AND starts_with(id, ?) ORDER BY id LIMIT 6", prefix
                )
                if len(ids) > 1:
                    listed = ", ".join(id_ for (id_,) in ids[:5]) + (", …" if len(ids) > 5 else "")
                    raise UsageError(f'"{id_or_prefix}" is ambiguous: {listed}', hint="type more of the id")
                if ids:
                    found = _select(run, app, "t.app = ? AND t.id = ?", [str(app), ids[0][0]])
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
        condition, values = where(app, filters)
        with self._db.read() as run:
            total = run.rows(f"SELECT count(*) FROM traces t WHERE {condition}", values)[0][0]  # noqa: S608  # our own terms
            if after is not None:
                at, id_ = place(after)
                condition += " AND (t.at_s < ? OR (t.at_s = ? AND t.id < ?))"
                values = [*values, at, at, id_]
            found = _select(run, app, condition, values, order="t.at_s DESC, t.id DESC", limit=limit + 1)
        shown = found[:limit]
        more = len(found) > limit and shown
        return Page(
            traces=tuple(shown),
            next_cursor=cursor(shown[-1].at, shown[-1].id) if more else None,
            total=total,
        )

    def facets(self, app: AppRef, filters: TraceFilter = _EVERYTHING) -> dict[str, list[tuple[str, int]]]:
        """How many of the filtered traces have which value, the most frequent first, at most 100 each.

        Facets: ``configuration``, ``arm``, ``rollout``, ``cluster``, ``outcome``, ``finish_reason``.
        """
        condition, values = where(app, filters)
        columns = [f"t.{column}" for column in _FACETS.values()]
        sets = ", ".join(f"({column})" for column in columns)
        with self._db.read() as run:
            # In one pass, because a search for words is what takes the time. GROUPING has a 1 for every
            # column that a row is not grouped by, the first column in the highest bit.
            rows = run.rows(
                f"SELECT GROUPING({', '.join(columns)}), coalesce({', '.join(columns)}), count(*) "  # noqa: S608  # our own terms
                f"FROM traces t WHERE {condition} GROUP BY GROUPING SETS ({sets})",
                values,
            )
        found: dict[str, list[tuple[str, int]]] = {}
        every = (1 << len(_FACETS)) - 1
        for number, name in enumerate(_FACETS, start=1):
            mine = every - (1 << len(_FACETS) - number)
            counted = [(value, n) for group, value, n in rows if group == mine and value is not None]
            found[name] = sorted(counted, key=lambda one: (-one[1], one[0]))[:_FACET_VALUES]
        return found

    def count(self, app: AppRef) -> int:
        """How many traces an app has, answers that nobody saw left out."""
        with self._db.read() as run:
            n: int = run.rows(f"SELECT count(*) FROM traces WHERE app = ? AND {_SEEN}", [str(app)])[0][0]  # noqa: S608  # our own terms
        return n

    def known(self, app: AppRef, ids: Collection[TraceId]) -> set[TraceId]:
        """Those of these ids that an app has a trace by."""
        if not ids:
            return set()
        with self._db.read() as run:
            rows = run.rows(
                "SELECT id FROM traces WHERE app = ? AND id IN (SELECT unnest(?::VARCHAR[]))",
                [str(app), sorted(ids)],
            )
        return {TraceId(id_) for (id_,) in rows}

    def period(self, app: AppRef) -> tuple[float, float] | None:
        """When the first and the last trace started; ``None`` without traces."""
        with self._db.read() as run:
            first, last = run.rows(
                f"SELECT min(at_s), max(at_s) FROM traces WHERE app = ? AND {_SEEN}",  # noqa: S608  # our own terms
                [str(app)],
            )[0]
        return None if first is None else (first, last)

    def iterate(self, app: AppRef, *, batch: int = 2000) -> Iterator[list[Trace]]:
        """All traces of an app, by time and id, in lists of at most ``batch``.

        Traces that arrive meanwhile are seen if they lie ahead. Answers that nobody saw are left out.
        """
        condition, values = where(app, _EVERYTHING)
        every = condition
        position: list[Any] = []
        while True:
            with self._db.read() as run:
                found = _select(run, app, condition, [*values, *position], order="t.at_s, t.id", limit=batch)
            if found:
                yield found
            if len(found) < batch:
                return
            condition = f"{every} AND (t.at_s > ? OR (t.at_s = ? AND t.id > ?))"
            position = [found[-1].at, found[-1].at, found[-1].id]

    def clusters(self, app: AppRef, ids: Collection[TraceId] | None = None) -> dict[TraceId, str]:
        """The clusters of these traces, or of all, as far as they have one; ordered by id."""
        query = "SELECT id, cluster FROM traces WHERE app = ? AND cluster IS NOT NULL"
        values: list[Any] = [str(app)]
        if ids is not None:
            query += " AND id IN (SELECT unnest(?::VARCHAR[]))"
            values.append(sorted(ids))
        with self._db.read() as run:
            return dict(run.rows(query + " ORDER BY id", values))

    def traffic(self, app: AppRef, *, now: float, days: float) -> float:
        """Units per day, observed in the ``days`` before ``now``.

        If the traces begin later than that, the time since then counts, at least one day: less than a
        day says nothing of its nights.
        """
        since = now - days * _DAY_S
        with self._db.read() as run:
            ((first, units),) = run.rows(
                "SELECT min(at_s), count(DISTINCT unit_id) FILTER (at_s > ?) FROM traces "  # noqa: S608  # our own terms
                f"WHERE app = ? AND at_s <= ? AND {_SEEN}",
                [since, str(app), now],
            )
        if first is None:
            return 0.0
        observed = min(days, max(1.0, (now - first) / _DAY_S))
        return float(units / observed)

    def quantile(
        self,
        app: AppRef,
        column: Literal["latency_ms", "cost_usd"],
        q: float,
        *,
        since: float,
        until: float,
        configuration: ConfigurationId | None = None,
    ) -> float | None:
        """The ``q``-quantile of a column over ``since <= at < until``; ``None`` if nothing is known.

        Interpolated linearly (type 7 of Hyndman & Fan, The American Statistician 50, 1996).

        Raises:
            ValueError: for another column, or ``q`` outside [0, 1].
        """
        if column not in {"latency_ms", "cost_usd"} or not 0 <= q <= 1:
            raise ValueError(f"quantiles are of latency_ms or cost_usd, with q in [0, 1]: not {column}, {q}")
        condition, values = where(app, TraceFilter(configuration=configuration, since=since, until=until))
        query = f"SELECT quantile_cont(t.{column}, ?::DOUBLE) FROM traces t WHERE {condition}"  # noqa: S608  # our own terms
        with self._db.read() as run:
            value: float | None = run.rows(query, [q, *values])[0][0]
        return value

    def summary(
        self,
        app: AppRef,
        *,
        by: Literal["configuration", "cluster"],
        metrics: Sequence[str],
        since: float,
        until: float,
    ) -> list[SummaryRow]:
        """Counts and means per configuration or cluster over ``since <= at < until``, most traces first.

        Raises:
            ValueError: if ``by`` is something else.
        """
        if by not in {"configuration", "cluster"}:
            raise ValueError(f"a summary is by configuration or cluster, not by {by}")
        column = _FACETS[by]
        condition, values = where(app, TraceFilter(since=since, until=until))
        with self._db.read() as run:
            groups = run.rows(
                f"SELECT t.{column}, count(*) AS n, count(*) FILTER (t.outcome = 'failed'), "  # noqa: S608  # our own terms
                f"count(*) FILTER (t.outcome = 'errored') FROM traces t WHERE {condition} "
                "GROUP BY 1 ORDER BY n DESC, 1 NULLS LAST",
                values,
            )
            means = run.rows(
                "WITH s AS (SELECT number, metric, value FROM scores "  # noqa: S608  # our own terms
                "WHERE list_contains(?::VARCHAR[], metric) "
                f"AND number IN (SELECT t.number FROM traces t WHERE {condition}) {LATEST_PER_METRIC}) "
                f"SELECT t.{column}, s.metric, avg(s.value ORDER BY s.number), count(s.value) "
                "FROM s JOIN traces t USING (number) GROUP BY 1, 2",
                [list(metrics), *values],
            )
        known = {(key, metric): MetricMean(mean=mean, scored=n) for key, metric, mean, n in means}
        none = MetricMean(mean=None, scored=0)
        return [
            SummaryRow(
                key=key,
                n=n,
                failed=failed,
                errored=errored,
                metrics={metric: known.get((key, metric), none) for metric in metrics},
            )
            for key, n, failed, errored in groups
        ]


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
    if not numbers:
        return []
    wanted = table(_NUMBERS, numbers)
    low, high = min(numbers)[0], max(numbers)[0]
    rows = run.rows(
        f"SELECT {TRACE_COLUMNS} FROM traces t JOIN payloads p USING (number) SEMI JOIN batch USING (number) "  # noqa: S608  # our own terms
        f"WHERE t.number BETWEEN {low} AND {high} AND p.number BETWEEN {low} AND {high} ORDER BY {order}",
        batch=wanted,
    )
    scores: dict[int, list[Score]] = {}
    for number, *score in run.rows(
        "SELECT number, metric, result, value, reason, source, at_s FROM "  # noqa: S608  # our own terms
        f"(SELECT * FROM scores SEMI JOIN batch USING (number) {LATEST_PER_SOURCE}) "
        "ORDER BY number, sequence",
        batch=wanted,
    ):
        scores.setdefault(number, []).append(to_score(score))
    return [to_trace(row, app, scores.get(row[0], ())) for row in rows]
