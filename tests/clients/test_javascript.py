"""Clients in JavaScript: openai, the Vercel AI SDK with its telemetry, OpenFeature over OFREP."""

from typing import Any

import pytest
from tests.clients.answers import PIECES, STRUCTURE, TEXT, TOKENS_IN, TOKENS_OUT
from tests.clients.checks import assert_assigned, assert_usage
from tests.clients.running import APP, TEMPERATURES, World

from inchworm.domain.span import SpanKind

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
SAID = {"400": "BadRequestError", "429": "RateLimitError", "500": "InternalServerError"}


@pytest.fixture(scope="module")
def said(world: World) -> dict[str, Any]:
    """What the program with the openai client got."""
    return world.node("openai", "js")


@pytest.fixture(scope="module")
def vercel(world: World) -> dict[str, Any]:
    """What the program with the Vercel AI SDK got."""
    return world.node("vercel_ai", "ve")


def test_openai_gets_what_the_provider_says(said):
    assert said["plain"]["text"] == said["used"] == said["responses"] == TEXT
    assert said["plain"]["finish"] == "stop"
    assert said["plain"]["request"] == "req_mock_1"
    assert said["stream"]["pieces"] == list(PIECES)
    for status, name in SAID.items():
        error = said["errors"][status]
        assert (error["class"], error["status"]) == (name, int(status))
        assert error["message"] == f"The provider says {status}."
        assert error["request"] == "req_mock_1"


def test_openai_is_recorded(world, said):
    plain = said["plain"]
    trace = world.trace(plain["trace"])
    arm = assert_assigned(world, trace, configuration=plain["configuration"], unit="js-session")
    assert_usage(trace)
    assert trace["output"] == TEXT
    assert trace["inputs"]["messages"] == [{"role": "user", "content": "js When does it come?"}]
    assert trace["attributes"]["gen_ai.request.temperature"] == TEMPERATURES[arm]
    stream = world.trace(said["stream"]["trace"])
    assert (stream["output"], stream["unit"], stream["arm"]) == (TEXT, "js-session", arm)


def test_the_vercel_sdk_gets_what_the_provider_says(vercel):
    assert vercel["answer"] == vercel["used"] == TEXT
    assert vercel["usage"]["totalTokens"] == TOKENS_IN + TOKENS_OUT
    assert vercel["finish"] == "stop"
    assert vercel["pieces"] == list(PIECES)
    assert vercel["tools"] == [
        {"toolName": "arrival", "input": {"city": "Bern"}, "output": "Tuesday in Bern"}
    ]
    assert vercel["object"] == STRUCTURE
    assert vercel["error"] == {
        "name": "AI_APICallError",
        "status": 429,
        "message": "The provider says 429.",
    }


def test_the_vercel_sdks_telemetry_arrives_and_counts_each_call_once(world, vercel):
    assert vercel["stderr"] == ""
    found = world.traces_of("ve-session", 5)
    by_name = {one["attributes"]["ai.telemetry.functionId"]: one for one in found}
    assert set(by_name) == {"answer-question", "stream", "tools", "object", "fails"}
    plain = by_name["answer-question"]
    assert plain["output"] == TEXT
    assert plain["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "ve When?"},
    ]
    assert plain["usage"]["input_tokens"] == TOKENS_IN
    assert plain["finish_reason"] == "stop"
    assert plain["attributes"]["gen_ai.request.temperature"] == 0.2
    assert plain["attributes"]["ai.telemetry.metadata.userId"] == "ve-user"
    tools = by_name["tools"]
    assert tools["usage"]["input_tokens"] == 2 * TOKENS_IN
    assert by_name["stream"]["output"] == TEXT
    assert by_name["fails"]["outcome"]["is"] == "errored"
    spans = world.spans(tools["id"], 4)
    tool = spans["ai.toolCall"]
    assert tool.kind is SpanKind.TOOL
    assert tool.inputs == {"city": "Bern"}
    assert spans["ai.generateText.doGenerate"].kind is SpanKind.LLM
    assert spans["ai.generateText.doGenerate"].parent_id == spans["ai.generateText"].id


@pytest.fixture(scope="module")
def flags(world: World) -> dict[str, Any]:
    """What the program with OpenFeature got."""
    return world.node("ofrep", "of-unit", APP)


def test_openfeature_gets_the_configurations_values(world, flags):
    temperature = flags["temperature"]
    arm = temperature["variant"]
    assert temperature["reason"] == "SPLIT"
    assert temperature["value"] == TEMPERATURES[arm]
    assert world.arm(temperature["flagMetadata"]["inchworm.configuration.id"]) == arm
    assert flags["model"]["value"] == "gpt-4o-mini"
    assert flags["missing"]["value"] == "none"
    assert flags["missing"]["errorCode"] == "FLAG_NOT_FOUND"


def test_a_span_with_the_flags_metadata_belongs_to_the_arm_that_was_served(world, flags):
    trace = world.trace(flags["trace"])
    metadata = flags["temperature"]["flagMetadata"]
    assert_assigned(world, trace, configuration=metadata["inchworm.configuration.id"], unit="of-unit")
    assert trace["attributes"]["inchworm.contentless"] is True
