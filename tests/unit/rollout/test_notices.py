"""Who is told of a decision, and what: whoever asked for its kind, with the numbers that decided."""

import json
from dataclasses import replace

import pytest
from tests.unit.rollout.world import APP, HOUR, Traffic, Verdicts, exposing, rollout, store_with

from inchworm.domain.ids import DecisionId, RolloutId
from inchworm.domain.notice import FOR_PEOPLE, Event, Target
from inchworm.domain.rollout import Approval, Decision, DecisionKind, RolloutState
from inchworm.rollout import notices
from inchworm.rollout.controller import tick

ALL = Target(url="env:ALL", events=tuple(one.value for one in Event))
PEOPLE = Target(url="env:PEOPLE")


@pytest.fixture(scope="module")
def harmed():
    """A store in which r-1 was rolled back."""
    store = store_with(rollout())
    traffic = Traffic(store, {"answered": (0.95, 0.5)})
    for hour in range(1, 40):
        traffic.until(hour * HOUR)
        tick(store, traffic, Verdicts(), hour * HOUR, APP)
        if store.rows[RolloutId("r-1")].state is RolloutState.ROLLED_BACK:
            return store
    raise AssertionError("nothing was rolled back")


def test_a_rollback_is_told_with_the_numbers_that_decided(harmed):
    decision, after = harmed.made[-1], harmed.rows[RolloutId("r-1")]
    (one,) = notices.decided(decision, after, [PEOPLE])
    assert (one.event, one.target, one.at, one.due_at) == ("rollback", PEOPLE.key, decision.at, decision.at)
    said = json.loads(json.dumps(one.data, allow_nan=False))
    assert said["sentence"] == f"r-1 model: {decision.because}"
    assert said["undo"] == "inchworm plan"
    harm = said["evidence"]["harm"][0]
    assert harm["log_e"] > harm["limit"] > 0
    assert said["evidence"]["culprits"] == ["answered"]
    (metric,) = said["evidence"]["metrics"]
    assert metric["low"] < metric["effect"] < metric["high"] < 0
    units = said["evidence"]["units"]
    assert units["all"] > units["candidate"] > 0


def test_each_target_hears_of_what_it_asked_for(harmed):
    after = harmed.rows[RolloutId("r-1")]
    for decision in harmed.made:
        told = notices.decided(decision, after, [ALL, PEOPLE])
        assert [one.target for one in told] == [
            one.key for one in (ALL, PEOPLE) if decision.kind.value in one.events
        ]
        assert len({one.id for one in told}) == len(told)
    assert notices.decided(harmed.made[0], after, [PEOPLE]) == ()
    assert set(FOR_PEOPLE) <= {one.value for one in Event}
    assert "expand" not in FOR_PEOPLE


@pytest.mark.parametrize("kind", [DecisionKind.START, DecisionKind.HOLD])
def test_whoever_hears_of_holds_hears_what_waits_for_approval_however_it_came_to_wait(kind):
    because = "held before anybody is exposed: it has no approval yet for 20 %."
    held = Decision(
        id=DecisionId("r-1/1"),
        rollout_id=RolloutId("r-1"),
        parent=0,
        kind=kind,
        state=RolloutState.HOLDING,
        stage=-1,
        weight=0.0,
        because=because,
        actor="inchworm",
        at=5.0,
    )
    (one,) = notices.decided(held, rollout(), [PEOPLE])
    assert (one.event, one.data["event"]) == ("hold", "hold")
    assert because in one.data["sentence"]
    (exact,) = notices.decided(held, rollout(), [ALL])
    assert exact.event == kind.value


def test_a_decision_whose_evidence_nobody_can_read_is_told_without_it():
    taken = Decision(
        id=DecisionId("r-1/4"),
        rollout_id=RolloutId("r-1"),
        parent=3,
        kind=DecisionKind.PAUSE,
        state=RolloutState.PAUSED,
        stage=0,
        weight=0.2,
        because="paused.",
        actor="ben",
        at=5.0,
        evidence={"format": "evidence/0"},
    )
    (one,) = notices.decided(taken, exposing(), [PEOPLE])
    assert one.data["evidence"] is None


def test_a_plan_that_is_applied_is_told_once_for_all_its_steps():
    (one,) = notices.queued([rollout(1), rollout(2)], [ALL, PEOPLE])
    assert one.data["sentence"] == "r-1 (model), r-2 (model) queued by ana from plan-1."
    assert [each["id"] for each in one.data["rollouts"]] == ["r-1", "r-2"]


def test_an_approval_is_told_with_its_reason():
    given = Approval(rollout_id=RolloutId("r-1"), stage=0, actor="ben", at=7.0, reason="looks fine.")
    (one,) = notices.approved(given, rollout(), [PEOPLE])
    assert one.data["sentence"] == "r-1 model: approved by ben: looks fine."
    (other,) = notices.approved(replace(given, actor="cleo", reason=""), rollout(), [PEOPLE])
    assert other.data["sentence"] == "r-1 model: approved by cleo."
    assert one.id != other.id


@pytest.mark.parametrize("state", RolloutState)
def test_every_state_has_a_command_that_leads_out_of_it(state):
    assert notices.undo(state, rollout()).startswith(("inchworm rollout ", "inchworm plan"))
