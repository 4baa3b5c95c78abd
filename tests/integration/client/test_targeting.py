"""Who takes part, as the client library sees it: the same people as at the gateway, and nothing is told."""

import json

import pytest
from tests.integration.client.stub import STABLE, published, until

from inchworm.domain.assignment import arm_of, held_out, stage_salt
from inchworm.domain.errors import UsageError
from inchworm.domain.rollout import UnitKind
from inchworm.domain.targeting import Condition
from inchworm.domain.trace import Arm

ACME = (Condition(attribute="tenant", values=("acme", "é, co")),)
NAMES = [f"u-{number}" for number in range(60)]


def test_only_the_audience_is_exposed_and_of_the_rest_nothing_is_told(stub, client):
    gateway = stub(published(weight=1.0, audience=ACME))
    one = client(gateway.url)
    secret = {"tenant": "acme", "email": "ana@example.com"}
    got = one.resolve("shop", "ana", attributes=secret)
    assert got.arm == "candidate"
    assert got.headers["inchworm-attributes"] == "tenant=acme"
    assert one.resolve("shop", "ana") is got  # an open conversation keeps its arm
    for attributes in (None, {}, {"tenant": "globex"}, {"tenant": ["acme"]}, {"tenant": None}, {"plan": "x"}):
        out = one.resolve("shop", "bea", attributes=attributes)
        assert (out.arm, out.configuration_id) == (None, STABLE.id)
    odd = one.resolve("shop", "caro", attributes={"tenant": "é, co"})
    assert odd.headers["inchworm-attributes"] == "tenant=%C3%A9%2C%20co"
    assert one.resolve("shop", "bea", attributes={"tenant": "acme"}).arm == "candidate"
    one.flush()
    assert [line["unit"] for line in gateway.of("exposed")] == ["ana", "caro", "bea"]
    assert "example.com" not in json.dumps(gateway.lines)
    assert "acme" not in json.dumps(gateway.lines)


@pytest.mark.parametrize("attributes", [["tenant"], "tenant=acme", 3])
def test_attributes_are_a_mapping(stub, client, attributes):
    with pytest.raises(UsageError, match="mapping"):
        client(stub(published()).url).resolve("shop", attributes=attributes)


def test_kept_arms_stay_when_everybody_takes_part(stub, client):
    gateway = stub(published(weight=0.5, audience=ACME))
    one = client(gateway.url)
    before = {name: one.resolve("shop", name, attributes={"tenant": "acme"}).arm for name in NAMES}
    assert set(before.values()) == {"baseline", "candidate"}
    assert one.resolve("shop", "somebody").arm is None
    gateway.publish(published(weight=1.0, generation=2))
    until(lambda: one.resolve("shop", "somebody").arm == "candidate")
    assert {name: one.resolve("shop", name).arm for name in NAMES} == before


def test_who_is_held_out_is_not_exposed(stub, client):
    gateway = stub(published(weight=1.0, holdout=0.4))
    one = client(gateway.url)
    outside = {name for name in NAMES if held_out("shop/production", name, 0.4)}
    assert {name for name in NAMES if one.resolve("shop", name).arm is None} == outside
    assert {name for name in NAMES if one.resolve("shop", name).arm is None} == outside
    one.flush()
    assert {line["unit"] for line in gateway.of("exposed")} == set(NAMES) - outside


def test_users_are_drawn_anew_at_each_stage(stub, client):
    gateway = stub(published(weight=0.5, unit=UnitKind.USER, per_stage=True))
    one = client(gateway.url)

    def drawn(stage):
        salt = stage_salt("r-7", stage)
        return {
            name: "candidate" if arm_of(1, salt, name, 0.5) is Arm.CANDIDATE else "baseline" for name in NAMES
        }

    assert {name: one.resolve("shop", name).arm for name in NAMES} == drawn(1)
    kept = one.resolve("shop", "u-0").kept
    gateway.publish(published(weight=0.5, generation=2, unit=UnitKind.USER, per_stage=True))
    until(lambda: one.resolve("shop", "u-0", kept=kept).assignment.stage == 2)
    assert {name: one.resolve("shop", name).arm for name in NAMES} == drawn(2)
    assert {name: one.resolve("shop", name).arm for name in NAMES} == drawn(2)
    one.flush()
    told = [(line["unit"], line["stage"]) for line in gateway.of("exposed")]
    assert sorted(told) == sorted((name, stage) for name in NAMES for stage in (1, 2))


def test_while_its_answers_are_discarded_nobody_gets_the_candidate_and_all_may_afterwards(stub, client):
    gateway = stub(published(weight=0.0, shadow=1.0))
    one = client(gateway.url)
    assert {one.resolve("shop", name).arm for name in NAMES} == {None}
    assert {one.resolve("shop").arm, one.resolve("shop", "ana", kept="k1:r-7:0:candidate:0.5").arm} == {None}
    gateway.publish(published(weight=1.0, generation=2))
    until(lambda: one.resolve("shop", "u-0").arm == "candidate")
    assert {one.resolve("shop", name).arm for name in NAMES} == {"candidate"}
