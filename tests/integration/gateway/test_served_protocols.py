"""Configurations, arms and shadows in the protocols beside chat completions, on real sockets."""

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from openai import OpenAI
from tests.integration.gateway.conftest import Gateway, Reply, World, eventually, free_port
from tests.integration.gateway.protocols import TEXT, WORDS
from tests.integration.gateway.upstream_mock import PATIENCE_S

from inchworm.capture.calls import trace_of
from inchworm.capture.records import Shadowed
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import RolloutId
from inchworm.domain.published import PublishedApp
from inchworm.domain.serving import ServingTable

LAYERS: dict[str, Any] = {
    "infrastructure": {"upstream": "any"},
    "model": {"name": "ours", "calls": {"embed": {"name": "vectors"}}},
    "prompt": {"system": "Be kind."},
    "parameters": {"max_tokens": 50},
}
MESSAGE = {"model": "theirs", "max_tokens": 9, "messages": [{"role": "user", "content": "When?"}]}


def message(gateway: Gateway, headers: dict[str, str] | None = None, **more: Any) -> Reply:
    said = {"x-api-key": "sk-mine", **(headers or {})}
    return gateway.ask("/v1/messages", json.dumps(MESSAGE | more).encode(), **said)


@pytest.fixture(scope="module")
def serving(observing: World) -> World:
    """The module's gateway, with an app whose provider speaks both protocols, and one that speaks one."""
    stable = observing.configuration(**LAYERS)
    other = Configuration.of({"model": {"name": "x"}, "infrastructure": {"base_url": observing.provider.url}})
    far = AppRef(app="far", environment="production")
    table = ServingTable(app=far, generation=1, stable=other.id)
    observing.gateways[0].holds(
        observing.control.publish(
            observing.served(stable),
            PublishedApp(app=far, table=table, configurations={other.id: other}),
        )
    )
    return observing


@pytest.fixture
def gateway(serving: World) -> Gateway:
    serving.provider.seen.clear()
    return serving.gateways[0]


@pytest.fixture
def client(gateway: Gateway) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="sk-mine", max_retries=0) as made:
        yield made


def test_a_configuration_is_put_into_a_message(gateway: Gateway, serving: World) -> None:
    reply = message(gateway, model="app:shop", system=[{"type": "text", "text": "T"}])
    assert reply.status == 200
    sent = serving.provider.seen[-1]
    assert sent.path == "/v1/messages"
    assert sent.json == MESSAGE | {
        "model": "ours",
        "max_tokens": 50,
        "system": [{"type": "text", "text": "Be kind."}],
    }
    assert sent.headers["x-api-key"] == "sk-mine"
    assert sent.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in sent.headers
    assert reply.headers["request-id"] == "req-1"
    called = gateway.calls()[-1]
    assert (called.dialect, called.unapplied) == ("anthropic-messages", ())
    assert called.configuration == reply.headers["inchworm-configuration"]
    trace = trace_of(called)
    assert trace.attributes["gen_ai.request.model"] == "ours"
    assert trace.attributes["provider.request_id"] == "req-1"
    assert trace.output == TEXT


def test_a_message_streams_and_its_last_event_waits_for_the_record(gateway: Gateway) -> None:
    before = len(gateway.calls())
    reply = message(gateway, stream=True)
    assert reply.body.startswith(b"event: message_start\n")
    assert reply.body.endswith(b'event: message_stop\ndata: {"type": "message_stop"}\n\n')
    called = gateway.calls()[before]
    assert called.ttft_ms is not None
    assert called.response == reply.body
    assert trace_of(called).output == TEXT


def test_a_configuration_is_put_into_a_response(client: OpenAI, gateway: Gateway, serving: World) -> None:
    got = client.responses.create(model="app:shop", input="When?", metadata={"session_id": "s-1"})
    assert got.output_text == TEXT
    assert serving.provider.seen[-1].json == {
        "model": "ours",
        "input": "When?",
        "instructions": "Be kind.",
        "max_output_tokens": 50,
        "metadata": {"session_id": "s-1"},
    }
    assert gateway.calls()[-1].unit == "s-1"


def test_who_goes_on_from_an_answer_is_who_got_it(client: OpenAI, gateway: Gateway) -> None:
    first = client.responses.create(model="m", input="When?")
    client.responses.create(model="m", input="And where?", previous_response_id=first.id)
    streamed = client.responses.create(model="m", input="Who?", previous_response_id=first.id, stream=True)
    assert "".join(one.delta for one in streamed if one.type == "response.output_text.delta") == TEXT
    client.responses.create(model="m", input="Who?", previous_response_id="resp_of_another")
    *same, other = gateway.calls()[-4:]
    assert len({one.unit for one in same}) == 1
    assert {one.unit_from for one in same} == {"first_user_message"}
    assert other.unit == other.id


def test_vectors_are_asked_of_the_model_that_is_for_them(
    client: OpenAI, gateway: Gateway, serving: World
) -> None:
    client.embeddings.create(model="text-embedding-3-small", input="one")
    assert serving.provider.seen[-1].json["model"] == "text-embedding-3-small"
    assert gateway.calls()[-1].unapplied == ("model", "parameters", "prompt")
    client.embeddings.create(model="app:shop/embed", input="one")
    assert serving.provider.seen[-1].json["model"] == "vectors"


def test_a_provider_is_not_asked_in_a_protocol_that_it_does_not_speak(
    gateway: Gateway, serving: World
) -> None:
    reply = message(gateway, {"inchworm-app": "far"})
    assert reply.status == 400
    assert reply.json["type"] == "error"
    assert reply.json["error"]["type"] == "invalid_request_error"
    assert reply.json["error"]["details"] == {"error_code": "wrong_protocol"}
    assert "infrastructure.upstream: any" in reply.json["error"]["message"]
    assert serving.provider.seen == []
    called = gateway.calls()[-1]
    assert (called.status, called.response) == (400, reply.body)


def test_faults_before_a_call_have_the_caller_s_shape_too(gateway: Gateway) -> None:
    for reply, code in (
        (gateway.ask("/v1/messages", b"[]"), "invalid_json"),
        (gateway.ask("/v1/messages"), "method_not_allowed"),
        (gateway.ask("/v1/messages/count_tokens", b"{"), "invalid_json"),
        (gateway.ask("/v1/models/app:none", anthropic_version="x"), "model_not_found"),
        (gateway.ask("/v1/messages/batches"), "not_found"),
        (message(gateway, {"inchworm-app": "nobody"}), "unknown_app"),
    ):
        assert reply.json["type"] == "error"
        assert reply.json["error"]["details"] == {"error_code": code}
    assert gateway.ask("/v1/responses", b"[]").json["error"]["code"] == "invalid_json"


def test_tokens_are_counted_by_the_provider_and_nothing_is_recorded(gateway: Gateway, serving: World) -> None:
    before = len(gateway.records())
    body = {**MESSAGE, "model": "app:shop", "inchworm": {"unit": "u"}}
    reply = gateway.ask("/v1/messages/count_tokens", json.dumps(body).encode(), x_api_key="sk")
    assert reply.json["input_tokens"] == 12
    assert reply.json["asked"] == MESSAGE | {"model": "ours"}
    assert serving.provider.seen[-1].path == "/v1/messages/count_tokens"
    assert len(gateway.records()) == before


def test_apps_are_among_the_models(client: OpenAI, gateway: Gateway) -> None:
    names = ["app:shop", "app:shop/embed", "app:far"]
    assert [one.id for one in client.models.list()] == [*names, "m-1"]
    assert client.models.retrieve("app:shop").owned_by == "inchworm"
    said = gateway.ask("/v1/models", anthropic_version="2023-06-01", x_api_key="sk").json
    assert [one["id"] for one in said["data"]] == [*names, "m-1"]
    assert said["data"][0]["type"] == "model"
    paged = gateway.ask("/v1/models?after_id=m-1", anthropic_version="2023-06-01").json
    assert [one["id"] for one in paged["data"]] == ["m-1"]
    refused = gateway.ask("/v1/models", x_mock="429")
    assert (refused.status, refused.headers["retry-after"]) == (429, "7")


def test_apps_are_listed_when_the_provider_cannot_be_reached(world: World) -> None:
    gone = f"http://127.0.0.1:{free_port()}/v1"
    stable = Configuration.of(LAYERS | {"infrastructure": {"base_url": gone, "upstream": "any"}})
    world.control.publish(world.served(stable))
    gateway = world.gateway()
    with OpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=0) as client:
        assert [one.id for one in client.models.list()] == ["app:shop", "app:shop/embed"]
    said = gateway.ask("/v1/models", anthropic_version="2023-06-01").json
    assert (said["has_more"], said["first_id"], said["last_id"]) == (False, "app:shop", "app:shop/embed")


def test_what_is_only_observed_goes_where_its_protocol_is_spoken(world: World) -> None:
    world.control.publish(world.observed(base_url="http://127.0.0.1:1/v1", api_key="env:KEY_OF_ANOTHER"))
    gateway = world.gateway(
        "--anthropic", world.provider.url.removesuffix("/v1"), environment={"KEY_OF_ANOTHER": "sk-other"}
    )
    body = json.dumps(MESSAGE).encode()
    assert gateway.ask("/v1/messages", body).status == 200
    sent = world.provider.seen[-1]
    assert (sent.path, sent.json) == ("/v1/messages", MESSAGE)
    assert "sk-other" not in str(sent.headers)


def test_the_key_of_the_layer_goes_where_anthropic_reads_it(world: World) -> None:
    stable = world.configuration(infrastructure={"upstream": "anthropic", "api_key": "env:OUR_KEY"})
    world.control.publish(world.served(stable))
    gateway = world.gateway(environment={"OUR_KEY": "sk-ours"})
    assert gateway.ask("/v1/messages", json.dumps(MESSAGE).encode()).status == 200
    assert world.provider.seen[-1].headers["x-api-key"] == "sk-ours"
    assert message(gateway).status == 200
    assert world.provider.seen[-1].headers["x-api-key"] == "sk-mine"
    reply = gateway.chat()
    assert (reply.status, reply.json["error"]["code"]) == (400, "wrong_protocol")


def test_who_leaves_a_stream_of_a_message_stops_the_provider(gateway: Gateway, serving: World) -> None:
    left = serving.provider.left
    body = json.dumps(MESSAGE | {"stream": True}).encode()
    head = f"POST /v1/messages HTTP/1.1\r\nhost: 127.0.0.1:{gateway.port}\r\nx-mock: hang\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + body)
        seen = b""
        while WORDS[0].encode() not in seen:
            seen += connection.recv(4096)
    serving.provider.wait_for(lambda: serving.provider.left > left)
    eventually(lambda: gateway.calls()[-1].trouble == "caller_left")
    assert trace_of(gateway.calls()[-1]).output == WORDS[0]


def test_arms_and_shadows_work_in_each_protocol(world: World) -> None:
    stable = world.configuration(**LAYERS)
    candidate = world.configuration(**LAYERS | {"model": {"name": "next"}})
    gateway = world.gateway(start=False)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway.start()
    reply = message(gateway, {"inchworm-unit": "u-1"})
    assert world.provider.seen[-1].json["model"] == "next"
    assert "inchworm-token" in reply.headers
    assert [one.unit for one in gateway.exposures()] == ["u-1"]
    called = gateway.calls()[-1]
    assert called.assigned is not None
    assert called.assigned.arm == "candidate"
    assert called.assigned.rollout == RolloutId("r-1")

    gateway.holds(
        world.control.publish(world.served(stable, candidate, weight=0.0, shadow=1.0, generation=2))
    )
    world.provider.seen.clear()
    body = {"model": "m", "input": "When?", "stream": True}
    assert gateway.ask("/v1/responses", json.dumps(body).encode(), inchworm_unit="u-2").status == 200
    assert message(gateway, {"inchworm-unit": "u-3"}, stream=True).status == 200

    def shadows() -> list[Shadowed]:
        return [one for one in gateway.records() if isinstance(one, Shadowed)]

    eventually(lambda: len(shadows()) == 2)
    assert sorted(one.dialect for one in shadows()) == ["anthropic-messages", "openai-responses"]
    for one in shadows():
        assert trace_of(one).output == TEXT
        assert trace_of(one).attributes["gen_ai.request.model"] == "next"
    asked = [one.json for one in world.provider.seen if one.json["model"] == "next"]
    assert not any("stream" in one for one in asked)
    assert [one.get("store") for one in asked if "input" in one] == [False]
