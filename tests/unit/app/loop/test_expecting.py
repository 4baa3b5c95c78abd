"""What a plan is held against: audiences, prices, the queue, retirements, and what was lost before."""

from dataclasses import replace
from datetime import date

import pytest

from inchworm.app.loop import expecting
from inchworm.app.loop.changing import apply
from inchworm.app.loop.measuring import build_eval_set
from inchworm.app.loop.planning import look_ahead, make_plan, stale
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import LossBudget, RolloutState, Stage, StageKind
from inchworm.domain.targeting import Condition
from inchworm.providers.catalogue import ModelFacts
from inchworm.rollout import calendar
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import Act

DAY = 86_400.0


def to_the_end(world, rollout_id):
    """A person is in a hurry."""
    while world.house.control.rollout(rollout_id).state is not RolloutState.COMPLETED:
        act(world.house.control, rollout_id, Act.PROMOTE, actor="ana", reason="", now=world.clock.at)


def latest(world):
    return world.house.traces.traces(world.house.app, limit=1_000).traces


def test_an_audience_is_counted_where_the_traffic_says_its_attributes(world):
    world.take(
        [world.trace(n, f"a-{n}", attributes={"tenant": "acme" if n < 3 else "other"}) for n in range(12)]
    )
    tenant = Condition(attribute="tenant", values=("acme",))
    assert expecting.audience_share((tenant,), latest(world)) == 0.25
    assert expecting.audience_share((), latest(world)) == 1.0
    unknown = Condition(attribute="plan", values=("internal",))
    assert expecting.audience_share((unknown,), latest(world)) is None
    me = Condition(attribute="unit", values=("a-1", "a-2"))
    assert expecting.audience_share((me,), latest(world)) == pytest.approx(1 / 6)
    assert expecting.audience_share((tenant,), []) is None


def test_pairs_in_shadow_are_priced_and_an_unknown_audience_is_said(world):
    world.history(120)
    house = world.house
    shadow = Stage(
        weight=1.0,
        min_units=10,
        min_bake_s=0.0,
        max_bake_s=30 * DAY,
        margin_factor=1.0,
        kind=StageKind.SHADOW,
        audience=(Condition(attribute="plan", values=("internal",)),),
    )
    policy = house.spec.policy
    house.spec = replace(house.spec, policy=replace(policy, stages=(shadow, *policy.stages)))
    priced = world.wanted(Layer.CONTEXT).with_layer(
        Layer.MODEL, {"name": "tiny", "price": {"input": 1000, "output": 1000}}
    )
    outlook = look_ahead(house, make_plan(house, priced))
    first = outlook.stages[0]
    assert first.takes_part is None
    assert first.days is None
    assert not first.undecided
    assert first.cost_usd == pytest.approx(first.needs * 0.055)
    assert [stage.takes_part for stage in outlook.stages[1:]] == [1.0, 1.0]


def test_without_traffic_nothing_is_forecast_and_nothing_refused(world):
    plan = make_plan(world.house, world.wanted())
    outlook = look_ahead(world.house, plan)
    assert (outlook.stages, outlook.undecided, outlook.proposal) == ((), (), None)
    assert plan.undecided == ()


def test_what_is_queued_is_a_conflict_on_the_layers_that_both_move(world):
    world.history(60)
    first = make_plan(world.house, world.wanted(Layer.PARAMETERS, Layer.PROMPT))
    one, other = apply(world.house, first.id)
    plan = make_plan(world.house, world.wanted(Layer.CONTEXT, Layer.PROMPT))
    waits, overlaps = look_ahead(world.house, plan).conflicts
    assert waits == (
        f"{one.id} (parameters) is queued: this change waits behind it, is re-based onto it and measured "
        "again."
    )
    assert overlaps == (
        f"{other.id} (prompt) is queued and moves prompt, too: step 2 of this plan will be re-based onto it, "
        "and takes the place of its prompt."
    )
    again = look_ahead(world.house, first)
    assert again.conflicts == (
        f"{first.id} is applied already: {one.id} (parameters) and {other.id} (prompt).",
    )
    assert again.applied(first) == one
    assert look_ahead(world.house, plan).applied(plan) is None


def test_a_model_that_is_retired_soon_is_said_and_a_plan_that_leaves_it_too(world):
    facts = ModelFacts.of({"name": "tiny", "provider": "nobody", "retires_on": date(2026, 10, 1)}, own=True)
    world.house.spec = replace(world.house.spec, models=(facts,))
    stays = make_plan(world.house, world.wanted(Layer.CONTEXT))
    (said,) = look_ahead(world.house, stays).retirements
    assert said.startswith("tiny is retired on 2026-10-01 (")
    assert said.endswith("plan the model step before.")
    leaves = make_plan(world.house, world.stable.with_layer(Layer.MODEL, {"name": "other"}))
    (said,) = look_ahead(world.house, leaves).retirements
    assert said.endswith("this plan moves away from it.")


def test_the_loss_budget_tells_what_was_lost_since_the_anchor(world):
    world.history(120)
    build_eval_set(world.house)
    spec = world.house.spec
    policy = replace(spec.policy, loss_budget=LossBudget(margin=0.03, per_s=90 * DAY))
    assert expecting.spent(world.house) == ()
    world.house.spec = replace(spec, policy=policy)
    nothing = expecting.spent(world.house)
    assert [(one.metric, one.change, one.rollouts) for one in nothing] == [
        ("answered", 0.0, 0),
        ("latency", 0.0, 0),
    ]
    anchor = world.stable
    (rollout,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    to_the_end(world, rollout.id)
    found = expecting.spent(world.house)
    assert [(one.metric, one.rollouts, one.unmeasured) for one in found] == [
        ("answered", 1, 0),
        ("latency", 1, 0),
    ]
    assert {one.anchor for one in found} == {anchor.id}
    assert found[0].change == pytest.approx(0.0)
    assert found[0].margin == 0.03


def test_a_stale_plan_says_what_moved_by_whom_and_when(world):
    plan = make_plan(world.house, world.wanted(Layer.PROMPT))
    (rollout,) = apply(world.house, make_plan(world.house, world.wanted(Layer.PARAMETERS)).id)
    world.round()
    to_the_end(world, rollout.id)
    world.clock.at += 2 * 3_600
    said = stale(world.house, plan).message
    assert '"parameters: max_tokens 64 → 32", promoted by ana with r-1 2 h ago)' in said


def test_a_freeze_that_is_on_is_a_conflict(world):
    plan = make_plan(world.house, world.wanted(Layer.PROMPT))
    assert look_ahead(world.house, plan).conflicts == ()
    always = calendar.parse("Mon 00:00 – Sun 23:59 UTC")
    world.house.spec = replace(world.house.spec, freeze=(always,))
    (said,) = look_ahead(world.house, plan).conflicts
    assert said.startswith("Frozen: nothing starts and nothing grows in the freeze Mon 00:00 – Sun 23:59")
