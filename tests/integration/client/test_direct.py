"""A real SDK through the gateway, and straight to the provider when the gateway is gone."""

import asyncio
import json
from typing import Any

import httpx2
import openai
import pytest
from tests.integration.client.stub import published

from inchworm.capture.client.direct import Call, Way
from inchworm.domain.errors import UsageError

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def gateway(stub):
    return stub(published(), says="from the gateway")


@pytest.fixture
def provider(stub):
    return stub(says="from the provider")


@pytest.fixture
def one(gateway, client):
    made = client(gateway.url)
    made.resolve("shop", "ana")
    return made


def ask(sdk, model="theirs", **options):
    answer = sdk.chat.completions.create(model=model, messages=ASK, **options)
    return answer.choices[0].message.content


def test_calls_go_through_the_gateway_and_on_without_it(one, gateway, provider):
    with openai.OpenAI(
        base_url=f"{provider.url}/api/v1", api_key="mine", http_client=one.http_client(), max_retries=0
    ) as sdk:
        assert ask(sdk) == "from the gateway"
        gateway.kill()
        assert [ask(sdk) for _ in range(3)] == ["from the provider"] * 3
        assert one.counts().direct == 3
    ((path, headers, body),) = gateway.calls
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == "Bearer mine"
    assert headers["inchworm-app"] == "shop"
    assert body == {"model": "theirs", "messages": ASK}
    path, headers, body = provider.calls[0]
    assert path == "/api/v1/chat/completions"
    assert headers["authorization"] == "Bearer mine"
    assert headers["host"] == f"127.0.0.1:{provider.port}"
    assert not [name for name in headers if name.startswith("inchworm")]
    assert body == {"model": "theirs", "messages": ASK}


def test_asynchronous_calls_too(one, gateway, provider):
    async def main():
        async with openai.AsyncOpenAI(
            base_url=f"{provider.url}/v1", api_key="mine", http_client=one.async_http_client(), max_retries=0
        ) as sdk:
            for expected in ("from the gateway", "from the provider"):
                answer = await sdk.chat.completions.create(model="theirs", messages=ASK)
                assert answer.choices[0].message.content == expected
                await asyncio.to_thread(gateway.kill)

    asyncio.run(main())
    assert one.counts().direct == 1


def test_a_gateway_that_comes_back_is_used_again(one, gateway, provider, monkeypatch):
    with openai.OpenAI(
        base_url=f"{provider.url}/v1", api_key="mine", http_client=one.http_client(), max_retries=0
    ) as sdk:
        gateway.kill()
        assert ask(sdk) == "from the provider"
        gateway.start()
        assert ask(sdk) == "from the provider"  # for a second it is not even tried
        monkeypatch.setattr("inchworm.capture.client.direct.time.monotonic", lambda: 1e12)
        assert ask(sdk) == "from the gateway"


def test_a_program_that_names_the_gateway_itself_goes_where_the_configuration_says(client, gateway, provider):
    gateway.publish(published(infrastructure={"base_url": f"{provider.url}/v1"}, generation=2))
    one = client(gateway.url)
    one.resolve("shop", "ana")
    with openai.OpenAI(
        base_url=f"{gateway.url}/v1", api_key="mine", http_client=one.http_client(), max_retries=0
    ) as sdk:
        assert ask(sdk) == "from the gateway"
        gateway.kill()
        assert ask(sdk) == "from the provider"
        assert provider.calls[0][0] == "/v1/chat/completions"


def test_an_argument_says_where_the_provider_is_before_all_else(one, gateway, provider, stub):
    other = stub(says="from another")
    gateway.kill()
    http = one.http_client(provider_url=f"{other.url}/v1")
    with openai.OpenAI(base_url=f"{provider.url}/v1", api_key="mine", http_client=http, max_retries=0) as sdk:
        assert ask(sdk) == "from another"


def test_what_only_the_gateway_understands_is_said_plainly_with_stables_last_known_values(
    one, gateway, provider
):
    gateway.kill()
    with openai.OpenAI(
        base_url=f"{provider.url}/v1", api_key="mine", http_client=one.http_client(app="other"), max_retries=0
    ) as sdk:
        ours = {"inchworm": {"inputs": {"product": "shoes", "question": "How much?"}}}
        assert ask(sdk, "app:shop/answer", temperature=1, top_p=0.5) == "from the provider"
        sdk.chat.completions.create(model="app:shop/answer", messages=[], extra_body=ours)
        sdk.chat.completions.create(model="theirs", messages=ASK, extra_body=ours)
    first, second, third = (body for _, _, body in provider.calls)
    assert first == {"model": "small", "messages": ASK, "temperature": 0.2, "top_p": 0.5}
    assert second == {
        "model": "small",
        "temperature": 0.2,
        "messages": [
            {"role": "system", "content": "You sell shoes."},
            {"role": "user", "content": "Q: How much?"},
        ],
    }
    assert third == {"model": "theirs", "messages": ASK}


@pytest.mark.parametrize("known", [True, False])
def test_what_nobody_can_say_plainly_fails_as_the_sdk_knows_it(client, gateway, provider, known):
    one = client(gateway.url, wait_s=0.01)
    if known:
        one.resolve("shop", "ana")
    gateway.kill()
    model = "app:other/answer" if known else "app:shop/answer"
    with openai.OpenAI(
        base_url=f"{provider.url}/v1", api_key="mine", http_client=one.http_client(), max_retries=0
    ) as sdk:
        with pytest.raises(openai.APIConnectionError):
            ask(sdk, model)
        with pytest.raises(openai.APIConnectionError):  # also in the second in which it is not tried
            ask(sdk, model)
    assert provider.calls == []


def test_a_call_that_a_gateway_may_have_seen_is_not_sent_again(one, gateway, provider):
    with one.http_client() as http:
        gateway.hangs_up = True
        with pytest.raises(httpx2.RemoteProtocolError):
            http.post(f"{provider.url}/v1/chat/completions", json={"model": "m", "messages": ASK})
    assert len(gateway.calls) == 1
    assert provider.calls == []
    assert one.counts().direct == 0


def test_what_is_no_chat_goes_where_it_is_addressed(one, gateway, provider):
    with one.http_client() as http:
        http.post(f"{provider.url}/inchworm", json={"exposed": {}})
    assert provider.lines == [{"exposed": {}}]
    assert gateway.calls == []
    assert one.counts().direct == 0


def test_inside_of_a_trace_a_call_says_whose_it_is(one, gateway):
    with (
        one.trace("shop", unit="ana"),
        openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="mine", http_client=one.http_client()) as sdk,
    ):
        got = one.resolve("shop", "ana")
        ask(sdk)
        ask(sdk, extra_headers={"inchworm-unit": "ben"})
    (_, first, _), (_, second, _) = gateway.calls
    assert first["inchworm-unit"] == "ana"
    assert first["inchworm-configuration"] == got.configuration_id
    assert second["inchworm-unit"] == "ben"


def test_the_client_is_the_sdks_own_kind_and_takes_its_options(one):
    with one.http_client(timeout=7) as http:
        assert isinstance(http, httpx2.Client)
        assert http.timeout.read == 7
    with pytest.raises(UsageError, match="is not installed"):
        one.http_client(library="no_such_library")


# --- where calls go, without a wire


def call(url, body=None, **headers):
    content = b"" if body is None else json.dumps(body).encode()
    return Call(url=url, headers=list(headers.items()), content=content)


@pytest.mark.parametrize(
    ("asked", "gateway_url"),
    [
        ("https://api.openai.com/v1/chat/completions", "http://gw:1/base/v1/chat/completions"),
        ("https://x.test/openai/v1/chat/completions?a=b", "http://gw:1/base/v1/chat/completions?a=b"),
        (
            "https://x.test/openai/deployments/d/chat/completions?api-version=1",
            "http://gw:1/base/openai/deployments/d/chat/completions?api-version=1",
        ),
        ("http://gw:1/base/v1/models", "http://gw:1/base/v1/models"),
        ("https://api.openai.com/v1/models", None),
    ],
)
def test_how_a_call_is_addressed_to_the_gateway(client, asked, gateway_url):
    way = Way(client("http://gw:1/base/"), None, None)
    through = way.through(call(asked, {}))
    assert (None if through is None else through.url) == gateway_url


@pytest.mark.parametrize(
    ("asked", "provider", "expected"),
    [
        ("http://gw:1/base/v1/chat/completions", None, "https://api.openai.com/v1/chat/completions"),
        ("http://gw:1/base/v1/models?a=b", "http://p/api/v1/", "http://p/api/v1/models?a=b"),
        (
            "http://gw:1/base/openai/deployments/d/chat/completions?v=1",
            "http://p/v1",
            "http://p/openai/deployments/d/chat/completions?v=1",
        ),
        ("https://x.test/v1/chat/completions", None, "https://x.test/v1/chat/completions"),
        ("https://x.test/v1/chat/completions", "http://p/v1", "http://p/v1/chat/completions"),
    ],
)
def test_how_a_call_is_addressed_to_the_provider(client, asked, provider, expected):
    way = Way(client("http://gw:1/base"), None, provider)
    straight = way.straight(call(asked, {"model": "m"}, **{"Inchworm-App": "shop", "X-Mine": "1"}))
    assert straight is not None
    assert straight.url == expected
    assert straight.headers == [("X-Mine", "1")]


@pytest.mark.parametrize("content", [b"", b"\xff", b"[1]", b'{"model": 7}'])
def test_a_body_that_says_nothing_to_us_goes_as_it_is(client, content):
    way = Way(client("http://gw:1"), None, None)
    straight = way.straight(Call(url="https://x.test/v1/x", headers=[], content=content))
    assert straight is not None
    assert straight.content == content
