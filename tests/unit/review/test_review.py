"""Bugs that a review found, each with what was wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.unit.app.loop.world import NOW, World, assigned
from tests.unit.benchmark.test_gate import compared
from tests.unit.rollout.world import APP, Traffic, Verdicts, batch, cut, draw, exposing, rollout, store_with

from inchworm.app.loop.changing import advance, apply
from inchworm.app.loop.evidence import StoredUnits, unit_values
from inchworm.app.loop.exposing import expose
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.planning import make_plan
from inchworm.app.loop.working import work_off
from inchworm.capture import read
from inchworm.domain.ids import UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.outcome import Errored, Unscored
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.trace import Arm, Usage
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkState
from inchworm.rollout.commands import act
from inchworm.rollout.controller import tick
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.transitions import Act


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop", extra="")
    made.history()
    yield made
    made.house.close()


@pytest.fixture
def flying(world: World) -> Rollout:
    """A rollout that exposes a harmless change, without a benchmark."""
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))
    (made,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    advance(world.house, owner="loop")
    return world.house.control.rollout(made.id)


def matured(world: World, flying: Rollout, now: float) -> int:
    found = StoredUnits(world.house).read(flying, clock=Clock.FAST, start=0, matured_before=now, limit=100)
    return len(found)


def test_a_plan_applied_again_does_not_suffer_from_how_it_ended_the_first_time() -> None:
    # A plan's id follows from its content, so the same plan applied again has the same id; its second step
    # was cancelled because of the first application's rollback although its own first step had completed.
    first = rollout(1, step=1, steps=2, state=RolloutState.ROLLED_BACK)
    second = rollout(2, step=2, steps=2, layer=Layer.PROMPT, values={"system": "hi"}, after=(Layer.MODEL,))
    lost = replace(second, state=RolloutState.CANCELLED)
    again = rollout(3, step=1, steps=2, state=RolloutState.COMPLETED)
    next_ = replace(second, id=rollout(4).id)
    store = store_with(first, lost, again, next_)
    (decision,) = tick(store, Traffic(store, {}), Verdicts(), 10.0, APP)
    assert decision.rollout_id == next_.id
    assert decision.state is RolloutState.EXPOSING, decision.because


def test_a_stage_that_does_not_exist_does_not_stop_the_control_loop(world: World, flying: Rollout) -> None:
    # One imported line with a stage that the rollout does not have was stored as an exposure; from then on
    # every tick raised ValueError in the monitor, so harm could never be seen again.
    world.take([world.trace(1, "a", assignment=assigned(flying.id))])
    intake = world.take([world.trace(2, "b", assignment=assigned(flying.id, Arm.CANDIDATE, stage=7))])
    assert (intake.new, intake.refused.total()) == (0, 1)
    assert "0 to 2" in next(iter(intake.refused))
    assert matured(world, flying, NOW + 1) == 1
    world.round_once()
    assert world.house.control.monitor(flying.id) is not None


def test_a_clock_that_is_ahead_does_not_blind_the_monitor(world: World, flying: Rollout) -> None:
    # The unbroken run of matured units ends at the first that is younger: one interaction whose clock is a
    # year ahead kept every unit after it from the guardrails for a year.
    year = 365 * 86_400.0
    world.take([world.trace(1, "ahead", at=NOW + year, assignment=assigned(flying.id))])
    expose(world.house, [(UnitId(f"s-{n}"), NOW) for n in range(5)])
    assert matured(world, flying, NOW + 1) == 6


@pytest.mark.parametrize("side", [0, 1])
def test_errors_of_one_side_are_not_thinned_by_the_other(side: int) -> None:
    # 18 % of the candidate's trials errored and none of the base's: 9 % of all, so the cases on which the
    # candidate was not measured were left out and the rest passed.
    sides: list[list[Any]] = [[1] * 500, [1] * 500]
    sides[side] = [Errored(reason="status 502")] * 90 + [1] * 410
    assert compared(*sides).verdict is Verdict.ERRORED


def test_values_that_one_side_lacks_are_no_pass_where_absence_is_failure() -> None:
    # Where absence is failure a candidate without a value on a quarter of the cases lost these cases and
    # passed on the others; only where absence is void was the difference in coverage looked at.
    missing: list[Any] = [Unscored(reason="nothing to score")] * 100 + [1] * 300
    assert compared([1] * 400, missing).verdict is not Verdict.PASS
    assert compared([1] * 400, [1] * 400).verdict is Verdict.PASS


def test_a_queued_change_is_gated_by_what_it_was_applied_with(world: World) -> None:
    # The benchmark of a rollout used the metrics in inchworm.yaml at the moment of the work, not those that
    # were applied: whoever dropped the goal meanwhile (or widened its margin) let a broken change through.
    world.house.spec = replace(world.house.spec, policy=replace(world.house.spec.policy, gate=True))
    build_eval_set(world.house, size=60)
    (queued,) = apply(world.house, make_plan(world.house, world.wanted(Layer.CONTEXT)).id)
    spec = world.house.spec
    harmless = [metric for metric in spec.metrics if metric.role is Role.GUARDRAIL]
    world.house.spec = replace(spec, metrics=tuple(harmless))
    world.round()
    found = world.house.control.rollout(queued.id)
    assert found.state is RolloutState.REJECTED, found.because


def test_a_benchmark_that_nobody_waits_for_is_not_made(world: World) -> None:
    # The work item of a rollout that was aborted was done all the same: every call of it costs money.
    build_eval_set(world.house, size=60)
    (queued,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round_once()
    house = world.house
    assert house.control.rollout(queued.id).state is RolloutState.BENCHMARKING
    act(house.control, queued.id, Act.ABORT, actor="ana", reason="", now=house.now())
    work_off(house, owner="loop")
    (item,) = house.control.work(house.app)
    assert item.state is WorkState.FAILED
    assert "aborted" in (item.error or "")
    assert house.control.benchmarks(house.app) == []


def test_ids_made_of_what_somebody_said_are_keyed(world: World, tmp_path: Path) -> None:
    # Units and ids that capture derives were plain SHA-256 of raw text. All of that text but the personal
    # data is stored beside them, so that a telephone number could be tried out until the hash fitted.
    said = "Please call me back on +49 30 901820 today"
    line = f'{{"messages": [{{"role": "user", "content": "{said}"}}], "answer": "Yes."}}'
    path = tmp_path / "chat.jsonl"
    path.write_text(line + "\n", "utf-8")
    before = {trace.id for trace in world.stored()}

    def taken() -> int:
        traces: list[Any] = list(read(path, app=world.house.app, default_at=NOW))
        return world.take(traces).new

    assert (taken(), taken()) == (1, 0), "the same line again is the same interaction"
    (stored,) = [trace for trace in world.stored() if trace.id not in before]
    assert "901820" not in str(stored)
    assert hashlib.sha256(said.encode()).hexdigest()[:16] not in stored.unit_id
    assert hashlib.sha256(b"1\n" + line.encode()).hexdigest()[:24] not in stored.id
    assert stored.unit_id.startswith("conversation-")
    for name in (stored.unit_id, UnitId(stored.id)):
        assert world.house.pseudonym(name) == name


def test_a_passing_moment_between_two_looks_does_not_void_the_split() -> None:
    # The sample ratio is looked at every 64 units, but a tick in between also held on the value of that
    # moment, which was not kept: one tick voided the evidence, the next one did not, and a rollout that is
    # held no longer waits for the minimum time of its stage.
    made = exposing()
    many = batch(a=[1] * 12, values={"answered": [1.0] * 12}, probability=0.2)
    state = consume(made, empty(made), many)
    found = snapshot(made, state)
    assert found.log_e_ratio > -np.log(found.alpha_ratio)
    assert not found.ratio_void


def test_an_impossible_arm_voids_at_the_same_unit_however_the_units_are_cut() -> None:
    made = exposing()
    units = draw(3, 200, rates={"answered": (0.9, 0.9)})
    probability = units.probability.copy()
    probability[[100, 150]] = np.where(units.candidate[[100, 150]], 0.0, 1.0)
    units = replace(units, probability=probability)
    whole = consume(made, empty(made), units)
    assert whole.ratio_void_at == 101
    state = empty(made)
    for first in range(0, 200, 37):
        state = consume(made, state, cut(units, first, min(first + 37, 200)))
    assert state == whole


def test_a_dearer_candidate_is_seen_where_a_session_has_many_calls(world: World, flying: Rollout) -> None:
    # The cap of cost is a quantile per call, but a unit was judged by its sum: from a few calls a session on
    # everybody was at the cap, so a candidate that costs twice as much was "not worse" with full evidence.
    cost = Metric(
        name="cost",
        source={"builtin": "cost", "cap_usd": 0.02},
        role=Role.GUARDRAIL,
        clock=Clock.FAST,
        margin=0.05,
        harm_margin=0.025,
    )
    calls = [
        world.trace(
            1,
            f"{arm.value}-{call}",
            unit_id=UnitId(arm.value),
            assignment=assigned(flying.id, arm),
            usage=Usage(cost_usd=0.01 if arm is Arm.CANDIDATE else 0.005),
        )
        for arm in Arm
        for call in range(20)
    ]
    world.take(calls)
    rows = world.house.traces.units(flying.id, start=0, matured_before=NOW, limit=9)
    values, present = unit_values(cost, rows)
    assert present.all()
    assert sorted(values.tolist()) == pytest.approx([0.5, 0.75])


def test_outcomes_that_come_later_than_the_tick_are_no_way_to_stable(world: World, flying: Rollout) -> None:
    # With maturation at its default of 0 s a unit counts as missing as soon as a tick sees it. Sessions are
    # resolved, `rollout watch` looks, half an hour later their interactions are imported: nearly everything
    # is a 0 in both arms, so a candidate whose every answer is wrong is "not worse" and becomes stable.
    for hour in range(12):
        units = [(UnitId(f"s-{200 * hour + n}"), world.clock.at) for n in range(200)]
        traces = []
        for (name, at), one in zip(units, expose(world.house, units), strict=True):
            wrong = one.assignment is not None and one.assignment.arm is Arm.CANDIDATE
            said: dict[str, Any] = {"output": "No idea."} if wrong else {}
            traces.append(world.trace(3, name, at=at, assignment=one.assignment, **said))
        world.take(traces[:5])
        world.round()
        world.clock.at += 1_800
        world.take(traces[5:])
    assert world.house.control.rollout(flying.id).state is not RolloutState.COMPLETED
