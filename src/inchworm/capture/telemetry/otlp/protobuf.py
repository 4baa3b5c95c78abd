"""OTLP in protobuf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from inchworm.capture.telemetry.plain import (
    CUT,
    ESSENTIAL,
    MAX_ATTRIBUTES,
    MAX_ESSENTIAL,
    MAX_EVENTS,
    MAX_LEVELS,
    MAX_RESOURCE,
    MAX_SCOPE,
    MAX_TEXT,
    bytes_of,
    number_of,
)
from inchworm.capture.telemetry.refused import Refused
from inchworm.capture.telemetry.reported import KINDS, Event, Reported, why_not
from inchworm.domain.errors import InputError

Made = TypeVar("Made")
_NO_TRACE, _NO_SPAN = bytes(16), bytes(8)


def check(body: bytes) -> int:
    """How many spans it holds.

    Raises:
        InputError: if it is no export request, or none of its spans has ids.
    """
    count, usable = 0, False
    for group in _parsed(body).resource_spans:
        for part in group.scope_spans:
            spans = part.spans
            count += len(spans)
            if usable:
                continue
            for span in spans:
                trace_id, span_id = span.trace_id, span.span_id
                if len(trace_id) == 16 and len(span_id) == 8 and trace_id != _NO_TRACE != span_id != _NO_SPAN:
                    usable = True
                    break
    if count and not usable:
        raise InputError(
            "none of its spans has a trace id of 16 bytes and a span id of 8 that are not all zero"
        )
    return count


def spans(body: bytes, make: Callable[[Reported], Made]) -> Iterator[Made | Refused]:
    """The spans that it holds, one by one.

    Args:
        body: an export request.
        make: what becomes of each; raises InputError for one that cannot be.

    Raises:
        InputError: if it is no export request.
    """
    for group in _parsed(body).resource_spans:
        cut: dict[str, int] = {}
        _lean(group, cut)
        resource = _attributes(group.resource.attributes, cut, "otel.resource.")
        for part in group.scope_spans:
            scope = _short(part.scope.name), _short(part.scope.version)
            for span in part.spans:
                start, end = span.start_time_unix_nano, span.end_time_unix_nano
                reason = why_not(span.trace_id.hex(), span.span_id.hex(), start, end)
                if reason is not None:
                    yield Refused(reason=reason, body=_alone(group, part, span))
                    continue
                try:
                    made: Made | Refused = make(_reported(span, resource, scope, cut))
                except InputError as error:
                    made = Refused(reason=error.message, body=_alone(group, part, span))
                yield made


def _parsed(body: bytes) -> ExportTraceServiceRequest:
    try:
        parsed: ExportTraceServiceRequest = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise InputError(
            "it is no ExportTraceServiceRequest in protobuf",
            hint="send what an OTLP exporter sends, or application/json for OTLP in JSON",
        ) from error
    return parsed


def _lean(group: ResourceSpans, cut: dict[str, int]) -> None:
    """Leave the essential of a resource that is too large to be kept with each of its spans."""
    size = group.resource.ByteSize()
    if size > MAX_RESOURCE:
        cut["otel.resource"] = size
        kept = [
            pair
            for pair in group.resource.attributes
            if pair.key.startswith(ESSENTIAL) and pair.ByteSize() <= MAX_ESSENTIAL
        ]
        lean = Resource(attributes=kept[: MAX_RESOURCE // MAX_ESSENTIAL])
        group.resource.CopyFrom(lean)


def _short(text: str) -> str:
    return text[:MAX_SCOPE].replace("\0", "\ufffd")


def _reported(
    span: Span, resource: dict[str, Any], scope: tuple[str, str], shared: dict[str, int]
) -> Reported:
    end = span.end_time_unix_nano
    cut: dict[str, int] = {}
    attributes = _attributes(span.attributes, cut, "")
    events = _events(span, cut) if span.events else ()
    return Reported(
        trace_id=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        name=span.name.replace("\0", "\ufffd"),
        started_at=span.start_time_unix_nano / 1e9,
        ended_at=end / 1e9 if end else None,
        attributes=attributes,
        events=events,
        status=span.status.code,
        message=span.status.message.replace("\0", "\ufffd"),
        resource=resource,
        scope=scope,
        further=_further(span, cut),
        cut={**shared, **cut} if shared else cut,
    )


def _further(span: Span, cut: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if (kind := KINDS.get(span.kind)) is not None:
        found["otel.span_kind"] = kind
    if span.trace_state:
        found["otel.trace_state"] = span.trace_state.replace("\0", "\ufffd")
    if span.links:
        found["otel.links"] = [
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": _attributes(link.attributes, cut, "otel.links."),
            }
            for link in span.links[:MAX_EVENTS]
        ]
        if len(span.links) > MAX_EVENTS:
            cut["otel.links"] = len(span.links)
    dropped = {
        "otel.dropped_attributes_count": span.dropped_attributes_count,
        "otel.dropped_events_count": span.dropped_events_count,
        "otel.dropped_links_count": span.dropped_links_count,
    }
    found |= {name: count for name, count in dropped.items() if count}
    return found


def _events(span: Span, cut: dict[str, int]) -> tuple[Event, ...]:
    if len(span.events) > MAX_EVENTS:
        cut["otel.events"] = len(span.events)
    return tuple(
        Event(
            name=event.name.replace("\0", "\ufffd"),
            at=event.time_unix_nano / 1e9 if event.time_unix_nano else None,
            attributes=_attributes(event.attributes, cut, f"otel.events.{event.name}."),
        )
        for event in span.events[:MAX_EVENTS]
    )


def _attributes(pairs: Iterable[KeyValue], cut: dict[str, int], path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name = pair.key
        value = pair.value
        if "\0" in name:
            name = name.replace("\0", "\ufffd")
        kind = value.WhichOneof("value")
        if kind == "string_value":
            text = value.string_value
            if len(text) > MAX_TEXT:
                cut[path + name] = len(text)
                text = text[:MAX_TEXT]
            found[name] = text.replace("\0", "\ufffd") if "\0" in text else text
        elif kind == "int_value":
            found[name] = value.int_value
        elif kind is not None and (one := _value(value, kind, cut, path + name, MAX_LEVELS)) is not None:
            found[name] = one
        else:
            continue
        if len(found) > MAX_ATTRIBUTES:
            del found[name]
            cut[path + CUT] = cut.get(path + CUT, MAX_ATTRIBUTES) + 1
    return found


def _value(value: AnyValue, kind: str | None, cut: dict[str, int], path: str, levels: int) -> Any:
    match kind:
        case "string_value":
            text = value.string_value
            if len(text) > MAX_TEXT:
                cut[path] = len(text)
            return text[:MAX_TEXT].replace("\0", "\ufffd")
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return number_of(value.double_value)
        case "bytes_value":
            text = bytes_of(value.bytes_value)
            if len(text) > MAX_TEXT:
                cut[path] = len(text)
            return text[:MAX_TEXT]
        case "array_value" | "kvlist_value" if levels <= 0:
            cut[path] = MAX_LEVELS
            return CUT
        case "array_value":
            return [
                _value(one, one.WhichOneof("value"), cut, path, levels - 1)
                for one in value.array_value.values
            ]
        case "kvlist_value":
            return {
                pair.key.replace("\0", "\ufffd"): _value(
                    pair.value, pair.value.WhichOneof("value"), cut, path, levels - 1
                )
                for pair in value.kvlist_value.values
            }
        case _:
            return None


def _alone(group: ResourceSpans, part: ScopeSpans, span: Span) -> bytes:
    """A request with this span only."""
    alone = ExportTraceServiceRequest(
        resource_spans=[
            ResourceSpans(
                resource=group.resource,
                schema_url=_short(group.schema_url),
                scope_spans=[
                    ScopeSpans(
                        scope=InstrumentationScope(
                            name=_short(part.scope.name), version=_short(part.scope.version)
                        ),
                        schema_url=_short(part.schema_url),
                        spans=[span],
                    )
                ],
            )
        ]
    )
    body: bytes = alone.SerializeToString()
    return body
