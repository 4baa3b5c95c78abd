"""Bodies as real clients shape them, built here; and what is read from them."""

import base64
import json
import math
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList

from inchworm.capture.records import Exported
from inchworm.capture.telemetry import Refused, read
from inchworm.domain.span import Span

TRACE, ROOT, CHILD = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
START, END = 1_795_341_600_000_000_000, 1_795_341_600_420_000_000


def _any(value):
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case str():
            return AnyValue(string_value=value)
        case Mapping():
            return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
        case Sequence():
            return AnyValue(array_value=ArrayValue(values=[_any(one) for one in value]))
    return AnyValue()


def _pairs(values):
    return [KeyValue(key=name, value=_any(value)) for name, value in values.items()]


def _json(value):
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else str(value).replace("inf", "Infinity")}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case str():
            return {"stringValue": value}
        case Mapping():
            return {"kvlistValue": {"values": _json_pairs(value)}}
        case Sequence():
            return {"arrayValue": {"values": [_json(one) for one in value]}}
    return {}


def _json_pairs(values):
    return [{"key": name, "value": _json(value)} for name, value in values.items()]


def span_with(attributes=None, **more):
    """A span as a mapping; what it leaves out is that of a root that went well."""
    return {
        "trace_id": TRACE,
        "span_id": ROOT,
        "parent_id": "",
        "name": "chat m",
        "start": START,
        "end": END,
        "attributes": attributes or {},
        "events": [],
        "status": 0,
        "message": "",
        **more,
    }


def protobuf_of(spans, resource=None, scope=("test", "1.0")):
    """An export request in protobuf."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(_pairs(resource or {}))
    part = group.scope_spans.add()
    part.scope.name, part.scope.version = scope
    for one in spans:
        span = part.spans.add(
            trace_id=bytes.fromhex(one["trace_id"]),
            span_id=bytes.fromhex(one["span_id"]),
            parent_span_id=bytes.fromhex(one["parent_id"]),
            name=one["name"],
            kind=3,
            start_time_unix_nano=one["start"],
            end_time_unix_nano=one["end"],
            attributes=_pairs(one["attributes"]),
        )
        span.status.code, span.status.message = one["status"], one["message"]
        for name, held in one["events"]:
            span.events.add(name=name, time_unix_nano=one["start"] + 1_000, attributes=_pairs(held))
    return request.SerializeToString()


def json_of(spans, resource=None, scope=("test", "1.0")):
    """The same in JSON."""
    return json.dumps(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _json_pairs(resource or {})},
                    "scopeSpans": [
                        {
                            "scope": {"name": scope[0], "version": scope[1]},
                            "spans": [
                                {
                                    "traceId": one["trace_id"],
                                    "spanId": one["span_id"],
                                    "parentSpanId": one["parent_id"],
                                    "name": one["name"],
                                    "kind": 3,
                                    "startTimeUnixNano": str(one["start"]),
                                    "endTimeUnixNano": str(one["end"]),
                                    "attributes": _json_pairs(one["attributes"]),
                                    "events": [
                                        {
                                            "name": name,
                                            "timeUnixNano": one["start"] + 1_000,
                                            "attributes": _json_pairs(held),
                                        }
                                        for name, held in one["events"]
                                    ],
                                    "status": {"code": one["status"], "message": one["message"]},
                                    "unknownMember": {"of": ["a later release"]},
                                }
                                for one in spans
                            ],
                        }
                    ],
                }
            ]
        }
    ).encode()


def exported(dialect, body, app="shop/production"):
    return Exported(app=app, dialect=dialect, body=body, at=1_795_341_700.0)


@pytest.fixture
def told():
    """The span that attributes come to, after both encodings agreed on it."""

    def run(attributes=None, *, resource=None, **more) -> Span:
        spans = [span_with(attributes, **more)]
        (found,) = read(exported("otlp-protobuf", protobuf_of(spans, resource)))
        (same,) = read(exported("otlp-json", json_of(spans, resource)))
        assert not isinstance(found, Refused), found.reason
        assert same == found
        return found

    return run


@pytest.fixture
def spans_of():
    """What several spans, or the items of another dialect, are read as."""

    def run(what, dialect="otlp-protobuf", resource=None):
        body = protobuf_of(what, resource) if dialect == "otlp-protobuf" else json.dumps(what).encode()
        return list(read(exported(dialect, body)))

    return run


@pytest.fixture(scope="session")
def make():
    """Builders of bodies."""

    class Make:
        span = staticmethod(span_with)
        protobuf = staticmethod(protobuf_of)
        json = staticmethod(json_of)
        exported = staticmethod(exported)
        trace, root, child, start, end = TRACE, ROOT, CHILD, START, END

    return Make
