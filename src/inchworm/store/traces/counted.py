"""Which combinations of facets a filter means, and how many traces there are of each: from the rollups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import pyarrow.compute as pc

from inchworm.domain.configuration import AppRef
from inchworm.store.traces.database import Run
from inchworm.store.traces.rollups import HOUR_S, LOW, TOTAL, UNIT
from inchworm.store.traces.search import TEXT_SCAN, TraceFilter, facets, rest, sought

_CANDIDATES = (2_000, 100_000, 2_000_000)
_FAR = 1e12


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """A filter, as conditions on ``traces t`` that hold as long as the transaction.

    Attributes:
        app: whose.
        filters: the filter.
        facets: the condition that a row has one of the combinations that the filter leaves.
        condition: everything that the filter means.
        values: its parameters.
        searched: where something is sought in content, among how many traces it was, if there are more.
    """

    app: AppRef
    filters: TraceFilter
    facets: str
    condition: str
    values: tuple[Any, ...]
    searched: int | None = None

    @property
    def listed(self) -> str:
        """As :attr:`facets`, of ``hourly`` and ``hourly_scores``."""
        return self.facets.replace("t.combination", "combination")


def narrowed(run: Run, app: AppRef, filters: TraceFilter) -> Narrowed:
    """What a filter means for one app. Whatever is sought in content is looked for here, once."""
    condition, given = facets(app, filters)
    chosen = run.table(
        f"SELECT id FROM combinations c WHERE {condition}",  # noqa: S608  # our own terms
        given,
    )
    ((every,),) = run.rows("SELECT count(*) FROM combinations", chosen=chosen)
    among = "t.combination IN (SELECT id FROM chosen)"
    if chosen.num_rows in {0, every}:
        among = "TRUE" if every and chosen.num_rows else "FALSE"
    else_, values = rest(app, filters)
    plain = Narrowed(
        app=app, filters=filters, facets=among, condition=f"{among} AND {else_}", values=tuple(values)
    )
    wanted = sought(filters)
    if wanted is None:
        return plain
    searched = _search(run, plain, *wanted)
    found = "t.number IN (SELECT number FROM sought)"
    return replace(plain, condition=f"{among} AND {found}", values=(), searched=searched)


def _search(run: Run, which: Narrowed, condition: str, values: Sequence[Any]) -> int | None:
    """Find what is sought among the newest that pass the rest: ``sought`` holds their numbers then."""
    # Where the rollups know how many pass, no more than is needed is sorted.
    begin = reaching(run, which, TEXT_SCAN + 1) if _known(which.filters) else None
    scope = run.table(
        f"SELECT t.number FROM traces t WHERE {which.condition} "  # noqa: S608  # our own terms
        f"{'' if begin is None else f'AND t.at_s >= {begin!r}'} "
        f"ORDER BY t.at_s DESC, t.id DESC LIMIT {TEXT_SCAN + 1}",
        which.values,
    )
    more = scope.num_rows > TEXT_SCAN
    scope = scope.slice(0, TEXT_SCAN)
    low, high = (0, -1) if not scope.num_rows else (pc.min(scope["number"]), pc.max(scope["number"]))
    found = run.table(
        f"SELECT number FROM payloads SEMI JOIN scope USING (number) "  # noqa: S608  # our own terms
        f"WHERE number BETWEEN {low} AND {high} AND {condition}",
        values,
        scope=scope,
    )
    run("SELECT 1", sought=found)
    return TEXT_SCAN if more else None


def _known(filters: TraceFilter) -> bool:
    """Whether the rollups know how many pass what is not sought in content."""
    return replace(filters, text=None, attribute=None).counted


def windows(run: Run, which: Narrowed, n: int, *, until: float | None) -> Iterator[Narrowed]:
    """The same filter from ever earlier times on, at last from the first, to find the newest ``n``.

    Args:
        run: the transaction.
        which: the filter.
        n: how many of them are wanted.
        until: later ones do not count.
    """
    if which.filters.text is None and which.filters.attribute is None:
        for wanted in (n,) if which.filters.counted else _CANDIDATES:
            begin = reaching(run, which, wanted, until=until)
            if begin is None:
                break
            ((least,),) = run.rows(
                f"SELECT min(number) FROM traces t WHERE {which.facets} AND t.at_s >= {begin!r}"  # noqa: S608  # our own terms
            )
            else_, values = rest(which.app, which.filters, least=least or 0)
            yield replace(
                which, condition=f"{which.facets} AND t.at_s >= {begin!r} AND {else_}", values=tuple(values)
            )
    yield which


def reaching(run: Run, which: Narrowed, n: int, *, until: float | None = None) -> float | None:
    """A time from which on at least ``n`` pass the facets of a filter; ``None`` if fewer than that are left.

    Args:
        run: the transaction.
        which: the filter.
        n: how many.
        until: later ones do not count, nor those of its own hour.
    """
    last = min(math.inf if at is None else at for at in (which.filters.until, until))
    within = "TRUE" if last == math.inf else f"hour < {_hour(last)}"
    ((hour,),) = run.rows(
        "WITH by_hour AS (SELECT hour, sum(n) AS n FROM hourly "  # noqa: S608  # our own terms
        f"WHERE {which.listed} AND {within} GROUP BY hour HAVING sum(n) <> 0), "
        "added AS (SELECT hour, sum(n) OVER (ORDER BY hour DESC) AS n FROM by_hour) "
        "SELECT max(hour) FROM added WHERE n >= ?",
        [n],
    )
    # Half an hour earlier: what lies at the edge of an hour is in it, however it was rounded.
    return None if hour is None or abs(hour) > _FAR else (hour - 0.5) * HOUR_S


def _hour(at: float) -> int:
    return math.floor(max(min(at / HOUR_S, 9e15), -9e15))


def counts(run: Run, which: Narrowed) -> dict[int, int]:
    """How many pass, by combination."""
    if not which.filters.counted:
        return dict(_raw(run, which.condition, which.values))
    whole, edges = hours(which.filters.since, which.filters.until)
    found: dict[int, int] = {}
    if whole is not None:
        rows = run.rows(
            f"SELECT combination, sum(n)::BIGINT FROM hourly WHERE {which.listed} "  # noqa: S608  # our own terms
            "AND hour >= ? AND hour < ? GROUP BY 1 HAVING sum(n) <> 0",
            list(whole),
        )
        found.update(rows)
    for begin, end in edges:
        for id_, n in _raw(run, f"{which.facets} AND t.at_s >= ? AND t.at_s < ?", [begin, end]):
            found[id_] = found.get(id_, 0) + n
    return found


def total(run: Run, which: Narrowed) -> int:
    """How many pass."""
    if which.filters.counted:
        whole, edges = hours(which.filters.since, which.filters.until)
        n = 0
        if whole is not None:
            ((n,),) = run.rows(
                f"SELECT coalesce(sum(n), 0)::BIGINT FROM hourly WHERE {which.listed} "  # noqa: S608  # our own terms
                "AND hour >= ? AND hour < ?",
                list(whole),
            )
        for begin, end in edges:
            n += _count(run, f"{which.facets} AND t.at_s >= ? AND t.at_s < ?", [begin, end])
        return n
    below = which.filters.metric_below
    if below is not None and below[1] == LOW and replace(which.filters, metric_below=None).counted:
        timed = replace(which, filters=replace(which.filters, metric_below=None))
        return sum(one.low for one in scored(run, timed, metrics=[below[0]]).values())
    return _count(run, which.condition, which.values)


def _count(run: Run, condition: str, values: Sequence[Any]) -> int:
    ((n,),) = run.rows(f"SELECT count(*) FROM traces t WHERE {condition}", values)  # noqa: S608  # our own terms
    return int(n)


def _raw(run: Run, condition: str, values: Sequence[Any]) -> Iterator[tuple[int, int]]:
    yield from run.rows(
        f"SELECT t.combination, count(*) FROM traces t WHERE {condition} GROUP BY 1",  # noqa: S608  # our own terms
        values,
    )


class Sums(NamedTuple):
    """Latest scores of some traces on one metric.

    Attributes:
        n: traces that have one.
        values: those whose latest one is a value.
        sum: of these values.
        low: how many of them are below one half.
    """

    n: int
    values: int
    sum: float
    low: int


def scored(
    run: Run, which: Narrowed, *, by: str = "NULL", metrics: Sequence[str] | None = None
) -> dict[tuple[str | None, str], Sums]:
    """Scores by a column of ``combinations c`` and metric. Only for filters that the rollups can count.

    Args:
        run: the transaction.
        which: the filter.
        by: the column; by default all together.
        metrics: only these.
    """
    whole, edges = hours(which.filters.since, which.filters.until)
    only = "TRUE" if metrics is None else "list_contains(?::VARCHAR[], metric)"
    given: list[Any] = [] if metrics is None else [list(metrics)]
    # Without a column there is nothing to join for.
    known = "" if by == "NULL" else "JOIN combinations c ON c.id = combination"
    parts: list[Any] = []
    if whole is not None:
        parts += run.rows(
            f"SELECT {by}, metric, sum(n)::BIGINT, sum(h.scored)::BIGINT, sum(total)::HUGEINT, "  # noqa: S608  # our own terms
            f"sum(low)::BIGINT FROM hourly_scores h {known} "
            f"WHERE {which.listed} AND hour >= ? AND hour < ? AND {only} GROUP BY ALL",
            [*whole, *given],
        )
    for begin, end in edges:
        those = run.table(
            f"SELECT t.number, t.combination FROM traces t WHERE {which.facets} "  # noqa: S608  # our own terms
            "AND t.at_s >= ? AND t.at_s < ?",
            [begin, end],
        )
        if not those.num_rows:
            continue
        # What lies close together in time has numbers that do: most scores need not be looked at.
        low, high = pc.min(those["number"]), pc.max(those["number"])
        parts += run.rows(
            f"SELECT {by}, metric, count(*), count(value), {TOTAL}, count(*) FILTER (value < {LOW}) "  # noqa: S608  # our own terms
            f"FROM scores JOIN those USING (number) {known} "
            f"WHERE latest AND number BETWEEN {low} AND {high} AND {only} GROUP BY ALL",
            given,
            those=those,
        )
    found: dict[tuple[str | None, str], tuple[int, ...]] = {}
    for value, metric, *sums in parts:
        before = found.get((value, metric), (0, 0, 0, 0))
        found[value, metric] = tuple(int(one) + more for one, more in zip(before, sums, strict=True))
    return {place: Sums(n, values, sum_ / UNIT, low) for place, (n, values, sum_, low) in found.items() if n}


def hours(
    since: float | None, until: float | None
) -> tuple[tuple[int, int] | None, list[tuple[float, float]]]:
    """The whole hours of a time, and what is left of it at its edges.

    Returns:
        The first hour and the one after the last, if there is any; times from (included) to (excluded).
    """
    first = -(2**62) if since is None else math.ceil(max(min(since / HOUR_S, 9e15), -9e15))
    end = 2**62 if until is None else math.floor(max(min(until / HOUR_S, 9e15), -9e15))
    edges: list[tuple[float, float]] = []
    if first >= end:
        begin, last = -math.inf if since is None else since, math.inf if until is None else until
        return None, [(begin, last)] if begin < last else []
    if since is not None and since < first * HOUR_S:
        edges.append((since, first * HOUR_S))
    if until is not None and end * HOUR_S < until:
        edges.append((end * HOUR_S, until))
    return (first, end), edges
