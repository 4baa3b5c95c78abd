"""What tracing clients send: one good body of each protocol, as their clients write it."""

import gzip
import json
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROTOBUF, JSON = "application/x-protobuf", "application/json"
TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
RUN = "7415de70-7cff-43d3-9f00-3cb444457935"


def otlp(spans: int = 2, text: str = "Hello") -> ExportTraceServiceRequest:
    made = ExportTraceServiceRequest()
    group = made.resource_spans.add()
    group.resource.attributes.add(key="service.name").value.string_value = "shop"
    scope = group.scope_spans.add()
    scope.scope.name = "tests"
    for number in range(spans):
        span = scope.spans.add(
            trace_id=bytes.fromhex(TRACE_ID),
            span_id=(number + 1).to_bytes(8, "big"),
            name="chat",
            start_time_unix_nano=1_795_000_000_000_000_000,
            end_time_unix_nano=1_795_000_001_000_000_000,
        )
        span.attributes.add(key="gen_ai.operation.name").value.string_value = "chat"
        span.attributes.add(key="input.value").value.string_value = text
    return made


def otlp_json(spans: int = 2) -> bytes:
    each = [
        {
            "traceId": TRACE_ID,
            "spanId": f"{number + 1:016x}",
            "name": "chat",
            "kind": 3,
            "startTimeUnixNano": "1795000000000000000",
            "endTimeUnixNano": "1795000001000000000",
            "attributes": [{"key": "gen_ai.operation.name", "value": {"stringValue": "chat"}}],
        }
        for number in range(spans)
    ]
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": each}]}]}).encode()


def event(kind: str, id_: str = "e-1", **body: object) -> dict[str, object]:
    return {"id": id_, "type": kind, "timestamp": "2026-11-22T10:00:00.000Z", "body": body}


def langfuse() -> bytes:
    batch = [
        event("trace-create", "e-1", id="t-1", name="chat", input="Hello", output="Hi"),
        event("generation-create", "e-2", id="g-1", traceId="t-1", name="chat", model="m", input="Hello"),
        event("generation-update", "e-3", id="g-1", output="Hi", endTime="2026-11-22T10:00:01.000Z"),
        event("score-create", "e-4", id="s-1", traceId="t-1", name="helpful", value=1),
        event("sdk-log", "e-5", log="x"),
    ]
    return json.dumps({"batch": batch, "metadata": {"sdk_name": "python"}}).encode()


def langfuse_scores() -> bytes:
    first = {
        "id": "a",
        "traceId": TRACE_ID,
        "name": "helpful",
        "value": 1.0,
        "timestamp": "2026-11-22T10:28:35Z",
    }
    second = {"id": "b", "traceId": TRACE_ID, "observationId": SPAN_ID, "name": "cat", "value": "good"}
    third = {
        "id": "c",
        "sessionId": "s-1",
        "name": "ok",
        "value": True,
        "dataType": "BOOLEAN",
        "comment": "x",
    }
    return json.dumps([first, second, third]).encode()


def run(**more: object) -> dict[str, object]:
    return {
        "id": RUN,
        "trace_id": RUN,
        "name": "f",
        "run_type": "chain",
        "start_time": "2026-11-22T10:28:37Z",
        **more,
    }


def runs() -> bytes:
    patch = {"id": RUN, "trace_id": RUN, "outputs": {"y": 2}, "end_time": "2026-11-22T10:28:38Z"}
    return json.dumps({"post": [run(inputs={"x": 1})], "patch": [patch]}).encode()


def form(*parts: tuple[str, object], boundary: str = "b0undary") -> bytes:
    out = b""
    for name, content in parts:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        out += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n'.encode()
        out += b"Content-Type: application/json\r\n\r\n" + data + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


def multipart() -> bytes:
    feedback = {"id": "f-1", "run_id": RUN, "trace_id": RUN, "key": "helpful", "score": 1}
    return form(
        (f"post.{RUN}", run()),
        (f"post.{RUN}.inputs", {"x": 1}),
        (f"post.{RUN}.outputs", {"y": 2}),
        (f"attachment.{RUN}.image", bytes(5_000)),
        ("feedback.f-1", feedback),
    )


def scores() -> bytes:
    return json.dumps({"scores": [{"trace": "t-1", "metric": "helpful", "value": 0.5, "at": 5.0}]}).encode()


@dataclass(frozen=True, kw_only=True)
class Good:
    """A request that is taken."""

    path: str
    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"content-type": JSON})


_MULTIPART = {"content-type": "multipart/form-data; boundary=b0undary", "x-api-key": "k"}
_PACKED = {"content-type": PROTOBUF, "content-encoding": "gzip"}

GOOD = {
    "otlp protobuf": Good(
        path="/v1/traces", body=otlp().SerializeToString(), headers={"content-type": PROTOBUF}
    ),
    "otlp gzip": Good(
        path="/api/public/otel/v1/traces", body=gzip.compress(otlp().SerializeToString()), headers=_PACKED
    ),
    "otlp json": Good(path="/v1/traces", body=otlp_json()),
    "langfuse events": Good(path="/api/public/ingestion", body=langfuse(), status=207),
    "langfuse scores": Good(path="/api/public/scores", body=langfuse_scores(), status=202),
    "langsmith form": Good(path="/runs/multipart", body=multipart(), status=202, headers=_MULTIPART),
    "langsmith batch": Good(path="/runs/batch", body=runs(), status=202),
    "langsmith run": Good(path="/api/v1/runs", body=json.dumps(run()).encode(), status=202),
    "langsmith feedback": Good(
        path="/feedback", body=json.dumps({"run_id": RUN, "key": "helpful", "score": 1}).encode()
    ),
    "scores": Good(path="/api/v1/scores", body=scores(), status=202),
}
