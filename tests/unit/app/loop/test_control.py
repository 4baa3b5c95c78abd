"""Approvals, freezes, retries, emergencies, the queue and early benchmarks, over real stores."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.app.loop.world import DAY, HOUR, NOW, World

from inchworm.app.loop import knowing
from inchworm.app.loop.approving import approve
from inchworm.app.loop.changing import ahead_of, apply, decide, retry
from inchworm.app.loop.emergency import break_glass
from inchworm.app.loop.freezing import freezes
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.queueing import Queue, look
from inchworm.app.loop.working import work_off
from inchworm.domain.errors import ConflictError, StaleBaseError, TransitionError, UsageError
from inchworm.domain.ids import RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Approvals, LedgerEntry, Rollout, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkState
from inchworm.rollout.calendar import parse
from inchworm.rollout.commands import act
from inchworm.rollout.controller import verify_served
from inchworm.rollout.decide import replay
from inchworm.rollout.effects import BENCHMARK, EARLY
from inchworm.rollout.transitions import Act
from inchworm.rollout.validate import Problem


def ruled(world: World, **changes: Any) -> None:
    """The world with another policy."""
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, **changes))


def applied(world: World, *layers: Layer) -> tuple[Rollout, ...]:
    return apply(world.house, make_plan(world.house, world.wanted(*layers)).id)


def rollout(world: World, number: int = 1) -> Rollout:
    return world.house.control.rollout(RolloutId(f"r-{number}"))


def ask(world: World, wish: Act, number: int = 1, **more: object) -> None:
    act(
        world.house.control,
        RolloutId(f"r-{number}"),
        wish,
        actor="ana",
        reason="",
        now=world.clock.at,
        **more,  # type: ignore[arg-type]  # handed through
    )


# --- approvals


def test_who_applies_what_too_few_others_may_approve_is_told_at_once(world):
    ruled(world, approvals=Approvals(count=2, by=("ana", "ben")))
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS)).id
    with pytest.raises(UsageError, match="needs 2 approvals, and only ben may give one: the word of ana"):
        apply(world.house, plan)
    ruled(world, approvals=Approvals(by=("ana",)))
    with pytest.raises(UsageError, match="needs 1 approval, and nobody else may give one"):
        apply(world.house, plan)
    assert world.house.control.rollouts(world.house.app) == []
    assert apply(world.house.acting("cleo"), plan)


def test_somebody_else_approves_and_it_goes_on_by_itself(world):
    ruled(world, gate=False, approvals=Approvals(count=2, before=(0, 2)))
    applied(world, Layer.PARAMETERS)
    assert [one.state for one in decide(world.house)] == [RolloutState.HOLDING]
    with pytest.raises(UsageError, match="ana applied r-1, and one's own word does not count"):
        approve(world.house, rollout(world))
    first = approve(world.house.acting("ben"), rollout(world), reason="read the diff")
    assert (first.before, first.approval.stage) == ("20 %", 0)
    assert "it has 1 of 2 approvals (ben) for 20 %" in first.missing
    with pytest.raises(ConflictError, match="ben has approved r-1 for 20 % already"):
        approve(world.house.acting("ben"), rollout(world))
    assert decide(world.house) == []
    assert approve(world.house.acting("cleo"), rollout(world)).missing == ""
    (exposed,) = decide(world.house)
    assert exposed.because.endswith("and approved by ben and cleo.")
    assert replay(exposed) == exposed
    assert approve(world.house.acting("ben"), rollout(world)).before == "the soak"
    told = [one for one in world.house.control.ledger(world.house.app) if one.kind == "approval"]
    assert told[-1].what == "ben approved r-1 (parameters) for 20 %: read the diff."
    audit = world.house.control.audit(world.house.app)
    assert [one.actor for one in audit if one.action == "rollout.approve"] == ["ben", "cleo", "ben"]
    assert world.house.control.verify_audit().breaks == ()


def test_who_may_approve_is_held_to_and_what_needs_nobody_is_said(world):
    ruled(world, gate=False, approvals=Approvals(by=("ben",)))
    applied(world, Layer.PARAMETERS)
    with pytest.raises(UsageError, match="eve is not among those who may approve r-1") as caught:
        approve(world.house.acting("eve"), rollout(world))
    assert caught.value.hint == "awaited from ben"
    approve(world.house.acting("ben"), rollout(world))
    with pytest.raises(ConflictError, match="every approval that it needs"):
        approve(world.house.acting("ben"), rollout(world))
    ask(world, Act.ABORT)
    with pytest.raises(TransitionError, match="r-1 has ended: it is cancelled"):
        approve(world.house.acting("ben"), rollout(world))
    ruled(world, approvals=None)
    applied(world, Layer.PARAMETERS)
    with pytest.raises(UsageError, match="r-2 needs nobody's approval"):
        approve(world.house.acting("ben"), rollout(world, 2))


# --- freezes


def test_the_live_calendar_stops_what_was_applied_before_it_was_declared(world):
    ruled(world, gate=False)
    applied(world, Layer.PARAMETERS)
    world.house.spec = replace(world.house.spec, freeze=(parse("2026-01-01 – 2027-12-31"),))
    assert decide(world.house) == []
    clause, _ = freezes(world.house)(world.house.app, world.clock.at) or ("", 0.0)
    assert clause.startswith("the freeze 2026-01-01 – 2027-12-31, which does not end within a year")
    world.house.spec = replace(world.house.spec, freeze=())
    assert [one.kind.value for one in decide(world.house)] == ["start"]


# --- retry


def test_what_was_stopped_is_tried_again_with_the_same_values(world):
    ruled(world, gate=False)
    applied(world, Layer.PARAMETERS)
    decide(world.house)
    with pytest.raises(TransitionError, match="r-1 is exposing: only what did not stay is tried again"):
        retry(world.house, rollout(world))
    ask(world, Act.ABORT)
    again = retry(world.house, rollout(world), reason="the provider was down")
    assert (again.id, again.retries, again.values) == ("r-2", "r-1", rollout(world).values)
    assert again.because == "queued by ana to try r-1 (parameters) again: the provider was down."
    assert again.salt != rollout(world).salt
    with pytest.raises(ConflictError, match="r-2"):
        retry(world.house, rollout(world))
    assert [one.kind.value for one in decide(world.house)] == ["start"]
    assert rollout(world, 2).candidate == rollout(world).candidate


# --- emergencies


def test_the_glass_is_broken_loudly_and_past_everything(world):
    ruled(world, approvals=Approvals(count=2))
    world.house.spec = replace(world.house.spec, freeze=(parse("2026-01-01 – 2027-12-31"),))
    applied(world, Layer.PARAMETERS, Layer.CONTEXT)
    plan = make_plan(world.house, world.wanted(Layer.CONTEXT, Layer.PROMPT))
    with pytest.raises(UsageError, match="needs a reason"):
        break_glass(world.house, plan.id, "  ")
    before = world.stable
    made = break_glass(world.house.acting("ben"), plan.id, "prices are wrong")
    assert (made.state, made.stage, made.layers) == (
        RolloutState.SOAKING,
        2,
        (Layer.CONTEXT, Layer.PROMPT),
    )
    assert made.base == before.id
    assert made.candidate == plan.change.candidate.id
    table = world.house.control.serving(world.house.app)
    assert table is not None
    assert table.candidate is not None
    assert table.candidate.weight == pytest.approx(0.95)
    assert verify_served(world.house.control, world.house.app) == ()
    told = [one for one in world.house.control.ledger(world.house.app) if one.kind == "emergency"]
    assert [one.actor for one in told] == ["inchworm", "ben"]
    assert told[-1].data["bundled"] == ["context", "prompt"]
    assert told[-1].what.endswith("(context and prompt at once): prices are wrong.")
    assert [rollout(world, number).state for number in (1, 2)] == [RolloutState.QUEUED] * 2
    for decision in world.house.control.decisions(made.id):
        assert replay(decision) == decision


def test_an_emergency_takes_the_place_of_its_own_plan_and_aborts_what_is_in_flight(world):
    ruled(world, gate=False)
    applied(world, Layer.PROMPT)
    decide(world.house)
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    apply(world.house, plan.id)
    made = break_glass(world.house, plan.id, "fire")
    assert made.id == "r-4"
    states = [rollout(world, number).state.value for number in (1, 2, 3, 4)]
    assert states == ["aborted", "cancelled", "cancelled", "soaking"]
    assert "the glass was broken for r-4" in rollout(world).because
    ask(world, Act.PROMOTE, 4)
    with pytest.raises(StaleBaseError):
        break_glass(world.house, plan.id, "fire")


def test_a_plan_that_cannot_run_by_now_aborts_nothing(world, monkeypatch):
    ruled(world, gate=False)
    applied(world, Layer.PROMPT)
    decide(world.house)
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    apply(world.house, plan.id)

    def refusing(configuration, known):
        wrong = configuration.id == plan.change.candidate.id and known is not None
        return [Problem(layers=(Layer.CONTEXT,), message="The index is gone.")] if wrong else []

    monkeypatch.setattr(knowing, "validators", lambda: (("the index", refusing),))
    with pytest.raises(TransitionError, match="nothing was done: The index is gone"):
        break_glass(world.house, plan.id, "fire")
    states = [rollout(world, number).state.value for number in (1, 2, 3)]
    assert states == ["exposing", "queued", "queued"]


# --- early benchmarks


def test_the_next_is_benchmarked_early_and_after_what_is_waited_for(world):
    world.history(120)
    build_eval_set(world.house)
    applied(world, Layer.PARAMETERS, Layer.PROMPT)
    decide(world.house)
    items = world.house.control.work(world.house.app)
    assert [item.kind for item in items] == [BENCHMARK, EARLY]
    assert work_off(world.house, owner="me") == 2
    seen = look(world.house)
    assert seen.waiting[0].early is not None
    assert seen.waiting[0].early.result is not None
    assert seen.waiting[0].early.result.verdict is Verdict.PASS
    decide(world.house)
    ask(world, Act.PROMOTE, to="stable")
    made = [*decide(world.house), *decide(world.house)]
    assert [one.kind.value for one in made] == ["start", "expose"], "its benchmark is there already"
    assert len(world.house.control.work(world.house.app)) == 2


def test_early_work_whose_base_is_gone_is_dropped_before_it_costs_anything(world):
    world.history(120)
    build_eval_set(world.house)
    applied(world, Layer.PARAMETERS, Layer.PROMPT)
    decide(world.house)
    ask(world, Act.ABORT)
    decide(world.house)
    work_off(world.house, owner="me")
    early = next(item for item in world.house.control.work(world.house.app) if item.kind == EARLY)
    assert early.state is WorkState.FAILED
    assert early.error == "r-2 was re-based before its benchmark was made"
    assert [one.kind.value for one in decide(world.house)] == ["expose"]


# --- the loss budget


def test_what_was_stable_then_is_told_by_the_ledger(world):
    control, app = world.house.control, world.house.app
    first = world.stable.id
    for at, old, new in ((NOW + DAY, first, "b" * 64), (NOW + 3 * DAY, "b" * 64, "c" * 64)):
        control.append_ledger(
            LedgerEntry(
                app=app, at=at, kind="configuration", actor="ana", what="x", data={"from": old, "to": new}
            )
        )
        # One that only looks like it.
        control.append_ledger(
            LedgerEntry(app=app, at=at, kind="rollout", actor="ana", what="x", data={"kind": "configuration"})
        )
    found = [control.stable_at(app, NOW + days * DAY) for days in (-9, 0.5, 2, 4)]
    assert found == [first, first, "b" * 64, "c" * 64]
    assert control.stable_at(replace(app, app="nobody"), NOW) is None


def test_what_was_declared_and_taken_back_is_no_anchor(world):
    control, app = world.house.control, replace(world.house.app, app="young")
    for at, data in ((1.0, {"to": "a" * 64}), (2.0, {"from": "a" * 64}), (3.0, {"to": "b" * 64})):
        control.append_ledger(
            LedgerEntry(app=app, at=at, kind="configuration", actor="ana", what="x", data=data)
        )
    assert [control.stable_at(app, at) for at in (0.0, 1.5, 2.5, 4.0)] == ["b" * 64] * 4


# --- the queue


def seen(world: World) -> Queue:
    return look(world.house)


def test_the_queue_says_what_waits_and_behind_what(world):
    ruled(world, gate=False)
    world.house.spec = replace(world.house.spec, freeze=(parse("Fri 16:00 – Mon 08:00 Europe/Berlin"),))
    assert (seen(world).running, seen(world).waiting) == (None, ())
    one, two = applied(world, Layer.PARAMETERS, Layer.PROMPT)
    (three,) = applied(world, Layer.CONTEXT)
    decide(world.house)
    found = seen(world)
    assert found.running is not None
    assert found.running.rollout.id == one.id
    assert [place.rollout.id for place in found.waiting] == [two.id, three.id]
    assert found.waiting[0].waits == (
        "r-1 (parameters), exposing, stage 1 of 2 (20 %), is in flight: one change at a time",
    )
    assert found.waiting[1].waits[1] == "r-2 (prompt) is before it"
    assert [span.end - span.start for span in found.freezes] == [64 * HOUR, 64 * HOUR]
    assert found.running.ends is None, "without traffic nobody knows"
    assert ahead_of(world.house, rollout(world, 3)) == rollout(world)
    assert ahead_of(world.house, rollout(world)) is None


def test_the_queue_expects_what_the_traffic_lets_it(world):
    ruled(world, gate=False)
    world.history(600, days=2.0)
    applied(world, Layer.PARAMETERS, Layer.PROMPT)
    decide(world.house)
    found = seen(world)
    assert found.running is not None
    assert found.running.ends is not None
    starts, ends = found.waiting[0].starts, found.waiting[0].ends
    assert starts is not None
    assert ends is not None
    assert starts == found.running.ends
    assert world.clock.at < starts.low <= starts.high
    assert starts.low < ends.low <= ends.high
