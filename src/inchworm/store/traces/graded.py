"""Scores into their table: appended, or by the giver's own id in the place of what was said before."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import pyarrow as pa

from inchworm.domain.outcome import Score
from inchworm.store.traces import numbers
from inchworm.store.traces.database import Run
from inchworm.store.traces.rollups import NUMBERS, changing, scoring
from inchworm.store.traces.rows import SCORE_COLUMNS, score_table, table, to_score

_IDS = pa.schema([("id", pa.string())])
_OF = "md5_number_lower({})"
Row = tuple[int, Score]


def by_ids(run: Run, ids: Collection[str]) -> list[tuple[str, str, int, int, Score]]:
    """The scores that have these ids: app and id of the trace, its number, the score's, and the score."""
    key = _OF.format("id")
    rows = run.rows(
        f"SELECT t.app, t.id, t.number, s.sequence, {SCORE_COLUMNS} "  # noqa: S608  # our own terms
        "FROM scores s JOIN traces t USING (number) "
        f"WHERE s.id_key IN (SELECT {key} FROM batch) AND s.id IN (SELECT id FROM batch)",
        batch=table(_IDS, [(one,) for one in sorted(ids)]),
    )
    return [(app, id_, number, sequence, to_score(rest)) for app, id_, number, sequence, *rest in rows]


def append_scores(run: Run, rows: Sequence[Row]) -> int:
    """Append scores of traces that are there and counted; how many.

    Of those with one id in an app the later one stands, by time, then by arrival.
    """
    kept, gone = _one_of_each_id(run, rows)
    if not kept:
        return 0
    with scoring(run, {number for number, _ in (*kept, *gone)}):
        _take_out(run, gone)
        _append(run, kept, "FALSE")
    _unscored(run, {number for number, _ in gone} - {number for number, _ in kept})
    return len(kept)


def append_new_scores(run: Run, rows: Sequence[Row]) -> None:
    """Append scores of traces that are not counted yet, and had none; by their ids they replace others."""
    _, gone = _one_of_each_id(run, rows)
    if gone:
        with scoring(run, {number for number, _ in gone}):
            _take_out(run, gone)
        _unscored(run, {number for number, _ in gone})
    _append(
        run, rows, "row_number() OVER (PARTITION BY number, metric ORDER BY at_s DESC, sequence DESC) = 1"
    )


def _append(run: Run, rows: Sequence[Row], latest: str) -> None:
    if rows:
        batch = score_table(rows, start=numbers.next_number(run, "scores", "sequence"))
        key = _OF.format("id")
        run(
            f"INSERT INTO scores BY NAME SELECT *, {latest} AS latest, "  # noqa: S608  # our own terms
            f"CASE WHEN id IS NOT NULL THEN {key} END AS id_key FROM batch ORDER BY sequence",
            batch=batch,
        )


def _one_of_each_id(run: Run, rows: Sequence[Row]) -> tuple[list[Row], list[tuple[int, int]]]:
    """The rows that stand, and numbers and sequences of what they take the place of."""
    ids = {score.id for _, score in rows if score.id is not None}
    if not ids:
        return list(rows), []
    apps = dict(
        run.rows(
            "SELECT number, app FROM traces WHERE number IN (SELECT number FROM batch)",
            batch=table(NUMBERS, [(number,) for number in sorted({number for number, _ in rows})]),
        )
    )
    last: dict[tuple[str, str], Row] = {}
    for row in rows:
        number, score = row
        if score.id is not None:
            place = (apps[number], score.id)
            if place not in last or last[place][1].at <= score.at:
                last[place] = row
    gone: list[tuple[int, int]] = []
    for app, _, number, sequence, before in by_ids(run, ids):
        place = (app, str(before.id))
        after = last.get(place)
        if after is None:
            continue
        if before.at > after[1].at:
            del last[place]
        else:
            gone.append((number, sequence))
    standing = {id(row) for row in last.values()}
    return [row for row in rows if row[1].id is None or id(row) in standing], gone


def _take_out(run: Run, gone: Sequence[tuple[int, int]]) -> None:
    if gone:
        numbers.keep(run)  # no sequence is given twice
        run(
            "DELETE FROM scores WHERE sequence IN (SELECT number FROM batch)",
            batch=table(NUMBERS, [(sequence,) for _, sequence in sorted(gone)]),
        )


def _unscored(run: Run, candidates: Iterable[int]) -> None:
    """Say of traces that lost their last score that they have none."""
    batch = table(NUMBERS, [(number,) for number in sorted(candidates)])
    if not batch.num_rows:
        return
    bare = run.rows("SELECT number FROM batch ANTI JOIN scores USING (number)", batch=batch)
    with changing(run, (number for (number,) in bare)):
        run(
            "UPDATE traces SET scored = FALSE WHERE number IN (SELECT number FROM bare)",
            bare=table(NUMBERS, sorted(bare)),
        )
