"""Instrumentations of the openai client over OTLP: OpenTelemetry's own, OpenInference, Traceloop."""

from typing import Any

import pytest
from tests.clients.answers import DATED, TEXT, TOKENS_CACHED, TOKENS_IN, TOKENS_OUT, VECTOR
from tests.clients.running import World

from inchworm.domain.span import SpanKind

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
CONTENT = {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"}
KINDS = {
    "genai": ("genai", "proto", CONTENT),
    "genai-json": ("genai", "json", {**CONTENT, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}),
    "openinference": ("openinference", "proto", {}),
    "traceloop": ("traceloop", "proto", {}),
}
NAMES = {"genai": "chat gpt-4o-mini", "openinference": "ChatCompletion", "traceloop": "openai.chat"}
_RAN: dict[str, dict[str, Any]] = {}


@pytest.fixture(params=sorted(KINDS))
def said(request: pytest.FixtureRequest, world: World) -> dict[str, Any]:
    """What the program got, with the name of its instrumentation; each runs once."""
    kind = request.param
    if kind not in _RAN:
        instrumentation, encoding, environment = KINDS[kind]
        got = world.python("otel_genai", kind, instrumentation, encoding, **environment)
        _RAN[kind] = {**got, "kind": kind, "instrumentation": instrumentation}
    return _RAN[kind]


def test_the_client_is_answered_as_ever(said):
    assert said["answer"] == said["streamed"] == said["responded"] == TEXT
    assert said["tool"] == {"name": "arrival", "arguments": {"city": "Bern"}}
    assert said["vector"] == list(VECTOR)
    assert said["error"] == "RateLimitError"


def test_a_trace_arrives_field_by_field(world, said):
    trace = world.trace(said["trace"])
    kind = said["kind"]
    assert trace["unit"] == f"{kind}-session"
    assert trace["outcome"] == {"is": "ok"}
    assert trace["finish_reason"] == "stop"
    assert trace["latency_ms"] > 0
    usage = trace["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (TOKENS_IN, TOKENS_OUT)
    assert trace["inputs"] == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": f"{kind} When?"},
        ]
    }
    assert trace["output"] == TEXT
    attributes = trace["attributes"]
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini" + DATED
    assert attributes["gen_ai.response.id"] == "chatcmpl-mock-1"
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["gen_ai.request.top_p"] == 0.9
    assert attributes["gen_ai.provider.name"] == "openai"
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == TOKENS_CACHED
    assert attributes["session.id"] == f"{kind}-session"
    assert attributes["user.id"] == f"{kind}-user"
    assert attributes["service.name"] == "shop"
    assert attributes["inchworm.application"] == "7.1"
    # What the program says it asked for; what the gateway put in stands in the gateway's own trace.
    assert attributes["gen_ai.request.temperature"] == 0.2


def test_its_spans_stand_as_a_tree(world, said):
    spans = world.spans(said["trace"], 2)
    root, call = spans["answer-question"], spans[NAMES[said["instrumentation"]]]
    assert root.parent_id is None
    assert call.parent_id == root.id
    assert call.kind is SpanKind.LLM
    assert call.model == "gpt-4o-mini" + DATED
    assert (call.usage.input_tokens, call.usage.output_tokens) == (TOKENS_IN, TOKENS_OUT)
    assert call.output == TEXT
    assert root.started_at is not None
    assert call.started_at is not None
    assert call.ended_at is not None
    assert root.started_at <= call.started_at <= call.ended_at


def test_streams_tools_responses_and_embeddings_arrive(world, said):
    kind = said["kind"]
    stream = world.trace(said["stream_trace"])
    assert stream["inputs"]["messages"] == [{"role": "user", "content": f"{kind} stream?"}]
    assert (stream["output"], stream["usage"]["output_tokens"]) == (TEXT, TOKENS_OUT)
    tools = world.trace(said["tools_trace"])
    assert tools["finish_reason"] == "tool_calls"
    [definition] = tools["attributes"]["gen_ai.tool.definitions"]
    assert definition["function"]["name"] == "arrival"
    responses = world.trace(said["responses_trace"])
    assert responses["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": f"{kind} responses?"},
    ]
    assert responses["output"] == TEXT
    vectors = world.trace(said["embeddings_trace"])
    assert vectors["usage"]["input_tokens"] == TOKENS_IN


def test_a_call_that_failed_arrives_as_errored(world, said):
    trace = world.trace(said["fails_trace"])
    assert trace["outcome"]["is"] == "errored"
    assert "The provider says 429." in trace["outcome"]["reason"]


def test_without_content_the_trace_says_so(world):
    said = world.python("otel_genai", "bare", "genai", "proto")
    trace = world.trace(said["trace"])
    assert trace["attributes"]["inchworm.contentless"] is True
    assert trace["inputs"] == {}
    assert trace["output"] is None
    assert trace["usage"]["input_tokens"] == TOKENS_IN
    assert trace["unit"] == "bare-session"
