"""Rollups: how many traces of each combination of facets there are in each hour, and what they scored.

Rows are added up, and what goes away is added with the other sign, so that a change costs as much as what is
changed and not as much as its hour holds. Sums are kept as whole numbers of 2^-60: taking out what was put in
leaves exactly what was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc

from inchworm.store.traces.database import Run
from inchworm.store.traces.rows import table

HOUR_S = 3_600.0
UNIT = 2.0**60
"""What a sum of scores is divided by."""
LOW = 0.5
"""Values below it are counted apart."""
DIMENSIONS = (
    "app",
    "shadow",
    "configuration_id",
    "rollout_id",
    "arm",
    "cluster",
    "outcome",
    "finish_reason",
    "model",
    "call",
    "source",
    "incomplete",
    "scored",
)
"""The columns of ``combinations`` beside its id."""
NUMBERS = pa.schema([("number", pa.int64())])
_LOOSE = 5_000
_CLAMPED = 1e12
_COLUMNS = ", ".join(DIMENSIONS)
_OF_TRACES = _COLUMNS.replace("shadow", "shadow_of IS NOT NULL AS shadow")
_HOUR = "greatest(least(floor({}at_s / 3600), 9e15), -9e15)::BIGINT"
TOTAL = (
    f"coalesce(sum((greatest(least(value, 1e9), -1e9) * {UNIT:.1f})::HUGEINT) "
    "FILTER (value IS NOT NULL), 0)::HUGEINT"
)
"""SQL: the sum of values, in units of 2^-60."""
MATCHES = " AND ".join(
    f"c.{name} IS NOT DISTINCT FROM " + ("({0}.shadow_of IS NOT NULL)" if name == "shadow" else "{0}." + name)
    for name in DIMENSIONS
)
"""SQL: combination ``c`` is that of a row of traces; the row's name is to be filled in."""


def hour_of(at: float) -> int:
    """The hour since the epoch that a time is in, as the rollups count them."""
    return int(max(min(at // HOUR_S, 9e15), -9e15))


def during(hour: int) -> str:
    """SQL: ``at_s`` may lie in that hour, and far from it it does not."""
    if abs(hour) > _CLAMPED:
        return "TRUE"
    return f"at_s BETWEEN {(hour - 0.5) * HOUR_S!r} AND {(hour + 1.5) * HOUR_S!r}"


def among(numbers: pa.Table, column: str = "number") -> str:
    """SQL: the column is one of ``affected``, which are these numbers; what is far from them is not read."""
    low, high = pc.min(numbers["number"]), pc.max(numbers["number"])
    return f"{column} IN (SELECT number FROM affected) AND {column} BETWEEN {low} AND {high}"  # noqa: S608  # our own terms


def register(run: Run, traces: pa.Table) -> None:
    """Give an id to every combination of these rows that has none yet."""
    run(
        f"INSERT INTO combinations SELECT (SELECT coalesce(max(id), 0) FROM combinations) "  # noqa: S608  # our own terms
        f"+ row_number() OVER (), * FROM (SELECT {_OF_TRACES} FROM registered "
        f"EXCEPT SELECT {_COLUMNS} FROM combinations ORDER BY ALL)",
        registered=traces,
    )


@contextmanager
def changing(run: Run, numbers: Iterable[int]) -> Iterator[None]:
    """Rows of traces are changed or deleted in the block, and so are their scores.

    Args:
        run: the transaction.
        numbers: of the traces.
    """
    affected = table(NUMBERS, [(number,) for number in sorted(set(numbers))])
    if not affected.num_rows:
        yield
        return
    enter(run, affected, sign=-1)
    yield
    _combine(run, affected)
    enter(run, affected)


@contextmanager
def scoring(run: Run, numbers: Iterable[int]) -> Iterator[None]:
    """Scores of these traces are appended in the block; afterwards it is known which ones are the latest."""
    affected = table(NUMBERS, [(number,) for number in sorted(set(numbers))])
    if not affected.num_rows:
        yield
        return
    first = run.rows(
        f"SELECT number FROM traces WHERE {among(affected)} AND NOT scored",  # noqa: S608  # our own terms
        affected=affected,
    )
    with changing(run, (number for (number,) in first)):
        run(
            f"UPDATE traces SET scored = TRUE WHERE {among(affected)} AND NOT scored",  # noqa: S608  # our own terms
            affected=affected,
        )
    _enter_scores(run, affected, -1)
    yield
    run(
        "UPDATE scores SET latest = found.latest FROM ("  # noqa: S608  # our own terms
        "SELECT sequence, latest AS before, row_number() OVER "
        "(PARTITION BY number, metric ORDER BY at_s DESC, sequence DESC) = 1 AS latest "
        f"FROM scores WHERE {among(affected)}) found "
        "WHERE scores.sequence = found.sequence AND found.before <> found.latest",
        affected=affected,
    )
    _enter_scores(run, affected, 1)


def enter(run: Run, affected: pa.Table, *, sign: int = 1) -> None:
    """Add traces and their scores as they stand, or take them out.

    Args:
        run: the transaction.
        affected: numbers of traces that have their combination.
        sign: 1 or -1.
    """
    run(
        f"INSERT INTO hourly SELECT combination, {_HOUR.format('')}, {sign} * count(*), FALSE "  # noqa: S608  # our own terms
        f"FROM traces WHERE {among(affected)} GROUP BY ALL",
        affected=affected,
    )
    _enter_scores(run, affected, sign)


def _enter_scores(run: Run, affected: pa.Table, sign: int) -> None:
    run(
        f"INSERT INTO hourly_scores SELECT t.combination, {_HOUR.format('t.')}, s.metric, "  # noqa: S608  # our own terms
        f"{sign} * count(*), {sign} * count(value), {sign} * {TOTAL}, "
        f"{sign} * count(*) FILTER (value < {LOW}), FALSE "
        "FROM scores s JOIN traces t USING (number) WHERE s.latest "
        f"AND {among(affected, 's.number')} AND {among(affected, 't.number')} "
        "GROUP BY ALL",
        affected=affected,
    )


def _combine(run: Run, affected: pa.Table) -> None:
    there = among(affected)
    run(
        f"INSERT INTO combinations SELECT (SELECT coalesce(max(id), 0) FROM combinations) "  # noqa: S608  # our own terms
        f"+ row_number() OVER (), * FROM (SELECT {_OF_TRACES} FROM traces WHERE {there} "
        f"EXCEPT SELECT {_COLUMNS} FROM combinations ORDER BY ALL)",
        affected=affected,
    )
    run(
        f"UPDATE traces SET combination = c.id FROM combinations c WHERE {there} "  # noqa: S608  # our own terms
        f"AND {MATCHES.format('traces')}",
        affected=affected,
    )


def tidy(run: Run, *, loose: int = _LOOSE) -> None:
    """Add up what has come since it was done last, once that is ``loose`` rows more than what there was."""
    for name, sums in (
        ("hourly", "combination, hour, sum(n)::BIGINT AS n"),
        (
            "hourly_scores",
            (
                "combination, hour, metric, sum(n)::BIGINT AS n, sum(scored)::BIGINT, sum(total)::HUGEINT, "
                "sum(low)::BIGINT"
            ),
        ),
    ):
        ((come, settled),) = run.rows(
            f"SELECT count(*) FILTER (NOT settled), count(*) FILTER (settled) FROM {name}"  # noqa: S608  # our own names
        )
        if come < loose + settled:
            continue
        run(
            f"CREATE OR REPLACE TEMP TABLE added AS SELECT {sums}, TRUE "  # noqa: S608  # our own names
            f"FROM {name} GROUP BY ALL HAVING sum(n) <> 0"
        )
        run(f"DELETE FROM {name}")  # noqa: S608  # our own names
        run(f"INSERT INTO {name} SELECT * FROM added ORDER BY hour, combination")  # noqa: S608  # our own names
        run("DROP TABLE added")


def rebuild(run: Run) -> None:
    """Make combinations and rollups anew of what is stored; what no trace has any more is gone then."""
    for name in ("combinations", "hourly", "hourly_scores"):
        run(f"DELETE FROM {name}")  # noqa: S608  # our own names
    run(
        f"INSERT INTO combinations SELECT row_number() OVER (), * FROM "  # noqa: S608  # our own terms
        f"(SELECT DISTINCT {_OF_TRACES} FROM traces ORDER BY ALL)"
    )
    run(f"UPDATE traces SET combination = c.id FROM combinations c WHERE {MATCHES.format('traces')}")  # noqa: S608  # our own terms
    run(
        f"INSERT INTO hourly SELECT combination, {_HOUR.format('')}, count(*), TRUE FROM traces GROUP BY ALL"  # noqa: S608  # our own terms
    )
    run(
        f"INSERT INTO hourly_scores SELECT t.combination, {_HOUR.format('t.')}, s.metric, count(*), "  # noqa: S608  # our own terms
        f"count(value), {TOTAL}, count(*) FILTER (value < {LOW}), TRUE "
        "FROM scores s JOIN traces t USING (number) WHERE s.latest GROUP BY ALL"
    )
