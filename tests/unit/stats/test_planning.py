from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from inchworm.stats.paired import compare, verdict
from inchworm.stats.planning import (
    advised_repetitions,
    items_for_effect,
    items_to_settle,
    minimum_detectable_effect,
)


def binary(rng, n, *, k=1, p=0.85):
    return (rng.random((n, k)) < p).astype(float)


def test_repetitions_are_advised_while_noise_exceeds_spread():
    base = compare(*np.random.default_rng(0).random((2, 30, 2)))
    assert advised_repetitions(replace(base, variance_within=0.1, variance_between=0.2)) == 1
    assert advised_repetitions(replace(base, variance_within=0.5, variance_between=0.2)) == 3
    assert advised_repetitions(replace(base, variance_within=0.5, variance_between=0.0)) == 10
    assert advised_repetitions(replace(base, variance_within=0.0, variance_between=0.0)) == 1


@pytest.mark.parametrize(("n", "points"), [(100, 10.8), (500, 4.8), (1000, 3.4), (5000, 1.5)])
def test_published_detectable_effects_at_15_percent_discordance(n, points):
    assert 100 * minimum_detectable_effect(0.15, n) == pytest.approx(points, abs=0.06)


def test_planning_inverts_itself():
    n = items_for_effect(0.15, 0.05)
    assert n is not None
    assert minimum_detectable_effect(0.15, n) <= 0.05 < minimum_detectable_effect(0.15, n - 1)
    assert items_for_effect(0.15, 0.0) is None
    base = compare(*np.random.default_rng(0).random((2, 200, 2)))
    assert items_to_settle(replace(base, effect=-0.03), 0.03) is None
    more = items_to_settle(replace(base, effect=0.0), 0.03)
    assert more == items_for_effect(base.variance_total, 0.03)
    fewer = items_to_settle(replace(base, effect=0.0), 0.03, repetitions=8)
    assert fewer is not None
    assert more is not None
    assert fewer < more


def test_planning_refuses_nonsense():
    for call in (
        lambda: minimum_detectable_effect(-1, 10),
        lambda: minimum_detectable_effect(0.1, 0),
        lambda: minimum_detectable_effect(0.1, 10, power=1.0),
        lambda: items_for_effect(-0.1, 0.1),
    ):
        with pytest.raises(ValueError, match=r"variance|power"):
            call()


def test_items_to_settle_settles():
    # Planned power is reached: at the n advised for a true effect of 0 the gate passes in about 80 % of runs.
    rng = np.random.default_rng(13)
    variance = 2 * 0.85 * 0.15
    n = items_for_effect(variance, 0.05)
    runs = 150
    passed = sum(
        verdict(compare(binary(rng, n), binary(rng, n), resamples=500, seed=r), 0.05).outcome == "pass"
        for r in range(runs)
    )
    assert stats.binomtest(passed, runs, 0.8).pvalue > 0.001
