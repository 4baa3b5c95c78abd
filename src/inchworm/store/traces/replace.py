"""Traces that are told anew: what is known of them by now takes the place of what was known before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import pyarrow as pa

from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Result, Score
from inchworm.domain.trace import CONTENT, EXPIRED, Trace
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.graded import append_new_scores, append_scores
from inchworm.store.traces.numbers import next_number
from inchworm.store.traces.rollups import NUMBERS, changing, tidy
from inchworm.store.traces.rows import PAYLOADS, SCORE_COLUMNS, TRACES, Batch, table, to_score, trace_batch
from inchworm.store.traces.search import LATEST_PER_SOURCE
from inchworm.store.traces.write import (
    app_keys,
    enter_new,
    insert,
    stored,
)

_PLACES = pa.schema([("here", pa.int64()), ("there", pa.int64())])
_KEPT = frozenset({"number", "app", "id", "cluster", "scored"})
_TOLD = tuple(name for name in TRACES.names if name not in _KEPT)
_WRITTEN = tuple(name for name in PAYLOADS.names if name != "number")


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesPut:
    """What became of traces that were handed in; the counts add up.

    Attributes:
        new: how many were not there.
        replaced: how many were there with other content.
        duplicate: how many were there with the same content, in the store or before in the batch.
    """

    new: int
    replaced: int
    duplicate: int


class Replaces(Concern):
    """What is told anew."""

    def put_traces(
        self,
        traces: Sequence[Trace],
        *,
        cluster: Mapping[TraceId, str] | None = None,
        over: str | None = None,
    ) -> TracesPut:
        """Store traces; one that is there already is replaced. Durable on return.

        A replaced trace keeps its number, its scores, and its cluster unless one is given. Of the scores
        that it brings those are appended that say something new: the latest one from the same source on the
        same metric has another result. Of one that is twice in the batch the last one is stored, with the
        scores of both.

        Args:
            traces: sanitized ones.
            cluster: the names of their clusters, where known.
            over: an attribute; what is stored without it, and has its content, stays as it is and counts as
                a duplicate.

        Raises:
            InputError: if one of them cannot be stored exactly (see ``add_traces``); then none of them is.
        """
        told: dict[tuple[str, TraceId], list[Trace]] = {}
        for trace, key in zip(traces, app_keys(traces), strict=True):
            told.setdefault((key, trace.id), []).append(trace)
        if not told:
            return TracesPut(new=0, replaced=0, duplicate=0)
        with self._db.write() as run:
            start = next_number(run, "traces", "number")
            last = [
                replace(versions[-1], scores=tuple(score for one in versions for score in one.scores))
                for versions in told.values()
            ]
            batch = trace_batch(last, [key for key, _ in told], cluster or {}, start=start)
            known = stored(run, batch.traces)
            new = [start + place for place in range(len(last)) if start + place not in known]
            open_ = known if over is None else _having(run, known, over)
            differing, moved = _differing(run, batch, open_)
            _replace(run, batch, {here: known[here] for here in differing | moved})
            insert(run, batch, new)
            brought = {
                known.get(number, number): trace.scores for number, trace in enumerate(last, start=start)
            }
            append_new_scores(run, _news({number: brought[number] for number in new}, {}))
            enter_new(run, new)
            old = {number: brought[number] for number in open_.values()}
            append_scores(run, _news(old, _results(run, old)))
            tidy(run)
        again = sum(
            _content(before) != _content(after)
            for versions in told.values()
            for before, after in pairwise(versions)
        )
        replaced = len(differing) + again
        return TracesPut(new=len(new), replaced=replaced, duplicate=len(traces) - len(new) - replaced)


def _having(run: Run, known: Mapping[int, int], attribute: str) -> dict[int, int]:
    """Those of which the stored one has an attribute, or lost its content and with it all of them."""
    if not known:
        return {}
    rows = run.rows(
        "SELECT here, contains(p.attributes, ?) OR starts_with(p.attributes, ?) "
        "FROM places JOIN payloads p ON p.number = there",
        [f'"{attribute}":', f'{{"{CONTENT}":"{EXPIRED}"'],
        places=table(_PLACES, sorted(known.items())),
    )
    return {here: known[here] for here, has in rows if has}


def _differing(run: Run, batch: Batch, known: Mapping[int, int]) -> tuple[set[int], set[int]]:
    """Which of the batch say something else than what is stored, and which name another cluster."""
    if not known:
        return set(), set()
    said = " OR ".join(
        [
            *(f"b.{name} IS DISTINCT FROM t.{name}" for name in _TOLD),
            *(f"q.{name} IS DISTINCT FROM p.{name}" for name in _WRITTEN),
        ]
    )
    low, high = min(known.values()), max(known.values())
    rows = run.rows(
        f"SELECT here, {said}, coalesce(b.cluster, t.cluster) IS DISTINCT FROM t.cluster "  # noqa: S608  # our own terms
        "FROM places JOIN traces t ON t.number = there JOIN payloads p ON p.number = there "
        "JOIN batch b ON b.number = here JOIN written q ON q.number = here "
        f"WHERE t.number BETWEEN {low} AND {high} AND p.number BETWEEN {low} AND {high}",
        places=table(_PLACES, sorted(known.items())),
        batch=batch.traces,
        written=batch.payloads,
    )
    return {here for here, differs, _ in rows if differs}, {here for here, _, moves in rows if moves}


def _replace(run: Run, batch: Batch, places: Mapping[int, int]) -> None:
    """Put content of the batch in the place of what is stored: at these numbers, by those of the batch."""
    if not places:
        return
    there = table(_PLACES, sorted(places.items()))
    told = ", ".join(f"{name} = b.{name}" for name in _TOLD)
    written = ", ".join(f"{name} = b.{name}" for name in _WRITTEN)
    low, high = min(places.values()), max(places.values())
    with changing(run, places.values()):
        run(
            f"UPDATE traces SET {told}, cluster = coalesce(b.cluster, traces.cluster) "  # noqa: S608  # our own names
            "FROM batch b JOIN places ON b.number = here WHERE traces.number = there "
            f"AND traces.number BETWEEN {low} AND {high}",
            batch=batch.traces,
            places=there,
        )
        run(
            f"UPDATE payloads SET {written} "  # noqa: S608  # our own names
            "FROM written b JOIN places ON b.number = here WHERE payloads.number = there "
            f"AND payloads.number BETWEEN {low} AND {high}",
            written=batch.payloads,
            places=there,
        )


def _results(run: Run, numbers: Mapping[int, object]) -> dict[tuple[int, str, str], Result]:
    """The latest result of each metric and source that these traces have."""
    if not numbers:
        return {}
    rows = run.rows(
        f"SELECT s.number, {SCORE_COLUMNS} FROM scores s "  # noqa: S608  # our own terms
        f"WHERE number IN (SELECT number FROM batch) AND number BETWEEN {min(numbers)} AND {max(numbers)} "
        f"{LATEST_PER_SOURCE}",
        batch=table(NUMBERS, [(number,) for number in sorted(numbers)]),
    )
    found = ((number, to_score(rest)) for number, *rest in rows)
    return {(number, one.metric, one.source): one.result for number, one in found}


def _news(
    brought: Mapping[int, Sequence[Score]], latest: Mapping[tuple[int, str, str], Result]
) -> list[tuple[int, Score]]:
    """The scores that say something new, in the order in which they came."""
    known = dict(latest)
    news: list[tuple[int, Score]] = []
    for number, scores in brought.items():
        for score in scores:
            place = (number, score.metric, score.source)
            if known.get(place) != score.result:
                known[place] = score.result
                news.append((number, score))
    return news


def _content(trace: Trace) -> tuple[object, ...]:
    """Everything that a trace says but its scores, as it is stored."""
    batch = trace_batch([trace], [""], {}, start=0)
    return (*batch.traces.to_pylist()[0].values(), *batch.payloads.to_pylist()[0].values())
