"""Other people's rules: their formulas by hand, and the published figures of a seeded simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from inchworm.stats import rules
from inchworm.stats.rules.seen import Seen, difference, moments

RUNS = 500


def told(n1, s1, n0, s0):
    n1, s1, n0, s0 = (np.atleast_1d(np.asarray(x, dtype=float)) for x in (n1, s1, n0, s0))
    return Seen(n1=n1, s1=s1, q1=s1, n0=n0, s0=s0, q0=s0)


def drawn(rng, candidate, *, weight, most, runs=RUNS, baseline=0.85):
    """What is seen at each candidate observation of many runs."""
    between = rng.geometric(weight, (runs, most)) - 1
    n0, s0 = np.cumsum(between, axis=1), np.cumsum(rng.binomial(between, baseline), axis=1)
    s1 = np.cumsum(rng.random((runs, most)) < candidate, axis=1)
    return told(np.broadcast_to(np.arange(1.0, most + 1), s1.shape), s1, n0, s0)


def test_a_stream_is_seen_at_its_candidate_observations():
    of = rules.seen(y=[1, 0, 0.5, 1, 0], a=[0, 1, 0, 1, 0])
    assert of.n1.tolist() == [1, 2]
    assert of.s1.tolist() == [0, 1]
    assert of.q1.tolist() == [0, 1]
    assert of.n0.tolist() == [1, 2]
    assert of.s0.tolist() == [1, 1.5]
    assert of.q0.tolist() == [1, 1.25]
    with pytest.raises(ValueError, match="one length"):
        rules.seen(y=[1, 0], a=[1])


def test_blocks_take_the_next_of_each_arm():
    of = rules.blocked(y=[1, 0, 1, 1, 0, 1, 1], a=[0, 1, 0, 1, 0, 0, 0], ratio=2)
    assert of.n1.tolist() == [1, 2]
    assert of.s1.tolist() == [0, 1]
    assert of.n0.tolist() == [2, 4]
    assert of.s0.tolist() == [2, 3]
    with pytest.raises(ValueError, match="ratio"):
        rules.blocked(y=[1], a=[1], ratio=0)


def test_an_arm_without_variance_or_without_anybody_concludes_nothing():
    of = told([3, 3, 3], [0, 1, 1], [10, 0, 10], [5, 0, 10])
    assert np.isnan(difference(of)[1]).all()
    for rule in (rules.msprt, rules.growthbook, rules.growthbook_one_sided, rules.obrien_fleming_peeked):
        assert not rule(of).any()
    assert np.isnan(moments(of).mean0[1])


def test_the_fixed_z_test_is_that_of_statsmodels():
    from statsmodels.stats.proportion import proportions_ztest

    rng = np.random.default_rng(1)
    n1, n0 = rng.integers(20, 500, 200), rng.integers(20, 500, 200)
    s1, s0 = rng.binomial(n1, 0.8), rng.binomial(n0, 0.85)
    ours = rules.fixed_z(told(n1, s1, n0, s0))
    theirs = [
        proportions_ztest([a, c], [b, d], alternative="smaller")[1] < 0.05
        for a, b, c, d in zip(s1, n1, s0, n0, strict=True)
    ]
    assert ours.tolist() == theirs
    assert 0 < ours.sum() < 200


def test_growthbooks_interval_by_hand():
    # arXiv 2103.06476v7, equations 9 and 161, in plain arithmetic.
    n1, s1, n0, s0 = 400, 300, 4_000, 3_400
    rho = math.sqrt((-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 5_000)
    n = n1 + n0
    variance = n * (0.75 * 0.25 / n1 + 0.85 * 0.15 / n0)
    width = math.sqrt(variance) * math.sqrt(
        2 * (n * rho**2 + 1) * math.log(math.sqrt(n * rho**2 + 1) / 0.05) / (n * rho) ** 2
    )
    assert rules.growthbook(told(n1, s1, n0, s0))[0] == (0.75 - 0.85 + width < 0)
    # On its edge the sign of the difference to the width decides.
    edge = 0.85 - width
    assert not rules.growthbook(told(n1, math.ceil(edge * n1) + 8, n0, s0))[0]
    assert rules.growthbook(told(n1, math.floor(edge * n1) - 8, n0, s0))[0]


@pytest.mark.parametrize(
    ("looks", "alpha", "published"),
    # Jennison and Turnbull, Group Sequential Methods (2000), table 2.3: C_B(K, 2 alpha).
    [(1, 0.025, 1.960), (2, 0.025, 1.977), (5, 0.025, 2.040), (10, 0.025, 2.087), (10, 0.05, 1.801)],
)
def test_the_boundary_is_the_published_one(looks, alpha, published):
    assert rules.boundary(looks, alpha) == pytest.approx(published, abs=0.002)


def test_obrien_fleming_looks_only_where_planned():
    of = drawn(np.random.default_rng(3), 0.5, weight=0.5, most=320, runs=50)
    calls = rules.obrien_fleming(of)
    assert set((np.flatnonzero(calls.any(axis=0)) + 1).tolist()) <= set(range(30, 301, 30))
    assert not rules.obrien_fleming_peeked(of)[:, 300:].any()
    with pytest.raises(ValueError, match="look"):
        rules.boundary(0, 0.05)


def test_the_safe_test_is_a_fair_bet_without_an_effect():
    """Expected evidence is 1 by enumeration of every outcome of three blocks."""
    import itertools

    total = 0.0
    for outcome in itertools.product((0, 1), repeat=6):
        y1, y0 = np.array(outcome[:3]), np.array(outcome[3:])
        chance = 0.7 ** sum(outcome) * 0.3 ** (6 - sum(outcome))
        of = told(np.arange(1, 4), np.cumsum(y1), np.arange(1, 4), np.cumsum(y0))
        lowest = [a for a in np.geomspace(1e-4, 0.999, 400) if rules.safestats(of, alpha=a)[-1]]
        # Where the candidate is worse the rule tells E by the smallest alpha at which it calls.
        total += chance * (1.0 / lowest[0] if lowest else 0.0)
    assert total <= 1.0


def test_kayentas_interval_is_the_shift_of_scipys_ranks():
    """On points, Low is called where the interval's upper end lies below; checked by shifting the ranks."""
    rng = np.random.default_rng(5)
    of = drawn(rng, 0.70, weight=0.5, most=400, runs=6)
    calls = rules.kayenta(of)
    for run in range(6):
        ends = np.arange(19, 400, 20)
        canary = np.diff(of.s1[run, ends], prepend=0.0) / 20
        there = np.diff(of.n0[run, ends], prepend=0.0)
        control = np.diff(of.s0[run, ends], prepend=0.0) / there
        for k in range(8, 21):
            x, y = canary[:k], control[:k]
            shift = 0.25 * abs(np.median(x[:, None] - y))
            z = stats.mannwhitneyu(x + shift, y, alternative="less", method="asymptotic").pvalue
            # Away from the edge both agree.
            if not 0.004 < z < 0.025:
                assert calls[run, ends[k - 1]] == (z < 0.01), (run, k, z)


def test_first_counts_candidate_observations_and_never_is_infinite():
    of = told([[1, 2, 3], [1, 2, 3]], [[0, 0, 0]] * 2, [[1, 2, 3]] * 2, [[1, 2, 3]] * 2)
    calls = np.array([[False, True, True], [False, False, False]])
    assert rules.first(calls, of).tolist() == [2, math.inf]


@pytest.mark.parametrize(
    ("rule", "weight", "most", "false", "median"),
    # STATISTICS §1, .85 -> .77: false rollbacks at most, and the published median of candidate observations.
    [
        (rules.msprt, 0.05, 900, 0.02, 252),
        (rules.msprt, 0.5, 1_400, 0.04, 399),
        (rules.growthbook, 0.05, 900, 0.02, 233),
        (rules.growthbook, 0.5, 1_400, 0.04, 494),
        (rules.growthbook_one_sided, 0.05, 900, 0.03, 197),
        (rules.obrien_fleming, 0.05, 320, 0.06, 180),
        (rules.kayenta, 0.05, 900, 0.03, 320),
    ],
)
def test_published_figures_come_out(rule, weight, most, false, median):
    rng = np.random.default_rng(7)
    worse = drawn(rng, 0.77, weight=weight, most=most)
    assert np.median(rules.first(rule(worse), worse)) == pytest.approx(median, rel=0.13)
    equal = drawn(rng, 0.85, weight=weight, most=most)
    assert rule(equal).any(axis=1).mean() <= false


def test_peeking_and_point_estimates_roll_back_harmless_changes():
    equal = drawn(np.random.default_rng(8), 0.85, weight=0.05, most=600)
    assert rules.fixed_z(equal).any(axis=1).mean() > 0.25
    assert rules.threshold(equal).any(axis=1).mean() > 0.33


def test_who_knows_both_rates_is_quick_and_keeps_the_level():
    rng = np.random.default_rng(9)
    worse, equal = (drawn(rng, rate, weight=0.05, most=900) for rate in (0.77, 0.85))
    found, false = (rules.oracle(of, baseline=0.85, candidate=0.77, pi=0.05) for of in (worse, equal))
    assert np.median(rules.first(found, worse)) == pytest.approx(114, rel=0.15)
    assert false.any(axis=1).sum() <= stats.binom.ppf(0.999, RUNS, 0.05)
