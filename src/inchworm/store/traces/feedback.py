"""What feedback is about: the interaction of a unit at a time, and the scores that one has already."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import Score
from inchworm.store.traces.database import Concern
from inchworm.store.traces.graded import by_ids
from inchworm.store.traces.rows import SCORE_COLUMNS, table, to_score

_ASKED = pa.schema([("place", pa.int64()), ("unit_id", pa.string()), ("at_s", pa.float64())])


class Feedback(Concern):
    """What feedback is about."""

    def latest_of_units(self, app: AppRef, asked: Sequence[tuple[UnitId, float]]) -> list[TraceId | None]:
        """Each unit's latest interaction by a time, in the order asked; of equal times the one stored last.

        Answers that nobody saw are left out.

        Args:
            app: whose units.
            asked: units, each with a time in seconds since the epoch.

        Raises:
            ValueError: if a unit's id is no Unicode text.
        """
        if not asked:
            return []
        rows = [(place, unit, at) for place, (unit, at) in enumerate(asked)]
        with self._db.read() as run:
            found = run.rows(
                "SELECT b.place, arg_max(t.id, (t.at_s, t.number)) FROM batch b "
                "JOIN traces t ON t.unit_id = b.unit_id AND t.at_s <= b.at_s "
                "WHERE t.app = ? AND t.shadow_of IS NULL GROUP BY b.place",
                [str(app)],
                batch=table(_ASKED, rows),
            )
        out: list[TraceId | None] = [None] * len(asked)
        for place, id_ in found:
            out[place] = TraceId(id_)
        return out

    def traces_of_spans(self, app: AppRef, ids: Collection[str]) -> dict[str, TraceId]:
        """The trace of each known span, by the spans' ids; of an id in several traces the last one's."""
        if not ids:
            return {}
        with self._db.read() as run:
            rows = run.rows(
                "SELECT id, arg_max(trace_id, number) FROM spans "
                "WHERE app = ? AND id IN (SELECT unnest(?::VARCHAR[])) GROUP BY id",
                [str(app), sorted(ids)],
            )
        return {id_: TraceId(trace_id) for id_, trace_id in rows}

    def scores_of(self, app: AppRef, ids: Collection[TraceId]) -> dict[TraceId, tuple[Score, ...]]:
        """The scores of these traces, in the order in which they count: by time, then by arrival."""
        if not ids:
            return {}
        with self._db.read() as run:
            rows = run.rows(
                f"SELECT t.id, {SCORE_COLUMNS} "  # noqa: S608  # our own terms
                "FROM scores s JOIN traces t ON t.number = s.number "
                "WHERE t.app = ? AND t.id IN (SELECT unnest(?::VARCHAR[])) ORDER BY s.at_s, s.sequence",
                [str(app), sorted(ids)],
            )
        out: dict[TraceId, tuple[Score, ...]] = {}
        for id_, *rest in rows:
            out[TraceId(id_)] = (*out.get(TraceId(id_), ()), to_score(rest))
        return out

    def scores_by_id(self, app: AppRef, ids: Collection[str]) -> dict[str, tuple[TraceId, Score]]:
        """The scores that have these ids, each with the trace that it is of."""
        if not ids:
            return {}
        with self._db.read() as run:
            return {
                str(score.id): (TraceId(trace_id), score)
                for of, trace_id, _, _, score in by_ids(run, ids)
                if of == str(app)
            }
