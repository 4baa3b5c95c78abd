"""The confidence sequence and the point estimate of the effect."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inchworm.stats import sequences


def stream(seed, size, *, effect=-0.05, drift=True, ramp=True, binary=True):
    rng = np.random.default_rng(seed)
    stage = np.arange(size) * 3 // max(size, 1) if ramp else np.zeros(size, dtype=int)
    pi = np.array([0.05, 0.25, 0.5])[stage] if ramp else np.full(size, 0.5)
    a = (rng.random(size) < pi).astype(float)
    mean = (np.linspace(0.9, 0.75, size) if drift else 0.8) + effect * a
    y = (rng.random(size) < mean).astype(float) if binary else rng.beta(4 * mean, 4 * (1 - mean))
    return {"y": y, "a": a, "pi": pi, "stage": stage}


def part(units, start, stop):
    return {name: values[start:stop] for name, values in units.items()}


def naive_log_e(delta, units):
    """The two-sided mixture at one effect, one unit and one bet at a time."""
    n, sy, sv, m, v = 2, 1.0, 0.5, 0.5, 0.25
    wealth = {(side, k): 0.5 * w for side in (1, -1) for k, w in enumerate(sequences.WEIGHTS)}
    for i, (y, a, pi) in enumerate(zip(units["y"], units["a"], units["pi"], strict=True)):
        if i < 64 or i % 64 == 0:
            m, v = sy / n, max(sv / n, 0.001)
        z = (a - pi) * (y - m) - pi * (1 - pi) * delta
        every_z = [(b - pi) * (x - m) - pi * (1 - pi) * delta for b in (0, 1) for x in (0, 1)]
        for side, k in wealth:
            worst = -min(side * other for other in every_z)
            wealth[side, k] *= 1 + min(sequences.RATES[k] / math.sqrt(v), 0.9 / max(worst, 1e-6)) * side * z
        sv += (y - sy / n) ** 2
        sy += y
        n += 1
    return math.log(sum(wealth.values()))


def test_the_grid_is_symmetric_fine_near_zero_and_reaches_one():
    grid = np.array(sequences.GRID)
    assert np.array_equal(grid, -grid[::-1])
    assert grid[-1] == 1.0
    steps = np.diff(grid)
    assert np.all(steps > 0)
    assert steps[np.abs(grid[:-1]) < 0.045].max() == pytest.approx(0.0025)
    assert steps.max() == pytest.approx(0.05)


@pytest.mark.parametrize("binary", [True, False])
def test_equals_the_naive_recursion(binary):
    units = stream(1, 300, binary=binary)
    evidence = sequences.log_e(sequences.update(sequences.init(3), **units))
    for i in range(0, len(sequences.GRID), 9):
        assert evidence[i] == pytest.approx(naive_log_e(sequences.GRID[i], units), abs=1e-9)


@given(
    seed=st.integers(0, 1000),
    size=st.integers(0, 200),
    binary=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_any_cutting_into_batches_gives_the_same_state_bit_for_bit(seed, size, binary, cuts):
    units = stream(seed, size, binary=binary)
    state = sequences.init(3)
    for start, stop in itertools.pairwise([0, *sorted(min(cut, size) for cut in cuts), size]):
        state = sequences.from_json(json.loads(json.dumps(sequences.to_json(state))))
        state = sequences.update(state, **part(units, start, stop))
    assert state == sequences.update(sequences.init(3), **units)


def test_starts_at_one_and_knows_nothing():
    state = sequences.init(2)
    assert sequences.log_e(state) == pytest.approx(0.0, abs=1e-12)
    assert sequences.interval(state, alpha=0.05) == sequences.Interval(low=-1.0, high=1.0)
    assert sequences.estimate(state) is None


def test_certain_assignments_are_skipped():
    units = stream(3, 100)
    holed = {name: np.insert(values, [0, 50, 100], 0) for name, values in units.items()}
    state = sequences.update(sequences.init(3), **holed)
    assert state.skipped == 3
    assert replace(state, skipped=0) == sequences.update(sequences.init(3), **units)


def test_expected_evidence_at_the_true_effect_is_one():
    # All arms and outcomes of four units enumerated; the true effect is on the grid, the baseline drifts.
    delta = -0.1
    baselines, pi = (0.9, 0.3, 0.6, 0.8), (0.05, 0.5, 0.3, 0.9)
    at = sequences.GRID.index(delta)
    total = 0.0
    for cells in itertools.product(((0, 0), (0, 1), (1, 0), (1, 1)), repeat=4):
        chance = 1.0
        for (a, y), baseline, p in zip(cells, baselines, pi, strict=True):
            rate = baseline + delta * a
            chance *= (p if a else 1 - p) * (rate if y else 1 - rate)
        a, y = np.array(cells).T
        state = sequences.update(sequences.init(1), y=y, a=a, pi=pi, stage=[0, 0, 0, 0])
        total += chance * math.exp(sequences.log_e(state)[at])
    assert total == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("effect", [0.0, -0.0517])
def test_covers_the_effect_at_every_look_during_a_ramp_with_drift(effect):
    runs, misses = 120, 0
    for seed in range(runs):
        units = stream(seed, 1800, effect=effect)
        state, missed = sequences.init(3), False
        for start in range(0, 1800, 200):
            state = sequences.update(state, **part(units, start, start + 200))
            held = sequences.interval(state, alpha=0.1)
            missed |= not held.low <= effect <= held.high
        misses += missed
    assert misses <= stats.binom.ppf(0.999, runs, 0.1)


def test_narrows_with_evidence_and_with_alpha():
    units = stream(5, 6000, effect=-0.1, drift=False, ramp=False)
    early = sequences.update(sequences.init(1), **part(units, 0, 500))
    late = sequences.update(early, **part(units, 500, 6000))
    wide, narrow, loose = (
        sequences.interval(early, alpha=0.05),
        sequences.interval(late, alpha=0.05),
        sequences.interval(late, alpha=0.3),
    )
    assert narrow.high - narrow.low < 0.5 * (wide.high - wide.low)
    assert narrow.low <= loose.low < loose.high <= narrow.high
    assert narrow.high < 0.0
    # Four standard errors of the difference and a step of the grid on both sides.
    assert narrow.high - narrow.low < 8 * 0.4 * 2 / math.sqrt(6000) + 0.01


def test_an_effect_between_two_rejected_grid_points_stays_inside():
    # No noise but the assignment: every grid point is rejected, .525 lies between .5 and .55.
    a = np.random.default_rng(6).random(4000) < 0.5
    units = {"y": 0.475 + 0.525 * a, "a": a, "pi": np.full(4000, 0.5), "stage": np.zeros(4000, dtype=int)}
    state = sequences.update(sequences.init(1), **units)
    assert sequences.log_e(state).min() > math.log(2)
    held = sequences.interval(state, alpha=0.5)
    assert held.low < 0.525 < held.high
    assert held.high - held.low == pytest.approx(0.1)


def test_the_estimate_is_not_biased_by_a_ramp_with_drift():
    units = [stream(seed, 3000, effect=0.0) for seed in range(60)]
    estimates = [sequences.estimate(sequences.update(sequences.init(3), **each)) for each in units]
    effects = np.array([each.effect for each in estimates if each is not None])
    assert effects.size == 60
    assert abs(effects.mean()) < 4 * effects.std() / math.sqrt(60)
    pooled = np.mean([each["y"][each["a"] == 1].mean() - each["y"][each["a"] == 0].mean() for each in units])
    assert pooled < -0.02
    first = estimates[0]
    assert first is not None
    assert first.effect == first.candidate - first.baseline
    assert (first.candidate_units, first.baseline_units) == (
        int(units[0]["a"].sum()),
        3000 - int(units[0]["a"].sum()),
    )


def test_the_estimate_by_hand():
    state = sequences.update(
        sequences.init(3),
        y=[1.0, 0.0, 1.0, 0.5, 1.0],
        a=[1, 0, 0, 1, 1],
        pi=[0.5, 0.5, 0.25, 0.2, 0.2],
        stage=[0, 0, 0, 0, 1],
    )
    # Stage 1 saw no baseline unit and is left out.
    candidate = (1.0 / 0.5 + 0.5 / 0.2) / (1 / 0.5 + 1 / 0.2)
    baseline = (1.0 / 0.75) / (1 / 0.5 + 1 / 0.75)
    result = sequences.estimate(state)
    assert result is not None
    assert (result.candidate, result.baseline) == pytest.approx((candidate, baseline))
    assert (result.candidate_units, result.baseline_units) == (2, 2)


def test_refusals():
    with pytest.raises(ValueError, match="at least one stage"):
        sequences.init(0)
    state = sequences.init(1)
    with pytest.raises(ValueError, match="alpha"):
        sequences.interval(state, alpha=1.0)
    with pytest.raises(ValueError, match="Outcomes"):
        sequences.update(state, y=[2.0], a=[1], pi=[0.5], stage=[0])
    data = sequences.to_json(state)
    with pytest.raises(ValueError, match="version"):
        sequences.from_json(data | {"version": "cs/0"})
    with pytest.raises(ValueError, match="malformed"):
        sequences.from_json(data | {"stages": [{}]})
    with pytest.raises(ValueError, match="wealths, got 1"):
        sequences.from_json(data | {"mantissa": [1.0]})
