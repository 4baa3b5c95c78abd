"""A rollout in flight: who gets what, what is durable when, and what reaches the provider."""

import json
from typing import Any

from tests.integration.gateway.conftest import Gateway, Reply, World, eventually

from inchworm.capture.headers import TOKEN
from inchworm.capture.records import Called, Exposed
from inchworm.domain.configuration import Configuration
from inchworm.domain.rollout import UnitKind

SYSTEM = "You help the customers of {shop}."


def two(world: World) -> tuple[Configuration, Configuration]:
    stable = world.configuration(
        model={"name": "small-1"}, parameters={"temperature": 0.5}, prompt={"system": SYSTEM}
    )
    candidate = world.configuration(
        model={"name": "small-2"},
        parameters={"temperature": 0.1, "max_tokens": 9},
        prompt={"system": SYSTEM + " Be brief."},
    )
    return stable, candidate


def ask(gateway: Gateway, unit: str, *, token: str | None = None, **more: Any) -> Reply:
    headers = {"inchworm-unit": unit} | ({} if token is None else {TOKEN: token})
    said = {"inputs": {"shop": "Acme"}}
    return gateway.chat(headers=headers | more.pop("headers", {}), inchworm=said, **more)


def arms(gateway: Gateway, names: list[str]) -> dict[str, str]:
    found = {}
    for name in names:
        reply = ask(gateway, name)
        assert reply.status == 200
        found[name] = reply.json["model"]
    return found


def test_the_candidate_s_layers_reach_the_provider_and_the_record_says_which(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway()
    reply = ask(gateway, "u-1", temperature=0.9, user="someone")
    sent = world.provider.seen[-1].json
    assert sent["model"] == "small-2"
    assert (sent["temperature"], sent["max_tokens"], sent["user"]) == (0.1, 9, "someone")
    assert sent["messages"][0] == {"role": "system", "content": "You help the customers of Acme. Be brief."}
    assert sent["messages"][1] == {"role": "user", "content": "When?"}
    assert "inchworm" not in sent
    assert reply.headers["inchworm-configuration"] == candidate.id
    exposed, called = gateway.records()
    assert isinstance(exposed, Exposed)
    assert isinstance(called, Called)
    assert exposed.unit == called.unit == "u-1"
    assert exposed.assigned == called.assigned
    assert called.assigned is not None
    assert (called.assigned.rollout, called.assigned.arm, called.assigned.probability) == (
        "r-1",
        "candidate",
        1,
    )
    assert (called.configuration, called.unapplied) == (candidate.id, ())
    assert called.inputs == {"shop": "Acme"}
    assert json.loads(called.sent or b"") == sent
    assert json.loads(called.request)["temperature"] == 0.9


def test_a_unit_is_exposed_once_and_keeps_its_arm_when_the_stage_grows(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.3))
    gateway = world.gateway()
    names = [f"u-{number}" for number in range(30)]
    before = arms(gateway, names)
    assert set(before.values()) == {"small-1", "small-2"}
    gateway.holds(world.control.publish(world.served(stable, candidate, weight=0.9, stage=1, generation=2)))
    assert arms(gateway, names) == before
    later = arms(gateway, [f"later-{number}" for number in range(30)])
    assert list(later.values()).count("small-2") > list(before.values()).count("small-2")
    exposures = gateway.exposures()
    assert sorted(one.unit for one in exposures) == sorted([*names, *later])
    assert {one.assigned.probability for one in exposures} == {0.3, 0.9}


def test_kept_arms_survive_a_kill(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.3))
    gateway = world.gateway()
    names = [f"u-{number}" for number in range(20)]
    before = arms(gateway, names)
    gateway.kill()
    held = world.control.publish(world.served(stable, candidate, weight=1.0, stage=1, generation=2))
    gateway.start()
    gateway.holds(held)
    assert arms(gateway, names) == before
    assert len(gateway.exposures()) == 20


def test_while_nobody_watches_new_units_get_stable_and_kept_ones_keep_their_arm(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5))
    gateway = world.gateway()
    names = [f"u-{number}" for number in range(20)]
    before = arms(gateway, names)
    eventually((gateway.data / "gateway" / gateway.name / "published.json").exists)
    world.control.stop()
    gateway.kill()
    gateway.start()
    assert arms(gateway, names) == before
    assert set(arms(gateway, [f"new-{number}" for number in range(20)]).values()) == {"small-1"}
    assert sorted(one.unit for one in gateway.exposures()) == sorted(names)
    world.control = world.control.again()
    gateway.holds(world.control.publish(world.served(stable, candidate, weight=0.5)))
    eventually(lambda: gateway.ask("/-/ready").json["confirmed_at"] is not None)
    assert "small-2" in arms(gateway, [f"later-{number}" for number in range(20)]).values()


def test_a_token_keeps_the_arm_at_another_gateway(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.0001))
    first = world.gateway()
    reply = ask(first, "u-1")
    assert reply.json["model"] == "small-1"
    world.control.publish(world.served(stable, candidate, weight=1.0, stage=1, generation=2))
    second = world.gateway(name="g2")
    assert ask(second, "u-1", token=reply.headers["inchworm-token"]).json["model"] == "small-1"
    assert ask(second, "u-1").json["model"] == "small-1"  # it is remembered
    assert second.exposures() == []
    forged = ask(second, "u-2", token=reply.headers["inchworm-token"][:-2] + "AA")
    assert forged.json["model"] == "small-2"
    assert second.calls()[-1].attributes["token_refused"] is True


def test_a_rollback_reaches_the_next_request(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway()
    assert ask(gateway, "u-1").json["model"] == "small-2"
    gateway.holds(world.control.publish(world.served(stable, generation=2)))
    reply = ask(gateway, "u-1")
    assert reply.json["model"] == "small-1"
    assert "inchworm-token" not in reply.headers
    assert gateway.calls()[-1].assigned is None


def test_what_cannot_be_applied_is_said(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway()
    reply = gateway.chat(headers={"inchworm-unit": "u-1"})  # without inputs the template cannot be filled
    assert reply.status == 200
    assert gateway.calls()[-1].unapplied == ("prompt",)
    metrics = gateway.ask("/-/metrics").body.decode()
    assert 'inchworm_gateway_unapplied_layers_total{app="shop/production",layer="prompt"} 1' in metrics


def test_each_request_is_its_own_unit_if_the_app_says_so(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5, unit=UnitKind.REQUEST))
    gateway = world.gateway()
    for _ in range(8):
        ask(gateway, "the same")
    assert len({one.unit for one in gateway.exposures()}) == 8
    assert all(one.unit == one.id for one in gateway.calls())


def test_many_first_calls_of_one_unit_at_once_are_one_exposure(world: World) -> None:
    import asyncio

    from openai import AsyncOpenAI

    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5))
    gateway = world.gateway()

    async def all_at_once() -> list[str]:
        async with AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key="sk", max_retries=0) as client:
            asked: list[Any] = [{"role": "user", "content": "Hi"}]
            headers = {"inchworm-unit": "the one"}
            calls = (
                client.chat.completions.create(model="m", messages=asked, extra_headers=headers)
                for _ in range(16)
            )
            return [one.model for one in await asyncio.gather(*calls)]

    models = asyncio.run(all_at_once())
    assert len(set(models)) == 1
    assert len(gateway.exposures()) == 1
    assert len(gateway.calls()) == 16


def test_the_configuration_s_key_is_used_only_by_callers_without_one(world: World) -> None:
    stable = world.configuration(infrastructure={"api_key": "env:HOUSE_KEY"})
    world.control.publish(world.served(stable))
    gateway = world.gateway(environment={"HOUSE_KEY": "sk-house"})
    body = b'{"model": "m", "messages": []}'
    gateway.ask("/v1/chat/completions", body)
    gateway.ask("/v1/chat/completions", body, authorization="Bearer sk-own")
    gateway.ask("/v1/chat/completions", body, api_key="az-own")
    gateway.ask("/openai/deployments/d/chat/completions", body)
    keys = [(one.headers.get("authorization"), one.headers.get("api-key")) for one in world.provider.seen]
    assert keys == [("Bearer sk-house", None), ("Bearer sk-own", None), (None, "az-own"), (None, "sk-house")]
    log = gateway.log.read_text("utf-8")
    assert "sk-" not in log


def test_with_a_full_spool_callers_are_served_and_nobody_is_exposed(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway("--spool-limit", "2500")
    models = [ask(gateway, f"u-{number}").json["model"] for number in range(12)]
    assert (models[0], models[-1]) == ("small-2", "small-1")
    reply = ask(gateway, "u-new")
    assert reply.status == 200
    assert "inchworm-token" not in reply.headers
    metrics = gateway.ask("/-/metrics").body.decode()
    assert 'inchworm_gateway_capture_troubles_total{kind="exposure"}' in metrics
    assert 'inchworm_gateway_capture_troubles_total{kind="call"}' in metrics
    exposed = {one.unit for one in gateway.exposures()}
    assert exposed
    assert all(one.unit in exposed for one in gateway.calls() if one.assigned is not None)
    assert [one["event"] for one in gateway.events()].count("capture_trouble") < 12

    def exposed_after_the_drain_made_room() -> bool:
        for segment in (gateway.data / "spool" / gateway.name).glob("*.closed"):
            segment.unlink()
        return bool(ask(gateway, "u-last").json["model"] == "small-2")

    eventually(exposed_after_the_drain_made_room)
    assert "u-last" in {one.unit for one in gateway.exposures()}


def test_on_a_broken_disk_a_candidate_s_answer_is_thrown_away_for_stable_s(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0))
    gateway = world.gateway()
    assert ask(gateway, "u-0").json["model"] == "small-2"
    gateway.ask("/-/rotate", b"", method="POST", authorization=f"Bearer {world.control.bearer}")
    spool = gateway.data / "spool" / gateway.name
    eventually(lambda: not list(spool.glob("*.open")))
    spool.rename(spool.with_name("gone"))  # no new segment can be made: the disk went away
    try:
        reply = ask(gateway, "u-1")
        assert (reply.status, reply.json["model"]) == (200, "small-1")
        assert "inchworm-token" not in reply.headers
        assert [one.json["model"] for one in world.provider.seen[-2:]] == ["small-2", "small-1"]
    finally:
        spool.with_name("gone").rename(spool)
    assert [one.unit for one in gateway.exposures()] == ["u-0"]
    assert ask(gateway, "u-2").json["model"] == "small-2"
