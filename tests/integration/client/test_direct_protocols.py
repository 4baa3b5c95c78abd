"""Calls in every protocol, through the gateway and without it: who is asked, and what is said."""

import json
from typing import Any

import openai
import pytest
from tests.integration.client.stub import published

from inchworm.capture.client import protocols
from inchworm.capture.client.direct import Call, Way
from inchworm.domain.configuration import Configuration
from inchworm.gateway import wires

WEATHER = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
STABLE = Configuration.of(
    {
        "model": {"name": "small"},
        "parameters": {
            "temperature": 0.2,
            "max_tokens": 50,
            "reasoning_effort": "low",
            "stop": "END",
            "tool_choice": "required",
        },
        "prompt": {"system": "You sell {product}.", "user": "Q: {question}"},
        "tools": {"schemas": [WEATHER]},
    }
)
OURS = {"inputs": {"product": "shoes", "question": "How much?"}}
ANTHROPIC = {"x-api-key": "mine", "anthropic-version": "2023-06-01"}


@pytest.fixture
def served(stub, client):
    def make(**infrastructure):
        gateway = stub(published(stable=STABLE, infrastructure=infrastructure))
        one = client(gateway.url)
        one.resolve("shop", "ana")
        return gateway, one

    return make


@pytest.fixture
def provider(stub):
    return stub()


def openai_sdk(one, url):
    return openai.OpenAI(base_url=url, api_key="mine", http_client=one.http_client(), max_retries=0)


def test_responses_and_embeddings_go_through_and_on_without_a_gateway(served, provider):
    gateway, one = served()
    with openai_sdk(one, f"{provider.url}/v1") as sdk:
        assert sdk.responses.create(model="m", input="Hello?").output_text == "hello"
        assert sdk.embeddings.create(model="m", input="x", encoding_format="float").data[0].embedding == [0.5]
        assert [path for path, _, _ in gateway.calls] == ["/v1/responses", "/v1/embeddings"]
        gateway.kill()
        assert sdk.responses.create(model="m", input="Hello?").output_text == "hello"
        sdk.embeddings.create(model="m", input="x", encoding_format="float")
    assert [path for path, _, _ in provider.calls] == ["/v1/responses", "/v1/embeddings"]
    assert one.counts().direct == 2


def test_an_app_without_a_gateway_is_stable_in_every_protocol(served, provider):
    gateway, one = served()
    gateway.kill()
    with openai_sdk(one, f"{provider.url}/v1") as sdk:
        sdk.responses.create(model="app:shop/a", input="Hello?")
        sdk.responses.create(model="app:shop/a", input="", extra_body={"inchworm": OURS})
        sdk.embeddings.create(model="app:shop", input="x", encoding_format="float")
    with one.http_client() as http:
        url = f"{provider.url}/v1/messages"
        asked = {"model": "app:shop", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello?"}]}
        http.post(url, json=asked, headers=ANTHROPIC)
        http.post(url, json={"model": "app:shop", "max_tokens": 9, "inchworm": OURS}, headers=ANTHROPIC)
    said = [body for _, _, body in provider.calls]
    common = {
        "model": "small",
        "temperature": 0.2,
        "max_output_tokens": 50,
        "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}],
        "tool_choice": "required",
    }
    rendered = [{"role": "system", "content": "You sell shoes."}, {"role": "user", "content": "Q: How much?"}]
    assert said[0] == common | {"input": "Hello?"}
    assert said[1] == common | {"input": rendered}
    assert said[2] == {"model": "small", "input": "x", "encoding_format": "float"}
    messages = {
        "model": "small",
        "temperature": 0.2,
        "max_tokens": 50,
        "stop_sequences": ["END"],
        "tools": [{"name": "weather", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "any"},
    }
    assert said[3] == messages | {"messages": asked["messages"]}
    assert said[4] == messages | {"system": "You sell shoes.", "messages": rendered[1:]}


def call(url: str, body: Any = None, headers: dict[str, str] | None = None) -> Call:
    content = b"" if body is None else json.dumps(body).encode()
    return Call(url=url, headers=list((headers or {}).items()), content=content)


@pytest.mark.parametrize(
    ("asked", "gateway_url"),
    [
        ("https://api.anthropic.com/v1/messages", "http://gw:1/v1/messages"),
        ("https://api.openai.com/v1/responses", "http://gw:1/v1/responses"),
        ("https://x.test/openai/v1/embeddings", "http://gw:1/v1/embeddings"),
        ("https://x.test/openai/responses?api-version=1", "http://gw:1/openai/responses?api-version=1"),
        ("https://x.test/openai/deployments/d/embeddings", "http://gw:1/openai/deployments/d/embeddings"),
        ("https://api.openai.com/v1/threads/t-1/messages", None),
        ("https://api.anthropic.com/v1/messages/batches", None),
        ("https://api.anthropic.com/v1/messages/count_tokens", None),
    ],
)
def test_what_a_gateway_takes_is_addressed_to_it(client, asked, gateway_url):
    way = Way(client("http://gw:1"), None, None)
    through = way.through(call(asked, {}))
    assert (None if through is None else through.url) == gateway_url
    assert way.through(call(asked)) is None  # what asks nothing, as a list of what is stored there


@pytest.mark.parametrize(
    ("infrastructure", "path", "expected"),
    [
        ({}, "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ({}, "/v1/responses", "https://api.openai.com/v1/responses"),
        ({"base_url": "http://p/v1"}, "/v1/responses", "http://p/v1/responses"),
        ({"base_url": "http://p/v1"}, "/v1/messages", "https://api.anthropic.com/v1/messages"),
        ({"base_url": "http://p/v1", "upstream": "anthropic"}, "/v1/messages", "http://p/v1/messages"),
        (
            {"base_url": "http://p/v1", "upstream": "anthropic"},
            "/v1/responses",
            "https://api.openai.com/v1/responses",
        ),
        ({"base_url": "http://p/v1", "upstream": "any"}, "/v1/messages", "http://p/v1/messages"),
        (
            {"base_url": "https://api.anthropic.com/v1"},
            "/v1/messages",
            "https://api.anthropic.com/v1/messages",
        ),
    ],
)
def test_nobody_is_asked_in_a_protocol_that_is_not_theirs(served, infrastructure, path, expected):
    gateway, one = served(**infrastructure)
    straight = Way(one, None, None).straight(call(gateway.url + path, {"model": "m", "input": "x"}))
    assert straight is not None
    assert straight.url == expected


def test_an_app_of_another_provider_is_not_guessed_at(served):
    gateway, one = served(base_url="http://p/v1")
    body = {"model": "app:shop", "messages": [{"role": "user", "content": "q"}]}
    assert Way(one, None, None).straight(call(f"{gateway.url}/v1/messages", body)) is None
    assert Way(one, None, None).straight(call(f"{gateway.url}/v1/chat/completions", body)) is not None


@pytest.mark.parametrize(
    "headers", [{"Authorization": "Bearer iw_0123456789_x"}, {"X-Api-Key": "iw_1"}, {"api-key": "iw_1"}]
)
def test_a_key_of_ours_goes_to_no_provider(client, headers):
    way = Way(client("http://gw:1"), None, None)
    asked = call("https://api.openai.com/v1/responses", {"model": "m"}, headers)
    assert way.through(asked) is not None
    assert way.straight(asked) is None


@pytest.mark.parametrize(
    ("ours", "wire"),
    [
        (protocols.CHAT, wires.OPENAI_CHAT),
        (protocols.RESPONSES, wires.OPENAI_RESPONSES),
        (protocols.EMBEDDINGS, wires.OPENAI_EMBEDDINGS),
        (protocols.ANTHROPIC_MESSAGES, wires.ANTHROPIC_MESSAGES),
    ],
)
def test_parameters_are_called_as_the_gateway_calls_them(ours, wire):
    assert ours.speech == wire.speech
    assert {name: tuple(place) for name, place in wire.places.items() if name not in ours.foreign} == {
        name: tuple(place) for name, place in ours.places.items()
    }
    assert wire.foreign <= ours.foreign
    assert ours.foreign - wire.foreign <= {*wire.says, "parallel_tool_calls"}
