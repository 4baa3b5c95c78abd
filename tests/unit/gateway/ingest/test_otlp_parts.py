"""Large OTLP requests taken apart: together the parts say what the whole did, and none is large."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from inchworm.domain.errors import InputError
from inchworm.gateway.ingest.otlp_parts import json_parts, protobuf_parts

MOST, AROUND = 2_000, 100
SHAPE = st.lists(st.lists(st.lists(st.integers(0, 400), max_size=6), max_size=3), max_size=3)


def request(shape: list[list[list[int]]]) -> ExportTraceServiceRequest:
    """Resources with scopes with spans, each with a text of so many characters."""
    made = ExportTraceServiceRequest()
    for resources, scopes in enumerate(shape):
        group = made.resource_spans.add(schema_url=f"r{resources}")
        group.resource.attributes.add(key="service.name").value.string_value = f"s{resources}"
        for number, spans in enumerate(scopes):
            scope = group.scope_spans.add()
            scope.scope.name = f"scope-{number}"
            for place, length in enumerate(spans):
                scope.spans.add(name="x" * length, trace_id=bytes([place + 1] * 16), span_id=bytes([1] * 8))
    return made


def told(bodies: list[bytes]) -> list[tuple[str, str, str, bytes]]:
    """Every span with what stands around it."""
    return [
        (group.resource.attributes[0].value.string_value, scope.scope.name, span.name, span.trace_id)
        for body in bodies
        for group in ExportTraceServiceRequest.FromString(body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


@given(SHAPE)
def test_protobuf_in_parts_says_the_same(shape: list[list[list[int]]]) -> None:
    whole = request(shape).SerializeToString()
    parts = list(protobuf_parts(whole, MOST))
    assert told(parts) == told([whole])
    assert all(len(part) <= MOST + AROUND for part in parts)


@given(SHAPE)
def test_json_in_parts_says_the_same(shape: list[list[list[int]]]) -> None:
    whole = {
        "resourceSpans": [
            {
                "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": f"s{place}"}}]},
                "scopeSpans": [
                    {"scope": {"name": f"n{number}"}, "spans": [{"name": "x" * length} for length in spans]}
                    for number, spans in enumerate(scopes)
                ],
            }
            for place, scopes in enumerate(shape)
        ]
    }

    def spans(bodies: list[bytes]) -> list[tuple[str, str, str]]:
        return [
            (json.dumps(group["resource"]), scope["scope"]["name"], span["name"])
            for body in bodies
            for group in json.loads(body)["resourceSpans"]
            for scope in group["scopeSpans"]
            for span in scope["spans"]
        ]

    body = json.dumps(whole).encode()
    parts = list(json_parts(body, MOST))
    assert spans(parts) == spans([body])
    assert all(len(part) <= MOST + AROUND for part in parts)


def test_what_is_small_stays_as_it_came() -> None:
    body = request([[[5, 5]]]).SerializeToString()
    assert list(protobuf_parts(body, 10_000)) == [body]


def test_a_span_that_is_too_large_by_itself_is_a_part_of_its_own() -> None:
    body = request([[[10, 5_000, 10]]]).SerializeToString()
    parts = list(protobuf_parts(body, 700))
    assert [len(name) for _, _, name, _ in told(parts)] == [10, 5_000, 10]
    assert len(parts) == 3


def test_a_resource_that_is_large_is_not_repeated_around_every_span() -> None:
    made = request([[[50] * 40]])
    made.resource_spans[0].resource.attributes.add(key="k").value.string_value = "v" * 400
    body = made.SerializeToString()
    assert sum(map(len, protobuf_parts(body, 700))) < 2 * len(body)


@pytest.mark.parametrize(
    "bad", [b"\x0a\xff\xff\xff\x7f" + bytes(800), b"\xff" * 800, b"\x0b" * 800, bytes(800)]
)
def test_what_is_no_protobuf_is_refused(bad: bytes) -> None:
    with pytest.raises(InputError, match="no protobuf"):
        list(protobuf_parts(bad, 700))


@pytest.mark.parametrize("bad", [b"[" * 9_000, b'{"resourceSpans": 1}' + b" " * 800, b"{" * 800])
def test_what_is_no_request_in_json_is_refused(bad: bytes) -> None:
    with pytest.raises(InputError, match="no OTLP request"):
        list(json_parts(bad, 700))
