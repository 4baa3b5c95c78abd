"""pydantic-ai: agents over both wires of the gateway, and their spans over OTLP."""

from typing import Any

import pytest
from tests.clients.answers import STRUCTURE, TEXT, TOKENS_IN, TOKENS_OUT
from tests.clients.running import World

from inchworm.domain.span import SpanKind

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]


@pytest.fixture(scope="module")
def said(world: World) -> dict[str, Any]:
    """What the program got."""
    return world.python("pydantic_agent", "pa")


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_an_agent_uses_a_tool_and_answers(world, said, wire):
    got = said[wire]
    assert got["output"] == TEXT
    assert got["requests"] == 2
    assert got["tokens"] == [2 * TOKENS_IN, 2 * TOKENS_OUT]
    path = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[wire]
    asked = [one for one in world.provider.about("pa arrival in Bern?") if one.path == path]
    assert len(asked) == 2
    assert "Tuesday in Bern" in str(asked[1].body)


@pytest.mark.parametrize("wire", ["openai", "anthropic"])
def test_its_trace_arrives_and_counts_each_call_once(world, said, wire):
    trace = world.trace(said[wire]["trace"])
    assert trace["unit"] == "pa-session"
    assert trace["outcome"] == {"is": "ok"}
    assert trace["output"] == TEXT
    assert trace["finish_reason"] == "stop"
    usage = trace["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (2 * TOKENS_IN, 2 * TOKENS_OUT)
    assert trace["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "pa arrival in Bern?"},
    ]
    assert trace["attributes"]["gen_ai.request.temperature"] == 0.2
    assert trace["attributes"]["gen_ai.agent.name"] == "helper"


def test_its_spans_stand_as_a_tree(world, said):
    spans = world.spans(said["openai"]["trace"], 5)
    agent = spans["invoke_agent helper"]
    assert agent.kind is SpanKind.AGENT
    assert agent.parent_id == spans["openai-agent"].id
    tool = spans["execute_tool arrival"]
    assert (tool.kind, tool.parent_id) == (SpanKind.TOOL, agent.id)
    assert (tool.inputs, tool.output) == ({"city": "Bern"}, "Tuesday in Bern")
    call = spans["chat gpt-4o-mini"]
    assert (call.kind, call.parent_id) == (SpanKind.LLM, agent.id)


def test_a_structured_answer_arrives(world, said):
    assert said["plan"]["output"] == STRUCTURE
    trace = world.trace(said["plan"]["trace"])
    assert trace["outcome"] == {"is": "ok"}
    assert trace["inputs"]["messages"] == [{"role": "user", "content": "pa plan?"}]
