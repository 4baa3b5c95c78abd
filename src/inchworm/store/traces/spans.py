"""Spans: what telemetry says of a trace, piece by piece, until all of it has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.span import Span, merged
from inchworm.store.codec import app_key
from inchworm.store.traces.database import Concern, Run
from inchworm.store.traces.keys import key
from inchworm.store.traces.numbers import next_number
from inchworm.store.traces.rollups import NUMBERS, among
from inchworm.store.traces.rows import table
from inchworm.store.traces.span_rows import SPAN_COLUMNS, span_tables, to_span

_TRACES = pa.schema([("app", pa.string()), ("id", pa.string())])
Key = tuple[AppRef, TraceId, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpansPut:
    """What became of spans that were handed in; the counts add up.

    Attributes:
        new: how many were not there.
        changed: how many said more of a span that was there, or other things.
        duplicate: how many said nothing new.
        known: traces of the batch of which other spans, not in the batch, are stored.
        sizes: how many spans each trace of the batch has by now.
    """

    new: int
    changed: int
    duplicate: int
    known: frozenset[TraceId]
    sizes: Mapping[TraceId, int] = field(default_factory=dict, compare=False)


class Spans(Concern):
    """Spans in and out."""

    def put_spans(self, spans: Sequence[Span]) -> SpansPut:
        """Store spans; what is said of one that is there is merged into it. Durable on return.

        Args:
            spans: sanitized ones.

        Raises:
            InputError: if one of them cannot be stored exactly (a lone surrogate, NaN, no JSON); then
                none of them is.
        """
        if not spans:
            return SpansPut(new=0, changed=0, duplicate=0, known=frozenset(), sizes={})
        for app in {span.app for span in spans}:
            app_key(app)
        with self._db.write() as run:
            there = _numbers(run, {(span.app, span.trace_id) for span in spans})
            handed_in = {span.key for span in spans}
            before = _load(run, [number for key, number in there.items() if key in handed_in])
            joined = _Joined(before)
            for span in spans:
                joined.take(span)
            told = [span for key, span in joined.now.items() if before.get(key) != span]
            metadata, payloads = span_tables(told, start=next_number(run, "spans", "number"))
            _remove(run, [there[span.key] for span in told if span.key in there])
            _insert(run, metadata, payloads)
        known = frozenset(trace_id for app, trace_id, id_ in there.keys() - handed_in)
        sizes = Counter(trace_id for _, trace_id, _ in there.keys() | handed_in)
        return SpansPut(
            new=joined.new,
            changed=joined.changed,
            duplicate=joined.duplicate,
            known=known,
            sizes=dict(sizes),
        )

    def spans(self, app: AppRef, trace_ids: Sequence[TraceId]) -> dict[TraceId, tuple[Span, ...]]:
        """The spans of these traces, each in order of their start; those that do not know it come last.

        Traces without spans are left out.
        """
        if not trace_ids:
            return {}
        with self._db.read() as run:
            numbers = _numbers(run, {(app, id_) for id_ in trace_ids})
            found = _load(run, list(numbers.values()))
        of: dict[TraceId, list[Span]] = {id_: [] for id_ in trace_ids}
        for span in sorted(found.values(), key=_start):
            of[span.trace_id].append(span)
        return {id_: tuple(some) for id_, some in of.items() if some}


class _Joined:
    """What is known of each span, report by report."""

    def __init__(self, before: dict[Key, Span]) -> None:
        self.now = dict(before)
        self.new = self.changed = self.duplicate = 0

    def take(self, span: Span) -> None:
        known = self.now.get(span.key)
        if known is None:
            self.now[span.key] = span
            self.new += 1
            return
        after = merged(known, span)
        self.now[span.key] = after
        # Only the revision moves on where the same is said once more, later.
        if replace(after, revision=known.revision) == known:
            self.duplicate += 1
        else:
            self.changed += 1


def _start(span: Span) -> tuple[bool, float, str]:
    return span.started_at is None, span.started_at or 0.0, span.id


def _numbers(run: Run, traces: set[tuple[AppRef, TraceId]]) -> dict[Key, int]:
    """The numbers of all spans of these traces."""
    names = sorted((str(app), id_) for app, id_ in traces)
    try:
        batch = table(_TRACES, names)
    except ValueError as error:
        raise InputError(f"the id of a trace is no Unicode text: {str(error)!a}") from error
    numbers = run.rows(
        f"SELECT number FROM spans WHERE trace_key IN (SELECT {key('app', 'id')} FROM batch)",  # noqa: S608  # our own terms
        batch=batch,
    )
    if not numbers:
        return {}
    apps = {str(app): app for app, _ in traces}
    there = table(NUMBERS, sorted(numbers))
    rows = run.rows(
        f"SELECT app, trace_id, id, number FROM spans WHERE {among(there)}",  # noqa: S608  # our own terms
        affected=there,
    )
    wanted = set(names)
    return {
        (apps[app], TraceId(trace_id), id_): number
        for app, trace_id, id_, number in rows
        if (app, trace_id) in wanted
    }


def _load(run: Run, numbers: Sequence[int]) -> dict[Key, Span]:
    if not numbers:
        return {}
    low, high = min(numbers), max(numbers)
    rows = run.rows(
        f"SELECT {SPAN_COLUMNS} FROM spans s JOIN span_payloads p USING (number) "  # noqa: S608  # our own terms
        "SEMI JOIN batch USING (number) "
        f"WHERE s.number BETWEEN {low} AND {high} AND p.number BETWEEN {low} AND {high} ORDER BY number",
        batch=table(NUMBERS, [(number,) for number in sorted(numbers)]),
    )
    return {span.key: span for span in map(to_span, rows)}


def _remove(run: Run, numbers: Sequence[int]) -> None:
    """What is merged is stored anew, under a new number: nothing refers to the number of a span."""
    if not numbers:
        return
    batch = table(NUMBERS, [(number,) for number in sorted(numbers)])
    for name in ("spans", "span_payloads"):
        run(f"DELETE FROM {name} WHERE number IN (SELECT number FROM batch)", batch=batch)  # noqa: S608  # our own names


def _insert(run: Run, metadata: pa.Table, payloads: pa.Table) -> None:
    if not metadata.num_rows:
        return
    run(
        f"INSERT INTO spans SELECT number, {key('app', 'trace_id')}, * EXCLUDE (number) FROM batch "  # noqa: S608  # our own terms
        "ORDER BY number",
        batch=metadata,
    )
    run("INSERT INTO span_payloads SELECT * FROM batch ORDER BY number", batch=payloads)
