"""Approvals, freezes, jumps, retries, emergencies and the queue, as a person types them."""

import json

import pytest
from tests.unit.app.cli import small_shop
from tests.unit.app.cli.conftest import UNGATED, Cli
from tests.unit.app.cli.test_commands import check

STAGES = "[{weight: 10%, min_bake: 0s, max_bake: 90d}, {weight: 50%, min_bake: 0s, max_bake: 90d}]"
NEVER_ENDING = '  freeze: ["2020-01-01 – 2200-01-01"]\n'


def as_ben(cli: Cli, *words: str, exit_code: int = 0):
    return cli("--actor", "ben", *words, exit_code=exit_code)


@pytest.fixture
def waiting(shop):
    """r-1 waits for somebody's approval."""
    shop.declare(documents=2, stages=STAGES, extra=UNGATED + "  approvals: {by: [ana, ben]}\n")
    shop("apply", shop.plan())
    return shop


def test_who_is_awaited_is_said_and_an_approval_lets_it_go_on(waiting):
    (said,) = waiting.json("rollout", "ls")["rollouts"]
    assert said["state"] == "holding"
    assert (
        "it has no approval yet for 10 %; awaited from ben: inchworm rollout approve r-1" in said["because"]
    )
    refused = waiting("rollout", "approve", "r-1", exit_code=2).stderr
    assert "one's own word does not count" in refused
    assert "awaited from ben" in refused
    assert "waits: it has no approval yet for 10 %" in waiting("queue").stdout
    text = as_ben(waiting, "rollout", "approve", "r-1", "--reason", "looks right").stdout
    assert "ben approved r-1 for 10 %." in text
    assert "It goes on by itself." in text
    assert waiting.json("rollout", "watch", "--once")["rollout"]["weight"] == 0.1
    told = " ".join(waiting("ledger").stdout.split())
    assert "ben approved r-1 (context) for 10 %: looks right." in told


def test_an_approval_as_json(waiting):
    data = json.loads(as_ben(waiting, "rollout", "approve", "1", "--json").stdout)
    check("rollout approve", data)
    assert (data["stage"], data["missing"]) == (0, None)


def test_in_a_freeze_apply_says_what_it_waits_for_and_the_queue_shows_it(shop):
    shop.declare(documents=2, extra=UNGATED + NEVER_ENDING)
    plan = shop.plan()
    text = " ".join(shop("apply", plan).stdout.split())
    assert (
        "is queued: nothing starts in the freeze 2020-01-01 – 2200-01-01, which does not end within a year."
        in text
    )
    data = shop.json("queue")
    check("queue", data)
    assert [one["id"] for one in data["queued"]] == ["r-1"]
    assert data["queued"][0]["waits"][0].startswith("nothing starts in the freeze")
    assert data["freezes"][0]["text"] == "2020-01-01 – 2200-01-01"
    text = shop("queue").stdout
    assert text.startswith("Frozen: nothing starts and nothing grows in the freeze")
    assert "waits: nothing starts in the freeze" in text
    assert "Freezes of the next 14 days" in text


def test_a_person_jumps_and_is_told_what_was_left_out(shop):
    shop.declare(documents=2, stages=STAGES, extra="  soak: 1h\n  gate: false\n")
    shop("apply", shop.plan())
    data = shop.json("rollout", "promote", "r-1", "--to", "soak")
    assert data["because"] == "promoted from 10 % to 95 %, past 50 % by ana, ahead of the evidence."
    refused = shop("rollout", "promote", "r-1", "--to", "20%", exit_code=2).stderr
    assert "write soak, stable, or one of 1 (10%), 2 (50%)" in refused


def test_what_was_aborted_is_tried_again(flying):
    flying("rollout", "abort", "r-1")
    data = flying.json("rollout", "retry", "r-1", "--reason", "my mistake")
    check("rollout retry", data)
    assert (data["rollout"], data["retries"]) == ("r-2", "r-1")
    assert flying.json("rollout", "watch", "--once")["rollout"]["state"] == "exposing"
    assert "only what did not stay" in flying("rollout", "retry", "r-2", exit_code=2).stderr
    flying("rollout", "abort", "r-2")
    text = flying("rollout", "retry", "r-2").stdout
    assert "Undo:  inchworm rollout abort r-3" in text


def test_the_glass_is_broken_loudly(flying):
    flying.declare(system=small_shop.BETTER, documents=2, extra=UNGATED.replace("0s", "1h") + NEVER_ENDING)
    plan = flying.plan()
    done = flying("apply", plan, "--break-glass", "prices are wrong")
    assert "EMERGENCY: THE GLASS IS BROKEN." in done.stderr
    assert "ana is entered in the ledger and the audit trail with the reason: prices are wrong" in done.stderr
    text = " ".join(done.stdout.split())
    assert "EMERGENCY: the glass was broken by ana" in text
    assert "Tell them apart later: inchworm attribute" in text
    assert "Undo: inchworm rollout abort r-2" in text
    rows = {one["id"]: one for one in flying.json("rollout", "ls")["rollouts"]}
    assert (rows["r-1"]["state"], rows["r-2"]["state"]) == ("aborted", "soaking")
    assert rows["r-2"]["emergency"] == "prices are wrong"
    assert rows["r-2"]["layers"] == ["context", "prompt"]
    assert "EMERGENCY · r-2" in flying("queue").stdout
    assert any(one["kind"] == "emergency" for one in flying.json("ledger")["entries"])


def test_an_emergency_as_json_and_what_does_not_go_with_it(shop):
    shop.declare(documents=2)
    plan = shop.plan()
    assert (
        "leave --no-start out" in shop("apply", plan, "--no-start", "--break-glass", "x", exit_code=2).stderr
    )
    assert "needs a reason" in shop("apply", plan, "--break-glass", " ", exit_code=2).stderr
    data = shop.json("apply", plan, "--break-glass", "fire")
    check("apply --break-glass", data)
    assert data["unbundle"] is None, "one layer needs nothing told apart"


def test_an_empty_queue_says_how_to_begin(shop):
    assert "Begin with: inchworm plan" in shop("queue").stdout
