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

from inchworm.stats import estimates, sequences
from inchworm.stats.blocks import LONGEST, PART


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


def cut_into_blocks(units):
    """Where each full block begins and ends, by the rule in words: a tenth of what was before, one pi."""
    size, blocks, start = len(units["y"]), [], 0
    while start < size:
        stop = start + min(max(start // PART, 1), LONGEST)
        turns = [i for i in range(start + 1, min(stop, size)) if units["pi"][i] != units["pi"][start]]
        if turns:
            stop = turns[0]
        if stop > size:
            break
        blocks.append((start, stop))
        start = stop
    return blocks


def naive_log_e(delta, units):
    """The two-sided mixture at one effect, one unit and one bet at a time; and its largest value so far."""
    wealth = {(side, k): math.log(0.5 * w) for side in (1, -1) for k, w in enumerate(sequences.WEIGHTS)}
    now = top = 0.0
    for first, last in cut_into_blocks(units):
        n, sy, sv = 2, 1.0, 0.5
        for y in units["y"][:first]:
            sv += (y - sy / n) ** 2
            sy += y
            n += 1
        m, v = sy / n, max(sv / n, 0.001)
        for y, a, pi in zip(*(units[name][first:last] for name in ("y", "a", "pi")), strict=True):
            z = (a - pi) * (y - m) - pi * (1 - pi) * delta
            every_z = [(b - pi) * (x - m) - pi * (1 - pi) * delta for b in (0, 1) for x in (0, 1)]
            for side, k in wealth:
                worst = max(-min(side * other for other in every_z), 1e-6)
                bet = min(sequences.RATES[k] / math.sqrt(v), 0.9 / worst)
                if y in {0.0, 1.0}:
                    wealth[side, k] += math.log(1 + bet * side * z)
                else:
                    lost = bet * worst
                    wealth[side, k] += bet * side * z + (z / worst) ** 2 * (math.log(1 - lost) + lost)
        now = math.log(sum(map(math.exp, wealth.values())))
        top = max(top, now)
    return now, top


def test_the_grid_is_symmetric_fine_near_zero_and_reaches_one():
    grid = np.array(sequences.GRID)
    assert np.array_equal(grid, -grid[::-1])
    assert grid[-1] == 1.0
    steps = np.diff(grid)
    assert np.all(steps > 0)
    assert steps[np.abs(grid[:-1]) < 0.045].max() == pytest.approx(0.0025)
    assert steps.max() == pytest.approx(0.05)


@pytest.mark.parametrize("binary", [True, False])
def test_equals_the_naive_recursion_until_an_effect_is_rejected(binary):
    units = stream(1, 300, binary=binary)
    evidence = sequences.log_e(sequences.update(sequences.init(3), **units))
    for i in range(0, len(sequences.GRID), 9):
        now, top = naive_log_e(sequences.GRID[i], units)
        if top >= math.log(20):
            assert evidence[i] == math.inf
        else:
            # Rounded down at each look, by a step at most.
            assert now - len(cut_into_blocks(units)) / sequences.STEP <= evidence[i] <= now + 1e-9


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
    assert sequences.interval(state) == sequences.Interval(low=-1.0, high=1.0)
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
    # Four looks, each rounded down.
    assert 1.0 - 4 / sequences.STEP <= total <= 1.0 + 1e-9


@pytest.mark.parametrize("effect", [0.0, -0.0517])
def test_covers_the_effect_at_every_look_during_a_ramp_with_drift(effect):
    runs, misses = 120, 0
    for seed in range(runs):
        units = stream(seed, 1800, effect=effect)
        # What is rejected stays rejected, so the last interval tells of every look.
        held = sequences.interval(sequences.update(sequences.init(3, alpha=0.1), **units))
        misses += not held.low <= effect <= held.high
    assert misses <= stats.binom.ppf(0.999, runs, 0.1)


def test_narrows_with_evidence_and_with_alpha_and_never_widens():
    units = stream(5, 6000, effect=-0.1, drift=False, ramp=False)
    state, before = sequences.init(1), sequences.Interval(low=-1.0, high=1.0)
    for start in range(0, 6000, 250):
        state = sequences.update(state, **part(units, start, start + 250))
        now = sequences.interval(state)
        assert before.low <= now.low < now.high <= before.high
        before = now
    loose = sequences.interval(sequences.update(sequences.init(1, alpha=0.3), **units))
    assert before.low <= loose.low < loose.high <= before.high
    assert before.high < 0.0
    # Four standard errors of the difference and a step of the grid on both sides.
    assert before.high - before.low < 8 * 0.4 * 2 / math.sqrt(6000) + 0.01


def test_the_state_shrinks_with_what_is_rejected():
    units = stream(5, 6000, effect=-0.1, drift=False, ramp=False)
    early = sequences.update(sequences.init(1), **part(units, 0, 20))
    late = sequences.update(early, **part(units, 20, 6000))
    assert len(late.alive) < len(early.alive) / 4
    assert len(json.dumps(sequences.to_json(late))) < 2_500


def test_fractions_are_not_worse_off_than_yes_and_no():
    units = stream(8, 6000, effect=-0.1, drift=False, ramp=False, binary=False)
    rough = units | {"y": (np.random.default_rng(1).random(6000) < units["y"]).astype(float)}
    fine, coarse = (
        sequences.interval(sequences.update(sequences.init(1), **given)) for given in (units, rough)
    )
    assert fine.high - fine.low < coarse.high - coarse.low


def test_an_effect_between_two_rejected_grid_points_stays_inside():
    # No noise but the assignment: every grid point is rejected, .525 lies between .5 and .55.
    a = np.random.default_rng(6).random(4000) < 0.5
    units = {"y": 0.475 + 0.525 * a, "a": a, "pi": np.full(4000, 0.5), "stage": np.zeros(4000, dtype=int)}
    state = sequences.update(sequences.init(1, alpha=0.5), **units)
    assert len(state.alive) == 1
    held = sequences.interval(state)
    assert held.low < 0.525 < held.high
    assert held.high - held.low == pytest.approx(0.1)


def test_blocks_do_not_hang_on_where_probabilities_change():
    # Every unit has another probability than the one before: blocks of one, and the same bits in any cut.
    rng = np.random.default_rng(3)
    pi = np.where(np.arange(200) % 2, 0.2, 0.5)
    units = {
        "y": rng.choice([0.0, 0.25, 1.0], 200),
        "a": (rng.random(200) < pi).astype(float),
        "pi": pi,
        "stage": np.zeros(200, dtype=int),
    }
    whole = sequences.update(sequences.init(1), **units)
    state = sequences.init(1)
    for start in range(200):
        state = sequences.update(state, **part(units, start, start + 1))
    assert state == whole
    assert state.block.full > 0, "the last unit waits for the next look"


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


def test_sums_of_the_version_before_are_read():
    state = sequences.update(sequences.init(3), **stream(2, 90))
    old = [
        {
            "overlap": sums.overlap,
            "units": list(sums.units),
            "weight": list(sums.weight),
            "weighted_y": list(sums.weighted_y),
        }
        for sums in state.stages
    ]
    assert estimates.sums_from_json(json.loads(json.dumps(old))) == state.stages


def test_refusals():
    with pytest.raises(ValueError, match="at least one stage"):
        sequences.init(0)
    with pytest.raises(ValueError, match="alpha"):
        sequences.init(1, alpha=1.0)
    state = sequences.init(1)
    with pytest.raises(ValueError, match="Outcomes"):
        sequences.update(state, y=[2.0], a=[1], pi=[0.5], stage=[0])
    data = sequences.to_json(state)
    with pytest.raises(ValueError, match="version"):
        sequences.from_json(data | {"version": "cs/1"})
    with pytest.raises(ValueError, match="malformed"):
        sequences.from_json(data | {"stages": [{}]})
    with pytest.raises(ValueError, match="wealths, got 1"):
        sequences.from_json(data | {"wealth": [1]})
