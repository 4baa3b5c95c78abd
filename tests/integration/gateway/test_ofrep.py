"""OpenFeature's remote evaluation: the protocol's own provider for Python, and what it does not show."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason
from tests.integration.gateway.conftest import Gateway, Reply, World

from inchworm.capture.headers import TOKEN
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import UnitKind
from inchworm.domain.targeting import Condition

ALL = "/ofrep/v1/evaluate/flags"


def two(world: World) -> tuple[Configuration, Configuration]:
    stable = world.configuration(
        infrastructure={"retries": 0},
        model={"name": "small-1"},
        parameters={"temperature": 0, "stop": ["END"], "seed": 7},
        tools={"schemas": [{"type": "function", "function": {"name": "search", "strict": False}}]},
    )
    candidate = stable.with_layer(
        Layer.PARAMETERS, {"temperature": 0.5, "stop": ["END"], "seed": 8, "max_tokens": 9}
    )
    return stable, candidate


@pytest.fixture
def client(world: World) -> Iterator[OpenFeatureClient]:
    """An OpenFeature client whose provider is the protocol's own."""
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5))
    gateway = world.gateway()
    api.set_provider_and_wait(OFREPProvider(gateway.url))
    yield api.get_client()
    api.shutdown()


def who(key: str = "u-1", **attributes: Any) -> EvaluationContext:
    return EvaluationContext(targeting_key=key, attributes=attributes)


def evaluate(gateway: Gateway, key: str, context: Any, **headers: str) -> Reply:
    body = json.dumps({} if context is None else {"context": context}).encode()
    return gateway.ask(f"{ALL}/{key}" if key else ALL, body, method="POST", **headers)


def test_the_protocol_s_own_provider_gets_every_type_from_the_arm_of_its_unit(
    world: World, client: OpenFeatureClient
) -> None:
    seen = {}
    for number in range(20):
        unit = f"u-{number}"
        got = client.get_float_details("shop.parameters.temperature", 0.9, who(unit))
        assert (got.reason, got.error_code) == (Reason.SPLIT, None)
        seen[unit] = got.variant
        assert got.value == (0.5 if got.variant == "candidate" else 0.0)
        whole = client.get_object_value("shop/production", {}, who(unit))
        assert isinstance(whole, dict)
        assert whole["parameters"]["seed"] == (8 if got.variant == "candidate" else 7)
        assert got.flag_metadata["inchworm.probability"] == 0.5
    assert set(seen.values()) == {"baseline", "candidate"}
    unit = next(iter(seen))
    assert client.get_string_value("shop.model.name", "", who(unit)) == "small-1"
    assert client.get_integer_value("shop.infrastructure.retries", 5, who(unit)) == 0
    assert client.get_boolean_value("shop.tools.schemas.0.function.strict", True, who(unit)) is False
    assert client.get_object_value("shop.parameters.stop", [], who(unit)) == ["END"]
    (gateway,) = world.gateways
    assert {one.unit: one.assigned.arm for one in gateway.exposures()} == seen
    assert len(gateway.exposures()) == len(seen)


def test_what_an_arm_does_not_set_is_left_to_the_caller_s_code(client: OpenFeatureClient) -> None:
    found = {}
    for number in range(20):
        got = client.get_integer_details("shop.parameters.max_tokens", 64, who(f"u-{number}"))
        assert got.error_code is None
        found[got.variant] = (got.value, got.reason)
    assert found == {"candidate": (9, Reason.SPLIT), "baseline": (64, Reason.DEFAULT)}


def test_errors_are_the_protocol_s(client: OpenFeatureClient, world: World) -> None:
    def code(key: str, context: EvaluationContext | None) -> ErrorCode | None:
        got = client.get_string_details(key, "mine", context)
        assert got.error_code is None or got.value == "mine"
        return got.error_code

    for key in ("other", "shop.nowhere", "shop.model.other", "shop.tools.schemas.9", "shop..name", "shopx"):
        assert code(key, who()) is ErrorCode.FLAG_NOT_FOUND
    assert code("shop.model.name", None) is ErrorCode.TARGETING_KEY_MISSING
    assert code("shop.model.name", who("")) is ErrorCode.TARGETING_KEY_MISSING
    assert code("shop.parameters.seed", who()) is ErrorCode.TYPE_MISMATCH
    (gateway,) = world.gateways
    before = len(gateway.exposures())
    for raw, expected in (
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b'{"context": 3}', "INVALID_CONTEXT"),
        (b'{"context": {"targetingKey": []}}', "INVALID_CONTEXT"),
        (b"", "TARGETING_KEY_MISSING"),
    ):
        one = gateway.ask(f"{ALL}/shop.model.name", raw, method="POST")
        assert (one.status, one.json["key"], one.json["errorCode"]) == (400, "shop.model.name", expected)
        bulk = gateway.ask(ALL, raw, method="POST")
        assert (bulk.status, bulk.json["errorCode"]) == (400, expected)
    assert len(gateway.exposures()) == before
    assert evaluate(gateway, "shop", None, content_type="text/plain").status == 415
    assert gateway.ask(f"{ALL}/shop").status == 405
    assert evaluate(gateway, "", {"targetingKey": "u"}, inchworm_app="nobody").status == 404


def test_all_flags_at_once_with_an_etag_that_changes_with_what_is_served(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway()
    context = {"targetingKey": "u-1"}
    first = evaluate(gateway, "", context)
    flags = {one["key"]: one for one in first.json["flags"]}
    assert flags["shop.parameters.temperature"]["value"] == 0.5
    assert flags["shop.parameters.max_tokens"]["reason"] == "SPLIT"
    assert flags["shop"]["value"]["model"] == {"name": "small-1"}
    assert {one["variant"] for one in flags.values()} == {"candidate"}
    tag = first.headers["etag"]
    again = evaluate(gateway, "", context, if_none_match=f'"other", {tag}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert evaluate(gateway, "", {"targetingKey": "u-2"}, if_none_match=tag).status == 200
    assert [one.unit for one in gateway.exposures()] == ["u-1", "u-2"]
    gateway.holds(world.control.publish(world.served(stable, generation=2)))
    after = evaluate(gateway, "", context, if_none_match=tag)
    assert after.status == 200
    assert {(one["variant"], one["reason"]) for one in after.json["flags"]} == {("stable", "STATIC")}


def test_the_context_chooses_the_audience_and_who_takes_no_part_gets_the_default_reason(world: World) -> None:
    stable, candidate = two(world)
    audience = (Condition(attribute="plan", values=("internal",)),)
    world.control.publish(world.served(stable, candidate, weight=1.0, audience=audience))
    gateway = world.gateway()
    key = "shop.parameters.seed"
    inside = evaluate(gateway, key, {"targetingKey": "a", "plan": "internal", "secret": "x"}).json
    outside = evaluate(gateway, key, {"targetingKey": "b", "plan": "free"}).json
    assert (inside["value"], inside["variant"], inside["reason"]) == (8, "candidate", "SPLIT")
    assert (outside["value"], outside["variant"], outside["reason"]) == (7, "stable", "DEFAULT")
    assert "inchworm.rollout.id" not in outside["metadata"]
    assert [one.unit for one in gateway.exposures()] == ["a"]


def test_while_calls_are_mirrored_everybody_gets_stable_and_that_is_no_split(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.0, shadow=1.0))
    gateway = world.gateway()
    got = evaluate(gateway, "shop.parameters.seed", {"targetingKey": "u-1"}).json
    assert (got["value"], got["variant"], got["reason"]) == (7, "stable", "STATIC")
    assert gateway.exposures() == []


def test_the_token_that_is_told_keeps_the_arm_of_calls_through_another_gateway(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    first, second = world.gateway(), world.gateway(name="g2")
    told = evaluate(first, "shop", {"targetingKey": "u-1"}).json["metadata"]
    smaller = world.control.publish(world.served(stable, candidate, weight=0.0001, stage=1, generation=2))
    second.holds(smaller)
    reply = second.chat(headers={TOKEN: told["inchworm.token"]})
    assert reply.headers["inchworm-configuration"] == candidate.id == told["inchworm.configuration.id"]
    assert reply.headers["inchworm-unit"] == "u-1"
    assert second.exposures() == []


def test_an_exposure_that_cannot_be_written_down_is_none(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway("--spool-limit", "1")
    got = evaluate(gateway, "shop.parameters.seed", {"targetingKey": "u-1"}).json
    assert (got["value"], got["variant"], got["reason"]) == (7, "stable", "DEFAULT")
    assert gateway.exposures() == []


def test_values_of_one_call_and_an_app_that_is_only_observed(world: World) -> None:
    stable = world.configuration(model={"name": "big", "calls": {"rerank": {"name": "tiny"}}})
    world.control.publish(world.served(stable))
    gateway = world.gateway()
    key = "shop.model.name"
    assert evaluate(gateway, key, {"targetingKey": "u"}).json["value"] == "big"
    named = {"targetingKey": "u", "inchworm.call": "rerank"}
    assert evaluate(gateway, key, named).json["value"] == "tiny"
    assert evaluate(gateway, key, {"targetingKey": "u"}, inchworm_call="rerank").json["value"] == "tiny"
    assert evaluate(gateway, "shop.model", {"targetingKey": "u"}).json["value"] == {"name": "big"}
    gateway.holds(world.control.publish(world.observed()))
    seen = evaluate(gateway, key, {"targetingKey": "u"})
    assert (seen.status, seen.json["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert evaluate(gateway, "", {"targetingKey": "u"}).json == {"flags": []}


def test_before_anything_is_known_it_says_so(world: World) -> None:
    gateway = world.gateway(ready=False)
    reply = evaluate(gateway, "shop", {"targetingKey": "u"})
    assert (reply.status, reply.json["error"]["code"]) == (503, "not_ready")


def test_a_request_s_own_id_is_its_unit(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5, unit=UnitKind.REQUEST))
    gateway = world.gateway()
    for number in range(8):
        told = evaluate(gateway, "shop", {"targetingKey": f"call-{number}"}).json["metadata"]
        reply = gateway.chat(headers={"inchworm-trace": f"call-{number}"})
        assert reply.headers["inchworm-configuration"] == told["inchworm.configuration.id"]
