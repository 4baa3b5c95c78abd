"""The monitor: evidence that does not hang on batches, and what absence does to it."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.world import batch, cut, draw, exposing, metric, policy

from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import EVIDENCE_FORMAT
from inchworm.rollout.evidence import Evidence, Pair
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState, consume, design_of, empty, margin_at
from inchworm.stats import eprocess, sequences

TWO = (
    metric("answered"),
    metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, absence=Absence.VOID),
    metric("cost", role=Role.SIGNAL),
)


def mixed(count=700, seed=3):
    """Units over three stages with missing and errored outcomes, and a split and an effect that are off."""
    rng = np.random.default_rng(seed)
    found = draw(seed, count, rates={"answered": (0.9, 0.5), "helpful": (0.8, 0.7), "cost": (0.9, 0.6)})
    return replace(
        found,
        stage=np.sort(rng.integers(0, 3, count)),
        probability=np.where(rng.random(count) < 0.01, 0.0, 0.2),
        errored=(rng.random(count) < 0.05).astype(np.int64),
        present={name: rng.random(count) < 0.85 for name in found.values},
    )


UNITS = mixed()
WHOLE = consume(exposing(metrics=TWO), empty(exposing(metrics=TWO)), UNITS)


@settings(max_examples=12)
@given(st.lists(st.integers(0, len(UNITS)), max_size=6))
def test_batches_and_trips_through_json_change_not_one_bit(cuts):
    rollout = exposing(metrics=TWO)
    state = empty(rollout)
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), len(UNITS)], strict=True):
        state = consume(rollout, state, cut(UNITS, first, last))
        state = MonitorState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    assert state == WHOLE
    assert json.dumps(state.to_json()) == json.dumps(WHOLE.to_json())


def test_the_scenario_of_the_property_crosses_lines():
    assert WHOLE.harm
    assert any(one.alone for one in WHOLE.metrics)


def test_a_process_per_metric_is_that_of_the_statistics():
    units, rollout = draw(1, 500, rates={"answered": (0.9, 0.8)}), exposing()
    state = consume(rollout, empty(rollout), units)
    design = design_of(rollout.policy, rollout.metrics[0])
    arms = units.candidate.astype(float)
    alone = eprocess.update(
        design,
        eprocess.init(design),
        y=units.values["answered"],
        a=arms,
        pi=units.probability,
        stage=units.stage,
    )
    found = snapshot(rollout, state).metric("answered")
    assert found.log_e_harm == eprocess.log_e_harm(design, alone)
    assert found.log_e_expand == eprocess.log_e_expand(design, alone, 0.03 * 2.7)
    grid = sequences.update(
        sequences.init(3, alpha=1 - 0.95),
        y=units.values["answered"],
        a=arms,
        pi=units.probability,
        stage=units.stage,
    )
    estimate = sequences.estimate(grid)
    assert estimate is not None
    assert found.effect is not None
    assert found.effect.effect == estimate.effect
    assert (found.effect.low, found.effect.high) == (
        sequences.interval(grid).low,
        sequences.interval(grid).high,
    )


def test_margins_follow_the_stage_and_the_soak_keeps_the_last():
    one = metric(margin=0.5, harm_margin=0.1)
    assert [margin_at(policy(), one, stage) for stage in (-1, 0, 1, 2)] == [1.0, 1.0, 0.85, 0.85]
    assert design_of(policy(), one).margins == (1.0, 0.85)
    assert design_of(policy(), one).stages == 3


def test_harm_is_found_where_it_crossed_and_stays_found():
    rollout = exposing()
    rng = np.random.default_rng(5)
    harmed = draw(2, 600, rates={"answered": (0.95, 0.4)})
    state = consume(rollout, empty(rollout), harmed)
    crossing = state.harm[Clock.FAST]
    assert 0 < crossing.unit < 600
    assert crossing.candidate == int(harmed.candidate[: crossing.unit].sum())
    assert crossing.culprits == ("answered",)
    before = consume(rollout, empty(rollout), cut(harmed, 0, crossing.unit - 1))
    assert not before.harm
    assert consume(rollout, empty(rollout), cut(harmed, 0, crossing.unit)).harm == state.harm
    # The candidate recovers so well that the evidence falls below the line: it has crossed all the same.
    a = rng.random(6_000) < 0.2
    good = batch(a=a, values={"answered": a.astype(float)}, start=600)
    later = snapshot(rollout, consume(rollout, state, good))
    assert later.clocks[0].log_e is not None
    assert later.clocks[0].log_e < np.log(20)
    assert later.harm is not None
    assert later.harm.crossing == crossing


def test_missing_counts_as_failure_in_both_arms_or_not_at_all():
    a = np.tile([0, 1], 200)
    present = np.tile([True, True, False, False], 100)
    ones = np.ones(400)
    for absence, consumed, mean in ((Absence.FAILURE, 400, 0.5), (Absence.VOID, 200, 1.0)):
        rollout = exposing(metrics=(metric(absence=absence),))
        units = batch(a=a, values={"answered": ones}, present={"answered": present}, probability=0.5)
        found = snapshot(rollout, consume(rollout, empty(rollout), units)).metric("answered")
        assert found.consumed == consumed
        assert found.missing == Pair(baseline=100, candidate=100)
        assert found.reported == Pair(baseline=100, candidate=100)
        assert found.effect is not None
        assert [found.effect.baseline, found.effect.candidate] == pytest.approx([mean, mean])
        assert found.void_at is None


def test_an_error_of_the_harness_is_never_a_zero():
    a = np.tile([0, 1], 50)
    errored = np.where(np.arange(100) < 20, 1, 0)
    units = batch(
        a=a,
        values={"answered": np.ones(100)},
        present={"answered": errored == 0},
        errored=errored,
        probability=0.5,
    )
    rollout = exposing()
    found = snapshot(rollout, consume(rollout, empty(rollout), units))
    assert found.metric("answered").consumed == 80
    effect = found.metric("answered").effect
    assert effect is not None
    assert effect.baseline == effect.candidate == pytest.approx(1.0)
    assert found.stages[0].errored == Pair(baseline=10, candidate=10)
    assert found.stages[0].units.both == 100


@pytest.mark.parametrize("hidden", [0, 1])
def test_labels_that_come_more_often_in_one_arm_void_the_metric(hidden):
    def arrive(rng, a):
        return np.where(a == bool(hidden), rng.random(a.size) < 0.5, True)

    rollout = exposing(metrics=(metric(absence=Absence.VOID),))
    units = draw(4, 2_000, rates={"answered": (0.9, 0.5)}, present=arrive)
    found = snapshot(rollout, consume(rollout, empty(rollout), units)).metric("answered")
    assert found.void_at is not None


def test_a_void_metric_no_longer_rolls_back():
    """Half of the candidate's failures are hidden first, then it is harmed."""

    def arrive(_rng, a):
        return ~a | (np.arange(a.size) % 2 == 0)

    rollout = exposing(metrics=(metric(absence=Absence.VOID),))
    healthy = draw(4, 3_000, rates={"answered": (0.9, 0.9)}, present=arrive)
    state = consume(rollout, empty(rollout), healthy)
    assert state.metrics[0].void_at is not None
    harmed = draw(5, 3_000, rates={"answered": (0.9, 0.4)}, present=arrive, start=3_000)
    after = consume(rollout, state, harmed)
    assert not after.harm
    assert after.metrics[0].alone is not None
    assert snapshot(rollout, after).clocks[0].log_e is None


def test_the_sample_ratio_is_watched():
    rollout = exposing()
    off = draw(6, 2_000, rates={"answered": (0.9, 0.9)}, share=0.35)
    found = snapshot(rollout, consume(rollout, empty(rollout), off))
    assert found.ratio_void
    assert found.ratio_void_at is not None
    assert found.ratio_void_at % 64 == 0
    assert found.expected == pytest.approx(400)
    fine = draw(6, 2_000, rates={"answered": (0.9, 0.9)})
    assert not snapshot(rollout, consume(rollout, empty(rollout), fine)).ratio_void


def test_an_arm_that_was_impossible_voids_with_a_finite_number():
    rollout = exposing()
    units = batch(a=[1, 0], values={"answered": [1.0, 1.0]}, probability=0.0)
    found = snapshot(rollout, consume(rollout, empty(rollout), units))
    assert found.ratio_void
    assert json.dumps(found.to_json(), allow_nan=False)


def test_units_come_in_order_each_once():
    rollout = exposing()
    units = draw(1, 10, rates={"answered": (0.9, 0.9)})
    state = consume(rollout, empty(rollout), units)
    with pytest.raises(ValueError, match="number 10"):
        consume(rollout, state, units)
    with pytest.raises(ValueError, match="other metrics"):
        consume(exposing(metrics=TWO), state, cut(units, 0, 0))
    assert consume(rollout, state, draw(1, 0, rates={"answered": (0.9, 0.9)}, start=10)) is state


def test_evidence_and_state_refuse_other_formats():
    evidence = snapshot(exposing(metrics=TWO), WHOLE)
    data = json.loads(json.dumps(evidence.to_json()))
    assert data["format"] == EVIDENCE_FORMAT
    assert Evidence.from_json(data) == evidence
    with pytest.raises(ValueError, match="evidence/0"):
        Evidence.from_json(data | {"format": "evidence/0"})
    with pytest.raises(ValueError, match="no Evidence"):
        Evidence.from_json({"format": EVIDENCE_FORMAT})
    with pytest.raises(ValueError, match="monitor/0"):
        MonitorState.from_json({"format": "monitor/0"})


def test_nothing_consumed_is_evidence_of_nothing():
    rollout = exposing(metrics=TWO)
    found = snapshot(rollout, empty(rollout))
    assert found.harm is None
    assert found.culprits == ()
    assert not found.ratio_void
    assert all(one.effect is None and not one.has_data for one in found.metrics)
    assert all(one.log_e_harm == pytest.approx(0, abs=1e-12) for one in found.metrics)


def test_no_effect_seldom_crosses():
    """120 null rollouts of 400 units: at most α = 5 % cross, give or take luck."""
    rollout = exposing(metrics=(metric(harm_margin=0.0),))
    crossed = 0
    for seed in range(120):
        rate = 0.9 if seed % 2 else 0.7
        units = draw(1_000 + seed, 400, rates={"answered": (rate, rate)})
        crossed += bool(consume(rollout, empty(rollout), units).harm)
    assert crossed <= 11  # the 99 % quantile of Binomial(120, .05)
