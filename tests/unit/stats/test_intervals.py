import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.proportion import proportion_confint

from inchworm.stats.intervals import (
    Interval,
    critical_z,
    effective_n,
    is_sparse,
    sparse_mean,
    tango,
    weighted_rate,
    wilson,
)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(("successes", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (995, 1000)])
def test_wilson_equals_statsmodels(successes, n, confidence):
    low, high = proportion_confint(successes, n, alpha=1 - confidence, method="wilson")
    found = wilson(successes, n, confidence=confidence)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)


@pytest.mark.parametrize(("successes", "n"), [(-1, 10), (11, 10), (0, 0), (math.nan, 10)])
def test_wilson_refuses_impossible_counts(successes, n):
    with pytest.raises(ValueError, match="0 <= successes <= n"):
        wilson(successes, n)


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1, math.nan])
def test_confidence_is_a_probability(confidence):
    with pytest.raises(ValueError, match="confidence"):
        critical_z(confidence)


def test_equal_weights_change_nothing():
    values = np.array([1.0] * 17 + [0.0] * 3)
    found = weighted_rate(values, np.full(20, 7.0))
    assert found.n_effective == pytest.approx(20)
    assert (found.low, found.high) == pytest.approx(proportion_confint(17, 20, method="wilson"))


def test_unequal_weights_cost_effective_items():
    weight = np.array([9.0] + [1.0] * 9)
    assert effective_n(weight) == pytest.approx(18**2 / 90)
    found = weighted_rate(np.array([1.0] + [0.0] * 9), weight)
    assert found.rate == pytest.approx(0.5)
    assert found.high - found.low > 0.7


@pytest.mark.parametrize("weight", [[0.0, 0.0], [-1.0, 2.0], [math.inf, 1.0]])
def test_unusable_weights_are_refused(weight):
    with pytest.raises(ValueError, match="weights"):
        weighted_rate(np.array([0.0, 1.0]), np.array(weight))


def test_rates_outside_the_unit_interval_are_refused():
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        weighted_rate(np.array([0.0, 1.2]), np.ones(2))
    with pytest.raises(ValueError, match="one shape"):
        weighted_rate(np.zeros(3), np.ones(2))
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        sparse_mean(np.array([0.0, -1.2]), np.ones(2))


@pytest.mark.parametrize(("gained", "lost", "n"), [(3, 1, 44), (12, 2, 14 + 20), (1, 9, 100), (60, 40, 900)])
def test_tango_ends_solve_the_score_equation(gained, lost, n):
    # The constrained likelihood is maximised numerically here, not by the closed form.
    found = tango(gained, lost, n)
    for delta, sign in ((found.low, 1), (found.high, -1)):
        assert _score(gained, lost, n, delta) == pytest.approx(sign * critical_z(0.95), abs=1e-5)


def _score(b, c, n, delta):

    def minus_log_likelihood(lost):
        gained = lost + delta
        return -(b * math.log(gained) + c * math.log(lost) + (n - b - c) * math.log(1 - gained - lost))

    bounds = (max(0.0, -delta) + 1e-12, (1 - delta) / 2 - 1e-12)
    lost = optimize.minimize_scalar(
        minus_log_likelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}
    ).x
    return (b - c - n * delta) / math.sqrt(n * (2 * lost + delta - delta**2))


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 400))
def test_tango_contains_the_estimate_and_mirrors(gained, lost, concordant):
    n = gained + lost + concordant
    found = tango(gained, lost, n)
    assert -1 <= found.low <= (gained - lost) / n <= found.high <= 1
    assert found.high - found.low > 1e-4
    assert tango(lost, gained, n) == found.mirrored()


@pytest.mark.parametrize("n", [1, 2, 30, 1000])
def test_tango_without_discordance_is_not_a_point(n):
    z2 = critical_z(0.95) ** 2
    found = tango(0, 0, n)
    assert (found.low, found.high) == pytest.approx((-z2 / (n + z2), z2 / (n + z2)), abs=1e-9)


@pytest.mark.parametrize("n", [1, 5, 50])
def test_tango_at_the_ends(n):
    assert tango(n, 0, n).high == 1
    assert 0 < 1 - tango(n, 0, n).low < 2
    assert tango(0, n, n).low == -1


@pytest.mark.parametrize(("gained", "lost", "n"), [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_tango_refuses_impossible_tables(gained, lost, n):
    with pytest.raises(ValueError, match="gained"):
        tango(gained, lost, n)


def test_tango_covers_exactly_enough():
    # Exact coverage by enumeration of the trinomial; score intervals may dip a little below nominal.
    n, gain, loss = 40, 0.05, 0.10
    covered = 0.0
    for b in range(n + 1):
        for c in range(n - b + 1):
            if tango(b, c, n).contains(gain - loss):
                covered += stats.multinomial.pmf([b, c, n - b - c], n, [gain, loss, 1 - gain - loss])
    assert 0.93 <= covered <= 0.99


@pytest.mark.parametrize("n", [5, 50, 1000])
def test_sparse_mean_of_zeros_equals_tango(n):
    found = sparse_mean(np.zeros(n), np.ones(n))
    expected = tango(0, 0, n)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_sparse_mean_contains_and_mirrors(values):
    array = np.array(values)
    weight = np.linspace(1, 2, array.size)
    found = sparse_mean(array, weight)
    assert found.low - 1e-9 <= array @ weight / weight.sum() <= found.high + 1e-9
    mirrored = sparse_mean(-array, weight).mirrored()
    assert (found.low, found.high) == pytest.approx((mirrored.low, mirrored.high), abs=1e-12)


def test_sparse_means_few_values_that_differ():
    few = np.zeros(200)
    few[:9] = 1
    assert is_sparse(few)
    few[9] = -1
    assert not is_sparse(few)
    assert not is_sparse(np.linspace(0, 1, 5))
    assert is_sparse(np.full(5, 0.25))
    assert is_sparse(np.array([]))
    # Constant within each stratum is sparse, whatever the strata's levels.
    assert is_sparse(np.array([0.0] * 20 + [1.0] * 20), np.array([0] * 20 + [1] * 20))


def test_an_interval_contains_its_ends():
    assert Interval(low=-1, high=1).contains(1)
    assert not Interval(low=-1, high=1).contains(1.01)
