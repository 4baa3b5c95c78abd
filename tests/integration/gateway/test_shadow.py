"""A shadow stage: stable answers, the candidate is asked behind it, and nobody sees what it says."""

import http.client
import json
from dataclasses import replace
from typing import Any

import pytest
from tests.integration.gateway.conftest import Gateway, Reply, World, eventually

from inchworm.capture.calls import trace_of
from inchworm.capture.headers import TOKEN
from inchworm.capture.records import Called, Mirrored, Shadowed
from inchworm.domain.assignment import is_mirrored
from inchworm.domain.configuration import Configuration
from inchworm.domain.outcome import Errored
from inchworm.domain.published import PublishedApp

SYSTEM = "You help the customers of {shop}."


def two(world: World, **moved: Any) -> tuple[Configuration, Configuration]:
    layers: dict[str, Any] = {"model": {"name": "small-1"}, "prompt": {"system": SYSTEM}}
    stable = world.configuration(**layers)
    given = moved or {"model": {"name": "small-2"}, "parameters": {"temperature": 0.1}}
    return stable, world.configuration(**{**layers, **given})


def shadowed(
    world: World,
    stable: Configuration,
    candidate: Configuration,
    *,
    share: float = 1.0,
    calls: int | None = None,
) -> PublishedApp:
    app = world.served(stable, candidate, weight=0.0)
    assert app.table is not None
    assert app.table.candidate is not None
    mirrored = replace(app.table.candidate, shadow=share, shadow_calls=calls)
    return replace(app, table=replace(app.table, candidate=mirrored))


def ask(gateway: Gateway, unit: str = "u-1", **more: Any) -> Reply:
    headers = {"inchworm-unit": unit} | more.pop("headers", {})
    return gateway.chat(headers=headers, inchworm={"inputs": {"shop": "Acme"}}, **more)


def mirrored(gateway: Gateway) -> list[Mirrored]:
    return [one for one in gateway.records() if isinstance(one, Mirrored)]


def shadows(gateway: Gateway) -> list[Shadowed]:
    return [one for one in gateway.records() if isinstance(one, Shadowed)]


def stable_calls(gateway: Gateway) -> list[Called]:
    return [one for one in gateway.calls() if not isinstance(one, Shadowed)]


def asked(world: World) -> list[str]:
    return [one.json["model"] for one in world.provider.seen]


def count(gateway: Gateway, name: str) -> float:
    lines = gateway.ask("/-/metrics").body.decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def test_stable_answers_and_the_candidate_is_asked_behind_it(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    reply = ask(gateway, temperature=0.9)
    assert (reply.status, reply.json["model"]) == (200, "small-1")
    assert reply.headers["inchworm-configuration"] == stable.id
    assert TOKEN not in reply.headers
    eventually(lambda: shadows(gateway))
    assert asked(world) == ["small-1", "small-2"]
    assert [type(one) for one in gateway.records()] == [Mirrored, Called, Shadowed]
    (before,), (called,), (shadow,) = mirrored(gateway), stable_calls(gateway), shadows(gateway)
    assert (before.unit, before.rollout, before.stage, before.probability) == ("u-1", "r-1", 0, 1.0)
    assert (before.trace, before.shadow) == (called.id, shadow.id)
    assert shadow.shadow_of == called.id != shadow.id
    assert (shadow.configuration, shadow.assigned, shadow.status) == (candidate.id, None, 200)
    assert (called.configuration, called.assigned) == (stable.id, None)
    assert (called.inputs, shadow.inputs) == ({"shop": "Acme"}, {"shop": "Acme"})
    sent = world.provider.seen[1].json
    assert json.loads(shadow.sent or b"") == sent
    assert (sent["model"], sent["temperature"], sent["messages"]) == (
        "small-2",
        0.1,
        world.provider.seen[0].json["messages"],
    )
    assert json.loads(shadow.response)["model"] == "small-2"
    assert gateway.exposures() == []


def test_a_candidate_that_hangs_keeps_no_caller_waiting(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    for number in range(5):
        # Each answer is whole while every candidate so far is still being asked.
        assert ask(gateway, f"u-{number}", headers={"x-mock": "stall@small-2"}).json["model"] == "small-1"
    world.provider.wait_for(lambda: asked(world).count("small-2") == 5)
    assert len(stable_calls(gateway)) == 5
    assert (len(mirrored(gateway)), shadows(gateway)) == (5, [])
    assert gateway.stop() == 0
    given_up = shadows(gateway)
    assert {one.trouble for one in given_up} == {"cut"}
    assert {one.shadow_of for one in given_up} == {one.id for one in stable_calls(gateway)}
    eventually(lambda: world.provider.left == 5)


def test_a_stream_is_mirrored_as_one_answer_that_says_what_it_used(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    reply = ask(gateway, stream=True, store=True, headers={"idempotency-key": "k-1"})
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert b"small-2" not in reply.body
    eventually(lambda: shadows(gateway))
    first, second = world.provider.seen
    assert (first.json["stream"], first.json["store"]) == (True, True)
    assert not {"stream", "store"} & second.json.keys()
    assert (first.headers.get("idempotency-key"), second.headers.get("idempotency-key")) == ("k-1", None)
    assert first.headers["authorization"] == second.headers["authorization"] == "Bearer sk-mine"
    (shadow,) = shadows(gateway)
    assert not shadow.streamed
    assert json.loads(shadow.response)["usage"]["completion_tokens"] == 4


def test_a_candidate_that_fails_costs_the_caller_nothing_and_is_on_record(world: World) -> None:
    stable, candidate = two(world, model={"name": "small-2"}, infrastructure={"timeout_s": 0.2})
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    for mode in ("500", "close", "stall"):
        assert ask(gateway, f"u-{mode}", headers={"x-mock": f"{mode}@small-2"}).status == 200
    eventually(lambda: len(shadows(gateway)) == 3)
    found = {(one.status, one.trouble) for one in shadows(gateway)}
    assert found == {(500, None), (None, "cut"), (None, "deadline")}
    assert count(gateway, "inchworm_gateway_mirrored_calls_total") == 3


def test_when_stable_fails_the_candidate_is_asked_all_the_same(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    assert ask(gateway, headers={"x-mock": "400@small-1"}).status == 400
    eventually(lambda: shadows(gateway))
    assert (stable_calls(gateway)[0].status, shadows(gateway)[0].status) == (400, 200)


def test_who_is_mirrored_is_drawn_by_unit(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate, share=0.3))
    gateway = world.gateway()
    units = [f"u-{number}" for number in range(40)]
    for unit in [*units, *units]:
        ask(gateway, unit)
    drawn = {unit for unit in units if is_mirrored(1, "salt", unit, 0.3)}
    assert 0 < len(drawn) < len(units)
    eventually(lambda: len(shadows(gateway)) == len(drawn))
    # What a unit asks after its first call would say the same again.
    again = count(gateway, 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="again"}')
    assert (len(mirrored(gateway)), again) == (len(drawn), len(drawn))
    assert {one.unit for one in mirrored(gateway)} == drawn
    assert {one.probability for one in mirrored(gateway)} == {0.3}


def test_no_call_is_mirrored_beyond_the_stage_s_limit(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate, calls=3))
    gateway = world.gateway()
    for number in range(8):
        assert ask(gateway, f"u-{number}").status == 200
    eventually(lambda: len(shadows(gateway)) == 3)
    assert len(mirrored(gateway)) == asked(world).count("small-2") == 3
    assert count(gateway, 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="budget"}') == 5


def test_of_many_at_once_some_are_left_out_and_counted(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway("--mirrored-at-once", "2")
    for number in range(6):
        assert ask(gateway, f"u-{number}", headers={"x-mock": "stall@small-2"}).status == 200
    assert len(stable_calls(gateway)) == 6
    assert len(mirrored(gateway)) == 2
    assert count(gateway, 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="busy"}') == 4
    world.provider.wait_for(lambda: asked(world).count("small-2") == 2)


def test_that_the_candidate_is_asked_is_durable_before_it_is_asked(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    ask(gateway, headers={"x-mock": "stall@small-2"})
    world.provider.wait_for(lambda: "small-2" in asked(world))
    gateway.kill()
    (before,), (called,) = mirrored(gateway), stable_calls(gateway)
    assert before.trace == called.id
    assert shadows(gateway) == []


def test_what_cannot_be_written_down_is_not_asked(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway("--spool-limit", "4000")
    for number in range(12):
        assert ask(gateway, f"u-{number}").json["model"] == "small-1"
    eventually(lambda: count(gateway, "inchworm_gateway_mirrors_in_flight") == 0)
    written = len(mirrored(gateway))
    assert 0 < written == asked(world).count("small-2") < 12
    assert count(gateway, 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="spool"}') > 0


def test_a_candidate_that_cannot_be_put_into_a_request_is_not_asked(world: World) -> None:
    stable, candidate = two(world, prompt={"system": SYSTEM + " Mind {detail}."})
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    assert ask(gateway).status == 200
    eventually(lambda: shadows(gateway))
    (shadow,) = shadows(gateway)
    assert (shadow.trouble, shadow.unapplied) == ("unapplied", ("prompt",))
    assert shadow.trouble_said == (
        "The candidate's prompt could not be put into this request, so it was not asked."
    )
    assert len(world.provider.seen) == 1


def test_what_only_the_app_could_follow_is_not_mirrored(world: World) -> None:
    stable, candidate = two(world, context={"embedding_model": "e-2"})
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    assert ask(gateway).status == 200
    assert mirrored(gateway) == []
    name = 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="left_to_app"}'
    assert count(gateway, name) == 1


def test_of_an_agent_s_calls_those_that_the_change_touches_are_mirrored(world: World) -> None:
    stable, candidate = two(world, model={"name": "small-1", "calls": {"rerank": {"name": "small-2"}}})
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    for call in ("draft", "rerank", "other"):
        assert ask(gateway, headers={"inchworm-call": call}).json["model"] == "small-1"
    eventually(lambda: shadows(gateway))
    assert [one.call for one in shadows(gateway)] == ["rerank"]
    assert asked(world).count("small-2") == 1
    name = 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="unmoved"}'
    assert count(gateway, name) == 2


def test_a_call_with_values_of_its_own_that_the_change_leaves_alone_is_not_mirrored(world: World) -> None:
    own = {"draft": {"name": "small-3"}}
    _, candidate = two(world, model={"name": "small-1", "calls": own | {"rerank": {"name": "small-2"}}})
    stable = world.configuration(model={"name": "small-1", "calls": own}, prompt={"system": SYSTEM})
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    assert ask(gateway, headers={"inchworm-call": "draft"}).json["model"] == "small-3"
    assert ask(gateway, headers={"inchworm-call": "rerank"}).json["model"] == "small-1"
    eventually(lambda: shadows(gateway))
    assert [one.call for one in shadows(gateway)] == ["rerank"]
    name = 'inchworm_gateway_unmirrored_calls_total{app="shop/production",why="unmoved"}'
    assert count(gateway, name) == 1


def test_while_nobody_watches_nothing_is_spent(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    eventually((gateway.data / "gateway" / gateway.name / "published.json").exists)
    world.control.stop()
    gateway.kill()
    gateway.start()
    assert ask(gateway).json["model"] == "small-1"
    assert mirrored(gateway) == []
    world.control = world.control.again()
    world.control.publish(shadowed(world, stable, candidate))
    eventually(lambda: gateway.ask("/-/ready").json["confirmed_at"] is not None)
    assert ask(gateway).json["model"] == "small-1"
    eventually(lambda: shadows(gateway))


def test_a_caller_that_left_is_nothing_to_compare_with(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port)
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "When?"}]})
    connection.request(
        "POST", "/v1/chat/completions", body, {"content-type": "application/json", "x-mock": "stall@small-1"}
    )
    world.provider.wait_for(lambda: "small-1" in asked(world))
    connection.close()
    eventually(lambda: shadows(gateway))
    assert [one.trouble for one in gateway.calls()] == ["caller_left", "uncompared"]
    assert asked(world) == ["small-1"]


@pytest.mark.parametrize("mode", ["429", "500", "close"])
def test_where_the_harness_failed_on_stable_the_candidate_is_not_asked(world: World, mode: str) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway()
    assert ask(gateway, headers={"x-mock": f"{mode}@small-1"}).status >= 429
    eventually(lambda: shadows(gateway))
    (shadow,) = shadows(gateway)
    assert shadow.trouble == "uncompared"
    assert isinstance(trace_of(shadow).outcome, Errored)
    assert set(asked(world)) == {"small-1"}


def test_a_recording_is_played_with_its_own_times(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(shadowed(world, stable, candidate))
    gateway = world.gateway("--replay")
    headers = {"inchworm-at": "1790000000", "x-mock": "processing", "x-takes-ms": "1234"}
    assert ask(gateway, headers=headers).status == 200
    eventually(lambda: shadows(gateway))
    assert [one.at for one in mirrored(gateway)] == [1_790_000_000.0]
    assert [one.at for one in gateway.calls()] == [1_790_000_000.0] * 2
    assert {one.latency_ms for one in gateway.calls()} == {1234.0}
