import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from inchworm.stats.paired import StratumEffect, StratumTooSmall, compare, stratum_effects, verdict
from inchworm.stats.planning import advised_repetitions


def binary(rng, n, *, k=1, p=0.85):
    return (rng.random((n, k)) < p).astype(float)


def counts(gained, lost, both, neither):
    new = np.array([1.0] * gained + [0.0] * lost + [1.0] * both + [0.0] * neither)
    old = np.array([0.0] * gained + [1.0] * lost + [1.0] * both + [0.0] * neither)
    return new, old


# --- oracles --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", [(3, 11, 60, 10), (0, 6, 40, 4), (9, 9, 100, 20), (1, 0, 10, 3)])
def test_small_binary_sets_use_exact_mcnemar(table):
    gained, lost, both, neither = table
    found = compare(*counts(*table))
    assert found.method == "mcnemar-tango"
    assert found.p_value == pytest.approx(mcnemar([[both, lost], [gained, neither]], exact=True).pvalue)
    assert (found.wins, found.losses) == (gained, lost)
    assert found.discordance == pytest.approx((gained + lost) / sum(table))


def test_groups_equal_statsmodels_cluster_errors():
    rng = np.random.default_rng(3)
    group = rng.integers(0, 60, 400)
    shift = rng.normal(0, 0.1, 60)[group]
    new = np.clip(0.6 + shift + rng.normal(0, 0.1, 400), 0, 1)
    old = np.clip(0.6 + rng.normal(0, 0.1, 400), 0, 1)
    found = compare(new, old, group=group)
    fit = sm.OLS(new - old, np.ones(400)).fit(cov_type="cluster", cov_kwds={"groups": group}, use_t=True)
    assert found.method == "cluster-t"
    assert found.se == pytest.approx(fit.bse[0], rel=1e-9)
    assert (found.low, found.high) == pytest.approx(tuple(fit.conf_int()[0]), rel=1e-9)
    assert found.p_value == pytest.approx(fit.pvalues[0], rel=1e-9)
    assert found.groups == 60


def test_stratified_standard_error_is_the_textbook_formula():
    rng = np.random.default_rng(4)
    stratum = np.repeat([0, 1, 2], [50, 100, 250])
    weight = np.array([0.5, 0.3, 0.2])
    new, old = rng.random(400), rng.random(400)
    found = compare(new, old, stratum=stratum, weight=weight)
    parts = [(new - old)[stratum == h] for h in range(3)]
    assert found.effect == pytest.approx(sum(w * d.mean() for w, d in zip(weight, parts, strict=True)))
    square = sum(w**2 * d.var(ddof=1) / d.size for w, d in zip(weight, parts, strict=True))
    assert found.se == pytest.approx(math.sqrt(square))
    assert found.method == "bootstrap-t"


def test_bootstrap_agrees_with_the_normal_interval_when_n_is_large():
    rng = np.random.default_rng(5)
    new, old = rng.random(2000), rng.random(2000)
    found = compare(new, old)
    d = new - old
    low, high = stats.norm.interval(0.95, d.mean(), d.std(ddof=1) / math.sqrt(2000))
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-4)
    assert found.p_value == pytest.approx(stats.ttest_1samp(d, 0).pvalue, abs=0.02)


def test_bootstrap_follows_skewness():
    # Right-skewed differences: bootstrap-t reaches further up than down, as an interval for a mean should.
    rng = np.random.default_rng(6)
    d = np.clip(rng.exponential(0.1, 80), 0, 1)
    found = compare(d, np.zeros(80))
    assert found.high - found.effect > 1.1 * (found.effect - found.low)


def test_groups_across_strata_match_a_linearised_variance():
    rng = np.random.default_rng(7)
    n, weight = 300, np.array([0.7, 0.3])
    stratum, group = rng.integers(0, 2, n), rng.integers(0, 80, n)
    new, old = rng.random(n), rng.random(n)
    found = compare(new, old, stratum=stratum, weight=weight, group=group)
    d = new - old
    z = np.zeros(80)
    for h in range(2):
        inside = stratum == h
        np.add.at(z, group[inside], weight[h] / inside.sum() * (d[inside] - d[inside].mean()))
    used = np.unique(group).size
    assert found.se == pytest.approx(math.sqrt((z**2).sum() * used / (used - 1)))
    assert found.low < found.effect < found.high
    assert found.high - found.low == pytest.approx(2 * 1.99 * found.se, rel=0.1)


# --- properties -----------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(12, 60),
    k=st.integers(1, 3),
    strata=st.integers(1, 3),
    grouped=st.booleans(),
    coarse=st.booleans(),
)
def test_exchanging_arms_mirrors_and_order_does_not_matter(*, seed, n, k, strata, grouped, coarse):
    rng = np.random.default_rng(seed)
    new, old = rng.random((n, k)), rng.random((n, k))
    if coarse:
        new, old = np.round(new), np.round(old)
    columns = {
        "stratum": rng.integers(0, strata, n),
        "weight": rng.random(strata) + 0.1,
        "group": rng.integers(0, n // 3, n) if grouped else np.arange(n),
    }
    found = compare(new, old, resamples=400, **columns)
    swapped = compare(old, new, resamples=400, **columns)
    assert swapped.effect == pytest.approx(-found.effect, abs=1e-12)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low), abs=1e-9)
    assert swapped.p_value == pytest.approx(found.p_value, abs=1e-9)
    assert (swapped.wins, swapped.losses) == (found.losses, found.wins)

    order = rng.permutation(n)
    shuffled = compare(
        new[order],
        old[order],
        stratum=columns["stratum"][order],
        weight=columns["weight"],
        group=columns["group"][order],
        resamples=400,
    )
    assert shuffled.method == found.method
    assert (shuffled.effect, shuffled.low, shuffled.high) == pytest.approx(
        (found.effect, found.low, found.high), abs=1e-9
    )
    assert found.low <= found.effect <= found.high
    assert 0 <= found.p_value <= 1


def test_same_seed_same_interval():
    rng = np.random.default_rng(8)
    new, old = rng.random(50), rng.random(50)
    assert compare(new, old, seed=3) == compare(new, old, seed=3)
    assert compare(new, old, seed=3) != compare(new, old, seed=4)


# --- nothing differs, and absence -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [10, 100, 1000])
@pytest.mark.parametrize("kind", ["plain", "strata", "groups"])
def test_no_difference_at_all_still_has_an_interval(n, kind):
    outcome = np.resize([1.0, 1.0, 0.0], n)
    columns = {
        "plain": {},
        "strata": {"stratum": np.arange(n) % 2, "weight": np.array([0.9, 0.1])},
        "groups": {"group": np.arange(n) // 2},
    }[kind]
    found = compare(
        outcome,
        outcome,
        stratum=columns.get("stratum"),
        weight=columns.get("weight"),
        group=columns.get("group"),
    )
    assert found.effect == 0
    # Three failures in n trials are what zero observed cannot exclude; the weights and groups cost more.
    assert found.high == pytest.approx(-found.low)
    assert found.high >= 3 / (n + 3)
    assert found.se > 0
    assert found.p_value == 1


def test_strata_that_are_constant_at_different_levels():
    found = compare(np.array([1.0] * 30 + [0.5] * 30), np.array([0.5] * 60), stratum=np.repeat([0, 1], 30))
    assert found.method == "sparse-score"
    assert found.low < found.effect < found.high


def test_a_handful_of_discordant_items_in_a_large_set():
    new, old = counts(0, 3, 900, 97)
    found = compare(new, old)
    assert found.method == "mcnemar-tango"
    assert found.low < -0.003 < found.high < 0.002


def test_absent_outcomes_are_ignored_whatever_they_hold():
    rng = np.random.default_rng(9)
    new, old = rng.random((40, 3)), rng.random((40, 3))
    present = rng.random((40, 3)) < 0.7
    present[5] = False
    present[6:] |= ~present[6:].any(axis=1, keepdims=True)
    present[:5, 0] = True
    nonsense = np.where(present, new, np.nan)
    found = compare(nonsense, old, new_present=present)
    assert (found.n, found.dropped) == (39, 1)
    means = np.array([row[keep].mean() for row, keep in zip(new, present, strict=True) if keep.any()])
    assert found.effect == pytest.approx((means - np.delete(old.mean(axis=1), 5)).mean())


def test_a_stratum_without_items_lowers_what_is_covered():
    rng = np.random.default_rng(10)
    found = compare(
        rng.random(40), rng.random(40), stratum=np.arange(40) % 2, weight=np.array([0.5, 0.25, 0.25])
    )
    assert found.covered == pytest.approx(0.75)


def test_lone_items_in_strata_are_pooled_without_moving_the_estimate():
    rng = np.random.default_rng(11)
    new, old = rng.random(42), rng.random(42)
    stratum = np.array([0] * 20 + [1] * 20 + [2, 3])
    weight = np.array([0.4, 0.3, 0.2, 0.1])
    found = compare(new, old, stratum=stratum, weight=weight)
    d = new - old
    expected = 0.4 * d[:20].mean() + 0.3 * d[20:40].mean() + 0.2 * d[40] + 0.1 * d[41]
    assert found.effect == pytest.approx(expected)
    assert found.se > 0
    one = compare(new[:41], old[:41], stratum=stratum[:41], weight=weight[:3])
    assert one.effect == pytest.approx((0.4 * d[:20].mean() + 0.3 * d[20:40].mean() + 0.2 * d[40]) / 0.9)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"new": np.full(6, 1.5)}, r"\[0, 1\]"),
        ({"new": np.full(6, np.nan)}, r"\[0, 1\]"),
        ({"new": np.zeros(5)}, "same items"),
        ({"new": np.zeros((6, 2, 2))}, "same items"),
        ({"stratum": np.zeros(5, dtype=int)}, "one entry"),
        ({"stratum": np.full(6, -1)}, "negative"),
        ({"stratum": np.full(6, 2), "weight": np.ones(2)}, "weight"),
        ({"stratum": np.zeros(6, dtype=int), "weight": np.array([0.0, 1.0])}, "weight 0"),
        ({"group": np.zeros(6, dtype=int)}, "two independent groups"),
        ({"new_present": np.zeros(6, dtype=bool)}, "nothing to compare"),
        ({"new_present": np.ones(5, dtype=bool)}, "mask"),
        ({"confidence": 1.0}, "confidence"),
    ],
)
def test_unusable_input_is_refused(change, words):
    arguments = {"new": np.ones(6), "old": np.zeros(6)} | change
    with pytest.raises(ValueError, match=words):
        compare(**arguments)


# --- components, verdict, planning ----------------------------------------------------------------------


def test_variance_components_are_recovered():
    rng = np.random.default_rng(12)
    n, k = 4000, 4
    p = rng.beta(2, 1, n)
    q = np.clip(p - rng.choice([0.0, 0.3], n), 0, 1)
    new = (rng.random((n, k)) < q[:, None]).astype(float)
    old = (rng.random((n, k)) < p[:, None]).astype(float)
    found = compare(new, old, resamples=200)
    assert found.variance_within == pytest.approx((p * (1 - p) + q * (1 - q)).mean(), rel=0.05)
    assert found.variance_between is not None
    assert found.variance_within is not None
    assert found.variance_between == pytest.approx((q - p).var(), abs=0.008)
    assert found.repetitions == pytest.approx(4)
    assert found.variance_total == pytest.approx(found.variance_between + found.variance_within / 4, rel=1e-9)
    once = compare(new[:, :1], old)
    assert once.variance_within is None
    assert once.variance_between is None
    assert advised_repetitions(once) is None


@pytest.mark.parametrize(
    ("low", "high", "margin", "outcome", "worse"),
    [
        (-0.02, 0.01, 0.03, "pass", False),
        (-0.02, -0.01, 0.03, "pass", True),
        (-0.08, -0.04, 0.03, "fail", True),
        (-0.08, -0.02, 0.03, "inconclusive", True),
        (-0.08, 0.02, 0.03, "inconclusive", False),
        (-0.03, 0.02, 0.03, "inconclusive", False),
        (0.0, 0.02, 0.0, "inconclusive", False),
        (0.001, 0.02, 0.0, "pass", False),
    ],
)
def test_verdict(low, high, margin, outcome, worse):
    base = compare(*np.random.default_rng(0).random((2, 30)))
    found = verdict(replace(base, low=low, high=high), margin)
    assert found.outcome == outcome
    assert found.worse_with_confidence is worse
    assert found.better_with_confidence is (low > 0)


@pytest.mark.parametrize("margin", [-0.01, math.nan, math.inf])
def test_a_margin_is_not_negative(margin):
    with pytest.raises(ValueError, match="margin"):
        verdict(compare(*np.random.default_rng(0).random((2, 30))), margin)


# --- strata ---------------------------------------------------------------------------------------------


def test_strata_are_sorted_worst_first_with_simultaneous_intervals():
    rng = np.random.default_rng(14)
    stratum = np.repeat([0, 1, 2, 4], [100, 100, 100, 1])
    old = binary(rng, 301, p=0.9)
    new = old.copy()
    new[100:150] = 0
    found = stratum_effects(new, old, stratum=stratum, weight=np.array([0.2, 0.3, 0.3, 0.1, 0.1]))
    assert [s.stratum for s in found] == [1, 0, 2, 4]
    assert isinstance(found[-1], StratumTooSmall)
    assert found[-1].n == 1
    worst = found[0]
    assert isinstance(worst, StratumEffect)
    assert worst.estimate.high < 0
    assert worst.estimate.confidence == pytest.approx(1 - 0.05 / 3)
    assert sum(isinstance(s, StratumEffect) and s.estimate.high < 0 for s in found) == 1
    alone = compare(new[100:200], old[100:200])
    assert worst.estimate.effect == alone.effect
    assert worst.estimate.high - worst.estimate.low > alone.high - alone.low


def test_strata_respect_masks_and_groups():
    rng = np.random.default_rng(15)
    new, old = rng.random((90, 2)), rng.random((90, 2))
    present = np.ones((90, 2), dtype=bool)
    present[0] = False
    stratum, group = np.arange(90) % 2, np.arange(90) // 6
    found = stratum_effects(
        new, old, stratum=stratum, new_present=present, old_present=np.ones((90, 2), dtype=bool), group=group
    )
    sizes = {s.stratum: s.estimate.n for s in found if isinstance(s, StratumEffect)}
    assert sizes == {0: 44, 1: 45}
    assert all(isinstance(s, StratumEffect) and s.estimate.method == "cluster-t" for s in found)


# --- error rates (small; benchmarks/attribution.py has the large version) -------------------------------


@pytest.mark.parametrize(
    ("n", "k", "strata", "grouped"),
    [(50, 1, 1, False), (100, 1, 4, False), (60, 3, 1, False), (150, 1, 1, True), (320, 1, 1, False)],
)
def test_false_alarms_stay_near_nominal(n, k, strata, grouped):
    rng = np.random.default_rng([16, n])
    runs, wrong = 200, 0
    for run in range(runs):
        group = np.arange(n) // 3 if grouped else np.arange(n)
        p = rng.beta(1.4, 0.25, n)[group]
        new = (rng.random((n, k)) < p[:, None]).astype(float)
        old = (rng.random((n, k)) < p[:, None]).astype(float)
        found = compare(
            new,
            old,
            stratum=np.arange(n) % strata if not grouped else None,
            weight=np.arange(1.0, strata + 1) if not grouped else None,
            group=group,
            resamples=500,
            seed=run,
        )
        wrong += not found.low <= 0 <= found.high
    # One-sided: nominal .05 plus the 2 points that the plan allows.
    assert stats.binomtest(wrong, runs, 0.07, alternative="greater").pvalue > 0.01
