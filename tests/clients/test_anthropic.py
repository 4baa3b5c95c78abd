"""The anthropic client, sync and async: what it gets, and what is recorded of it."""

from typing import Any

import pytest
from tests.clients.answers import DATED, PIECES, STRUCTURE, TEXT, TOKENS_CACHED, TOKENS_IN, TOKENS_OUT
from tests.clients.checks import assert_assigned, assert_usage
from tests.clients.running import TEMPERATURES, World

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("clients")]
MODEL = "claude-haiku-4-5"
SAID = {400: "BadRequestError", 429: "RateLimitError", 500: "InternalServerError"}
KINDS = {400: "invalid_request_error", 429: "rate_limit_error", 500: "api_error"}


@pytest.fixture(scope="module")
def said(world: World) -> dict[str, Any]:
    """What the program got."""
    return world.python("anthropic_calls", "cl")


def test_it_gets_what_the_provider_says(said):
    plain = said["plain"]
    assert plain["text"] == TEXT
    assert plain["model"] == MODEL + DATED
    assert plain["finish"] == "end_turn"
    assert plain["usage"] == {"in": TOKENS_IN - TOKENS_CACHED, "cached": TOKENS_CACHED, "out": TOKENS_OUT}
    assert plain["request-id"] == "req_mock_1"
    tool = said["tool"]
    assert (tool["name"], tool["input"], tool["finish"]) == ("arrival", {"city": "Bern"}, "tool_use")
    assert said["used"]["text"] == TEXT
    assert said["parsed"] == STRUCTURE
    assert said["stderr"] == ""


def test_a_plain_call_is_recorded_field_by_field(world, said):
    plain = said["plain"]
    trace = world.trace(plain["inchworm-trace"])
    assert plain["inchworm-unit"] == "cl-user"
    arm = assert_assigned(world, trace, configuration=plain["inchworm-configuration"], unit="cl-user")
    assert trace["outcome"] == {"is": "ok"}
    assert trace["finish_reason"] == "stop"
    assert trace["latency_ms"] > 0
    assert_usage(trace)
    assert trace["inputs"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "cl When does it come?"},
    ]
    assert trace["output"] == TEXT
    attributes = trace["attributes"]
    assert attributes["inchworm.call"] == "claude"
    assert attributes["gen_ai.request.model"] == MODEL
    assert attributes["gen_ai.response.model"] == MODEL + DATED
    assert attributes["gen_ai.request.temperature"] == TEMPERATURES[arm]
    assert attributes["gen_ai.request.max_tokens"] == 50
    assert attributes["gen_ai.response.id"] == "msg_mock_1"
    assert attributes["gen_ai.usage.cache_read.input_tokens"] == TOKENS_CACHED
    assert attributes["http.response.status_code"] == 200


def test_what_the_layers_say_goes_to_the_provider_and_nothing_of_ours(world, said):
    arm = world.arm(said["plain"]["inchworm-configuration"])
    [asked] = world.provider.about("cl When does it come?")
    assert asked.path == "/v1/messages"
    assert asked.body == {
        "model": MODEL,
        "max_tokens": 50,
        "metadata": {"user_id": "cl-user"},
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "cl When does it come?"}],
        "stop_sequences": ["END"],
        "temperature": TEMPERATURES[arm],
    }
    assert asked.headers["authorization"] == "Bearer sk-ant-of-the-provider"
    assert asked.headers["anthropic-version"] == "2026-10-21"
    assert [name for name in asked.headers if name.startswith("inchworm")] == []


def test_tools_are_recorded_with_their_calls_and_results(world, said):
    trace = world.trace(said["tool"]["inchworm-trace"])
    assert trace["finish_reason"] == "tool_calls"
    [call] = trace["attributes"]["openai.response.tool_calls"]
    assert call["function"]["name"] == "arrival"
    used = world.trace(said["used"]["inchworm-trace"])
    messages = used["inputs"]["messages"]
    assert [one["role"] for one in messages] == ["user", "assistant", "tool"]
    assert messages[2]["content"] == "Tuesday"
    assert used["output"] == TEXT


def test_a_stream_comes_in_pieces_and_is_recorded_whole(world, said):
    stream = said["stream"]
    assert stream["pieces"] == list(PIECES)
    assert (stream["tokens"], stream["finish"]) == (TOKENS_OUT, "end_turn")
    trace = world.trace(stream["inchworm-trace"])
    assert trace["output"] == TEXT
    assert trace["finish_reason"] == "stop"
    assert_usage(trace)
    first = trace["attributes"]["gen_ai.response.time_to_first_chunk"]
    assert 0 < first * 1000 <= trace["latency_ms"]
    assert said["stream_tool"] == {"name": "arrival", "input": {"city": "Bern"}}


@pytest.mark.parametrize("status", [400, 429, 500])
def test_errors_of_the_provider_arrive_as_they_are(world, said, status):
    error = said["errors"][str(status)]
    assert error["class"] == SAID[status]
    assert error["type"] == KINDS[status]
    assert error["message"] == f"The provider says {status}."
    assert error["request"] == "req_mock_1"
    assert error["retry_after"] == ("7" if status == 429 else None)
    trace = world.trace(error["trace"])
    assert trace["outcome"]["is"] == ("failed" if status == 400 else "errored")
    assert f"The provider says {status}." in trace["outcome"]["reason"]
    assert trace["output"] is None
