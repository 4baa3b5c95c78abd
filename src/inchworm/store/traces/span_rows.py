"""Spans to and from rows. A batch fits as a whole or is refused as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import Usage
from inchworm.store.codec import from_text, to_text
from inchworm.store.traces.rows import PAYLOADS, outcome_row, refused, table, to_assignment, to_outcome

SPANS = pa.schema(
    [
        ("number", pa.int64()),
        ("app", pa.string()),
        ("trace_id", pa.string()),
        ("id", pa.string()),
        ("parent_id", pa.string()),
        ("name", pa.string()),
        ("kind", pa.string()),
        ("started_s", pa.float64()),
        ("ended_s", pa.float64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("model", pa.string()),
        ("finish_reason", pa.string()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("configuration_id", pa.string()),
        ("rollout_id", pa.string()),
        ("stage", pa.int32()),
        ("arm", pa.string()),
        ("probability", pa.float64()),
        ("people", pa.map_(pa.string(), pa.string())),
        ("revision_s", pa.float64()),
    ]
)
SPAN_COLUMNS = (
    ", ".join(f"s.{name}" for name in SPANS.names)
    + ", "
    + ", ".join(f"p.{name}" for name in PAYLOADS.names[1:])
)
"""What :func:`to_span` reads, from ``spans s JOIN span_payloads p``."""


def span_tables(spans: Sequence[Span], *, start: int) -> tuple[pa.Table, pa.Table]:
    """Metadata and payloads, row by row the same span; ``number`` counts from ``start``.

    Raises:
        InputError: if a span cannot be stored exactly; it names the first one.
    """
    try:
        return _tables(spans, start)
    except (ValueError, InputError) as error:
        for span in spans:
            try:
                _tables([span], start)
            except (ValueError, InputError) as reason:
                raise refused("span", span.id, reason) from error
        raise


def _tables(spans: Sequence[Span], start: int) -> tuple[pa.Table, pa.Table]:
    rows = [_row(number, span) for number, span in enumerate(spans, start=start)]
    payloads = [
        (
            number,
            to_text(dict(span.inputs)),
            span.output,
            None if span.reference is None else to_text(span.reference),
            to_text(dict(span.attributes)),
        )
        for number, span in enumerate(spans, start=start)
    ]
    return table(SPANS, rows), table(PAYLOADS, payloads)


def _row(number: int, span: Span) -> tuple[Any, ...]:
    assignment, usage = span.assignment, span.usage
    assigned: tuple[Any, ...] = (None, None, None, None)
    if assignment is not None:
        assigned = (assignment.rollout_id, assignment.stage, assignment.arm.value, assignment.probability)
    return (
        number,
        str(span.app),
        span.trace_id,
        span.id,
        span.parent_id,
        span.name,
        span.kind.value,
        span.started_at,
        span.ended_at,
        *((None, None) if span.outcome is None else outcome_row(span.outcome)),
        span.model,
        span.finish_reason,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost_usd,
        span.configuration_id,
        *assigned,
        list(span.people.items()),
        span.revision,
    )


def to_span(row: Sequence[Any]) -> Span:
    """The span of one row of :data:`SPAN_COLUMNS`."""
    (
        _number,
        app,
        trace_id,
        id_,
        parent_id,
        name,
        kind,
        started,
        ended,
        outcome,
        reason,
        model,
        finish_reason,
        input_tokens,
        output_tokens,
        cost_usd,
        configuration_id,
        rollout_id,
        stage,
        arm,
        probability,
        people,
        revision,
        inputs,
        output,
        reference,
        attributes,
    ) = row
    return Span(
        app=AppRef.parse(app),
        trace_id=trace_id,
        id=id_,
        parent_id=parent_id,
        name=name,
        kind=SpanKind(kind),
        started_at=started,
        ended_at=ended,
        outcome=None if outcome is None else to_outcome(outcome, reason),
        model=model,
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd),
        inputs=from_text(inputs),
        output=output,
        finish_reason=finish_reason,
        configuration_id=configuration_id,
        assignment=to_assignment(rollout_id, stage, arm, probability),
        people=people,
        reference=None if reference is None else from_text(reference),
        attributes=from_text(attributes),
        revision=revision,
    )
