"""Bodies that are odd, hostile or broken."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.capture.telemetry import DIALECTS, Refused, check, check_clock, fold, read, read_each
from inchworm.domain.errors import InputError
from inchworm.domain.rollout import UnitKind
from inchworm.domain.span import Span

_SOME = settings(max_examples=60, deadline=None)


def test_check_counts_spans(make):
    spans = [make.span(span_id=f"{place:016x}") for place in range(1, 6)]
    assert check("otlp-protobuf", make.protobuf(spans)) == 5
    assert check("otlp-json", make.json(spans)) == 5
    assert check("otlp-protobuf", b"") == 0
    assert check("otlp-json", b"{}") == 0


@pytest.mark.parametrize(
    ("dialect", "body", "word"),
    [
        ("otlp-protobuf", b"\xff\xff\xff", "protobuf"),
        ("otlp-json", b"\xff\xfe", "no JSON"),
        ("otlp-json", b"[]", "an object"),
        ("otlp-json", b'{"resourceSpans": 7}', "resourceSpans"),
        ("otlp-json", b'{"resourceSpans": [7]}', "objects"),
        ("otlp-json", b'{"resourceSpans": [{"scopeSpans": [{"spans": {}}]}]}', "spans"),
        ("otlp-json", b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', "none of its spans"),
        ("otlp-json", b"[" * 1_000_000, ""),
        ("otlp-cbor", b"", "no dialect"),
    ],
)
def test_what_can_never_be_read_is_refused_in_words(make, dialect, body, word):
    with pytest.raises(InputError) as caught:
        check(dialect, body)
    assert word in caught.value.message
    (refused,) = read(make.exported(dialect, body))
    assert isinstance(refused, Refused)
    assert list(read(make.exported(dialect, refused.body))) == [refused]


def test_a_text_that_is_no_utf8_is_refused(make):
    body = make.protobuf([make.span({"a": "marker"})]).replace(b"marker", b"mark\xff\xfe")
    with pytest.raises(InputError):
        check("otlp-protobuf", body)


@pytest.mark.parametrize(
    "change",
    [
        {"trace_id": "0" * 32},
        {"trace_id": "ab"},
        {"span_id": "0" * 16},
        {"span_id": ""},
        {"start": 0},
        {"end": 1},
    ],
)
def test_a_span_that_cannot_be_is_refused_alone(make, change):
    good, bad = make.span(), make.span(**{"span_id": make.child, **change})
    for dialect, build in (("otlp-protobuf", make.protobuf), ("otlp-json", make.json)):
        body = build([good, bad])
        assert check(dialect, body) == 2
        read_span, refused = read(make.exported(dialect, body))
        assert isinstance(read_span, Span)
        assert isinstance(refused, Refused)
        assert list(read(make.exported(dialect, refused.body))) == [refused]


def test_json_is_tolerant_of_case_and_types(make):
    body = {
        "resource_spans": [
            {
                "scope_spans": [
                    {
                        "spans": [
                            {
                                "trace_id": make.trace.upper(),
                                "span_id": make.root,
                                "start_time_unix_nano": make.start,
                                "end_time_unix_nano": float(make.end),
                                "kind": "SPAN_KIND_SERVER",
                                "status": {"code": "STATUS_CODE_ERROR"},
                                "attributes": [
                                    {"key": "a", "value": {"int_value": 7}},
                                    {"key": "b", "value": {"intValue": "8"}},
                                    {"key": "c", "value": {}},
                                    {"key": "d", "value": {"doubleValue": "NaN"}},
                                    {"key": "e", "value": {"bytesValue": "AP8"}},
                                ],
                            }
                        ]
                    }
                ]
            }
        ]
    }
    text = json.dumps(body).encode()
    assert check("otlp-json", text) == 1
    (found,) = read(make.exported("otlp-json", text))
    assert isinstance(found, Span)
    assert found.trace_id == make.trace
    assert found.outcome is not None
    assert {name: found.attributes.get(name) for name in "abcde"} == {
        "a": 7,
        "b": 8,
        "c": None,
        "d": "NaN",
        "e": "AP8=",
    }
    assert found.attributes["otel.span_kind"] == "server"


@pytest.mark.parametrize(
    "attribute",
    [
        {"key": 7, "value": {"intValue": 1}},
        {"key": "a", "value": 7},
        {"key": "a", "value": {"intValue": "many"}},
        {"key": "a", "value": {"intValue": 2**63}},
        {"key": "a", "value": {"boolValue": "yes"}},
        {"key": "a", "value": {"arrayValue": {"values": 7}}},
        {"key": "a", "value": {"doubleValue": []}},
        7,
    ],
)
def test_an_attribute_that_is_none_refuses_its_span(make, attribute):
    body = json.loads(make.json([make.span()]))
    body["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["attributes"].append(attribute)
    (refused,) = read(make.exported("otlp-json", json.dumps(body).encode()))
    assert isinstance(refused, Refused)


def test_what_is_too_much_is_cut_and_said(told):
    deep: object = 7
    for _ in range(28):
        deep = [deep]
    found = told(
        {
            "long": "x" * 1_000_001,
            "deep": deep,
            "nul": "a\0b",
            **{f"n{place}": place for place in range(1_100)},
        }
    )
    assert len(found.attributes["long"]) == 1_000_000
    assert found.attributes["nul"] == "a\ufffdb"
    assert found.attributes["inchworm.cut"] == {"long": 1_000_001, "deep": 24, "…": 1_103}
    many = told({}, events=[("e", {})] * 300)
    assert len(many.attributes["otel.events"]) == 256
    assert many.attributes["inchworm.cut"] == {"otel.events": 300}


def test_of_a_large_resource_the_essential_is_kept_with_each_span(make):
    """Of a request of megabytes with many small spans, each would hold the whole otherwise."""
    resource = {"service.name": "shop", "inchworm.app": "other", "process.command_args": ["x" * 100] * 200}
    good, bad = make.span(), make.span(span_id=make.child, start=0)
    for dialect, build in (("otlp-protobuf", make.protobuf), ("otlp-json", make.json)):
        read_span, refused = read(make.exported(dialect, build([good, bad], resource, ("s" * 1_000, ""))))
        assert isinstance(read_span, Span)
        assert str(read_span.app) == "other/production"
        assert read_span.attributes["otel.resource"] == {"service.name": "shop", "inchworm.app": "other"}
        assert read_span.attributes["inchworm.cut"]["otel.resource"] > 20_000
        assert len(read_span.attributes["otel.scope.name"]) == 256
        assert isinstance(refused, Refused)
        assert len(refused.body) < 2_000


def test_a_resource_that_cannot_be_read_refuses_its_own_spans_only(make):
    body = json.loads(make.json([make.span()]))
    bad = json.loads(make.json([make.span(span_id=make.child), make.span(span_id="1" * 16)]))[
        "resourceSpans"
    ][0]
    bad["resource"] = {"attributes": 7}
    body["resourceSpans"].append(bad)
    good, *refused = read(make.exported("otlp-json", json.dumps(body).encode()))
    assert isinstance(good, Span)
    assert [type(one) for one in refused] == [Refused, Refused]


def test_json_within_an_attribute_is_bounded(told):
    found = told(
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.call.arguments": '{"a":' * 90 + "1" + "}" * 90}
    )
    assert json.dumps(found.inputs).count("{") <= 25
    broken = told({"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"role": "user"'})
    assert broken.inputs == {"messages": [{"role": "user", "content": '[{"role": "user"'}]}
    wide = told(
        {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.call.arguments": '{"n": 123456789012345678901}',
        }
    )
    assert wide.inputs == {"n": "123456789012345678901"}


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
_NAMES = st.sampled_from(
    [
        *(
            "gen_ai.operation.name",
            "gen_ai.input.messages",
            "gen_ai.output.messages",
            "gen_ai.tool.definitions",
        ),
        *(
            "gen_ai.system_instructions",
            "gen_ai.response.finish_reasons",
            "gen_ai.prompt.0.content",
            "gen_ai.prompt",
        ),
        *("llm.input_messages.0.message.content", "llm.input_messages.0.message", "llm.input_messages.0"),
        *("llm.invocation_parameters", "input.value", "output.value", "openinference.span.kind", "metadata"),
        *("langfuse.observation.input", "langfuse.observation.output", "langfuse.observation.type"),
        *(
            "langfuse.observation.usage_details",
            "langfuse.observation.cost_details",
            "traceloop.entity.input",
        ),
        *(
            "ai.operationId",
            "ai.prompt",
            "ai.prompt.tools",
            "ai.response.toolCalls",
            "final_result",
            "events",
        ),
        *("pydantic_ai.all_messages", "inchworm.app", "inchworm.arm", "inchworm.reference", "session.id"),
        *("retrieval.documents.0.document.metadata", "gen_ai.user", "llm.tools.0.tool.json_schema"),
    ]
)
_SAID = st.one_of(
    st.sampled_from(
        ["chat", "embeddings", "execute_tool", "retrieval", "generation", "LLM", "EMBEDDING", "ai.toolCall"]
    ),
    st.text(max_size=20),
    _VALUES.map(lambda value: json.dumps(value, allow_nan=False) if _is_json(value) else "[{}]"),
    st.lists(st.text(max_size=5), max_size=3),
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(),
    st.booleans(),
)
_MESSAGES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "role": st.sampled_from(["user", "assistant", "tool", "", None, 7]),
            "content": _VALUES,
            "parts": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "type": st.sampled_from(["text", "tool_call", "tool_result", "x", 7]),
                        "content": _VALUES,
                    },
                )
                | _VALUES,
                max_size=3,
            ),
            "tool_calls": _VALUES,
            "type": st.sampled_from(["human", "constructor", "function_call", [], None]),
            "kwargs": _VALUES,
            "message": _VALUES,
        },
    )
    | _VALUES,
    max_size=3,
).map(lambda value: json.dumps(value) if _is_json(value) else "[]")


def _is_json(value):
    try:
        json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return False
    return True


def _holds(found):
    """A span can be written as JSON, and folded."""
    for one in found:
        assert isinstance(one, Span | Refused)
        if isinstance(one, Span):
            json.dumps(
                [one.attributes, one.inputs, one.output, one.people, one.reference], allow_nan=False
            ).encode()
            fold([one], unit=UnitKind.USER)


@_SOME
@given(st.dictionaries(_NAMES, _SAID | _MESSAGES, max_size=8))
def test_any_attributes_are_read_the_same_from_both_encodings(make, attributes):
    from_protobuf, from_json = both(make, attributes)
    assert len(from_protobuf) == len(from_json) == 1
    _holds(from_protobuf)
    if isinstance(from_protobuf[0], Span):
        assert from_protobuf == from_json
    else:
        assert isinstance(from_json[0], Refused)


def both(make, attributes):
    spans = [make.span(attributes)]
    return (
        list(read(make.exported("otlp-protobuf", make.protobuf(spans)))),
        list(read(make.exported("otlp-json", make.json(spans)))),
    )


@_SOME
@given(st.sampled_from(DIALECTS), st.data())
def test_a_mutated_body_never_raises(make, dialect, data):
    run = {
        "id": "a",
        "trace_id": "a",
        "run_type": "llm",
        "inputs": {"messages": []},
        "start_time": "2026-11-22T10:00:00Z",
    }
    event = {"type": "generation-create", "body": {"id": "a", "traceId": "b", "input": [], "usage": {}}}
    spans = [make.span({"gen_ai.operation.name": "chat", "gen_ai.input.messages": '[{"role":"user"}]'})]
    body = {
        "otlp-protobuf": make.protobuf(spans),
        "otlp-json": make.json(spans),
        "langsmith": json.dumps({"post": [run]}).encode(),
        "langfuse": json.dumps([event]).encode(),
    }[dialect]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(body)))
        cut = data.draw(st.integers(0, 12))
        body = body[:at] + data.draw(st.binary(max_size=12)) + body[at + cut :]
    _holds(read(make.exported(dialect, body)))


@_SOME
@given(
    st.sampled_from(["langsmith", "langfuse"]),
    st.dictionaries(
        st.sampled_from(
            [
                "id",
                "trace_id",
                "run_type",
                "inputs",
                "outputs",
                "error",
                "extra",
                "start_time",
                "dotted_order",
                "tags",
                "traceId",
                "input",
                "output",
                "usage",
                "usageDetails",
                "modelParameters",
                "metadata",
                "level",
                "startTime",
            ]
        ),
        _VALUES,
        max_size=8,
    ),
    st.sampled_from(["span-create", "generation-create", "trace-create"]),
)
def test_members_of_any_type_never_raise(make, dialect, members, kind):
    item = {"id": "a", "trace_id": "a", "traceId": "a", "run_type": "llm", **members}
    value = {"post": [item]} if dialect == "langsmith" else [{"type": kind, "body": item}]
    try:
        body = json.dumps(value, allow_nan=False).encode()
    except ValueError:
        return
    _holds(read(make.exported(dialect, body)))


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (1_795_341_600_000, "before the year 2000"),  # milliseconds where nanoseconds belong
        (1_795_341_600_000_000, "before the year 2000"),
        (1_795_528_200_000_000_000, "the clock of its sender is ahead"),
        (2**64 - 1, "the clock of its sender is ahead"),
    ],
)
def test_a_span_that_no_window_of_time_would_show_is_refused_alone(make, start, why):
    good, bad = make.span(), make.span(span_id=make.child, start=start, end=0)
    for dialect, build in (("otlp-protobuf", make.protobuf), ("otlp-json", make.json)):
        exported = make.exported(dialect, build([good, bad]))

        def timely(span, at=exported.at):
            check_clock(span, at)
            return span

        read_span, refused = read_each(exported, timely)
        assert isinstance(read_span, Span)
        assert isinstance(refused, Refused)
        assert why in refused.reason
        assert list(read_each(make.exported(dialect, refused.body), timely)) == [refused]
