"""Spans that cannot be placed: without a trace id of 16 bytes and a span id of 8, not all zero. Pure.

Exporters do not send such; who writes OTLP by hand does. They are told at once (partial success), and lie in
quarantine with all that they say.
"""

from __future__ import annotations

from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)
_HEX = frozenset("0123456789abcdefABCDEF")


class _Span(msgspec.Struct, frozen=True):
    trace_id: Any = msgspec.field(default="", name="traceId")
    span_id: Any = msgspec.field(default="", name="spanId")


class _Scope(msgspec.Struct, frozen=True):
    spans: list[_Span] | None = None


class _Resource(msgspec.Struct, frozen=True):
    scopes: list[_Scope] | None = msgspec.field(default=None, name="scopeSpans")


class _Request(msgspec.Struct, frozen=True):
    resources: list[_Resource] | None = msgspec.field(default=None, name="resourceSpans")


_requests = msgspec.json.Decoder(_Request)


def unplaced_protobuf(body: bytes) -> int:
    """How many spans of an export request cannot be placed; the body was checked before."""
    return sum(
        len(span.trace_id) != len(_NO_TRACE)
        or len(span.span_id) != len(_NO_SPAN)
        or span.trace_id == _NO_TRACE
        or span.span_id == _NO_SPAN
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    )


def unplaced_json(body: bytes) -> int:
    """The same of OTLP's JSON; 0 of what is written in another way than the specification says."""
    try:
        request = _requests.decode(body)
    except msgspec.ValidationError:  # snake_case, and what else the reader tolerates
        return 0
    return sum(
        not (_is_id(span.trace_id, len(_NO_TRACE)) and _is_id(span.span_id, len(_NO_SPAN)))
        for group in request.resources or ()
        for scope in group.scopes or ()
        for span in scope.spans or ()
        if span.trace_id != "" or span.span_id != ""
    )


def _is_id(value: Any, size: int) -> bool:
    return (
        isinstance(value, str)
        and len(value) == 2 * size
        and _HEX.issuperset(value)
        and value.strip("0") != ""
    )
