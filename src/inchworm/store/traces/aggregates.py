"""Counts and means: of facets, configurations and clusters. What the rollups know is not counted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId
from inchworm.store.traces.counted import Narrowed, Sums, counts, narrowed, scored, total
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.rollups import during
from inchworm.store.traces.search import SEEN, TraceFilter

_DAY_S = 86_400.0
FACETS = {
    "configuration": "configuration_id",
    "arm": "arm",
    "rollout": "rollout_id",
    "cluster": "cluster",
    "outcome": "outcome",
    "finish_reason": "finish_reason",
    "model": "model",
    "call": "call",
    "source": "source",
}
_VALUES = 100
_EVERYTHING = TraceFilter()


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


class Aggregates(Concern):
    """What comes out in numbers."""

    def facets(self, app: AppRef, filters: TraceFilter = _EVERYTHING) -> dict[str, list[tuple[str, int]]]:
        """How many of the filtered traces have which value, the most frequent first, at most 100 each.

        Facets: ``configuration``, ``arm``, ``rollout``, ``cluster``, ``outcome``, ``finish_reason``,
        ``model``, ``call``, ``source``, and ``metric``: how many have a score on it.
        """
        with self._db.read() as run:
            which = narrowed(run, app, filters)
            n, metrics = _counted(run, which) if which.filters.counted else _matched(run, which)
            values = _values(run, list(FACETS.values()))
        found: dict[str, dict[str, int]] = {name: {} for name in (*FACETS, "metric")}
        for id_, count in n.items():
            for name, value in zip(FACETS, values[id_], strict=True):
                if value is not None:
                    found[name][value] = found[name].get(value, 0) + count
        found["metric"] = metrics
        return {
            name: sorted(counted.items(), key=lambda one: (-one[1], one[0]))[:_VALUES]
            for name, counted in found.items()
        }

    def count(self, app: AppRef, filters: TraceFilter = _EVERYTHING) -> int:
        """How many traces an app has that pass the filters; by default all that somebody saw."""
        with self._db.read() as run:
            return total(run, narrowed(run, app, filters))

    def period(self, app: AppRef) -> tuple[float, float] | None:
        """When the first and the last trace started; ``None`` without traces."""
        with self._db.read() as run:
            which = narrowed(run, app, _EVERYTHING)
            ((first, last),) = run.rows(
                "SELECT min(hour), max(hour) FROM (SELECT hour FROM hourly "  # noqa: S608  # our own terms
                f"WHERE {which.listed} GROUP BY hour HAVING sum(n) <> 0)"
            )
            if first is None:
                return None
            ends = [
                run.rows(f"SELECT {end}(at_s) FROM traces t WHERE {which.facets} AND {during(hour)}")[0][0]  # noqa: S608  # our own terms
                for end, hour in (("min", first), ("max", last))
            ]
        return ends[0], ends[1]

    def traffic(self, app: AppRef, *, now: float, days: float) -> float:
        """Units per day, observed in the ``days`` before ``now``.

        If the traces begin later than that, the time since then counts, at least one day: less than a
        day says nothing of its nights.
        """
        since = now - days * _DAY_S
        with self._db.read() as run:
            ((first, units),) = run.rows(
                "SELECT min(at_s), count(DISTINCT unit_id) FILTER (at_s > ?) FROM traces "  # noqa: S608  # our own terms
                f"WHERE app = ? AND at_s <= ? AND {SEEN.format('')}",
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
        asked = TraceFilter(configuration=configuration, since=since, until=until)
        with self._db.read() as run:
            which = narrowed(run, app, asked)
            value: float | None = run.rows(
                f"SELECT quantile_cont(t.{column}, ?::DOUBLE) FROM traces t WHERE {which.condition}",  # noqa: S608  # our own terms
                [q, *which.values],
            )[0][0]
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
        with self._db.read() as run:
            which = narrowed(run, app, TraceFilter(since=since, until=until))
            n = counts(run, which)
            values = _values(run, [FACETS[by], "outcome"])
            means = scored(run, which, by=f"c.{FACETS[by]}", metrics=metrics) if metrics else {}
        groups: dict[str | None, list[int]] = {}
        for id_, count in n.items():
            key, outcome = values[id_]
            group = groups.setdefault(key, [0, 0, 0])
            for place, counts_here in enumerate((True, outcome == "failed", outcome == "errored")):
                group[place] += count * counts_here
        none = Sums(0, 0, 0.0, 0)
        order = sorted(groups, key=lambda key: (-groups[key][0], key is None, key or ""))
        return [
            SummaryRow(
                key=key,
                n=groups[key][0],
                failed=groups[key][1],
                errored=groups[key][2],
                metrics={metric: _mean(means.get((key, metric), none)) for metric in metrics},
            )
            for key in order
        ]


def _mean(of: Sums) -> MetricMean:
    return MetricMean(mean=of.sum / of.values if of.values else None, scored=of.values)


def _values(run: Run, columns: Sequence[str]) -> Mapping[int, tuple[str | None, ...]]:
    listed = ", ".join(columns)
    return {id_: tuple(values) for id_, *values in run.rows(f"SELECT id, {listed} FROM combinations")}  # noqa: S608  # our own names


def _counted(run: Run, which: Narrowed) -> tuple[dict[int, int], dict[str, int]]:
    """How many pass by combination, and how many of these have a score by metric: from the rollups."""
    return counts(run, which), {metric: one.n for (_, metric), one in scored(run, which).items()}


def _matched(run: Run, which: Narrowed) -> tuple[dict[int, int], dict[str, int]]:
    """The same of what the rollups do not know; the traces are looked through once."""
    matched = run.table(
        f"SELECT t.number, t.combination FROM traces t WHERE {which.condition}",  # noqa: S608  # our own terms
        which.values,
    )
    n = run.rows("SELECT combination, count(*) FROM matched GROUP BY 1", matched=matched)
    metrics = run.rows(
        "SELECT metric, count(*) FROM scores "
        "WHERE latest AND number IN (SELECT number FROM matched) GROUP BY 1",
        matched=matched,
    )
    return dict(n), dict(metrics)
