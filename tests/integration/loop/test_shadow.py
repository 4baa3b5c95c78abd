"""A shadow stage from its start to its end: pairs decide, and nobody is exposed while they do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.app.loop.world import HOUR, World

from inchworm.app.loop.changing import apply
from inchworm.app.loop.incoming import Mirroring
from inchworm.app.loop.mirroring import record_mirrored
from inchworm.app.loop.planning import make_plan
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Decision, DecisionKind, RolloutState, Stage, StageKind
from inchworm.domain.serving import Candidate, resolve
from inchworm.domain.trace import Trace, Usage
from inchworm.rollout.decide import replay

ONE = RolloutId("r-1")
SHADOW = Stage(
    weight=0.8,
    min_units=100,
    min_bake_s=HOUR,
    max_bake_s=86_400.0,
    margin_factor=1.5,
    kind=StageKind.SHADOW,
    max_calls=5_000,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    yield made
    made.house.close()


def begin(world: World, *layers: Layer, stage: Stage = SHADOW) -> None:
    spec = world.house.spec
    policy = replace(spec.policy, gate=False, stages=(stage, *spec.policy.stages))
    world.house.spec = replace(spec, policy=policy)
    world.history(300)
    plan = make_plan(world.house, world.wanted(*layers))
    apply(world.house, plan.id, undecided_because="its traffic is yet to come")
    world.round()


def candidate(world: World) -> Candidate | None:
    table = world.house.control.serving(world.house.app)
    return None if table is None else table.candidate


def play(world: World, *, first: int, count: int = 100, usd: float | None = None) -> int:
    """Customers are answered by stable, and what is drawn is mirrored; how much that was."""
    house = world.house
    table = house.control.serving(house.app)
    assert table is not None
    shown = table.candidate
    assert shown is not None
    answers, mirrored = list[Trace](), list[Mirroring]()
    for number in range(first, first + count):
        unit, at = UnitId(f"s-{number}"), world.clock.at + (number - first) * HOUR / count
        got = resolve(table, unit)
        assert (got.configuration_id, got.assignment) == (table.stable, None)
        stable = world.trace(number % 60, unit, at=at, answered_by=world.stable)
        answers.append(stable)
        if not got.mirrored:
            continue
        shadow = world.trace(
            number % 60,
            f"c-{number}",
            at=at,
            answered_by=house.control.configuration(shown.configuration_id),
            id=TraceId(f"c-{number}"),
            unit_id=unit,
            shadow_of=stable.id,
        )
        if usd is not None:
            shadow = replace(shadow, usage=Usage(input_tokens=1, output_tokens=1, cost_usd=usd))
        answers.append(shadow)
        mirrored.append(
            Mirroring(
                b"",
                world.folder,
                unit_id=unit,
                rollout_id=shown.rollout_id,
                stage=shown.stage,
                trace_id=stable.id,
                shadow_id=shadow.id,
                at=at,
            )
        )
    world.clock.at += HOUR
    assert record_mirrored(house, mirrored) == (len(mirrored), [])
    world.take(answers)
    world.round()
    return len(mirrored)


def last(world: World) -> Decision:
    assert all(replay(one) == one for one in world.decisions)
    return world.decisions[-1]


def state(world: World) -> RolloutState:
    return world.house.control.rollout(ONE).state


def test_a_harmless_change_comes_through_the_shadow_stage_and_nobody_was_exposed_in_it(world):
    begin(world, Layer.PARAMETERS)
    shown = candidate(world)
    assert shown is not None
    assert (shown.shadow, shown.weight, shown.shadow_calls) == (0.8, 0.0, 5_000)
    mirrored = 0
    for hour in range(12):
        mirrored += play(world, first=100 * hour)
        if world.decisions[-1].kind is DecisionKind.EXPAND:
            break
    decided = last(world)
    assert (decided.kind, decided.stage, decided.weight) == (DecisionKind.EXPAND, 1, 0.2)
    assert 100 <= mirrored < 100 * (hour + 1)
    assert "pairs" in decided.because
    assert world.house.traces.exposures_count(ONE) == {}
    after = candidate(world)
    assert after is not None
    assert (after.shadow, after.weight) == (0.0, 0.2)


def test_harm_is_found_in_the_shadow_and_nobody_ever_saw_it(world):
    begin(world, Layer.CONTEXT)
    for hour in range(6):
        play(world, first=100 * hour)
        if state(world) is RolloutState.ROLLED_BACK:
            break
    decided = last(world)
    assert decided.kind is DecisionKind.ROLLBACK
    assert "answered" in decided.because
    assert "pair" in decided.because
    assert candidate(world) is None
    assert world.house.traces.exposures_count(ONE) == {}
    assert {one.configuration_id for one in world.stored()} == {world.stable.id}


def test_when_the_money_is_used_up_it_holds_and_mirrors_nothing_more(world):
    begin(world, Layer.PARAMETERS, stage=replace(SHADOW, budget_usd=0.5, min_units=1_000))
    play(world, first=0, usd=0.001)
    assert state(world) is RolloutState.EXPOSING
    play(world, first=100, usd=0.01)
    decided = last(world)
    assert (decided.kind, state(world)) == (DecisionKind.HOLD, RolloutState.HOLDING)
    assert "the shadow budget of 0.50 USD is used up: " in decided.because
    assert candidate(world) is None
    assert world.round() == []


def test_when_the_calls_are_used_up_it_holds_and_goes_on_no_sooner_for_that(world):
    begin(world, Layer.PARAMETERS, stage=replace(SHADOW, max_calls=150, min_bake_s=12 * HOUR))
    for hour in range(2):
        play(world, first=100 * hour)
    held = last(world)
    assert held.kind is DecisionKind.HOLD
    assert "the shadow budget of 150 calls is used up and 2 h of at least 12 h passed" in held.because
    world.clock.at += 6 * HOUR
    assert world.round() == []
    world.clock.at += 6 * HOUR
    (went_on,) = world.round()
    assert (went_on.kind, went_on.weight) == (DecisionKind.EXPAND, 0.2)
