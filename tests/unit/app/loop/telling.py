"""OTLP as a tracing client sends it, and the records that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from tests.unit.app.loop.spooled import APP
from tests.unit.app.loop.world import NOW

from inchworm.capture.records import Exported

WHO = "maria@mailhost.net"


def trace_id(number: int) -> bytes:
    return number.to_bytes(16, "big")


def span(
    trace: int, number: int = 1, *, parent: int | None = None, said: Mapping[str, str] | None = None
) -> Span:
    """One span; a call of a model by its attributes unless others are given."""
    made = Span(
        trace_id=trace_id(trace),
        span_id=number.to_bytes(8, "big"),
        parent_span_id=b"" if parent is None else parent.to_bytes(8, "big"),
        name="chat tiny",
        start_time_unix_nano=int(NOW * 1e9) + number,
        end_time_unix_nano=int(NOW * 1e9) + 80_000_000,
    )
    asked = f'[{{"role":"user","parts":[{{"type":"text","content":"I am {WHO}, where is {trace}?"}}]}}]'
    answered = '[{"role":"assistant","parts":[{"type":"text","content":"Here."}],"finish_reason":"stop"}]'
    given = said or {
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "tiny",
        "gen_ai.input.messages": asked,
        "gen_ai.output.messages": answered,
        "gen_ai.conversation.id": f"c-{trace}",
        "user.id": WHO,
    }
    for name, value in given.items():
        made.attributes.add(key=name).value.string_value = value
    return made


def exported(*spans: Span, **changes: Any) -> Exported:
    """One request with these spans."""
    request = ExportTraceServiceRequest()
    request.resource_spans.add().scope_spans.add().spans.extend(spans)
    given: dict[str, Any] = {"app": APP, "dialect": "otlp-protobuf", "at": NOW}
    return Exported(**({**given, "body": request.SerializeToString()} | changes))
