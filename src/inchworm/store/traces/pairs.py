"""Mirrored calls: who was asked twice, in which order, and what both answers became.

A pair is one call that both configurations answered: stable for the caller, the candidate for nobody. Its
place in the order is settled before either answer is known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import ConflictError, InputError
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.shadow import MirroredCall, ShadowSpent
from inchworm.store.traces.database import Arrays, Concern
from inchworm.store.traces.rows import table
from inchworm.store.traces.search import LATEST_PER_METRIC
from inchworm.store.traces.units import Measured

MIRRORED = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("place", pa.int64()),
        ("trace_id", pa.string()),
        ("shadow_id", pa.string()),
        ("unit_id", pa.string()),
        ("stage", pa.int32()),
        ("at_s", pa.float64()),
    ]
)
_IDS = pa.schema([("id", pa.string())])

# A call came before its answers did, so nothing that is sought is older than the first call; but for a clock
# that was set back.
_BACK_S = 3_600.0
_RUN = f"""
WITH ahead AS (
    SELECT place, trace_id, shadow_id, unit_id, stage, at_s FROM mirrored
    WHERE rollout_id = $rollout AND place >= $start AND place < $start + $limit
), firsts AS (
    SELECT unit_id, min(place) AS first_place FROM mirrored
    WHERE rollout_id = $rollout AND unit_id IN (SELECT unit_id FROM ahead) GROUP BY unit_id
), sought AS (
    SELECT number, id, shadow_of IS NOT NULL AS shadow, outcome, latency_ms, cost_usd, output_tokens
    FROM traces
    WHERE app = $app AND at_s >= (SELECT min(at_s) FROM ahead) - {_BACK_S}
        AND id IN (SELECT trace_id FROM ahead UNION ALL SELECT shadow_id FROM ahead)
), counted AS (
    SELECT ahead.*, row_number() OVER (ORDER BY place) - 1 + $start AS expected,
        b.number AS baseline, c.number AS candidate
    FROM ahead
    LEFT JOIN sought b ON b.id = ahead.trace_id AND NOT b.shadow
    LEFT JOIN sought c ON c.id = ahead.shadow_id AND c.shadow
), run AS (
    SELECT * FROM counted WHERE place < coalesce(
        (SELECT min(place) FROM counted WHERE place <> expected OR at_s > $matured
            OR ((baseline IS NULL OR candidate IS NULL) AND at_s > $waited)),
        $start + $limit)
)
"""  # noqa: S608  # our own terms

_PAIRS = """
SELECT place, stage::BIGINT AS stage, run.at_s AS at_s, place > first_place AS again,
    b.number IS NOT NULL AS b_came, b.outcome IS NOT DISTINCT FROM 'failed' AS b_failed,
    b.outcome IS NOT DISTINCT FROM 'errored' AS b_errored,
    b.latency_ms AS b_latency_ms, b.cost_usd AS b_cost_usd, b.output_tokens::DOUBLE AS b_output_tokens,
    c.number IS NOT NULL AS c_came, c.outcome IS NOT DISTINCT FROM 'failed' AS c_failed,
    c.outcome IS NOT DISTINCT FROM 'errored' AS c_errored,
    c.latency_ms AS c_latency_ms, c.cost_usd AS c_cost_usd, c.output_tokens::DOUBLE AS c_output_tokens
FROM run JOIN firsts USING (unit_id)
LEFT JOIN sought b ON b.number = run.baseline LEFT JOIN sought c ON c.number = run.candidate
ORDER BY place
"""

_SCORES = f"""
, sides AS (
    SELECT place, baseline AS number, FALSE AS shadow FROM run WHERE baseline IS NOT NULL
    UNION ALL SELECT place, candidate, TRUE FROM run WHERE candidate IS NOT NULL
), latest AS (
    SELECT number, metric, value FROM scores WHERE number IN (SELECT number FROM sides) {LATEST_PER_METRIC}
)
SELECT metric, shadow, place - $start AS row, value FROM latest JOIN sides USING (number)
ORDER BY metric, shadow, place
"""  # noqa: S608  # our own terms


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """One side of some pairs; every array has one entry per pair.

    Attributes:
        traces: 1 where its answer came in, else 0, int64.
        failed: 1 where it failed, float64.
        errored: 1 where the harness failed, int64.
        latency_ms: as far as known.
        cost_usd: as far as known.
        output_tokens: as far as known.
        scores: per metric that any of them has a score on: the latest, if that is a value.
    """

    traces: NDArray[np.int64]
    failed: NDArray[np.float64]
    errored: NDArray[np.int64]
    latency_ms: Measured
    cost_usd: Measured
    output_tokens: Measured
    scores: dict[str, Measured]

    def __len__(self) -> int:
        return len(self.traces)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Where there is an answer that is ok or failed, shape (n,)."""
        return self.traces > self.errored


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairRows:
    """Mirrored calls of a rollout in the order of mirroring; every array has one entry per call.

    Attributes:
        order: place in the order of mirroring, int64, without gaps.
        stage: stage at which it was mirrored, int64.
        at: when it came, seconds since the epoch, float64.
        again: whether a call of the same unit was mirrored before it, bool.
        baseline: stable's side.
        candidate: the candidate's.
    """

    order: NDArray[np.int64]
    stage: NDArray[np.int64]
    at: NDArray[np.float64]
    again: NDArray[np.bool_]
    baseline: Answers
    candidate: Answers

    def __len__(self) -> int:
        return len(self.order)


class Pairs(Concern):
    """Mirrored calls, counted and joined with both of their answers."""

    def add_mirrored(self, calls: Sequence[MirroredCall]) -> int:
        """Store mirrored calls; told apart by rollout and order. Durable on return.

        Returns:
            How many were new.

        Raises:
            ConflictError: if another call has one of the places, or one of the calls another place; then none
                is stored.
            InputError: if one cannot be stored exactly; then none is.
        """
        if not calls:
            return 0
        rows = [
            (one.rollout_id, one.order, one.trace_id, one.shadow_id, one.unit_id, one.stage, one.at)
            for one in calls
        ]
        try:
            batch = table(MIRRORED, rows)
        except ValueError as error:
            raise InputError(f"a mirrored call cannot be stored: {error}; none of its batch was") from error
        columns = ", ".join(MIRRORED.names)
        try:
            with self._db.write() as run:
                new = run.rows(
                    f"INSERT INTO mirrored ({columns}) SELECT {columns} FROM batch "  # noqa: S608  # our own names
                    "ON CONFLICT (rollout_id, place) DO NOTHING RETURNING place",
                    batch=batch,
                )
                differing = run.rows(
                    f"SELECT {columns} FROM batch EXCEPT SELECT {columns} FROM mirrored LIMIT 1",  # noqa: S608  # our own names
                    batch=batch,
                )
                if differing:
                    raise ConflictError(
                        f"call {differing[0][2]} at place {differing[0][1]} of {differing[0][0]} contradicts "
                        "a mirrored call that is stored; none of the batch was stored"
                    )
        except duckdb.ConstraintException as error:  # UNIQUE (rollout_id, shadow_id)
            raise ConflictError(
                "a mirrored call has another place in the order already; none of the batch was stored"
            ) from error
        return len(new)

    def last_mirrored(self, rollout_id: RolloutId) -> int | None:
        """The last place in the order of mirroring; ``None`` before the first."""
        with self._db.read() as run:
            last: int | None = run.rows("SELECT max(place) FROM mirrored WHERE rollout_id = ?", [rollout_id])[
                0
            ][0]
        return last

    def known_mirrored(self, rollout_id: RolloutId, shadow_ids: Collection[TraceId]) -> set[TraceId]:
        """Those of these ids under which a call of the rollout was mirrored."""
        if not shadow_ids:
            return set()
        with self._db.read() as run:
            rows = run.rows(
                "SELECT shadow_id FROM mirrored WHERE rollout_id = ? AND shadow_id IN (SELECT id FROM batch)",
                [rollout_id],
                batch=table(_IDS, [(one,) for one in sorted(set(shadow_ids))]),
            )
        return {TraceId(id_) for (id_,) in rows}

    def shadow_spent(self, app: AppRef, rollout_id: RolloutId, stage: int) -> ShadowSpent:
        """What the mirrored calls of a stage took so far."""
        with self._db.read() as run:
            calls, since = run.rows(
                "SELECT count(*), min(at_s) FROM mirrored WHERE rollout_id = ? AND stage = ?",
                [rollout_id, stage],
            )[0]
            if not calls:
                return ShadowSpent()
            priced, unpriced, usd = run.rows(
                "SELECT count(cost_usd), count(*) FILTER (cost_usd IS NULL AND outcome = 'ok'), "
                "coalesce(sum(cost_usd ORDER BY number), 0) FROM traces "
                "WHERE app = ? AND shadow_of IS NOT NULL AND at_s >= ? "
                "AND id IN (SELECT shadow_id FROM mirrored WHERE rollout_id = ? AND stage = ?)",
                [str(app), since - _BACK_S, rollout_id, stage],
            )[0]
        return ShadowSpent(calls=calls, priced=priced, unpriced=unpriced, usd=usd)

    def pairs(
        self,
        app: AppRef,
        rollout_id: RolloutId,
        *,
        start: int,
        matured_before: float,
        waited_before: float,
        limit: int,
    ) -> PairRows:
        """The next mirrored calls whose outcomes are due, in the order of mirroring.

        Args:
            app: whose calls.
            rollout_id: of which rollout.
            start: place of the first.
            matured_before: only the unbroken run of calls that came at this time or earlier.
            waited_before: an answer that is not there yet is waited for, unless its call came at this time or
                earlier: the first call that is still waited for ends the run.
            limit: how many at most.
        """
        values = {
            "app": str(app),
            "rollout": rollout_id,
            "start": start,
            "limit": limit,
            "matured": matured_before,
            "waited": waited_before,
        }
        with self._db.read() as run:
            columns = run.named(_RUN + _PAIRS, values)
            scored = run.named(_RUN + _SCORES, values)
        n = len(columns["place"])
        return PairRows(
            order=columns["place"],
            stage=columns["stage"],
            at=columns["at_s"],
            again=columns["again"].astype(np.bool_),
            baseline=_side(columns, "b", _scores(scored, n, shadow=False)),
            candidate=_side(columns, "c", _scores(scored, n, shadow=True)),
        )


def _side(columns: Arrays, arm: str, scores: dict[str, Measured]) -> Answers:
    return Answers(
        traces=columns[f"{arm}_came"].astype(np.int64),
        failed=columns[f"{arm}_failed"].astype(np.float64),
        errored=columns[f"{arm}_errored"].astype(np.int64),
        latency_ms=_measured(columns[f"{arm}_latency_ms"]),
        cost_usd=_measured(columns[f"{arm}_cost_usd"]),
        output_tokens=_measured(columns[f"{arm}_output_tokens"]),
        scores=scores,
    )


def _measured(column: NDArray[Any]) -> Measured:
    return Measured(values=np.ma.filled(column, 0).astype(np.float64), present=~np.ma.getmaskarray(column))


def _scores(columns: Arrays, n: int, *, shadow: bool) -> dict[str, Measured]:
    mine = columns["shadow"] == shadow
    names, rows, values = columns["metric"][mine], columns["row"][mine], columns["value"][mine]
    found: dict[str, Measured] = {}
    for name in dict.fromkeys(names.tolist()):
        of = names == name
        measured = Measured(values=np.zeros(n), present=np.zeros(n, dtype=np.bool_))
        measured.values[rows[of]] = np.ma.filled(values[of], 0)
        measured.present[rows[of]] = ~np.ma.getmaskarray(values[of])
        found[str(name)] = measured
    return found
