"""Changes: planned, applied once, refused when stale, re-based and validated when their turn comes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from tests.unit.app.loop.world import HOUR, World, questions

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.loop.changing import apply, decide
from inchworm.app.loop.knowing import known
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.planning import find_plan, look_ahead, make_plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ConflictError, NotFoundError, StaleBaseError, UsageError
from inchworm.domain.ids import PlanId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Decision, RolloutState
from inchworm.rollout.commands import act
from inchworm.rollout.controller import verify_served
from inchworm.rollout.transitions import Act


def ungated(world: World) -> None:
    spec = world.house.spec
    world.house.spec = replace(spec, policy=replace(spec.policy, gate=False))


def ask(world: World, rollout: str, wish: Act) -> None:
    act(world.house.control, RolloutId(rollout), wish, actor="ana", reason="", now=world.clock.at)


def promote_to_stable(world: World, rollout: str) -> None:
    """A person is in a hurry."""
    while world.house.control.rollout(RolloutId(rollout)).state is not RolloutState.COMPLETED:
        ask(world, rollout, Act.PROMOTE)


def states(world: World) -> dict[str, str]:
    return {one.id: one.state.value for one in world.house.control.rollouts(world.house.app)}


def test_a_plan_is_kept_with_its_steps_and_their_configurations(world):
    wanted = world.wanted(Layer.PARAMETERS, Layer.CONTEXT)
    plan = make_plan(world.house, wanted, reason="cheaper")
    assert [step.layer for step in plan.steps] == [Layer.PARAMETERS, Layer.CONTEXT]
    assert plan.change.author == "ana"
    assert world.house.control.plan(plan.id) == plan
    for step in plan.steps:
        assert world.house.control.configuration(step.candidate.id) == step.candidate
    assert plan.steps[-1].candidate == wanted
    assert make_plan(world.house, wanted, reason="cheaper") == plan
    assert world.house.control.plans(world.house.app) == [plan]
    assert states(world) == {}, "a plan changes nothing"


def test_the_declared_order_is_kept(tmp_path):
    world = World.build(tmp_path / "shop", extra="  after: {parameters: [context]}\n")
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    assert [step.layer for step in plan.steps] == [Layer.CONTEXT, Layer.PARAMETERS]
    assert plan.steps[1].after == (Layer.CONTEXT,)
    world.house.close()


def test_nothing_to_plan_and_nothing_to_plan_from(world, tmp_path):
    with pytest.raises(UsageError, match="nothing to plan"):
        make_plan(world.house, world.stable)
    (tmp_path / "inchworm.yaml").write_text((world.folder / "inchworm.yaml").read_text())
    with House(load(tmp_path / "inchworm.yaml")) as house, pytest.raises(NotFoundError):
        make_plan(house, world.wanted())


def test_what_is_recorded_validates_a_plan(world):
    declared = world.house.spec.configuration
    odd = declared.with_layer(Layer.PROMPT, {"user": "{question} {mood}"})
    make_plan(world.house, odd)
    world.history(60)
    seen = known(world.house)
    assert seen.inputs == frozenset({"question", "documents"})
    assert len(seen.longest) == 8
    with pytest.raises(UsageError, match=r'names "\{mood\}"'):
        make_plan(world.house, odd)
    world.take([world.trace(0, "bare", inputs={})])
    assert known(world.house) == seen


def test_applied_its_steps_are_queued_in_order(world):
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    queued = apply(world.house, plan.id)
    assert [(one.id, one.step, one.steps, one.layer) for one in queued] == [
        ("r-1", 1, 2, Layer.PARAMETERS),
        ("r-2", 2, 2, Layer.CONTEXT),
    ]
    assert world.house.control.rollouts(world.house.app) == list(queued)
    assert {one.state for one in queued} == {RolloutState.QUEUED}
    assert queued[0].salt != queued[1].salt
    assert queued[0].values == plan.steps[0].candidate.layer(Layer.PARAMETERS)
    (entry,) = world.house.control.ledger(world.house.app, limit=1)
    assert entry.data == {"plan": plan.id, "rollouts": ["r-1", "r-2"]}
    assert "parameters, context" in entry.what


def test_applied_twice_it_is_refused_with_where_it_stands(world):
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    apply(world.house, plan.id)
    with pytest.raises(ConflictError) as caught:
        apply(world.house, plan.id)
    assert caught.value.message == (
        f"{plan.id} is applied already: r-1 (parameters) is queued, r-2 (context) is queued"
    )
    assert caught.value.hint is not None
    assert "r-1" in caught.value.hint
    assert states(world) == {"r-1": "queued", "r-2": "queued"}
    world.round_once()
    with pytest.raises(ConflictError, match=r"r-1 \(parameters\) is benchmarking, r-2 \(context\) is queued"):
        apply(world.house, plan.id)
    ask(world, "r-1", Act.ABORT)
    with pytest.raises(ConflictError, match=r"already: r-2 \(context\) is queued$"):
        apply(world.house, plan.id)
    ask(world, "r-2", Act.ABORT)
    again = apply(world.house, plan.id)
    assert [one.id for one in again] == ["r-3", "r-4"], "nothing of it is open and stable is what it was"


def test_whoever_comes_between_is_refused_by_the_store(world, monkeypatch):
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS))
    apply(world.house, plan.id)
    before = world.house.control.ledger(world.house.app)
    monkeypatch.setattr(type(world.house.control), "rollouts", lambda *_args: [])
    with pytest.raises(ConflictError, match="queued or in flight already"):
        apply(world.house, plan.id)
    monkeypatch.undo()
    assert states(world) == {"r-1": "queued"}
    assert world.house.control.ledger(world.house.app) == before


def test_a_plan_from_another_stable_is_refused(world):
    ungated(world)
    early = make_plan(world.house, world.wanted(Layer.CONTEXT))
    (first,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    promote_to_stable(world, first.id)
    with pytest.raises(StaleBaseError) as caught:
        apply(world.house, early.id)
    assert first.id in caught.value.message, "it says what moved stable"
    assert caught.value.hint == "plan again: inchworm plan"
    assert states(world) == {"r-1": "completed"}


def test_a_stable_that_moves_meanwhile_is_noticed_by_the_store(world, monkeypatch):
    ungated(world)
    early = make_plan(world.house, world.wanted(Layer.CONTEXT))
    (first,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    reserve = type(world.house.control).reserve_rollouts

    def overtaken(store: object, count: int) -> object:
        promote_to_stable(world, first.id)
        return reserve(store, count)

    monkeypatch.setattr(type(world.house.control), "reserve_rollouts", overtaken)
    with pytest.raises(StaleBaseError):
        apply(world.house, early.id)
    assert states(world) == {"r-1": "completed"}


def test_two_control_loops_on_the_same_files_take_every_decision_once(world):
    """``inchworm rollout watch`` beside the server, in step with it."""
    world.history()
    ungated(world)
    apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    other = House(world.house.spec, clock=world.clock, actor="bo", _traces=world.house.traces)
    together = threading.Barrier(2, timeout=30.0)

    def look(house: House) -> list[Decision]:
        together.wait()
        return decide(house)

    made: list[Decision] = []
    with ThreadPoolExecutor(2) as threads:
        for _ in range(16):
            if world.house.lineage().in_flight is not None:
                world.slot()
            rounds = list(threads.map(look, [world.house, other]))
            assert sum(map(len, rounds)) <= 1
            made += [one for some in rounds for one in some]
            assert verify_served(world.house.control, world.house.app) == ()
    other.close()
    kept = world.house.control.decisions(RolloutId("r-1"))
    assert kept == made
    assert [one.parent for one in kept] == list(range(len(kept)))
    kinds = [one.kind.value for one in kept]
    assert kinds == ["start", "expand", "soak", "complete"]
    told = [one.what for one in world.house.control.ledger(world.house.app)]
    assert len(told) == len(set(told))


def test_another_plan_waits_behind_what_is_in_flight_and_is_rebased(world):
    ungated(world)
    one = make_plan(world.house, world.wanted(Layer.PARAMETERS))
    two = make_plan(world.house, world.wanted(Layer.CONTEXT))
    apply(world.house, one.id)
    apply(world.house, two.id)
    world.round()
    assert states(world) == {"r-1": "exposing", "r-2": "queued"}
    promote_to_stable(world, "r-1")
    (begun,) = world.round()
    assert "re-based onto" in begun.because
    second = world.house.control.rollout(RolloutId("r-2"))
    assert second.base == one.change.candidate.id
    assert second.candidate == world.wanted(Layer.PARAMETERS, Layer.CONTEXT).id


def test_a_step_that_cannot_run_on_what_is_stable_by_then_is_cancelled_with_the_reason(world):
    world.history(60)
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    apply(world.house, plan.id)
    world.clock.at += HOUR
    inputs, reference = questions()[0]
    only = {"question": inputs["question"]}
    world.take([world.trace(0, "without", inputs=only, reference=reference)])
    made = world.round()
    assert [one.state for one in made] == [RolloutState.CANCELLED] * 2
    for one in made:
        assert one.because.startswith("cancelled because it cannot run on stable")
        assert 'names "{documents}", which the recorded inputs do not have (they have: question)' in (
            one.because
        )
    assert states(world) == {"r-1": "cancelled", "r-2": "cancelled"}
    assert world.house.lineage().in_flight is None


def test_a_step_that_needs_one_that_did_not_stay_is_cancelled(tmp_path):
    world = World.build(tmp_path / "shop", extra="  after: {context: [parameters]}\n")
    ungated(world)
    apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT)).id)
    world.round()
    ask(world, "r-1", Act.ABORT)
    (decision,) = world.round()
    assert decision.because == "cancelled because it needs what did not stay: r-1 (parameters) was aborted."
    world.house.close()


def test_plans_are_found_by_name_and_by_what_they_begin_with(world, monkeypatch):
    one = make_plan(world.house, world.wanted(Layer.PARAMETERS))
    two = make_plan(world.house, world.wanted(Layer.CONTEXT))
    tail = one.id.removeprefix("plan-")
    for name in (one.id, tail, tail[:4], f"plan-{tail[:5]}"):
        assert find_plan(world.house, name) == one.id
    assert find_plan(world.house, two.id) == two.id
    for name in ("", "plan-", "zzzz"):
        with pytest.raises(NotFoundError, match="there is no plan") as caught:
            find_plan(world.house, name)
        assert two.id in caught.value.message
    alike = [replace(one, id=PlanId("plan-abcd0001")), replace(two, id=PlanId("plan-abcd0002"))]
    monkeypatch.setattr(type(world.house.control), "plans", lambda *_args: alike)
    assert find_plan(world.house, "abcd0002") == "plan-abcd0002"
    with pytest.raises(UsageError, match="fits several plans: plan-abcd0001, plan-abcd0002"):
        find_plan(world.house, "abcd")


def test_the_outlook_without_traffic_promises_nothing(world):
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS))
    outlook = look_ahead(world.house, plan)
    assert (outlook.units_per_day, outlook.stages, outlook.calls, outlook.cost_usd) == (0, (), 0, None)
    assert (outlook.in_flight, outlook.queued) == (None, ())


def test_the_outlook_counts_traffic_calls_and_what_is_before_it(world):
    world.history(300)
    build_eval_set(world.house, size=20)
    build_eval_set(world.house, size=40)
    build_eval_set(world.house, name="week")
    plan = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.CONTEXT))
    outlook = look_ahead(world.house, plan)
    assert outlook.units_per_day == pytest.approx(100)
    assert [one.weight for one in outlook.stages][:2] == [0.2, 0.5]
    assert outlook.calls == 2 * 2 * 40, "the gate asks the latest version of main"
    assert outlook.cost_usd is None, "nobody said a price"
    apply(world.house, make_plan(world.house, world.wanted(Layer.PROMPT)).id)
    apply(world.house, plan.id)
    world.round_once()
    outlook = look_ahead(world.house, plan)
    assert outlook.in_flight is not None
    assert outlook.in_flight.id == "r-1"
    assert [one.id for one in outlook.queued] == ["r-2", "r-3"]


def test_the_outlook_says_what_sampling_and_prices_make_of_it(world):
    world.history(60)
    build_eval_set(world.house)
    declared: Configuration = world.stable
    warm = declared.with_layer(Layer.PARAMETERS, {"temperature": 0.7, "max_tokens": 64})
    assert look_ahead(world.house, make_plan(world.house, warm)).calls == 2 * 60 * 3
    priced = declared.with_layer(Layer.MODEL, {"name": "tiny", "price": {"input": 2.0, "output": 10.0}})
    step = make_plan(world.house, priced)
    assert look_ahead(world.house, step).cost_usd is None, "the base has no price"
    world.house.spec = replace(world.house.spec, configuration=priced)
    (rollout,) = apply(world.house, step.id)
    world.round_once()
    ask(world, rollout.id, Act.ABORT)
    dearer = priced.with_layer(Layer.MODEL, {"name": "tiny", "price": {"input": 4.0, "output": 20.0}})
    change = replace(step.change, base=priced, candidate=dearer)
    moved = replace(step, change=change, steps=(replace(step.steps[0], base=priced.id, candidate=dearer),))
    # 50 tokens read and 5 written: 0.00015 USD a call at the first price, twice that at the second
    assert look_ahead(world.house, moved).cost_usd == pytest.approx(60 * 3 * 0.00015)
