"""Forgetting: what is somebody's, and the file written anew without it.

DuckDB keeps the bytes of deleted rows in its file. So nothing is deleted: everything else is copied into a
new file, which takes the old one's place in one step
(:meth:`~inchworm.store.traces.database.Database.rebuild`).

Exposures and mirrored calls keep their places: without them the order of assignment would have gaps, and
shares of a rollout would be counted of fewer units than were assigned. Their ids become random digits, which
are kept nowhere else.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import duckdb
import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.forgetting import NOBODY
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.whose import says_whose
from inchworm.store.codec import from_text
from inchworm.store.traces import rollups
from inchworm.store.traces.database import Concern, Database, Run
from inchworm.store.traces.numbers import COUNTED, next_number
from inchworm.store.traces.rows import table

_AT_ONCE: Final = 50_000
"""Rows that are copied at once."""
_IN_ONE: Final = 10
"""So many times that in one transaction."""
_NUMBER: Final = re.compile("-?[0-9]{1,19}")
_VALUES: Final = r'"(?:[^"\\]|\\.)*"|:-?[0-9]+[,}]'
"""Texts in a JSON text, and the whole numbers that members have as their values."""
_FORMS = pa.schema([("form", pa.string())])
_TRACES = pa.schema([("app", pa.string()), ("id", pa.string())])
_UNITS = pa.schema([("unit_id", pa.string())])
_CALLS = pa.schema(
    [("rollout_id", pa.string()), ("place", pa.int64()), ("trace", pa.string()), ("shadow", pa.string())]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What is somebody's.

    Attributes:
        units: their ids, also of sessions of which every interaction is theirs.
        traces: their interactions, answers that nobody saw included; by app.
    """

    units: frozenset[str]
    traces: Mapping[AppRef, tuple[TraceId, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """The content of an interaction, as it is stored."""

    unit: str
    inputs: dict[str, Any]
    output: str | None
    attributes: dict[str, Any]


class Erasing(Concern):
    """What is somebody's, and the store without it."""

    def theirs(self, names: Collection[str]) -> Theirs:
        """What is of these units, sessions or users.

        Args:
            names: their ids as they are stored, and as they were given.
        """
        wanted = sorted(set(names))
        with self._db.read() as run:
            found: set[tuple[str, str]] = set(
                run.rows("SELECT app, id FROM traces WHERE list_contains(?::VARCHAR[], unit_id)", [wanted])
            )
            found |= set(
                run.rows(
                    "SELECT DISTINCT app, trace_id FROM spans "
                    "WHERE list_has_any(map_values(people), ?::VARCHAR[])",
                    [wanted],
                )
            )
            # However many they are, what is stored is read once.
            said = run.rows(
                "SELECT t.app, t.id, p.attributes FROM payloads p JOIN traces t USING (number) "
                "WHERE number IN (SELECT number FROM "
                "(SELECT number, unnest(regexp_extract_all(attributes, ?)) AS form FROM payloads) "
                "SEMI JOIN forms USING (form))",
                [_VALUES],
                forms=table(_FORMS, [(form,) for name in wanted for form in _written(name)]),
            )
            names_ = frozenset(wanted)
            found |= {(app, id_) for app, id_, text in said if _is_of(from_text(text), names_)}
            batch = table(_TRACES, sorted(found))
            shadows = "SELECT t.app, t.id FROM traces t JOIN batch b ON t.app = b.app AND t.shadow_of = b.id"
            found |= set(run.rows(shadows, batch=batch))
            batch = table(_TRACES, sorted(found))
            units = run.rows(
                "SELECT unit_id FROM traces t WHERE unit_id IN "
                "(SELECT unit_id FROM traces t SEMI JOIN batch b ON t.app = b.app AND t.id = b.id) "
                "GROUP BY unit_id HAVING bool_and(EXISTS "
                "(SELECT 1 FROM batch b WHERE b.app = t.app AND b.id = t.id))",
                batch=batch,
            )
        traces: dict[AppRef, tuple[TraceId, ...]] = {}
        for app, id_ in sorted(found):
            traces[AppRef.parse(app)] = (*traces.get(AppRef.parse(app), ()), TraceId(id_))
        return Theirs(units=frozenset(wanted) | {unit for (unit,) in units}, traces=traces)

    def said_by(self, theirs: Theirs) -> list[Said]:
        """What the interactions say that are theirs, each different content once."""
        with self._db.read() as run:
            rows = run.rows(
                "SELECT DISTINCT t.unit_id, p.inputs, p.output, p.attributes "
                "FROM payloads p JOIN traces t USING (number) "
                "SEMI JOIN batch b ON t.app = b.app AND t.id = b.id",
                batch=_traces(theirs),
            )
        return [
            Said(unit=unit, inputs=from_text(inputs), output=output, attributes=from_text(attributes))
            for unit, inputs, output, attributes in rows
        ]

    def said_by_others(self, texts: Sequence[str], theirs: Theirs) -> frozenset[str]:
        """Those of some texts, as they stand in JSON, that the content of anybody else holds too."""
        found: set[str] = set()
        with self._db.read() as run:
            mine = "SELECT number FROM traces t SEMI JOIN batch b ON t.app = b.app AND t.id = b.id"
            numbers = [number for (number,) in run.rows(mine, batch=_traces(theirs))]
            for text in dict.fromkeys(texts):
                if run.rows(
                    "SELECT 1 FROM payloads WHERE (contains(inputs, $1) OR contains(output, $1) "
                    "OR contains(attributes, $1)) AND NOT list_contains($2::BIGINT[], number) LIMIT 1",
                    [text, numbers],
                ):
                    found.add(text)
        return frozenset(found)

    def erase(self, theirs: Theirs) -> dict[str, int]:
        """Write the file anew without what is theirs; how many rows that were, by kind.

        Everybody else's rows are as they were, and in their order. Readers wait only at the end.

        Args:
            theirs: see :meth:`theirs`; again after a crash, it finds less or nothing.

        Raises:
            StoreError: if the new file cannot be written; then nothing is erased.
        """
        counts: dict[str, int] = {}

        def fill(old: duckdb.DuckDBPyConnection, fresh: Database) -> None:
            counts.update(_fill(old, fresh, theirs, (), 0.0))

        self._db.rebuild(fill)
        return counts

    def compact(self, *, ended: Collection[RolloutId] = (), before: float = 0.0) -> int:
        """Write the file anew, so that what was deleted is in it no more; how many exposures lost their name.

        Args:
            ended: rollouts whose units lose their names, as :meth:`erase` takes them.
            before: where they were exposed before this time, seconds since the epoch.

        Raises:
            StoreError: if the new file cannot be written; then it is as it was.
        """
        counts: dict[str, int] = {}

        def fill(old: duckdb.DuckDBPyConnection, fresh: Database) -> None:
            counts.update(_fill(old, fresh, Theirs(units=frozenset()), sorted(ended), before))

        self._db.rebuild(fill)
        return counts["exposures"]


def _written(name: str) -> list[str]:
    """How the value of an attribute is written that is somebody's name: a text, or a number."""
    forms = [json.dumps(name, ensure_ascii=False)]
    return [*forms, f":{name},", f":{name}}}"] if _NUMBER.fullmatch(name) else forms


def _is_of(value: Any, names: Collection[str]) -> bool:
    """Whether one of these attributes, or of what they hold, says that it is of somebody of these names."""
    match value:
        case dict():
            return any(
                (says_whose(key) and isinstance(one, str | int) and str(one) in names) or _is_of(one, names)
                for key, one in value.items()
            )
        case list():
            return any(_is_of(one, names) for one in value)
        case _:
            return False


def _traces(theirs: Theirs) -> pa.Table:
    rows = [(str(app), id_) for app, ids in theirs.traces.items() for id_ in ids]
    return table(_TRACES, rows)


_STAYS: Final[Mapping[str, str]] = {
    "payloads": "SELECT * FROM payloads ANTI JOIN gone USING (number) ORDER BY number",
    "traces": "SELECT * FROM traces ANTI JOIN gone USING (number) ORDER BY number",
    "scores": "SELECT * FROM scores ANTI JOIN gone USING (number) ORDER BY sequence",
    "spans": "SELECT * FROM spans ANTI JOIN gone_spans USING (number) ORDER BY number",
    "span_payloads": "SELECT * FROM span_payloads ANTI JOIN gone_spans USING (number) ORDER BY number",
    "exposures": "SELECT x.* REPLACE (coalesce(n.name, x.unit_id) AS unit_id) "
    "FROM exposures x LEFT JOIN named n ON x.rollout_id = n.rollout_id AND x.unit_id = n.unit_id "
    "ORDER BY x.rollout_id, x.place",
    "mirrored": "SELECT x.* REPLACE (coalesce(c.trace, x.trace_id) AS trace_id, "
    "coalesce(c.shadow, x.shadow_id) AS shadow_id, coalesce(c.trace, x.unit_id) AS unit_id) "
    "FROM mirrored x LEFT JOIN calls c ON x.rollout_id = c.rollout_id AND x.place = c.place "
    "ORDER BY x.rollout_id, x.place",
}
"""What of each table is copied; ``gone`` are numbers of traces, ``gone_spans`` of spans."""
_MADE: Final = ("combinations", "hourly", "hourly_scores", "high_water", "inchworm_schema")
"""Tables that are made anew from the others."""
KNOWN: Final = frozenset({*_STAYS, *_MADE})
"""Every table there is: one that is added is added here, held by a test."""


def _fill(
    old: duckdb.DuckDBPyConnection,
    fresh: Database,
    theirs: Theirs,
    ended: Sequence[RolloutId],
    before_s: float,
) -> dict[str, int]:
    counts = _mark(old, theirs, ended, before_s)
    source = Run(old)
    taken = [(name, next_number(source, name, column) - 1) for name, column in COUNTED]
    for name, query in _STAYS.items():
        before, after = _count(old, name), 0
        batches = _batches(old, query)
        # Nobody sees the new file before all of it is there: it takes many transactions, and little memory.
        while some := list(islice(batches, _IN_ONE)):
            with fresh.write() as run:
                for batch in some:
                    # By name: a column that a later version added stands elsewhere in a file that is new.
                    run(f"INSERT INTO {name} BY NAME SELECT * FROM batch", batch=batch)  # noqa: S608  # our own names
                    after += batch.num_rows
        if name not in counts:
            counts[name] = before - after
    with fresh.write() as run:
        # Numbers are not given twice, also where the last ones are gone.
        run("DELETE FROM high_water")
        for name, last in taken:
            run("INSERT INTO high_water VALUES (?, ?)", [name, last])
        rollups.rebuild(run)
    return counts


def _mark(
    old: duckdb.DuckDBPyConnection, theirs: Theirs, ended: Sequence[RolloutId], before_s: float
) -> dict[str, int]:
    """Make tables of what goes, and of the names that take the place of others."""
    units = table(_UNITS, [(unit,) for unit in sorted(theirs.units)])
    old.register("theirs", _traces(theirs))
    old.register("units", units)
    old.execute(
        "CREATE OR REPLACE TEMP TABLE gone AS "
        "SELECT number FROM traces t SEMI JOIN theirs b ON t.app = b.app AND t.id = b.id"
    )
    old.execute(
        "CREATE OR REPLACE TEMP TABLE gone_spans AS SELECT number FROM spans s WHERE EXISTS "
        "(SELECT 1 FROM theirs b WHERE b.app = s.app AND b.id = s.trace_id)"
    )
    # One name per rollout: nobody can follow somebody from one to the next.
    old.execute(
        "CREATE OR REPLACE TEMP TABLE named AS "
        "SELECT rollout_id, unit_id, n, "
        "$nobody || '-' || left(replace(uuid()::VARCHAR, '-', ''), 16) AS name "
        "FROM (SELECT rollout_id, unit_id, count(*) AS n FROM exposures "
        "WHERE unit_id IN (SELECT unit_id FROM units) OR (list_contains($ended::VARCHAR[], rollout_id) "
        "AND at_s < $before AND NOT starts_with(unit_id, $nobody || '-')) GROUP BY ALL)",
        {"nobody": NOBODY, "ended": list(ended), "before": before_s},
    )
    ((exposed,),) = old.execute("SELECT coalesce(sum(n), 0)::BIGINT FROM named").fetchall()
    calls = old.execute(
        "SELECT rollout_id, place FROM mirrored m WHERE unit_id IN (SELECT unit_id FROM units) "
        "OR trace_id IN (SELECT id FROM theirs) OR shadow_id IN (SELECT id FROM theirs)"
    ).fetchall()
    old.register("calls_rows", table(_CALLS, [(rollout, at, _nobody(), _nobody()) for rollout, at in calls]))
    old.execute("CREATE OR REPLACE TEMP TABLE calls AS SELECT * FROM calls_rows")
    for name in ("theirs", "units", "calls_rows"):
        old.unregister(name)
    return {"exposures": exposed, "mirrored": len(calls)}


def _nobody() -> str:
    return f"{NOBODY}-{secrets.token_hex(8)}"


def _count(old: duckdb.DuckDBPyConnection, name: str) -> int:
    found: int = old.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]  # noqa: S608  # our own names
    return found


def _batches(old: duckdb.DuckDBPyConnection, query: str) -> Iterator[pa.Table]:
    for batch in old.sql(query).to_arrow_reader(_AT_ONCE):
        yield pa.Table.from_batches([batch])
