"""Inputs at which evidence could go wrong: each says what it comes to. And what observed changes segment."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.world import HOUR, batch, cut, draw, exposing, metric, policy

from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import DecisionKind, RolloutState
from inchworm.rollout.decide import plan
from inchworm.rollout.evidence import Evidence, Pair
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState, consume, empty
from inchworm.rollout.observed import Subject, Watched
from inchworm.rollout.rules import obstacles

COST = metric("cost", source={"builtin": "cost"}, role=Role.GUARDRAIL, absence=Absence.VOID)
TWO = (metric("answered"), metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, absence=Absence.VOID))


def half(count: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(count).random(count) < 0.5


def evidence(units: Any, **changes: Any) -> Evidence:
    one = exposing(**changes)
    found = snapshot(one, consume(one, empty(one), units))
    # Whatever came, it can be stored.
    assert Evidence.from_json(json.loads(json.dumps(found.to_json(), allow_nan=False))) == found
    return found


def decided(found: Evidence, hours: float = 60.0, **changes: Any) -> Any:
    return plan(exposing(**changes), Watched(evidence=found), hours * HOUR)


def blocked(found: Evidence, **changes: Any) -> tuple[str, ...]:
    return obstacles(Subject.of(exposing(**changes)), Watched(evidence=found), 60 * HOUR)


@pytest.mark.parametrize("value", [1.0, 0.37, 0.001])
def test_without_any_variance_both_arms_are_equal_and_it_expands(value):
    """Both arms always 1, or always the same above 0: nothing is harmed, and the margins are met."""
    a = half(3_000)
    found = evidence(batch(a=a, values={"answered": np.full(3_000, value)}, probability=0.5))
    one = found.metric("answered")
    assert one.effect is not None
    assert one.effect.effect == pytest.approx(0.0)
    assert one.effect.low < 0.0 < one.effect.high
    assert found.harm is None
    decision = decided(found)
    assert decision.kind is DecisionKind.EXPAND


def test_a_total_outage_is_found_within_a_few_units():
    """Everything that the candidate answers fails, and the baseline is fine."""
    a = np.random.default_rng(1).random(400) < 0.05
    units = batch(a=a, values={"answered": np.where(a, 0.0, 1.0)}, probability=0.05)
    found = evidence(units)
    assert found.harm is not None
    assert found.harm.crossing.candidate < 15
    assert decided(found).kind is DecisionKind.ROLLBACK


def test_when_all_failed_in_both_arms_nothing_is_harmed_by_the_candidate():
    a = half(1_000)
    units = batch(a=a, values={"answered": np.zeros(1_000)}, probability=0.5)
    found = evidence(units)
    assert found.harm is None
    assert found.metric("answered").void_at is None


def test_when_all_are_silent_nothing_expands_and_a_person_is_asked():
    a = half(1_000)
    units = batch(
        a=a,
        values={"answered": np.zeros(1_000)},
        present={"answered": np.zeros(1_000, dtype=bool)},
        silent=np.ones(1_000),
        probability=0.5,
    )
    found = evidence(units)
    assert found.metric("answered").missing.both == 1_000
    assert any(one.startswith("nothing came in from") for one in blocked(found))
    decision = decided(found)
    assert decision.kind is DecisionKind.HOLD
    assert "answered was not reported for either arm" in decision.because


@pytest.mark.parametrize("arm", [0, 1])
def test_one_empty_arm_decides_nothing_but_the_split(arm):
    units = batch(a=np.full(300, arm), values={"answered": np.ones(300)}, probability=0.5)
    found = evidence(units)
    assert found.metric("answered").effect is None
    assert found.harm is None
    assert found.ratio_void
    assert decided(found).kind is DecisionKind.HOLD
    few = evidence(batch(a=np.full(5, arm), values={"answered": np.ones(5)}, probability=0.5))
    assert not few.ratio_void
    name = "the candidate" if arm == 0 else "the baseline"
    assert f"no session got {name} at this stage" in blocked(few)


def test_when_all_labels_are_missing_the_metric_says_nothing():
    units = draw(1, 3_000, rates={"answered": (0.9, 0.9), "helpful": (0.9, 0.9)})
    units = replace(units, present={**units.present, "helpful": np.zeros(3_000, dtype=bool)})
    found = evidence(units, metrics=TWO)
    helpful = found.metric("helpful")
    assert (helpful.consumed, helpful.effect, helpful.void_at) == (0, None, None)
    assert helpful.missing.both == 3_000
    assert "helpful was not reported for either arm at this stage" in blocked(found, metrics=TWO)
    assert decided(found, metrics=TWO).kind is DecisionKind.HOLD


def test_a_cost_that_nobody_says_keeps_the_stage_closed_and_harms_nobody():
    metrics = (metric("answered"), COST)
    units = draw(2, 3_000, rates={"answered": (0.9, 0.9)})
    found = evidence(units, metrics=metrics)
    assert found.harm is None
    assert found.metric("cost").void_at is None
    assert blocked(found, metrics=metrics)[0] == "cost was not reported for either arm at this stage"
    one_sided = replace(
        units,
        values={**units.values, "cost": np.full(3_000, 0.5)},
        present={**units.present, "cost": units.candidate.copy()},
    )
    found = evidence(one_sided, metrics=metrics)
    assert found.metric("cost").void_at is not None, "only one arm says what it cost"
    assert found.harm is None


def test_time_that_goes_backwards_decides_as_if_none_had_passed():
    found = evidence(draw(3, 3_000, rates={"answered": (0.9, 0.93)}))
    assert plan(exposing(entered_at=9 * HOUR), Watched(evidence=found), 0.0) is None
    decision = plan(exposing(entered_at=0.0), Watched(evidence=found), 9 * HOUR)
    assert decision is not None
    assert decision.kind is DecisionKind.EXPAND


CHANGES = ((500.0, "the model behind gpt-x changed."), (800.0, "the index was rebuilt."))


def segmented(changes: Sequence[tuple[float, str]], units: Any, cuts: Sequence[int] = ()) -> Evidence:
    one = exposing(metrics=TWO)
    state, size = empty(one), len(units)
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), size], strict=True):
        state = consume(one, state, cut(units, first, last), changes=changes)
        state = MonitorState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    return snapshot(one, state)


UNITS = draw(4, 1_000, rates={"answered": (0.9, 0.8), "helpful": (0.7, 0.7)})


def test_observed_changes_segment_the_evidence():
    found = segmented(CHANGES, UNITS)
    assert [(one.since, one.because) for one in found.segments] == [(None, ""), *CHANGES]
    for one, (first, last) in zip(found.segments, [(0, 500), (500, 800), (800, 1_000)], strict=True):
        here = slice(first, last)
        for each in one.metrics:
            y, a = UNITS.values[each.name][here], UNITS.candidate[here]
            assert each.units == Pair(baseline=int((~a).sum()), candidate=int(a.sum()))
            assert (each.baseline, each.candidate) == pytest.approx((y[~a].mean(), y[a].mean()))
    plain = segmented((), UNITS)
    assert plain.segments == ()
    assert plain.metrics == found.metrics, "what changed for both arms changes no evidence"


def test_at_most_the_last_six_segments_are_kept():
    many = [(100.0 * number, f"change {number}") for number in range(1, 9)]
    found = segmented(many, UNITS)
    assert [one.because for one in found.segments] == [f"change {number}" for number in range(3, 9)]
    assert found.segments[-1].metrics[0].units.both == 200


def test_a_change_that_becomes_known_later_begins_with_what_is_consumed_then():
    one = exposing(metrics=TWO)
    state = consume(one, empty(one), cut(UNITS, 0, 700))
    state = consume(one, state, cut(UNITS, 700, 1_000), changes=CHANGES[:1])
    found = snapshot(one, state)
    assert [each.metrics[0].units.both for each in found.segments] == [700, 300]


@settings(max_examples=8, deadline=None)
@given(st.lists(st.integers(0, 1_000), max_size=4))
def test_segments_do_not_hang_on_batches(cuts: Sequence[int]):
    assert segmented(CHANGES, UNITS, cuts) == segmented(CHANGES, UNITS)


def test_the_soak_waits_for_the_slower_clock():
    slow = policy(maturation_judged_s=5 * HOUR)
    units = draw(5, 4_000, rates={"answered": (0.9, 0.93), "helpful": (0.9, 0.93)}, stage=2, probability=0.5)
    soaking = exposing(2, metrics=TWO, policy=slow)
    soaking = replace(soaking, state=RolloutState.SOAKING)
    found = snapshot(soaking, consume(soaking, empty(soaking), units))
    assert plan(soaking, Watched(evidence=found), 6 * HOUR) is None
    decision = plan(soaking, Watched(evidence=found), 7 * HOUR)
    assert decision is not None
    assert decision.kind is DecisionKind.COMPLETE
