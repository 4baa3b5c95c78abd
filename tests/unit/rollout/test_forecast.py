"""How long stages are expected to take."""

from __future__ import annotations

from dataclasses import replace

import pytest

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Judging, Policy, Stage, StageKind
from inchworm.domain.targeting import Condition
from inchworm.rollout.sequencing.forecast import Needed, Traffic, forecast, needed, together


def _metric(name: str, role: Role, margin: float) -> Metric:
    return Metric(name=name, source={}, role=role, clock=Clock.FAST, margin=margin, harm_margin=margin / 2)


def test_more_traffic_takes_fewer_days_and_never_less_than_the_bake() -> None:
    metrics = [_metric("answered", Role.GOAL, 0.03), _metric("cost", Role.SIGNAL, 0.0001)]
    few = forecast(Policy(), metrics, {"answered": 0.9}, units_per_day=3_000, runs=40)
    many = forecast(Policy(), metrics, {"answered": 0.9}, units_per_day=3_000_000, runs=40)
    assert [stage.weight for stage in few] == [0.05, 0.25, 0.5]
    assert few[0].days is not None
    assert many[0].days is not None
    assert few[0].days > many[0].days
    for slow, fast, stage in zip(few, many, Policy().stages, strict=True):
        assert slow.slowest == fast.slowest == "answered"
        assert slow.days is not None
        assert fast.days is not None
        assert slow.days >= fast.days
        assert fast.days == stage.min_bake_s / 86_400
        assert slow.units is not None
        assert slow.units >= stage.min_units


def test_too_little_traffic_is_said_not_guessed() -> None:
    stages = forecast(
        Policy(), [_metric("answered", Role.GOAL, 0.01)], {"answered": 0.8}, units_per_day=100, runs=20
    )
    assert stages[-1].units is None
    assert stages[-1].days is None
    assert stages[-1].slowest == "answered"


ANSWERED = _metric("answered", Role.GOAL, 0.03)
RATES = {"answered": 0.9}
FAST = Stage(weight=0.5, min_units=1, min_bake_s=0.0, max_bake_s=90 * 86_400.0, margin_factor=1.0)


def test_the_default_ladder_takes_about_what_was_simulated_for_it() -> None:
    # Four metrics at .85, .90, .95, .95 with margin .03: medians of 4,941, then 6,592 and 9,179 units in all.
    rates = {"a": 0.85, "b": 0.9, "c": 0.95, "d": 0.95}
    metrics = [_metric(name, Role.GUARDRAIL, 0.03) for name in rates]
    stages = forecast(Policy(), metrics, rates, units_per_day=20_000)
    so_far, cumulative = 0, []
    for stage in stages:
        so_far += stage.needs
        cumulative.append(so_far)
    assert cumulative == [
        pytest.approx(4_941, rel=0.2),
        pytest.approx(6_592, rel=0.2),
        pytest.approx(9_179, rel=0.2),
    ]


def test_what_earlier_stages_gathered_counts_for_the_same_people_only() -> None:
    policy = Policy(stages=(FAST,))
    alone = needed(policy, FAST, ANSWERED, RATES)
    early = replace(FAST, weight=0.1)
    after = needed(policy, FAST, ANSWERED, RATES, before=[(early, 1_000)])
    assert after.left == pytest.approx(alone.left - 1_000 * 0.09 / 0.25)
    inside = replace(early, audience=(Condition(attribute="tenant", values=("acme",)),))
    assert needed(policy, FAST, ANSWERED, RATES, before=[(inside, 1_000)]) == alone
    shadow = replace(early, kind=StageKind.SHADOW)
    assert needed(policy, FAST, ANSWERED, RATES, before=[(shadow, 1_000)]) == alone


def test_a_shadow_stage_needs_fewer_pairs_than_a_split_needs_units() -> None:
    shadow = replace(FAST, weight=1.0, kind=StageKind.SHADOW)
    policy = Policy(stages=(shadow, FAST))
    traffic = Traffic(units_per_day=300, usd_per_call=0.01)
    first, second = forecast(policy, [ANSWERED], RATES, units_per_day=300, traffic=traffic)
    assert first.needs < second.needs
    assert first.days == pytest.approx(first.needs / 300)
    assert first.cost_usd == pytest.approx(first.needs * 0.01)
    assert second.cost_usd is None


def test_an_audience_takes_longer_and_an_unknown_one_cannot_be_said() -> None:
    policy = Policy(stages=(FAST,))
    everybody, some, unknown = (
        forecast(
            policy,
            [ANSWERED],
            RATES,
            units_per_day=1_000,
            traffic=Traffic(units_per_day=1_000, takes_part=(part,)),
        )[0]
        for part in (1.0, 0.1, None)
    )
    assert everybody.days is not None
    assert some.days == pytest.approx(10 * everybody.days)
    assert unknown.days is None
    assert unknown.units == everybody.units
    assert not unknown.undecided


def test_judging_a_part_of_the_baseline_takes_fewer_labels_for_some_more_units() -> None:
    judged = replace(ANSWERED, clock=Clock.JUDGED)
    canary = replace(FAST, weight=0.05)
    whole = needed(Policy(), canary, judged, RATES)
    part = needed(Policy(judging=Judging(candidate=1.0, baseline=0.2)), canary, judged, RATES)
    assert whole.median < part.median < 1.6 * whole.median
    assert part.median * (0.05 + 0.95 * 0.2) < 0.5 * whole.median


def test_several_gates_take_longer_than_the_slowest_of_them() -> None:
    one = Needed(median=1_000.0, spread=0.7)
    assert together([]) == 0
    assert together([one]) == pytest.approx(1_000, abs=1)
    assert 1_200 < together([one, one]) < 2_000
    assert together([replace(one, had=5_000.0)]) <= 1


def test_waiting_for_outcomes_is_part_of_the_time() -> None:
    soon, late = (
        forecast(Policy(stages=(FAST,), maturation_s=wait), [ANSWERED], RATES, units_per_day=5_000)[0]
        for wait in (0.0, 3 * 86_400.0)
    )
    assert soon.days is not None
    assert late.days == pytest.approx(soon.days + 3.0)
