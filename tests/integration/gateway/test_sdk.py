"""The real OpenAI SDK, unmodified, through the gateway."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI
from tests.integration.gateway.conftest import Gateway, World
from tests.integration.gateway.upstream_mock import WORDS, Request

ASKED: list[Any] = [{"role": "user", "content": "When does my order arrive?"}]
TEXT = "".join(WORDS)
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "order",
        "parameters": {"type": "object", "properties": {"number": {"type": "integer"}}},
    },
}


@pytest.fixture
def gateway(observing: World) -> Gateway:
    observing.provider.seen.clear()
    return observing.gateways[0]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-mine", organization="org-7", max_retries=0) as made:
        yield made


def last(observing: World) -> Request:
    return observing.provider.seen[-1]


def test_a_plain_call_reaches_the_provider_as_it_was_made_and_is_recorded(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    got = client.chat.completions.with_raw_response.create(
        model="m-1",
        messages=ASKED,
        temperature=0.2,
        extra_headers={"inchworm-unit": "session-1", "x-team": "blue", "anthropic-beta": "a"},
    )
    assert got.parse().choices[0].message.content == TEXT
    sent = last(observing)
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.json == {"model": "m-1", "messages": ASKED, "temperature": 0.2}
    assert sent.headers["authorization"] == "Bearer sk-mine"
    assert sent.headers["openai-organization"] == "org-7"
    assert sent.headers["x-team"] == "blue"
    assert sent.headers["anthropic-beta"] == "a"
    assert sent.headers["user-agent"].startswith("OpenAI/Python")
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["host"] == f"127.0.0.1:{observing.provider.port}"
    assert not [name for name in sent.headers if name.startswith("inchworm")]
    assert got.headers["x-request-id"] == "req-1"
    assert got.headers["inchworm-unit"] == "session-1"
    called = gateway.calls()[-1]
    assert called.id == got.headers["inchworm-trace"]
    assert (called.app, called.unit, called.unit_from) == ("shop/production", "session-1", "stated")
    assert json.loads(called.request) == sent.json
    assert called.sent is None
    assert json.loads(called.response)["choices"][0]["message"]["content"] == TEXT
    assert (called.status, called.trouble, called.streamed) == (200, None, False)
    assert called.attributes == {"provider.request_id": "req-1"}
    assert called.latency_ms is not None
    assert called.latency_ms > 0


def test_a_stream_arrives_piece_by_piece_and_is_recorded_whole(
    client: OpenAI, gateway: Gateway, observing: World
) -> None:
    with client.chat.completions.create(
        model="m-1", messages=ASKED, stream=True, extra_headers={"x-mock": "slow"}
    ) as stream:
        pieces: list[str] = []
        for chunk in stream:
            piece = chunk.choices[0].delta.content
            if piece:
                if not pieces:  # the provider waits: what it has said is here already
                    observing.provider.release()
                pieces.append(piece)
    assert tuple(pieces) == WORDS
    called = gateway.calls()[-1]
    assert called.streamed
    assert called.trouble is None
    assert called.response.endswith(b"data: [DONE]\n\n")
    assert called.ttft_ms is not None
    assert called.latency_ms is not None
    assert 0 < called.ttft_ms <= called.latency_ms


def test_the_async_client_works_with_many_at_once(gateway: Gateway) -> None:
    before = len(gateway.calls())

    async def ask(client: AsyncOpenAI, number: int) -> str | None:
        if number % 2:
            stream = await client.chat.completions.create(model=f"m-{number}", messages=ASKED, stream=True)
            return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        got = await client.chat.completions.create(model=f"m-{number}", messages=ASKED)
        assert got.model == f"m-{number}"
        return got.choices[0].message.content

    async def all_of_them() -> list[str | None]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=0) as client:
            return await asyncio.gather(*(ask(client, number) for number in range(40)))

    assert asyncio.run(all_of_them()) == [TEXT] * 40
    calls = gateway.calls()[before:]
    assert sorted(json.loads(one.request)["model"] for one in calls) == sorted(f"m-{n}" for n in range(40))
    assert len({one.id for one in calls}) == 40


def test_tools_and_structured_output_pass_in_both_directions(client: OpenAI, observing: World) -> None:
    called = client.chat.completions.create(model="m-1", messages=ASKED, tools=[TOOL], tool_choice="auto")
    calls: Any = called.choices[0].message.tool_calls
    assert calls[0].function.name == "order"
    assert last(observing).json["tools"] == [TOOL]
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}}
    said = client.chat.completions.create(model="m-1", messages=ASKED, response_format=wanted)
    assert json.loads(said.choices[0].message.content or "") == {"arrives": "Tuesday"}
    assert last(observing).json["response_format"] == wanted


def test_azure_s_client_keeps_its_paths_and_its_key(gateway: Gateway, observing: World) -> None:
    with AzureOpenAI(
        azure_endpoint=gateway.url, api_key="az-mine", api_version="2024-10-21", max_retries=0
    ) as client:
        got = client.chat.completions.create(model="my deployment", messages=ASKED)
        streamed = client.chat.completions.create(model="other", messages=ASKED, stream=True)
        assert "".join(one.choices[0].delta.content or "" for one in streamed) == TEXT
    assert got.choices[0].message.content == TEXT
    first, second = observing.provider.seen[-2:]
    assert first.path == "/openai/deployments/my%20deployment/chat/completions"
    assert first.query == "api-version=2024-10-21"
    assert first.headers["api-key"] == "az-mine"
    assert "authorization" not in first.headers
    assert second.path == "/openai/deployments/other/chat/completions"


def test_azure_s_v1_path_is_served(gateway: Gateway, observing: World) -> None:
    with OpenAI(base_url=f"{gateway.url}/openai/v1", api_key="sk", max_retries=0) as client:
        assert client.chat.completions.create(model="m", messages=ASKED).choices[0].message.content == TEXT
    assert last(observing).path == "/openai/v1/chat/completions"


@pytest.mark.parametrize(
    ("mode", "error"),
    [
        ("400", openai.BadRequestError),
        ("429", openai.RateLimitError),
        ("500", openai.InternalServerError),
    ],
)
def test_a_provider_s_error_is_the_client_s_error(
    client: OpenAI, gateway: Gateway, mode: str, error: type[openai.APIStatusError]
) -> None:
    with pytest.raises(error) as raised:
        client.chat.completions.create(model="m", messages=ASKED, extra_headers={"x-mock": mode})
    headers = raised.value.response.headers
    assert raised.value.code == "no"
    assert "The provider said no." in raised.value.message
    assert (headers["retry-after"], headers["x-request-id"]) == ("7", "req-9")
    assert (headers["x-ratelimit-limit-requests"], headers["openai-organization"]) == ("60", "org-1")
    assert "set-cookie" not in headers
    called = gateway.calls()[-1]
    assert (called.status, called.trouble) == (int(mode), None)
    assert b"The provider said no." in called.response


def test_the_client_tries_again_by_itself_and_each_attempt_is_a_call(gateway: Gateway) -> None:
    before = len(gateway.calls())
    headers = {"x-mock": "close", "inchworm-trace": "t-1"}
    with (
        OpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=1) as client,
        pytest.raises(openai.InternalServerError) as raised,
    ):
        client.chat.completions.create(model="m", messages=ASKED, extra_headers=headers)
    assert raised.value.code == "cut"
    assert [one.id for one in gateway.calls()[before:]] == ["t-1", "t-1.1"]


def test_a_stream_that_is_cut_raises_what_the_gateway_says(client: OpenAI, gateway: Gateway) -> None:
    pieces: list[str | None] = []
    stream = client.chat.completions.create(
        model="m", messages=ASKED, stream=True, extra_headers={"x-mock": "cut"}
    )

    def read() -> None:
        for chunk in stream:
            pieces.append(chunk.choices[0].delta.content)  # noqa: PERF401  # what came before the error counts

    with pytest.raises(openai.APIError, match="closed the connection before the answer was whole") as raised:
        read()
    assert pieces == ["", *WORDS[:2]]
    assert raised.value.type == "inchworm_gateway_error"
    called = gateway.calls()[-1]
    assert (called.status, called.trouble, called.streamed) == (200, "cut", True)
    assert WORDS[1].encode() in called.response
