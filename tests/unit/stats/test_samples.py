"""Sample ratio against recorded probabilities, and coverage of labels."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inchworm.stats import samples

BAR = math.log(20.0)


def ratio_of(a, pi):
    return samples.ratio_update(samples.ratio_init(), a=a, pi=pi)


def test_ratio_starts_at_one_and_one_unit_by_hand():
    assert samples.log_e_ratio(samples.ratio_init()) == pytest.approx(0.0, abs=1e-12)
    expected = np.mean([math.exp(t) / (1 + 0.05 * (math.exp(t) - 1)) for t in samples.TILTS])
    assert samples.log_e_ratio(ratio_of([1], [0.05])) == pytest.approx(math.log(expected), abs=1e-12)


def test_ratio_expected_evidence_is_one_under_changing_probabilities():
    pi = (0.05, 0.5, 0.25, 0.9, 0.05, 0.1)
    total = sum(
        math.prod(p if arm else 1 - p for arm, p in zip(a, pi, strict=True))
        * math.exp(samples.log_e_ratio(ratio_of(a, pi)))
        for a in itertools.product((0, 1), repeat=6)
    )
    assert total == pytest.approx(1.0, abs=1e-12)


@given(seed=st.integers(0, 1000), cut=st.integers(0, 300))
@settings(max_examples=40, deadline=None)
def test_ratio_any_cutting_gives_the_same_state_bit_for_bit(seed, cut):
    rng = np.random.default_rng(seed)
    pi = rng.choice([0.0, 0.05, 0.5, 1.0], 300)
    a = rng.random(300) < pi
    state = samples.ratio_update(samples.ratio_init(), a=a[:cut], pi=pi[:cut])
    state = samples.ratio_from_json(json.loads(json.dumps(samples.ratio_to_json(state))))
    assert samples.ratio_update(state, a=a[cut:], pi=pi[cut:]) == ratio_of(a, pi)


def test_ratio_honest_assignment_is_rarely_accused_at_any_look():
    runs = 300
    rng = np.random.default_rng(3)
    pi = np.repeat([0.05, 0.25, 0.5], 500)
    alarms = 0
    for _ in range(runs):
        state = samples.ratio_init()
        a = rng.random(1500) < pi
        peak = 0.0
        for start in range(0, 1500, 50):
            state = samples.ratio_update(state, a=a[start : start + 50], pi=pi[start : start + 50])
            peak = max(peak, samples.log_e_ratio(state))
        alarms += peak >= BAR
    assert alarms <= stats.binom.ppf(0.999, runs, 0.05)


@pytest.mark.parametrize("truth", [0.045, 0.056])
def test_ratio_finds_a_wrong_ratio_in_either_direction(truth):
    a = np.random.default_rng(4).random(40_000) < truth
    assert samples.log_e_ratio(ratio_of(a, np.full(40_000, 0.05))) >= BAR


def test_ratio_certain_assignments_weigh_nothing_but_an_impossible_arm_is_proof():
    held_out = ratio_of([0, 1], [0.0, 1.0])
    assert held_out.units == 2
    assert held_out.log_wealth == samples.ratio_init().log_wealth
    broken = samples.ratio_update(held_out, a=[1, 0], pi=[0.0, 0.5])
    assert broken.impossible == 1
    assert samples.log_e_ratio(broken) == math.inf
    assert samples.ratio_from_json(json.loads(json.dumps(samples.ratio_to_json(broken)))) == broken


def coverage_of(seed, candidate, baseline, size=1500):
    rng = np.random.default_rng(seed)
    pi = np.full(size, 0.3)
    a = rng.random(size) < pi
    labelled = rng.random(size) < np.where(a, candidate, baseline)
    return samples.coverage_update(
        samples.coverage_init(2), labelled=labelled, a=a, pi=pi, stage=np.zeros(size, dtype=int)
    )


def test_coverage_finds_missing_labels_in_either_arm_and_is_silent_otherwise():
    assert samples.log_e_coverage(samples.coverage_init(2)) == pytest.approx(0.0, abs=1e-12)
    assert samples.log_e_coverage(coverage_of(1, 0.8, 0.95)) >= BAR
    assert samples.log_e_coverage(coverage_of(1, 0.95, 0.8)) >= BAR
    alarms = sum(samples.log_e_coverage(coverage_of(seed, 0.9, 0.9)) >= BAR for seed in range(200))
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)


def test_coverage_round_trips():
    state = coverage_of(2, 0.9, 0.9)
    assert samples.coverage_from_json(json.loads(json.dumps(samples.coverage_to_json(state)))) == state


def test_refusals():
    with pytest.raises(ValueError, match="Arms"):
        ratio_of([2], [0.5])
    with pytest.raises(ValueError, match="one length"):
        ratio_of([1], [0.5, 0.5])
    with pytest.raises(ValueError, match="Outcomes"):
        samples.coverage_update(samples.coverage_init(1), labelled=[2], a=[1], pi=[0.5], stage=[0])
    with pytest.raises(ValueError, match="at least one stage"):
        samples.coverage_init(0)
    data = samples.ratio_to_json(samples.ratio_init())
    with pytest.raises(ValueError, match="version"):
        samples.ratio_from_json(data | {"version": "x"})
    with pytest.raises(ValueError, match="malformed"):
        samples.ratio_from_json({"version": "srm/1"})
    with pytest.raises(ValueError, match="wealths, got 0"):
        samples.ratio_from_json(data | {"log_wealth": []})
    with pytest.raises(ValueError, match="version"):
        samples.coverage_from_json({})
    with pytest.raises(ValueError, match="malformed"):
        samples.coverage_from_json({"version": "coverage/1"})
