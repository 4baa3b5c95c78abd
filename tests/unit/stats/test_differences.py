"""The interval of a difference that is told from counts and means alone: it holds at every look."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from inchworm.stats.differences import anytime, information, squared_error, variance

RUNS, UNITS = 300, 3_000
counts = st.integers(min_value=1, max_value=5_000)
means = st.floats(min_value=0.0, max_value=1.0)


@pytest.mark.parametrize(("weight", "baseline", "candidate"), [(0.25, 0.9, 0.8), (0.5, 0.95, 0.95)])
def test_it_seldom_misses_however_often_one_looks(weight, baseline, candidate):
    random = np.random.default_rng(11)
    missed = 0
    for _ in range(RUNS):
        a = random.random(UNITS) < weight
        y = random.random(UNITS) < np.where(a, candidate, baseline)
        one = np.cumsum(a)
        other = np.arange(1, UNITS + 1) - one
        good, well = np.cumsum(y & a), np.cumsum(y & ~a)
        missed += any(
            not _covers(
                (well[n] / other[n], good[n] / one[n]), (int(other[n]), int(one[n])), candidate - baseline
            )
            for n in range(49, UNITS, 25)
        )
    assert stats.binomtest(missed, RUNS, 0.05, alternative="greater").pvalue > 0.01


def _covers(both, arms, truth):
    found = anytime(float(both[1] - both[0]), squared_error(both, [arms]), information([arms]))
    return found.low <= truth <= found.high


@given(baseline=means, candidate=means, arms=st.lists(st.tuples(counts, counts), min_size=1, max_size=4))
def test_it_holds_the_estimate_and_stays_a_difference(baseline, candidate, arms):
    effect = candidate - baseline
    found = anytime(effect, squared_error((baseline, candidate), arms), information(arms))
    assert -1.0 <= found.low <= effect + 1e-12
    assert effect - 1e-12 <= found.high <= 1.0


@given(mean=means, units=counts)
def test_nothing_observed_is_not_nothing_uncertain(mean, units):
    assert 0.0 < variance(mean, units) <= 0.25


def test_a_stage_without_one_arm_says_nothing():
    with_it, without = [(100, 20), (50, 0)], [(100, 20)]
    assert information(with_it) == information(without)
    assert information([(50, 0)]) == 0.0


def test_more_units_are_known_to_more():
    wide, narrow = (
        anytime(0.0, squared_error((0.9, 0.9), [arms]), information([arms]))
        for arms in ((100, 20), (1000, 200))
    )
    assert narrow.high < wide.high
