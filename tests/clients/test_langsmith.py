"""langsmith: multipart with and without zstd, and batches; runs, a wrapped client, feedback."""

from typing import Any

import pytest
from tests.clients.answers import DATED, TEXT, TOKENS_CACHED, TOKENS_IN, TOKENS_OUT
from tests.clients.running import World, given

from inchworm.domain.span import SpanKind

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
WAYS: dict[str, dict[str, str]] = {
    "multipart": {},
    "uncompressed": {"LANGSMITH_DISABLE_RUN_COMPRESSION": "true"},
    "batch": {},
}
_RAN: dict[str, dict[str, Any]] = {}


@pytest.fixture(params=sorted(WAYS))
def said(request: pytest.FixtureRequest, world: World) -> dict[str, Any]:
    """What the program got; each way runs once."""
    way = request.param
    if way not in _RAN:
        _RAN[way] = {**world.python("langsmith_runs", way, way, **WAYS[way]), "way": way}
    return _RAN[way]


def test_it_is_answered(said):
    assert said["answer"] == said["streamed"] == TEXT


def test_a_trace_arrives_field_by_field(world, said):
    trace = world.trace(said["trace"])
    assert trace["unit"] == f"{said['way']}-session"
    assert trace["outcome"] == {"is": "ok"}
    assert trace["output"] == TEXT
    assert trace["latency_ms"] > 0
    assert trace["inputs"]["question"] == f"{said['way']} When does it come?"
    usage = trace["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (TOKENS_IN, TOKENS_OUT)
    attributes = trace["attributes"]
    assert attributes["gen_ai.request.model"] == "gpt-4o-mini"
    assert attributes["gen_ai.request.temperature"] == 0.2
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["gen_ai.response.model"] == "gpt-4o-mini" + DATED
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == TOKENS_CACHED
    assert attributes["langsmith.tags"] == ["beta"]
    assert attributes["langsmith.metadata.user_id"] == f"{said['way']}-user"
    assert trace["finish_reason"] == "stop"


def test_its_runs_stand_as_a_tree(world, said):
    spans = world.spans(said["trace"], 4)
    root, call = spans["answer-question"], spans["ChatOpenAI"]
    assert root.parent_id is None
    assert {one.parent_id for one in spans.values()} == {None, root.id}
    assert {name: one.kind for name, one in spans.items()} == {
        "answer-question": SpanKind.CHAIN,
        "find-documents": SpanKind.RETRIEVER,
        "look-up": SpanKind.TOOL,
        "ChatOpenAI": SpanKind.LLM,
    }
    assert call.inputs["messages"][0] == {"role": "system", "content": "Be brief."}
    assert call.output == TEXT
    assert call.finish_reason == "stop"
    assert (call.usage.input_tokens, call.usage.output_tokens) == (TOKENS_IN, TOKENS_OUT)
    assert "KeyError" in str(spans["look-up"].outcome)


def test_a_stream_arrives_whole(world, said):
    trace = world.trace(said["stream_trace"])
    assert trace["output"] == TEXT
    assert trace["usage"]["output_tokens"] == TOKENS_OUT


def test_feedback_arrives(world, said):
    score = given(world.trace(said["trace"], scores=1))["helpful"]
    assert score["result"] == {"is": "scored", "value": 0.75}
    assert score["source"].startswith("langsmith")
