"""The openai client, sync and async: what it gets, and what is recorded of it."""

from typing import Any

import pytest
from tests.clients.answers import (
    DATED,
    PIECES,
    STRUCTURE,
    TEXT,
    TOKENS_CACHED,
    TOKENS_IN,
    TOKENS_OUT,
    TOKENS_REASONING,
    VECTOR,
)
from tests.clients.checks import assert_assigned, assert_usage
from tests.clients.running import TEMPERATURES, World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
MODEL = "gpt-4o-mini"
SAID = {400: "BadRequestError", 429: "RateLimitError", 500: "InternalServerError"}


@pytest.fixture(scope="module")
def said(world: World) -> dict[str, Any]:
    """What the program in Python got."""
    return world.python("openai_calls", "py")


def test_it_gets_what_the_provider_says(said):
    calls = ("app:shop", "app:shop/claude", "app:shop/letter", "app:shop/vectors")
    assert said["models"] == [*calls, "gpt-4o-mini", "gpt-4o"]
    plain = said["plain"]
    assert plain["text"] == TEXT
    assert plain["model"] == MODEL + DATED
    assert plain["finish"] == "stop"
    assert plain["usage"]["total_tokens"] == TOKENS_IN + TOKENS_OUT
    assert plain["usage"]["prompt_tokens_details"]["cached_tokens"] == TOKENS_CACHED
    assert plain["x-request-id"] == plain["request"] == "req_mock_1"
    assert (said["tool"]["name"], said["tool"]["arguments"]) == ("arrival", {"city": "Bern"})
    assert said["used"]["text"] == TEXT
    assert said["parsed"] == STRUCTURE
    assert said["stderr"] == ""


def test_a_plain_call_is_recorded_field_by_field(world, said):
    plain = said["plain"]
    trace = world.trace(plain["inchworm-trace"])
    assert plain["inchworm-unit"] == "py-session"
    arm = assert_assigned(world, trace, configuration=plain["inchworm-configuration"], unit="py-session")
    assert trace["outcome"] == {"is": "ok"}
    assert trace["finish_reason"] == "stop"
    assert trace["latency_ms"] > 0
    assert_usage(trace)
    assert trace["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "py When does it come?"},
    ]
    assert trace["output"] == TEXT
    attributes = trace["attributes"]
    assert attributes["gen_ai.request.model"] == MODEL
    assert attributes["gen_ai.response.model"] == MODEL + DATED
    assert attributes["gen_ai.request.temperature"] == TEMPERATURES[arm]
    assert attributes["gen_ai.request.seed"] == 7
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["gen_ai.response.id"] == "chatcmpl-mock-1"
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == TOKENS_CACHED
    assert attributes["gen_ai.usage.reasoning.output_tokens"] == TOKENS_REASONING
    assert attributes["openai.response.system_fingerprint"] == "fp_mock"
    assert attributes["openai.request.metadata"] == {"session_id": "py-session"}
    assert attributes["openai.request.user"] == "py-user"
    assert attributes["provider.request_id"] == "req_mock_1"
    assert attributes["http.response.status_code"] == 200
    assert [(one["metric"], one["result"]) for one in trace["scores"]] == [
        ("brief", {"is": "scored", "value": 1.0})
    ]


def test_what_the_layers_say_goes_to_the_provider_and_nothing_of_ours(world, said):
    arm = world.arm(said["plain"]["inchworm-configuration"])
    [asked] = world.provider.about("py When does it come?")
    assert asked.path == "/v1/chat/completions"
    assert asked.body["model"] == MODEL
    assert asked.body["temperature"] == TEMPERATURES[arm]
    assert asked.body["max_completion_tokens"] == 50
    assert asked.body["seed"] == 7
    assert asked.body["user"] == "py-user"
    assert asked.headers["authorization"] == "Bearer sk-of-the-provider"
    assert asked.headers["user-agent"].startswith("OpenAI/Python")
    assert [name for name in asked.headers if name.startswith("inchworm")] == []


def test_every_call_of_a_session_is_in_one_arm(world, said):
    named = ("plain", "tool", "used", "stream")
    assert len({said[one]["inchworm-configuration"] for one in named}) == 1
    assert {world.trace(said[one]["inchworm-trace"])["unit"] for one in named} == {"py-session"}
    assert len({said[one]["inchworm-token"] for one in named} - {None}) == 1


def test_tools_are_recorded_with_their_calls_and_results(world, said):
    trace = world.trace(said["tool"]["inchworm-trace"])
    assert trace["finish_reason"] == "tool_calls"
    assert trace["output"] is None
    attributes = trace["attributes"]
    [call] = attributes["openai.response.tool_calls"]
    assert call["function"] == {"name": "arrival", "arguments": '{"city": "Bern"}'}
    assert [one["function"]["name"] for one in attributes["gen_ai.tool.definitions"]] == ["arrival"]
    used = world.trace(said["used"]["inchworm-trace"])
    roles = [one["role"] for one in used["inputs"]["messages"]]
    assert roles == ["user", "assistant", "tool"]
    assert used["inputs"]["messages"][2]["content"] == "Tuesday"
    assert used["output"] == TEXT


def test_a_stream_comes_in_pieces_and_is_recorded_whole(world, said):
    stream = said["stream"]
    assert stream["pieces"] == list(PIECES)
    assert stream["tokens"] == TOKENS_IN + TOKENS_OUT
    trace = world.trace(stream["inchworm-trace"])
    assert trace["output"] == TEXT
    assert trace["finish_reason"] == "stop"
    assert_usage(trace)
    first = trace["attributes"]["gen_ai.response.time_to_first_chunk"]
    assert 0 < first * 1000 <= trace["latency_ms"]
    assert said["stream_tool"] == {"name": "arrival", "arguments": {"city": "Bern"}}


def test_responses_are_passed_and_recorded(world, said):
    assert said["responses"]["text"] == TEXT
    assert said["responses_tool"] == {"name": "arrival", "arguments": {"city": "Bern"}}
    assert said["responses_parsed"] == STRUCTURE
    assert said["stream_responses"] == {"pieces": list(PIECES), "tokens": TOKENS_IN + TOKENS_OUT}
    headers = said["responses"]
    trace = world.trace(headers["inchworm-trace"])
    arm = assert_assigned(world, trace, configuration=headers["inchworm-configuration"], unit="py-session")
    assert_usage(trace)
    assert trace["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "py responses?"},
    ]
    assert trace["output"] == TEXT
    asked = next(one for one in world.provider.about("py responses?") if one.path == "/v1/responses")
    assert asked.body["temperature"] == TEMPERATURES[arm]
    assert asked.body["max_output_tokens"] == 50


def test_embeddings_are_passed_and_recorded(world, said):
    assert said["embeddings"]["vectors"] == [list(VECTOR), list(VECTOR)]
    trace = world.trace(said["embeddings"]["inchworm-trace"])
    assert trace["outcome"] == {"is": "ok"}
    assert trace["usage"]["input_tokens"] == TOKENS_IN


@pytest.mark.parametrize("status", [400, 429, 500])
def test_errors_of_the_provider_arrive_as_they_are(world, said, status):
    error = said["errors"][str(status)]
    assert error["class"] == SAID[status]
    assert error["message"] == f"The provider says {status}."
    assert error["code"] == f"c{status}"
    assert error["request"] == "req_mock_1"
    assert error["retry_after"] == ("7" if status == 429 else None)
    trace = world.trace(error["trace"])
    assert trace["outcome"]["is"] == ("failed" if status == 400 else "errored")
    assert f"The provider says {status}." in trace["outcome"]["reason"]
    assert trace["output"] is None
