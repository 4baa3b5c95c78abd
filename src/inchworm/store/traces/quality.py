"""Quality over time, and what is seen of an app before anything is declared: counts and means only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.store.traces.database import Concern
from inchworm.store.traces.search import LATEST_PER_METRIC, SEEN, TraceFilter, where


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityBin:
    """One stretch of time.

    Attributes:
        start: when it begins, seconds since the epoch.
        n: traces with a value.
        total: sum of their values, each in [0, 1].
    """

    start: float
    n: int
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenConfiguration:
    """A configuration that traffic was answered by.

    Attributes:
        id: which; ``None`` for traffic of which nobody knows.
        n: traces.
        first: when the first of them started, seconds since the epoch.
        last: when the last of them started.
    """

    id: ConfigurationId | None
    n: int
    first: float
    last: float


class Quality(Concern):
    """How good the answers were, and when."""

    def quality(
        self, app: AppRef, *, metric: str | None, since: float, until: float, width_s: float
    ) -> list[QualityBin]:
        """A metric in bins of ``width_s`` seconds over ``since <= at < until``; empty bins are left out.

        Args:
            app: whose.
            metric: by the latest score of each trace; ``None`` for the share of answers that are ok among
                those that are ok or failed.
            since: where the first bin begins.
            until: where the last one ends.
            width_s: seconds of each; positive.

        Raises:
            ValueError: if ``width_s`` is not positive.
        """
        if width_s <= 0:
            raise ValueError(f"a bin is longer than 0 seconds, not {width_s}")
        condition, values = where(app, TraceFilter(since=since, until=until))
        bins: list[Any] = [since, width_s]
        if metric is None:
            query = (
                "SELECT floor((t.at_s - ?) / ?)::BIGINT AS bin, count(*), "  # noqa: S608  # our own terms
                "count(*) FILTER (t.outcome = 'ok')::DOUBLE "
                f"FROM traces t WHERE {condition} AND t.outcome IN ('ok', 'failed') GROUP BY 1 ORDER BY 1"
            )
            parameters = [*bins, *values]
        else:
            query = (
                "WITH s AS (SELECT number, value FROM scores WHERE metric = ? "  # noqa: S608  # our own terms
                f"AND number IN (SELECT t.number FROM traces t WHERE {condition}) {LATEST_PER_METRIC}) "
                "SELECT floor((t.at_s - ?) / ?)::BIGINT AS bin, count(*), sum(s.value ORDER BY s.number) "
                "FROM s JOIN traces t USING (number) WHERE s.value IS NOT NULL GROUP BY 1 ORDER BY 1"
            )
            parameters = [metric, *values, *bins]
        with self._db.read() as run:
            rows = run.rows(query, parameters)
        return [QualityBin(start=since + place * width_s, n=n, total=total) for place, n, total in rows]

    def seen(self, app: AppRef, *, limit: int = 20) -> list[SeenConfiguration]:
        """What traffic was answered by, the most recent first, at most ``limit``."""
        with self._db.read() as run:
            rows = run.rows(
                "SELECT configuration_id, count(*), min(at_s), max(at_s) FROM traces "  # noqa: S608  # our own terms
                f"WHERE app = ? AND {SEEN.format('')} GROUP BY 1 ORDER BY 4 DESC, 1 NULLS LAST LIMIT ?",
                [str(app), limit],
            )
        return [
            SeenConfiguration(id=None if id_ is None else ConfigurationId(id_), n=n, first=first, last=last)
            for id_, n, first, last in rows
        ]

    def changed_arms(self, rollout_id: RolloutId) -> int:
        """Units of a rollout with a trace in another arm than the one that they were assigned.

        Such traces are kept, and are no evidence for either arm. Where units are drawn anew at each stage, a
        trace is held against the draw of its own stage.
        """
        with self._db.read() as run:
            n: int = run.rows(
                "SELECT count(DISTINCT t.unit_id) FROM traces t JOIN exposures e "
                "ON e.rollout_id = t.rollout_id AND e.unit_id = t.unit_id "
                "WHERE t.rollout_id = ? AND t.arm <> e.arm AND (e.draw = t.stage OR NOT EXISTS "
                "(SELECT 1 FROM exposures WHERE rollout_id = ? AND draw > 0))",
                [rollout_id, rollout_id],
            )[0][0]
        return n
