"""Approvals, jumps, retries, emergencies and the queue through the API, each with its scope."""

from dataclasses import replace

import pytest
from tests.integration.api.test_families import flying, say_otherwise

from inchworm.app.loop.changing import advance
from inchworm.app.remote.server import Server
from inchworm.app.remote.stores import RemoteControl
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import PlanId, RolloutId
from inchworm.domain.rollout import Approval, Approvals, LedgerEntry

__all__ = ["flying"]  # a fixture


def planned(api, folder):
    say_otherwise(api, folder)
    return api.post("/plans", {}, status=201)["plan"]["id"]


def ruled(api, **changes):
    house = api.state.house
    house.spec = replace(house.spec, policy=replace(house.spec.policy, **changes))


def test_an_approval_is_given_under_the_name_of_the_key(api, folder):
    plan = planned(api, folder)
    ruled(api, approvals=Approvals())
    api.post(f"/plans/{plan}/apply", status=201)
    advance(api.state.house, owner="test")
    assert api.get("/rollouts/r-1")["rollout"]["state"] == "holding"
    own = api("POST", "/api/v1/rollouts/r-1/approve", {})
    assert (own.status, "one's own word" in own.error["message"]) == (400, True)
    viewer, ben = (
        api.key(scope, name=name)["key"] for scope, name in (("viewer", "eve"), ("deployer", "ben"))
    )
    assert api("POST", "/api/v1/rollouts/r-1/approve", {}, token=viewer).status == 403
    said = api("POST", "/api/v1/rollouts/r-1/approve", {"reason": "fine"}, token=ben).json()
    assert (said["actor"], said["stage"], said["missing"]) == ("ben", 0, None)
    (row,) = api.get("/rollouts/r-1/approvals")["approvals"]
    assert (row["actor"], row["reason"]) == ("ben", "fine")
    advance(api.state.house, owner="test")
    assert api.get("/rollouts/r-1")["rollout"]["state"] == "exposing"
    assert [one["actor"] for one in api.get("/rollouts/r-1")["approvals"]] == ["ben"]


def test_a_jump_a_retry_and_the_queue(flying):
    done = flying.post("/rollouts/r-1/promote", {"to": "stable", "reason": "known good"})
    assert done["state"] == "completed"
    flying.post("/rollouts/r-1/undo")
    made = flying.post("/rollouts/r-1/retry", {"reason": "once more"}, status=201)
    assert (made["rollout"], made["retries"], made["undo"]) == ("r-2", "r-1", "inchworm rollout abort r-2")
    found = flying.get("/queue")
    assert found["running"] is None
    assert [one["id"] for one in found["queued"]] == ["r-2"]
    wrong = flying("POST", "/api/v1/rollouts/r-1/promote", {"to": "the moon"})
    assert "write soak, stable, or one of" in wrong.error["message"]


def test_only_an_admin_breaks_the_glass(flying, folder):
    say_otherwise(flying, folder)
    plan = flying.get("/plans")["plans"][0]["id"]
    deployer = flying.key("deployer", name="ben")["key"]
    path = f"/api/v1/plans/{plan}/break-glass"
    assert flying("POST", path, {"reason": "fire"}, token=deployer).status == 403
    assert flying("POST", path, {"reason": " "}).status == 422
    made = flying("POST", path, {"reason": "fire"})
    assert made.status == 201
    said = made.json()
    assert (said["first"]["state"], said["emergency"]) == ("soaking", "fire")
    assert flying.get("/rollouts/r-1")["rollout"]["state"] == "aborted"


def test_the_stores_over_the_wire_are_no_way_around(api, folder):
    plan = planned(api, folder)
    api.post(f"/plans/{plan}/apply", status=201)
    key = api.key("deployer", name="ben")["key"]
    house = api.state.house
    with RemoteControl(Server(url=api.url, token=key)) as control:
        row = control.rollout(RolloutId("r-1"))
        (new,) = control.reserve_rollouts(1)
        glass = replace(row, id=new, plan_id=PlanId("plan-x"), author="ben", emergency="fire")
        with pytest.raises(UsageError, match="the scope deployer"):
            control.enqueue([glass], expected_stable=house.lineage().stable, ledger=[])
        said = Approval(rollout_id=row.id, stage=0, actor="ana", at=1.0)
        entry = LedgerEntry(app=house.app, at=1.0, kind="approval", actor="ana", what="x")
        with pytest.raises(UsageError, match="under its own name"):
            control.put_approval(house.app, said, entry)
        with pytest.raises(UsageError, match="under its own name"):  # the loop itself approves nothing
            control.put_approval(house.app, replace(said, actor="inchworm"), replace(entry, actor="inchworm"))
        assert control.put_approval(house.app, replace(said, actor="ben"), replace(entry, actor="ben"))
        assert not control.put_approval(house.app, replace(said, actor="ben"), replace(entry, actor="ben"))
        assert control.approvals([row.id]) == [replace(said, actor="ben")]
        assert control.watermarks([row.id]) == {}
        assert [one.app for one in control.lineages()] == [house.app]
        assert [one.app for one in control.servings()] == [house.app]
        assert control.work_items([]) == {}
        assert control.stable_at(house.app, 0.0) == house.lineage().stable
