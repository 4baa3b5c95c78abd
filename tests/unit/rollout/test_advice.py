"""What cannot be decided is refused, with what can be decided instead; each proposal really decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from tests.unit.rollout.test_sequence import NOTHING, change, configuration

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy, Stage, StageKind
from inchworm.rollout.sequencing.advice import (
    LOW_MARGIN,
    Instead,
    Situation,
    advise,
    as_sentence,
    propose,
    refusal,
)
from inchworm.rollout.sequencing.forecast import StageTime, Traffic, forecast
from inchworm.rollout.sequencing.sequence import left_undecided, take_apart

DAY = 86_400.0


def metric(name: str = "answered", margin: float = 0.03, role: Role = Role.GOAL) -> Metric:
    return Metric(name=name, source={}, role=role, clock=Clock.FAST, margin=margin, harm_margin=margin / 2)


def stage(weight: float = 0.05, **changes: Any) -> Stage:
    given: dict[str, Any] = {
        "weight": weight,
        "min_units": 10,
        "min_bake_s": 0.0,
        "max_bake_s": 7 * DAY,
        "margin_factor": 1.0,
    }
    return Stage(**(given | changes))


def situation(
    *stages: Stage, units_per_day: float, metrics: tuple[Metric, ...] = (metric(),), **traffic: Any
) -> Situation:
    return Situation(
        policy=Policy(stages=stages or Policy().stages),
        metrics=metrics,
        rates={"answered": 0.9},
        traffic=Traffic(units_per_day=units_per_day, **traffic),
    )


def times(one: Situation) -> tuple[StageTime, ...]:
    return forecast(
        one.policy, one.metrics, one.rates, units_per_day=one.traffic.units_per_day, traffic=one.traffic
    )


def instead(one: Situation) -> dict[str, Instead]:
    (undecided,) = advise(one, times(one))
    return {way.what: way for way in undecided.instead}


def test_what_decides_in_time_is_not_advised_on() -> None:
    one = situation(units_per_day=20_000)
    assert advise(one, times(one)) == ()
    assert propose(one) is None


def test_a_larger_share_that_is_proposed_decides() -> None:
    one = situation(stage(0.05), units_per_day=700)
    assert instead(one)["weight"].says.startswith("weight: 25 % decides in about")
    for weight, open_ in ((0.1, True), (0.25, False)):
        there = situation(stage(weight), units_per_day=700)
        assert times(there)[0].undecided is open_


def test_a_wider_margin_that_is_proposed_decides_and_a_step_less_does_not() -> None:
    one = situation(stage(0.5), units_per_day=150)
    way = instead(one)["margin"]
    margin = float(way.says.split()[1])
    assert 0.03 < margin < 0.1
    for wide, open_ in ((margin, False), (margin - 0.01, True)):
        there = situation(stage(0.5), units_per_day=150, metrics=(metric(margin=wide),))
        assert times(there)[0].undecided is open_


def test_a_longer_bake_that_is_proposed_decides() -> None:
    one = situation(stage(0.25), units_per_day=300)
    days = int(instead(one)["bake"].says.split("max_bake: ")[1].split("d")[0])
    longer = situation(stage(0.25, max_bake_s=days * DAY), units_per_day=300)
    assert not times(longer)[0].undecided


def test_shadow_is_proposed_with_its_pairs_days_and_money() -> None:
    one = situation(stage(0.05), units_per_day=300, usd_per_call=0.01)
    way = instead(one)["shadow"]
    pairs = one.units(stage(1.0, kind=StageKind.SHADOW))
    assert way.days == pytest.approx(pairs / 300)
    assert way.cost_usd == pytest.approx(pairs * 0.01)


def test_a_minimum_that_alone_stands_in_the_way_is_named() -> None:
    one = situation(stage(0.5, min_units=50_000), units_per_day=2_000)
    (undecided,) = advise(one, times(one))
    assert "it asks for about 50,000 sessions, and 14,000 come" in undecided.says
    least = int(instead(one)["min_units"].says.split()[1].replace(",", ""))
    assert not times(situation(stage(0.5, min_units=least), units_per_day=2_000))[0].undecided


def test_a_shadow_stage_ends_with_its_budget() -> None:
    shadow = stage(1.0, kind=StageKind.SHADOW, budget_usd=1.0)
    one = situation(shadow, units_per_day=5_000, usd_per_call=0.01)
    (time,) = times(one)
    assert time.most == 100
    assert time.undecided
    (undecided,) = advise(one, (time,))
    assert "and 100 come within its max_bake of 7 days and its budget" in undecided.says
    assert not times(situation(stage(1.0, kind=StageKind.SHADOW), units_per_day=5_000))[0].undecided


def test_below_a_thousand_units_a_day_shadow_and_then_half_is_proposed() -> None:
    one = situation(units_per_day=300, usd_per_call=0.001)
    found = propose(one)
    assert found is not None
    said = yaml.safe_load(found.yaml)
    first, second = said["rollout"]["stages"]
    assert first["shadow"] == "100%"
    assert second["weight"] == "50%"
    assert (
        said["metrics"]
        == {"answered": {"margin": LOW_MARGIN}}
        == {"answered": {"margin": found.margins["answered"]}}
    )
    # As proposed it decides, each stage in the days that are said.
    shadow = stage(1.0, kind=StageKind.SHADOW, min_units=first["min_pairs"])
    half = stage(0.5, min_units=second["min_units"], max_bake_s=14 * DAY)
    there = situation(shadow, half, units_per_day=300, metrics=(metric(margin=LOW_MARGIN),))
    assert [time.undecided for time in times(there)] == [False, False]
    assert times(there)[0].days == pytest.approx(found.shadow_days, rel=0.05)
    assert times(there)[1].days == pytest.approx(found.split_days, rel=0.05)
    assert propose(situation(units_per_day=1_000)) is None


def test_a_wide_margin_is_not_narrowed_by_the_proposal() -> None:
    found = propose(situation(units_per_day=300, metrics=(metric(margin=0.2),)))
    assert found is not None
    assert found.margins == {}
    assert "metrics" not in found.yaml


def test_signals_are_not_waited_for() -> None:
    one = situation(units_per_day=300, metrics=(metric(role=Role.SIGNAL),))
    assert advise(one, times(one)) == ()
    assert propose(one) is None


def test_an_undecided_plan_is_refused_unless_somebody_says_why() -> None:
    one = situation(stage(0.05), units_per_day=300)
    sentences = [as_sentence(each) for each in advise(one, times(one))]
    plan = take_apart(change(configuration(), configuration(prompt={"system": "x"})), NOTHING)
    assert refusal(plan, None) is None
    undecided = left_undecided(plan, sentences)
    for nothing in (None, "", "  "):
        refused = refusal(undecided, nothing)
        assert refused is not None
        assert "Stage 1 of 1 (5 %) would end undecided: `answered` takes about" in refused.message
        assert "shadow first" in refused.message
        assert f"inchworm apply {undecided.id} --undecided-because REASON" in (refused.hint or "")
    assert refusal(undecided, "the season ends tomorrow") is None


def test_nothing_instead_is_said() -> None:
    one = situation(stage(0.05, max_bake_s=DAY), units_per_day=2)
    (undecided,) = advise(one, times(one))
    assert undecided.instead == ()
    assert as_sentence(undecided).endswith("it needs more traffic.")
    assert as_sentence(
        replace(undecided, instead=(Instead(what="bake", says="max_bake: 9d", days=6.0),))
    ) == (f"{undecided.says} Instead: max_bake: 9d.")
