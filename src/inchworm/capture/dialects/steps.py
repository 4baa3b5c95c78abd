"""The member ``spans`` of ``trace/1``: the steps of an interaction, as the client library reports them.

Each is an object: ``id``, ``parent`` (another step's id), ``name``, ``kind``, ``at``, ``latency_ms`` (absent
if it did not end), ``model``, ``inputs``, ``output``, ``outcome``, ``finish_reason``, ``usage`` and
``attributes``.
"""

from __future__ import annotations

from typing import Any

from inchworm.capture.dialects.members import read_outcome, read_usage, refuse_unknown, usage_members
from inchworm.capture.fields import Fields
from inchworm.capture.values import kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import encode
from inchworm.domain.span import Span, SpanKind

MEMBERS = (
    *("id", "parent", "name", "kind", "at", "latency_ms", "model", "inputs", "output", "outcome"),
    *("finish_reason", "usage", "attributes"),
)
"""All members of a step; others are refused."""
MOST = 10_000
"""Steps of one interaction that are read."""
_KINDS = {kind.value: kind for kind in SpanKind}


def read_steps(fields: Fields, *, app: AppRef, trace_id: TraceId) -> tuple[Span, ...]:
    """The steps in a ``trace/1`` record.

    Args:
        fields: of the record.
        app: whose.
        trace_id: the interaction's id.

    Raises:
        InputError: if one has a wrong member or value, has no id, or has another one's.
    """
    given = fields.array("spans") or ()
    if len(given) > MOST:
        raise InputError(f"spans has {len(given)} members; {MOST} are read at most")
    found: dict[str, Span] = {}
    for place, one in enumerate(given):
        path = f"spans[{place}]"
        if not isinstance(one, dict):
            raise InputError(f"{path} is {kind_of(one)}; an object is expected")
        inner = Fields(one, path)
        span = _step(inner, app, trace_id)
        refuse_unknown(inner, MEMBERS)
        if span.id in found:
            raise InputError(f"{path} has the id {quoted(span.id)}, which another has already")
        found[span.id] = span
    return tuple(found.values())


def _step(inner: Fields, app: AppRef, trace_id: TraceId) -> Span:
    id_ = inner.identifier("id")
    if id_ is None:
        raise InputError(f"{inner.path} has no id")
    kind = inner.text("kind")
    if kind is not None and kind not in _KINDS:
        raise InputError(f"{inner.path}.kind is {quoted(kind)}; it is one of {', '.join(_KINDS)}")
    at, latency_ms = inner.time("at"), inner.number("latency_ms", least=0)
    return Span(
        app=app,
        trace_id=trace_id,
        id=id_,
        parent_id=inner.identifier("parent"),
        name=inner.text("name") or "",
        kind=SpanKind.OTHER if kind is None else _KINDS[kind],
        started_at=at,
        ended_at=None if at is None or latency_ms is None else at + latency_ms / 1000,
        outcome=read_outcome(inner) if "outcome" in inner.left else None,
        model=inner.text("model"),
        usage=read_usage(inner),
        inputs=inner.mapping("inputs") or {},
        output=inner.text("output"),
        finish_reason=inner.text("finish_reason"),
        attributes=inner.mapping("attributes") or {},
        revision=0.0 if at is None else at,
    )


def step_members(span: Span) -> dict[str, Any]:
    """A span as a step of ``trace/1``; what is absent is left out."""
    start, end = span.started_at, span.ended_at
    members = {
        "id": span.id,
        "parent": span.parent_id,
        "name": span.name or None,
        "kind": None if span.kind is SpanKind.OTHER else span.kind.value,
        "at": start,
        "latency_ms": None if start is None or end is None else max(0.0, (end - start) * 1000),
        "model": span.model,
        "inputs": dict(span.inputs) or None,
        "output": span.output,
        "outcome": None if span.outcome is None else encode(span.outcome),
        "finish_reason": span.finish_reason,
        "usage": usage_members(span.usage) or None,
        "attributes": dict(span.attributes) or None,
    }
    return {name: value for name, value in members.items() if value is not None}
