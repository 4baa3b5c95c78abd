"""What the monitor reads: units in the order of their assignment, with what became of them.

One query joins exposures and traces, one adds the scores; nothing loops over units.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Arm, Exposure
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.search import LATEST_PER_METRIC


class Measured(NamedTuple):
    """Values with the mask that says where there is one.

    Attributes:
        values: shape (n,), float64; 0 where nothing was measured, and meaningless there.
        present: shape (n,), bool.
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnitRows:
    """Units of a rollout in the order of assignment; every array has one entry per unit.

    Attributes:
        order: place in the order of assignment, int64, without gaps.
        unit: the unit's id.
        stage: stage at assignment, int64.
        candidate: whether the unit got the candidate, bool.
        probability: of the candidate arm at assignment (π), float64.
        at: when it was assigned, seconds since the epoch, float64.
        traces: traces of the unit in this rollout that its arm answered, int64; 0 if nothing came.
        failed: share of failed ones among those that are ok or failed; 0 where there is none of either
            (see :attr:`answered`).
        errored: traces on which the harness failed, int64.
        latency_ms: the slowest trace's, as far as known.
        cost_usd: sum over the traces; absent if an ok trace does not say.
        output_tokens: sum over the traces; absent if an ok trace does not say.
        cluster: of the unit's first trace; ``None`` where it has none.
        scores: per metric that any of these units has a score on, in alphabetical order: the mean over
            the unit's traces of each one's latest score, if that is a value.
    """

    order: NDArray[np.int64]
    unit: tuple[UnitId, ...]
    stage: NDArray[np.int64]
    candidate: NDArray[np.bool_]
    probability: NDArray[np.float64]
    at: NDArray[np.float64]
    traces: NDArray[np.int64]
    failed: NDArray[np.float64]
    errored: NDArray[np.int64]
    latency_ms: Measured
    cost_usd: Measured
    output_tokens: Measured
    cluster: tuple[str | None, ...]
    scores: dict[str, Measured]

    def __len__(self) -> int:
        return len(self.order)

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Where there is a trace that is ok or failed, shape (n,)."""
        return self.traces > self.errored


_RUN = """
WITH ahead AS (
    SELECT place, unit_id, stage, arm, probability, at_s FROM exposures
    WHERE rollout_id = $rollout AND place >= $start AND place < $start + $limit
), counted AS (
    SELECT *, row_number() OVER (ORDER BY place) - 1 + $start AS expected FROM ahead
), run AS (
    SELECT * FROM counted WHERE place < coalesce(
        (SELECT min(place) FROM counted WHERE place <> expected OR at_s > $matured), $start + $limit)
), met AS (
    SELECT t.number, t.at_s, run.place, t.outcome, t.latency_ms, t.cost_usd, t.output_tokens, t.cluster
    FROM traces t JOIN run ON t.unit_id = run.unit_id AND t.arm = run.arm
    WHERE t.rollout_id = $rollout AND t.shadow_of IS NULL AND t.at_s <= run.at_s + $window
        AND (t.stage = run.stage OR NOT EXISTS
            (SELECT 1 FROM exposures WHERE rollout_id = $rollout AND draw > 0))
)
"""

_UNITS = """
, became AS (
    SELECT place,
        count(*) AS traces,
        count(*) FILTER (outcome = 'failed') AS failures,
        count(*) FILTER (outcome = 'errored') AS errored,
        max(latency_ms) AS latency_ms,
        CASE WHEN count(*) FILTER (outcome = 'ok' AND cost_usd IS NULL) = 0
            THEN sum(cost_usd ORDER BY number) END AS cost_usd,
        CASE WHEN count(*) FILTER (outcome = 'ok' AND output_tokens IS NULL) = 0
            THEN sum(output_tokens) END::DOUBLE AS output_tokens,
        first(cluster ORDER BY at_s, number) AS cluster
    FROM met GROUP BY place
)
SELECT place, unit_id, stage::BIGINT AS stage, arm = $candidate AS candidate, probability, at_s,
    coalesce(traces, 0) AS traces,
    coalesce(failures / nullif(traces - errored, 0), 0.0)::DOUBLE AS failed,
    coalesce(errored, 0) AS errored,
    latency_ms, cost_usd, output_tokens, cluster
FROM run LEFT JOIN became USING (place) ORDER BY place
"""

_SCORES = f"""
, latest AS (
    SELECT number, metric, value FROM scores WHERE number IN (SELECT number FROM met) {LATEST_PER_METRIC}
)
SELECT dense_rank() OVER (ORDER BY metric) - 1 AS which, metric, place - $start AS row, mean FROM (
    SELECT metric, place, avg(value ORDER BY number) AS mean
    FROM latest JOIN met USING (number)
    GROUP BY metric, place
) ORDER BY metric, place
"""  # noqa: S608  # our own terms


_LATE = """
SELECT count(*) FILTER (e.arm <> $candidate), count(*) FILTER (e.arm = $candidate)
FROM {} JOIN exposures e ON e.rollout_id = $rollout AND e.unit_id = t.unit_id AND e.arm = t.arm
WHERE t.rollout_id = $rollout AND t.shadow_of IS NULL AND e.place < $before AND {}
    AND t.at_s <= e.at_s + $window
    AND (t.stage = e.stage OR NOT EXISTS
        (SELECT 1 FROM exposures WHERE rollout_id = $rollout AND draw > 0))
"""
_LATE_TRACES = _LATE.format("traces t", "t.number > $since")
_LATE_SCORES = _LATE.format(
    "scores s JOIN traces t USING (number)",
    "s.sequence > $since AND list_contains($metrics::VARCHAR[], s.metric)",
)


class Arrived(NamedTuple):
    """What came in for units that were read before.

    Attributes:
        baseline: how many of the baseline.
        candidate: how many of the candidate.
        seen: the count of all that ever came in, to ask from next time.
    """

    baseline: int
    candidate: int
    seen: int


class Units(Concern):
    """Exposures, counted and joined with what became of them."""

    def exposures_count(self, rollout_id: RolloutId) -> dict[tuple[int, Arm], int]:
        """How many units were assigned per stage and arm."""
        with self._db.read() as run:
            rows = run.rows(
                "SELECT stage, arm, count(*) FROM exposures WHERE rollout_id = ? GROUP BY 1, 2 ORDER BY 1, 2",
                [rollout_id],
            )
        return {(stage, Arm(arm)): n for stage, arm, n in rows}

    def assignments(
        self, rollout_id: RolloutId, unit_ids: Collection[UnitId], *, draw: int | None = None
    ) -> dict[UnitId, Exposure]:
        """The exposures of these units in a rollout; units that were never exposed are left out.

        Args:
            rollout_id: of which rollout.
            unit_ids: whose.
            draw: of this draw only; by default each unit's last. What the version before recorded of users
                has draw 0 at every stage: it is of its stage's draw.
        """
        if not unit_ids:
            return {}
        with self._db.read() as run:
            rows = run.rows(
                "SELECT place, unit_id, stage, arm, probability, at_s, draw FROM exposures "
                "WHERE rollout_id = $1 AND unit_id IN (SELECT unit_id FROM batch) "
                "AND ($2 IS NULL OR draw = $2 OR stage = $2) ORDER BY place",
                [rollout_id, draw],
                batch=pa.table({"unit_id": pa.array(sorted(set(unit_ids)), pa.string())}),
            )
        return {
            UnitId(unit_id): Exposure(
                rollout_id=rollout_id,
                order=place,
                unit_id=UnitId(unit_id),
                stage=stage,
                arm=Arm(arm),
                probability=probability,
                at=at,
                draw=drawn,
            )
            for place, unit_id, stage, arm, probability, at, drawn in rows
        }

    def last_order(self, rollout_id: RolloutId) -> int | None:
        """The last place in the order of assignment; ``None`` before the first."""
        with self._db.read() as run:
            last: int | None = run.rows(
                "SELECT max(place) FROM exposures WHERE rollout_id = ?", [rollout_id]
            )[0][0]
        return last

    def arrived(
        self, rollout_id: RolloutId, *, before: int, since: int, window_s: float = math.inf
    ) -> Arrived:
        """Traces that came in after ``since`` for units whose place is below ``before``.

        Args:
            rollout_id: of which rollout.
            before: of units whose place is lower.
            since: what was seen when it was asked last.
            window_s: as in :meth:`units`.
        """
        values = {"rollout": rollout_id, "before": before, "since": since, "window": window_s}
        with self._db.read() as run:
            baseline, candidate = run.one(_LATE_TRACES, values | {"candidate": Arm.CANDIDATE.value})
            return Arrived(baseline, candidate, _seen(run, "number", "traces"))

    def scored(
        self,
        rollout_id: RolloutId,
        metrics: Collection[str],
        *,
        before: int,
        since: int,
        window_s: float = math.inf,
    ) -> Arrived:
        """The same of scores on these metrics."""
        values = {"rollout": rollout_id, "before": before, "since": since, "window": window_s}
        values |= {"candidate": Arm.CANDIDATE.value, "metrics": sorted(metrics)}
        with self._db.read() as run:
            baseline, candidate = run.one(_LATE_SCORES, values)
            return Arrived(baseline, candidate, _seen(run, "sequence", "scores"))

    def units(
        self,
        rollout_id: RolloutId,
        *,
        start: int,
        matured_before: float,
        limit: int,
        window_s: float = math.inf,
    ) -> UnitRows:
        """The next units whose outcomes are due, in the order of assignment.

        Where units are drawn anew at each stage, an exposure's traces are those of its stage.

        Args:
            rollout_id: of which rollout.
            start: place of the first.
            matured_before: only the unbroken run of units assigned at this time or earlier: the first
                that is younger, or missing, ends it.
            limit: how many at most.
            window_s: only traces up to so long after the unit's assignment count.
        """
        values = {
            "rollout": rollout_id,
            "window": window_s,
            "start": start,
            "limit": limit,
            "matured": matured_before,
            "candidate": Arm.CANDIDATE.value,
        }
        with self._db.read() as run:
            columns = run.named(_RUN + _UNITS, values)
            scored = run.named(_RUN + _SCORES, {name: values[name] for name in values if name != "candidate"})
        return UnitRows(
            order=columns["place"],
            unit=tuple(map(UnitId, columns["unit_id"].tolist())),
            stage=columns["stage"],
            candidate=columns["candidate"],
            probability=columns["probability"],
            at=columns["at_s"],
            traces=columns["traces"],
            failed=columns["failed"],
            errored=columns["errored"],
            latency_ms=_measured(columns["latency_ms"]),
            cost_usd=_measured(columns["cost_usd"]),
            output_tokens=_measured(columns["output_tokens"]),
            cluster=tuple(columns["cluster"].tolist()),
            scores=_scores(scored, len(columns["place"])),
        )


def _seen(run: Run, column: str, table: str) -> int:
    found: int | None = run.rows(f"SELECT max({column}) FROM {table}")[0][0]  # noqa: S608  # our own names
    return 0 if found is None else found


def _measured(column: NDArray[Any]) -> Measured:
    return Measured(values=np.ma.filled(column, 0).astype(np.float64), present=~np.ma.getmaskarray(column))


def _scores(columns: dict[str, NDArray[Any]], n: int) -> dict[str, Measured]:
    names, first = np.unique(columns["which"], return_index=True)
    found: dict[str, Measured] = {}
    for name, position in zip(names, first, strict=True):
        mine = columns["which"] == name
        mean = columns["mean"][mine]
        measured = Measured(values=np.zeros(n), present=np.zeros(n, dtype=np.bool_))
        rows = columns["row"][mine]
        measured.values[rows] = np.ma.filled(mean, 0)
        measured.present[rows] = ~np.ma.getmaskarray(mean)
        found[str(columns["metric"][position])] = measured
    return found
