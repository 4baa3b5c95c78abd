"""Quality over time, and what is seen of an app before anything is declared: counts and means only."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.store.traces.counted import Narrowed, hours, narrowed
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.rollups import HOUR_S, UNIT, during
from inchworm.store.traces.search import TraceFilter


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
        asked = TraceFilter(since=since, until=until)
        with self._db.read() as run:
            which = narrowed(run, app, asked)
            # Bins of whole hours that begin with an hour are known but for the last one's end.
            whole, edges = hours(since, until) if not (since % HOUR_S or width_s % HOUR_S) else (None, None)
            rows: list[tuple[int, int, float]] = []
            if whole is not None:
                rows += _known(run, which, metric, whole, since=since, width_s=width_s)
            for begin, end in [(since, until)] if edges is None else edges:
                rows += _counted(run, which, metric, (begin, end), since=since, width_s=width_s)
        bins: dict[int, tuple[int, float]] = {}
        for place, n, total in rows:
            before = bins.get(place, (0, 0.0))
            bins[place] = before[0] + n, before[1] + total
        return [
            QualityBin(start=since + place * width_s, n=n, total=total)
            for place, (n, total) in sorted(bins.items())
        ]

    def seen(self, app: AppRef, *, limit: int = 20) -> list[SeenConfiguration]:
        """What traffic was answered by, the most recent first, at most ``limit``."""
        with self._db.read() as run:
            which = narrowed(run, app, TraceFilter())
            counted = run.rows(
                "SELECT configuration_id, sum(n)::BIGINT, min(hour), max(hour) FROM ("  # noqa: S608  # our own terms
                "SELECT c.configuration_id, hour, sum(n) AS n "
                "FROM hourly JOIN combinations c ON c.id = combination "
                f"WHERE {which.listed} GROUP BY ALL HAVING sum(n) <> 0) "
                "GROUP BY 1 ORDER BY 4 DESC, 1 NULLS LAST"
            )
            # Those of one hour are told apart by their last trace.
            latest = (
                [row for row in counted if row[3] >= counted[min(limit, len(counted)) - 1][3]]
                if limit
                else []
            )
            rows = [
                (id_, n, _end(run, which, "min", id_, first), _end(run, which, "max", id_, last))
                for id_, n, first, last in latest
            ]
        rows.sort(key=lambda row: (-row[3], row[0] is None, row[0] or ""))
        return [
            SeenConfiguration(id=None if id_ is None else ConfigurationId(id_), n=n, first=first, last=last)
            for id_, n, first, last in rows[:limit]
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


def _known(
    run: Run, which: Narrowed, metric: str | None, whole: tuple[int, int], *, since: float, width_s: float
) -> list[tuple[int, int, float]]:
    """Bin, count and sum of whole hours, from the rollups."""
    place = "floor((hour * ? - ?) / ?)::BIGINT"
    times = [HOUR_S, since, width_s]
    if metric is None:
        return run.rows(
            f"SELECT {place}, sum(n)::BIGINT, "  # noqa: S608  # our own terms
            "coalesce(sum(n) FILTER (c.outcome = 'ok'), 0)::DOUBLE "
            f"FROM hourly JOIN combinations c ON c.id = combination WHERE {which.listed} "
            "AND hour >= ? AND hour < ? AND c.outcome IN ('ok', 'failed') GROUP BY 1 HAVING sum(n) <> 0",
            [*times, *whole],
        )
    return run.rows(
        f"SELECT {place}, sum(scored)::BIGINT, sum(total)::HUGEINT / {UNIT:.1f} FROM hourly_scores "  # noqa: S608  # our own terms
        f"WHERE {which.listed} AND hour >= ? AND hour < ? AND metric = ? GROUP BY 1 HAVING sum(scored) <> 0",
        [*times, *whole, metric],
    )


def _counted(
    run: Run,
    which: Narrowed,
    metric: str | None,
    within: tuple[float, float],
    *,
    since: float,
    width_s: float,
) -> list[tuple[int, int, float]]:
    """The same of any time, from the traces."""
    scope = f"{which.facets} AND t.at_s >= ? AND t.at_s < ?"
    place = "floor((t.at_s - ?) / ?)::BIGINT"
    if metric is None:
        return run.rows(
            f"SELECT {place}, count(*), count(*) FILTER (t.outcome = 'ok')::DOUBLE "  # noqa: S608  # our own terms
            f"FROM traces t WHERE {scope} AND t.outcome IN ('ok', 'failed') GROUP BY 1",
            [since, width_s, *within],
        )
    return run.rows(
        f"SELECT {place}, count(*), sum(s.value ORDER BY s.number) "  # noqa: S608  # our own terms
        f"FROM traces t JOIN scores s USING (number) WHERE {scope} "
        "AND s.latest AND s.metric = ? AND s.value IS NOT NULL GROUP BY 1",
        [since, width_s, *within, metric],
    )


def _end(run: Run, which: Narrowed, end: str, id_: str | None, hour: int) -> float:
    found: float = run.rows(
        f"SELECT {end}(at_s) FROM traces t WHERE {which.facets} AND configuration_id IS NOT DISTINCT FROM ? "  # noqa: S608  # our own terms
        f"AND {during(hour)}",
        [id_],
    )[0][0]
    return found
