from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inchworm.stats.factorial import best_subset, unbundle
from inchworm.stats.moebius import (
    PENALTY,
    averaged_matrix,
    layers_of,
    moebius_matrix,
    select,
    shapley_matrix,
    terms,
)

PAIR, FIRST = 0b011, 0b001


def draw(rng, n, k, *, term=0, effect=0.0, mean=0.85, residual=0.08):
    """Items of unequal difficulty, one answer per cell; cells with all of `term` change by `effect`."""
    spread = mean * (1 - mean)
    size = spread / (spread - residual) - 1
    p = rng.beta(mean * size, (1 - mean) * size, n)
    touched = np.array([term != 0 and t & term == term for t in range(1 << k)])
    return (rng.random((n, 1 << k)) < p[:, None] * (1 + touched * effect / mean)).astype(float)


# --- the algebra -----------------------------------------------------------------------------------------


@given(st.integers(1, 3), st.integers(0, 1000))
def test_moebius_inversion_is_exact(k, seed):
    mu = np.random.default_rng(seed).random(1 << k)
    beta = dict(zip(terms(k), moebius_matrix(k) @ mu, strict=True))
    for cell in range(1 << k):
        assert mu[0] + sum(b for s, b in beta.items() if s & cell == s) == pytest.approx(mu[cell])


@given(st.integers(1, 3), st.integers(0, 1000))
def test_shapley_values_are_the_mean_over_orders_and_add_up(k, seed):
    mu = np.random.default_rng(seed).random(1 << k)
    value = shapley_matrix(k) @ mu
    assert value.sum() == pytest.approx(mu[-1] - mu[0])
    orders = list(permutations(range(k)))
    for layer in range(k):
        gains = []
        for order in orders:
            before = sum(1 << j for j in order[: order.index(layer)])
            gains.append(mu[before | 1 << layer] - mu[before])
        assert value[layer] == pytest.approx(np.mean(gains))


def test_with_two_layers_shapley_is_the_averaged_main_effect():
    assert np.allclose(shapley_matrix(2), averaged_matrix(2)[:2])


@pytest.mark.parametrize("k", [1, 2, 3])
def test_variances_of_averaged_contrasts_are_the_planned_ones(k):
    squares = (averaged_matrix(k) ** 2).sum(axis=1)
    for mask, square in zip(terms(k), squares, strict=True):
        assert square == pytest.approx(4 ** mask.bit_count() / 2**k)


def test_averaged_contrasts_are_a_regression_on_centred_codes():
    rng = np.random.default_rng(1)
    outcome = draw(rng, 80, 3)
    cell = np.tile(np.arange(8), 80)
    code = np.stack([(cell >> j & 1) - 0.5 for j in range(3)], axis=1)
    columns = [code[:, list(layers_of(s))].prod(axis=1) for s in terms(3)]
    group = np.repeat(np.arange(80), 8)
    fit = sm.OLS(outcome.ravel(), sm.add_constant(np.stack(columns, axis=1))).fit(
        cov_type="cluster", cov_kwds={"groups": group, "use_correction": False}
    )
    found = unbundle(outcome).averaged
    assert [t.effect for t in found] == pytest.approx(list(fit.params[1:]), abs=1e-12)
    assert [t.se for t in found] == pytest.approx(list(fit.bse[1:] * np.sqrt(80 / 79)), rel=1e-9)


def test_moebius_effects_are_a_regression_on_zero_one_codes_clustered_by_group():
    rng = np.random.default_rng(2)
    outcome, of_item = draw(rng, 120, 2), np.arange(120) // 4
    cell = np.tile(np.arange(4), 120)
    columns = np.stack([(cell & s == s).astype(float) for s in terms(2)], axis=1)
    fit = sm.OLS(outcome.ravel(), sm.add_constant(columns)).fit(
        cov_type="cluster", cov_kwds={"groups": np.repeat(of_item, 4), "use_correction": False}
    )
    found = unbundle(outcome, group=of_item)
    assert found.groups == 30
    assert [t.effect for t in found.moebius] == pytest.approx(list(fit.params[1:]), abs=1e-12)
    assert [t.se for t in found.moebius] == pytest.approx(list(fit.bse[1:] * np.sqrt(30 / 29)), rel=1e-9)


@given(st.integers(0, 500), st.integers(0, 127))
@settings(max_examples=60)
def test_the_chosen_estimate_is_generalized_least_squares(seed, model):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(8, 12))
    cells, matrix = root @ root.T, moebius_matrix(3)
    mu = rng.normal(size=8)
    masks = terms(3)
    kept = [s for i, s in enumerate(masks) if model >> i & 1]
    # The chi-square of this model, straight from the definition.
    design = np.array([[1.0, *(t & s == s for s in kept)] for t in range(8)])
    inverse = np.linalg.inv(cells)
    fit = np.linalg.solve(design.T @ inverse @ design, design.T @ inverse @ mu)
    residual = mu - design @ fit
    ours = select(matrix @ mu, matrix @ cells @ matrix.T, k=3, penalty=0.5, shrink=1.0)
    score = residual @ inverse @ residual + 0.5 * len(kept)
    best = ours.misfit + 0.5 * len(ours.chosen)
    assert best <= score + 1e-6
    assert ours.lead >= 0
    if set(kept) == set(ours.chosen):
        assert best == pytest.approx(score, abs=1e-6)
        assert ours.estimate == pytest.approx(fit[1:], abs=1e-6)
    design = np.array([[1.0, *(t & s == s for s in ours.chosen)] for t in range(8)])
    covariance = np.linalg.inv(design.T @ inverse @ design)
    fit = covariance @ design.T @ inverse @ mu
    assert ours.estimate == pytest.approx(fit[1:], abs=1e-6)
    assert ours.covariance == pytest.approx(covariance[1:, 1:], rel=1e-5, abs=1e-6)


# --- the answer ------------------------------------------------------------------------------------------


def test_readings_agree_with_each_other():
    found = unbundle(draw(np.random.default_rng(3), 600, 3, term=PAIR, effect=-0.3))
    assert sum(t.effect for t in found.moebius) == pytest.approx(found.total.effect)
    assert sum(t.effect for t in found.shapley) == pytest.approx(found.total.effect)
    assert [t.layers for t in found.named] == [(0, 1)]
    (term,) = found.named
    assert term.interaction
    assert term.low < -0.3 < term.high < 0
    # Borrowing the other cells makes the refit estimate sharper than the baseline-coded one.
    raw = next(t for t in found.moebius if t.layers == (0, 1))
    assert term.se < 0.6 * raw.se
    assert {t.layers for t in found.unmeasured} == {layers_of(s) for s in terms(3)} - {(0, 1)}
    assert found.lead > 0


def test_two_faults_are_both_named():
    rng = np.random.default_rng(4)
    first = draw(rng, 800, 2, term=0b01, effect=-0.2)
    keep = np.where(np.array([0, 0, 1, 1], dtype=bool), rng.random((800, 4)) < 0.8, 1.0)
    found = unbundle(first * keep)
    assert {t.layers for t in found.named} >= {(0,), (1,)}
    assert not any(t.interaction for t in found.named if len(t.layers) == 1)


def test_a_small_interaction_beside_a_large_effect_is_reported_but_not_declared():
    rng = np.random.default_rng(5)
    p = np.array([0.9, 0.4, 0.9, 0.55])
    found = unbundle((rng.random((6000, 4)) < p).astype(float), penalty=6.5)
    pair = next(t for t in found.named if t.layers == (0, 1))
    assert pair.low > 0
    assert not pair.interaction
    assert found.penalty == 6.5


@pytest.mark.parametrize("k", [1, 2, 3])
def test_cells_that_agree_on_every_item_name_nobody_and_keep_intervals(k):
    column = np.resize([1.0, 0.0, 1.0], 90)
    found = unbundle(np.repeat(column[:, None], 1 << k, axis=1))
    assert found.named == ()
    for term in (found.total, *found.moebius, *found.averaged, *found.shapley):
        assert term.effect == pytest.approx(0, abs=1e-12)
        assert term.low < -0.03
        assert term.high > 0.03


def test_a_layer_that_breaks_everything_is_named():
    found = unbundle(np.repeat([[1.0, 0.0, 1.0, 0.0]], 50, axis=0))
    assert [t.layers for t in found.named] == [(0,)]
    assert found.named[0].effect == pytest.approx(-1, abs=1e-6)
    assert found.named[0].low >= -1
    assert found.total.high < -0.8


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 3))
def test_order_of_items_does_not_matter_and_layers_can_be_renamed(seed, k):
    rng = np.random.default_rng(seed)
    outcome = draw(rng, 60, k, term=1, effect=-0.3)
    weight, group = rng.random(60) + 0.1, rng.integers(0, 40, 60)
    found = unbundle(outcome, weight=weight, group=group)
    order = rng.permutation(60)
    again = unbundle(outcome[order], weight=weight[order], group=group[order])
    assert [t.layers for t in again.named] == [t.layers for t in found.named]
    for a, b in zip(found.moebius, again.moebius, strict=True):
        assert (a.effect, a.low, a.high) == pytest.approx((b.effect, b.low, b.high), abs=1e-6)
    # Renaming layers renames the answer.
    names = list(rng.permutation(k))
    moved = [sum(1 << int(names[j]) for j in layers_of(t)) for t in range(1 << k)]
    renamed = np.empty_like(outcome)
    renamed[:, moved] = outcome
    other = unbundle(renamed, weight=weight, group=group)
    expected = {tuple(sorted(int(names[j]) for j in t.layers)): t.effect for t in found.shapley}
    assert {t.layers: t.effect for t in other.shapley} == pytest.approx(expected)


def test_weights_and_masks():
    rng = np.random.default_rng(6)
    outcome = rng.random((60, 4))
    present = np.ones((60, 4), dtype=bool)
    present[3, 2] = False
    broken = outcome.copy()
    broken[3, 2] = np.nan
    found = unbundle(broken, present=present)
    assert (found.n, found.dropped) == (59, 1)
    assert found.cell_means == pytest.approx(np.delete(outcome, 3, axis=0).mean(axis=0))
    weight = rng.random(60)
    weighted = unbundle(outcome, weight=weight)
    assert weighted.cell_means == pytest.approx(weight @ outcome / weight.sum())
    scaled = unbundle(outcome, weight=10 * weight).total
    assert (scaled.low, scaled.high) == pytest.approx((weighted.total.low, weighted.total.high))


@pytest.mark.parametrize("k", [4, 5, 6])
def test_more_than_three_layers_are_refused_with_a_way_out(k):
    with pytest.raises(ValueError, match=f"{k} changed layers.*Split the change"):
        unbundle(np.zeros((200, 1 << k)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cells": np.zeros((30, 3))}, r"2\^k"),
        ({"cells": np.zeros(30)}, r"2\^k"),
        ({"cells": np.full((30, 4), 2.0)}, r"\[0, 1\]"),
        ({"cells": np.full((30, 4), np.nan)}, r"\[0, 1\]"),
        ({"present": np.ones((30, 2), dtype=bool)}, "present"),
        ({"weight": np.full(30, -1.0)}, "weights"),
        ({"weight": np.zeros(30)}, "groups"),
        ({"group": np.zeros(30, dtype=int)}, "groups"),
    ],
)
def test_unusable_cells_are_refused(change, words):
    arguments = {"cells": np.zeros((30, 4))} | change
    with pytest.raises(ValueError, match=words):
        unbundle(arguments.pop("cells"), **arguments)


def test_selection_refuses_other_shapes():
    with pytest.raises(ValueError, match="3 terms"):
        select(np.zeros(2), np.eye(2), k=2, penalty=1.0, shrink=1.0)


# --- what to ship ----------------------------------------------------------------------------------------


def test_the_best_corner_leaves_the_fault_out():
    rng = np.random.default_rng(7)
    p = np.where(np.arange(8) & 1, 0.7, 0.8) + 0.1 * (np.arange(8) >> 1 & 1)
    found = best_subset((rng.random((800, 8)) < p).astype(float))
    assert set(found.best.layers) >= {1}
    assert 0 not in found.best.layers
    assert found.best.low > 0
    assert [c.effect for c in found.corners] == sorted((c.effect for c in found.corners), reverse=True)
    assert len(found.corners) == 7


def test_the_baseline_wins_where_every_corner_loses():
    outcome = np.concatenate([np.ones((100, 1)), draw(np.random.default_rng(8), 100, 2)[:, 1:]], axis=1)
    found = best_subset(outcome)
    assert found.best.layers == ()
    assert found.best.effect == 0
    assert all(c.effect < 0 for c in found.corners)


def test_of_equal_corners_the_one_that_changes_least_is_shipped():
    outcome = np.repeat([[0.0, 1.0, 0.0, 1.0]], 40, axis=0)
    assert best_subset(outcome).best.layers == (0,)


# --- error rates (small; benchmarks/attribution.py has the large version) ----------------------------------


@pytest.mark.parametrize(("k", "n"), [(1, 100), (2, 100), (3, 100)])
def test_a_bundle_without_effect_names_nobody(k, n):
    rng = np.random.default_rng([9, k, n])
    runs = 150
    blamed = sum(bool(unbundle(draw(rng, n, k), seed=r).named) for r in range(runs))
    assert stats.binomtest(blamed, runs, 0.05, alternative="greater").pvalue > 0.01


def test_a_pure_interaction_is_found_and_innocent_layers_are_not_blamed():
    rng = np.random.default_rng(10)
    runs = 150
    found = innocent = averaged = 0
    for run in range(runs):
        result = unbundle(draw(rng, 600, 3, term=PAIR, effect=-0.06), seed=run)
        blamed = {t.layers for t in result.named}
        found += (0, 1) in blamed
        innocent += any(len(t) == 1 for t in blamed)
        averaged += any(t.high < 0 or t.low > 0 for t in result.averaged[:3])
    assert stats.binomtest(found, runs, 0.94, alternative="less").pvalue > 0.01
    assert stats.binomtest(innocent, runs, 0.03, alternative="greater").pvalue > 0.01
    # The classical contrasts blame the innocent in most runs: the reason for the rule.
    assert averaged > runs / 2


def test_simultaneous_intervals_cover_together():
    rng = np.random.default_rng(11)
    runs, effect = 120, -0.2
    missed = {"moebius": 0, "shapley": 0, "corners": 0}
    truth = {s: effect if s == FIRST else 0.0 for s in terms(3)}
    for run in range(runs):
        cells = draw(rng, 150, 3, term=FIRST, effect=effect)
        result = unbundle(cells, seed=run)
        missed["moebius"] += any(
            not t.low <= truth[s] <= t.high for s, t in zip(terms(3), result.moebius, strict=True)
        )
        missed["shapley"] += any(
            not t.low <= (effect if t.layers == (0,) else 0.0) <= t.high for t in result.shapley
        )
        missed["corners"] += any(
            not c.low <= (effect if 0 in c.layers else 0.0) <= c.high
            for c in best_subset(cells, seed=run).corners
        )
    for rate in missed.values():
        assert stats.binomtest(rate, runs, 0.07, alternative="greater").pvalue > 0.01


def test_penalties_rise_with_the_number_of_terms():
    assert sorted(PENALTY) == [1, 2, 3]
    assert PENALTY[1] < PENALTY[2] < PENALTY[3]
