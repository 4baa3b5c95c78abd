"""A recorded world in which two layers only work together: every order of them fails, and both pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.unit.app.loop.world import YAML, World, questions

from inchworm.app.loop.approving import approve
from inchworm.app.loop.attributing import attribute
from inchworm.app.loop.changing import apply, decide
from inchworm.app.loop.corners import MOST_BRIDGES, Measuring
from inchworm.app.loop.evidence import freeze_now
from inchworm.app.loop.measuring import build_eval_set, compare
from inchworm.app.loop.planning import look_ahead, make_plan
from inchworm.domain.change import CouplingKind, Plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.layers import Layer
from inchworm.domain.rendering import render
from inchworm.domain.rollout import RolloutState
from inchworm.domain.trace import Usage
from inchworm.domain.verdict import Verdict
from inchworm.providers.recorded import Header, Recording
from inchworm.providers.upstream import Completion
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act

OLD, NEW, BRIDGE, OTHER = "Be brief.", "Be very brief.", "Be kind.", "Be quick."
Knows = Callable[[str, int], bool]
"""Whether the model answers rightly with this prompt and so many documents."""


def together(system: str, documents: int) -> bool:
    """The new prompt wants two documents, the old one is confused by them."""
    return (system == NEW) == (documents == 2)


def with_bridge(system: str, documents: int) -> bool:
    """One prompt works with both."""
    return system == BRIDGE or together(system, documents)


def configuration(world: World, system: str, documents: int) -> Configuration:
    declared = world.house.spec.configuration
    return declared.with_layer(Layer.PROMPT, declared.layer(Layer.PROMPT) | {"system": system}).with_layer(
        Layer.CONTEXT, {"documents": documents}
    )


def record(world: World, knows: Knows, *others: str) -> None:
    """What the model says to every question, by prompt and documents."""
    answers: dict[str, Any] = {}
    for system, documents in product((OLD, NEW, BRIDGE, OTHER, *others), (1, 2)):
        asked = configuration(world, system, documents)
        for number, (inputs, reference) in enumerate(questions()):
            right = knows(system, documents) or number % 2 == 0
            said = Completion(
                text=f"It is {reference}." if right else "No idea.",
                finish_reason="stop",
                latency_ms=80.0 + number,
                usage=Usage(input_tokens=50, output_tokens=5),
            )
            answers[render(asked, inputs).digest()] = (said,)
    header = Header(model="tiny", recorded_at="2026-11-22T00:00:00Z", machine="none", note="by a test")
    Recording(header=header, answers=answers).write(world.folder / "answers.jsonl.gz")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World.build(tmp_path / "shop")
    made.history(120)
    build_eval_set(made.house)
    record(made, together)
    yield made
    made.house.close()


def measured(world: World, **how: Any) -> tuple[Plan, list[str]]:
    said: list[str] = []
    measuring = Measuring(tell=said.append, **{key: how.pop(key) for key in ("max_usd",) if key in how})
    wanted = configuration(world, NEW, 2)
    return make_plan(world.house, wanted, measuring=measuring, **how), said


def verdicts(plan: Plan) -> dict[tuple[Sequence[Layer], Sequence[Layer]], Verdict | None]:
    return {(one.layers, one.bridged): one.verdict for one in plan.corners}


BOTH = (Layer.CONTEXT, Layer.PROMPT)


def test_a_plan_that_is_not_measured_moves_one_at_a_time(world: World) -> None:
    plan = make_plan(world.house, configuration(world, NEW, 2))
    assert [step.layers for step in plan.steps] == [(Layer.CONTEXT,), (Layer.PROMPT,)]
    assert plan.corners == ()


def test_where_every_order_fails_and_both_pass_the_plan_is_one_joint_step(world: World) -> None:
    plan, said = measured(world)
    assert verdicts(plan) == {
        (BOTH, ()): Verdict.PASS,
        ((Layer.CONTEXT,), ()): Verdict.FAIL,
        ((Layer.PROMPT,), ()): Verdict.FAIL,
    }
    assert [step.layers for step in plan.steps] == [BOTH]
    assert plan.couplings[0].kind is CouplingKind.QUALITY
    assert said[0].startswith("measuring 3 combinations on main@1: 240 calls")
    assert plan.eval_set == "main@1"
    assert world.house.control.plan(plan.id) == plan
    for corner in plan.corners:
        assert corner.benchmark_id is not None
        assert world.house.control.benchmark(corner.benchmark_id).candidate == corner.configuration
    assert "No bridge: no stored value" in plan.notes[-1]


def test_a_joint_step_is_queued_whole_and_waits_for_somebody_else(world: World) -> None:
    plan, _ = measured(world)
    (queued,) = apply(world.house, plan.id)
    assert queued.layers == BOTH
    assert queued.moved(world.stable) == configuration(world, NEW, 2)
    for _ in range(3):
        world.round()
    now = world.house.control.rollout(queued.id)
    assert now.candidate == configuration(world, NEW, 2).id
    assert now.state is RolloutState.HOLDING
    assert "approve" in now.because


def test_an_approved_joint_step_goes_to_its_end_and_its_corners_tell_its_layers_apart(world: World) -> None:
    plan, _ = measured(world)
    house = world.house
    (queued,) = apply(house, plan.id)
    for _ in range(3):
        world.round()
    assert approve(house.acting("ben"), house.control.rollout(queued.id)).missing == ""
    world.round()
    assert house.control.rollout(queued.id).state is RolloutState.EXPOSING
    while house.control.rollout(queued.id).state is not RolloutState.COMPLETED:
        act(house.control, queued.id, Act.PROMOTE, actor="ana", reason="a test", now=world.clock.at)
    assert house.lineage().stable == plan.change.candidate.id
    # Nobody may be asked any more: what is told is told from the answers of the corners.
    (world.folder / "answers.jsonl.gz").unlink()
    found = attribute(house, plan.change.base, plan.change.candidate).attribution
    assert found.layers == BOTH
    assert found.errored == 0
    assert {corner.moved for corner in found.corners} == {(), BOTH, *((layer,) for layer in BOTH)}
    named = [one.layers for one in found.contributions if one.named]
    assert BOTH in named, "neither layer by itself did it"


def test_a_bridge_goes_to_its_end_step_by_step(world: World) -> None:
    record(world, with_bridge)
    bridge = configuration(world, BRIDGE, 1)
    plan, _ = measured(world, via=bridge)
    house = world.house
    queued = apply(house, plan.id)
    for one, step in zip(queued, plan.steps, strict=True):
        for _ in range(3):
            world.round()
        assert house.control.rollout(one.id).state is RolloutState.EXPOSING
        while house.control.rollout(one.id).state is not RolloutState.COMPLETED:
            act(house.control, one.id, Act.PROMOTE, actor="ana", reason="a test", now=world.clock.at)
        assert house.lineage().stable == step.candidate.id
    assert house.lineage().stable == configuration(world, NEW, 2).id


def test_measured_again_nothing_is_asked_again(world: World) -> None:
    first, _ = measured(world)
    again, said = measured(world)
    assert again == first
    assert said[0].startswith("measuring 3 combinations on main@1: 0 calls")


def test_a_stored_value_over_which_every_step_passes_becomes_the_bridge(world: World) -> None:
    record(world, with_bridge)
    now = world.house.now()
    for system in (OTHER, BRIDGE):
        stored = configuration(world, system, 2)
        world.house.control.put_configuration(world.house.app, stored, note="once", at=now)
    plan, _ = measured(world)
    bridge = configuration(world, BRIDGE, 1)
    assert plan.via == bridge.id
    assert [step.layers for step in plan.steps] == [(Layer.PROMPT,), (Layer.CONTEXT,), (Layer.PROMPT,)]
    assert [step.candidate for step in plan.steps] == [
        bridge,
        configuration(world, BRIDGE, 2),
        configuration(world, NEW, 2),
    ]
    by_id = {one.configuration: one.verdict for one in plan.corners}
    assert [by_id[step.candidate.id] for step in plan.steps] == [Verdict.PASS] * 3
    assert plan.couplings == ()
    assert any("Found a bridge: prompt" in note for note in plan.notes)
    assert [one.layers for one in apply(world.house, plan.id)] == [step.layers for step in plan.steps]


def test_the_bridge_with_the_fewest_calls_is_tried_first_and_only_a_few_are(world: World) -> None:
    others = [f"Be quick, {n}." for n in range(MOST_BRIDGES + 2)]
    record(world, with_bridge, *others)
    now = world.house.now()
    for system in (BRIDGE, *others):
        stored = configuration(world, system, 2)
        world.house.control.put_configuration(world.house.app, stored, note="once", at=now)
    plan, said = measured(world)
    assert plan.via is None
    assert len(said) == 1 + MOST_BRIDGES, "the newest are tried first where all cost the same"
    assert [step.layers for step in plan.steps] == [BOTH]
    assert f"{MOST_BRIDGES} stored values" in plan.notes[-1]
    # What was answered before costs nothing now.
    compare(
        world.house,
        world.stable,
        configuration(world, BRIDGE, 1),
        eval_set=world.house.control.eval_set(world.house.app, "main"),
        metrics=freeze_now(world.house),
    )
    plan, said = measured(world)
    assert plan.via == configuration(world, BRIDGE, 1).id


def test_asked_for_joint_no_bridge_is_looked_for(world: World) -> None:
    record(world, with_bridge)
    stored = configuration(world, BRIDGE, 2)
    world.house.control.put_configuration(world.house.app, stored, note="once", at=world.house.now())
    plan, said = measured(world, joint=True)
    assert plan.via is None
    assert [step.layers for step in plan.steps] == [BOTH]
    assert len(said) == 1


def test_a_given_bridge_is_measured_on_both_parts_of_the_way(world: World) -> None:
    record(world, with_bridge)
    plan, _ = measured(world, via=configuration(world, BRIDGE, 1))
    assert verdicts(plan) == {
        (BOTH, ()): Verdict.PASS,
        ((), (Layer.PROMPT,)): Verdict.PASS,
        ((Layer.CONTEXT,), (Layer.PROMPT,)): Verdict.PASS,
        ((Layer.PROMPT,), ()): Verdict.FAIL,
    }
    assert [step.layers for step in plan.steps] == [(Layer.PROMPT,), (Layer.CONTEXT,), (Layer.PROMPT,)]
    with pytest.raises(UsageError, match="because it fails itself"):
        measured(world, via=configuration(world, OTHER, 2))


def test_a_budget_that_is_used_up_leaves_nothing_known_and_makes_nothing_joint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced = YAML.replace("timeout_s: 20", "timeout_s: 20, price: {{input: 1000, output: 1000}}")
    monkeypatch.setattr("tests.unit.app.loop.world.YAML", priced)
    world = World.build(tmp_path / "shop")
    world.history(120)
    build_eval_set(world.house)
    record(world, together)
    plan, said = measured(world, max_usd=1.0)
    assert said == ["measuring 3 combinations on main@1: 240 calls, ≈ 13.20 USD, at most 1.00 USD"]
    spent = [
        world.house.control.benchmark(one.benchmark_id).cost_usd for one in plan.corners if one.benchmark_id
    ]
    assert max(one for one in spent if one is not None) <= 1.0
    assert Verdict.PASS not in verdicts(plan).values()
    assert [step.layers for step in plan.steps] == [(Layer.CONTEXT,), (Layer.PROMPT,)]
    assert any("as a whole does not pass" in note for note in plan.notes)
    world.house.close()


def test_without_an_eval_set_there_is_nothing_to_measure_on(tmp_path: Path) -> None:
    bare = World.build(tmp_path / "bare")
    with pytest.raises(NotFoundError):
        measured(bare)
    bare.house.close()


def test_the_outlook_says_what_is_before_it(world: World) -> None:
    first = make_plan(world.house, configuration(world, OTHER, 1))
    (queued,) = apply(world.house, first.id)
    decide(world.house)
    plan = make_plan(world.house, configuration(world, NEW, 2))
    outlook = look_ahead(world.house, plan)
    assert outlook.conflicts == (
        (
            f"{queued.id} (prompt) is in flight and moves prompt, too: step 2 of this plan will be re-based "
            f"onto it, and takes the place of its {Layer.PROMPT}."
        ),
    )
