"""Who takes part, over sockets: audiences, the holdout, and users who are drawn anew at each stage."""

import json
from typing import Any

from tests.integration.gateway.conftest import Gateway, World
from tests.integration.gateway.test_rollout import arms, ask, two

from inchworm.capture.headers import ATTRIBUTES, CONFIGURATION, TOKEN
from inchworm.domain.assignment import arm_of, held_out, stage_salt
from inchworm.domain.rollout import UnitKind
from inchworm.domain.targeting import Condition
from inchworm.domain.trace import Arm

ACME = (Condition(attribute="tenant", values=("acme", "é, co")), Condition(attribute="plan", values=("3",)))
SAID = {ATTRIBUTES: "plan=3,tenant=acme"}


def model(gateway: Gateway, unit: str, **more: Any) -> str:
    reply = ask(gateway, unit, **more)
    assert reply.status == 200
    name: str = reply.json["model"]
    return name


def test_only_the_audience_is_exposed_wherever_it_says_who_it_is(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0, audience=ACME))
    gateway = world.gateway()
    assert model(gateway, "nobody") == "small-1"
    assert model(gateway, "half", headers={ATTRIBUTES: "tenant=acme"}) == "small-1"
    assert model(gateway, "other", headers={ATTRIBUTES: "tenant=globex,plan=3"}) == "small-1"
    assert gateway.exposures() == []
    assert model(gateway, "a", headers=SAID) == "small-2"
    assert model(gateway, "b", headers={ATTRIBUTES: " plan = 3 , tenant=%C3%A9%2C%20co"}) == "small-2"
    assert model(gateway, "c", metadata={"tenant": "acme", "plan": 3}) == "small-2"

    # What stands nearer to the call counts: our own member before the metadata, the header before both.
    def ours(unit: str, **headers: str) -> str:
        body = {
            "model": "asked",
            "messages": [{"role": "user", "content": "When?"}],
            "metadata": {"tenant": "globex", "plan": 3},
            "inchworm": {"unit": unit, "inputs": {"shop": "Acme"}, "attributes": {"tenant": "acme"}},
        }
        reply = gateway.ask("/v1/chat/completions", json.dumps(body).encode(), **headers)
        name: str = reply.json["model"]
        return name

    assert ours("d") == "small-2"
    assert ours("e", **{ATTRIBUTES: "tenant=globex"}) == "small-1"
    assert [one.unit for one in gateway.exposures()] == ["a", "b", "c", "d"]
    # The provider is told nothing of it, and the record holds no header.
    assert all(ATTRIBUTES not in seen.headers and "inchworm" not in seen.json for seen in world.provider.seen)


def test_what_cannot_be_read_is_not_said_and_costs_no_answer(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0, audience=ACME))
    gateway = world.gateway()
    for said in ("", ",,=", "tenant", "=acme", "tenant=acme,plan=" + "3" * 9_000, "%zz=%"):
        assert model(gateway, "odd", headers={ATTRIBUTES: said}) == "small-1"
    for metadata in ({"tenant": ["acme"], "plan": None}, {"tenant": {"is": "acme"}, "plan": 3.5}, "acme", 3):
        assert model(gateway, "odd", metadata=metadata) == "small-1"
    assert gateway.exposures() == []


def test_an_open_conversation_keeps_its_arm_when_the_audience_changes(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=0.5, audience=ACME))
    gateway = world.gateway()
    names = [f"u-{number}" for number in range(20)]
    before = {name: model(gateway, name, headers=SAID) for name in names}
    assert set(before.values()) == {"small-1", "small-2"}
    assert {name: model(gateway, name) for name in names} == before
    gateway.holds(world.control.publish(world.served(stable, candidate, weight=0.2, stage=1, generation=2)))
    # Everybody takes part now, at a smaller weight than the few had.
    assert {name: model(gateway, name) for name in names} == before
    fresh = [f"v-{number}" for number in range(40)]
    assert {name: model(gateway, name) for name in fresh} == {
        name: "small-2" if arm_of(1, "salt", name, 0.2) is Arm.CANDIDATE else "small-1" for name in fresh
    }
    said = {one.unit: one.assigned for one in gateway.exposures()}
    assert {said[name].probability for name in names} == {0.5}
    assert {(said[name].probability, said[name].stage) for name in fresh} == {(0.2, 1)}


def test_who_is_held_out_is_never_exposed_whatever_the_rollout(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(world.served(stable, candidate, weight=1.0, holdout=0.3))
    gateway = world.gateway()
    names = [f"u-{number}" for number in range(30)]
    outside = {name for name in names if held_out("shop/production", name, 0.3)}
    assert 0 < len(outside) < 30
    assert {name for name, got in arms(gateway, names).items() if got == "small-1"} == outside
    assert {one.unit for one in gateway.exposures()} == set(names) - outside


def test_users_are_drawn_anew_at_each_stage_and_keep_their_arm_within_it_through_kill_9(world: World) -> None:
    stable, candidate = two(world)

    def stage(number: int) -> str:
        return world.control.publish(
            world.served(
                stable,
                candidate,
                weight=0.5,
                stage=number,
                generation=number + 1,
                unit=UnitKind.USER,
                per_stage=True,
            )
        )

    names = [f"u-{number}" for number in range(24)]

    def expected(number: int) -> dict[str, str]:
        salt = stage_salt("salt", number)
        return {
            name: "small-2" if arm_of(1, salt, name, 0.5) is Arm.CANDIDATE else "small-1" for name in names
        }

    stage(0)
    gateway = world.gateway()
    assert arms(gateway, names) == expected(0)
    old = ask(gateway, names[0]).headers[TOKEN]
    gateway.holds(stage(1))
    assert arms(gateway, names[:12]) == {name: expected(1)[name] for name in names[:12]}
    gateway.kill()
    gateway.start()
    assert arms(gateway, names) == expected(1)
    assert expected(1) != expected(0)
    # A token of the stage before says who it is, and no more which arm it has.
    reply = gateway.chat(headers={TOKEN: old}, inchworm={"inputs": {"shop": "Acme"}})
    assert (reply.json["model"], reply.headers["inchworm-unit"]) == (expected(1)[names[0]], names[0])
    exposures = [(one.unit, one.assigned.stage) for one in gateway.exposures()]
    assert sorted(exposures) == sorted((name, number) for name in names for number in (0, 1))


def test_a_client_s_exposure_of_the_next_stage_replaces_the_one_before(world: World) -> None:
    stable, candidate = two(world)
    world.control.publish(
        world.served(stable, candidate, weight=0.5, stage=1, unit=UnitKind.USER, per_stage=True)
    )
    gateway = world.gateway()

    def tell(stage: int, arm: str) -> None:
        one = {
            "app": "shop/production",
            "unit": "u",
            "rollout": "r-1",
            "stage": stage,
            "arm": arm,
            "probability": 0.5,
        }
        line = json.dumps({"exposed": one}).encode()
        assert gateway.ask("/inchworm/v1/records", line).status == 200

    drawn = arm_of(1, stage_salt("salt", 1), "u", 0.5)
    other = "baseline" if drawn is Arm.CANDIDATE else "candidate"
    tell(0, drawn.value)
    tell(1, other)
    tell(1, drawn.value)  # its first in this stage counts
    reply = ask(gateway, "u")
    assert reply.headers[CONFIGURATION] == (candidate.id if other == "candidate" else stable.id)
    assert len(gateway.exposures()) == 3  # what the client said; the gateway exposed nobody
