"""The paired betting process: its definition, its exact properties, error rates and power, and refusals."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from inchworm.stats import pairs
from inchworm.stats.pairs import Design
from inchworm.stats.parallel_pairs import decisions, ternary

DESIGN = Design(delta_harm=0.015, margins=(0.08, 0.05))
BAR = math.log(20.0)


def differences(rng, size, *, effect, discordance=0.2):
    """Pairs of which this share differs, and the mean difference is the effect."""
    u = rng.random(size)
    return np.where(u < (discordance + effect) / 2, 1.0, np.where(u < discordance, -1.0, 0.0))


def naive(design, ds):
    """The recursion one pair and one bet at a time, in plain wealth."""
    rates, weights = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32), (0.02, 0.05, 0.2, 0.4, 0.25, 0.08)
    harm, expand = list(weights), {margin: list(weights) for margin in design.margins}
    squares, n = 2.0, 4
    for d in ds:
        v = squares / n
        for k, rate in enumerate(rates):
            delta = design.delta_harm
            harm[k] *= 1 + min(rate / v, 0.95 / (1 + delta)) * (-d - delta)
            for margin, wealth in expand.items():
                wealth[k] *= 1 + min(rate / v, 0.95 / max(1 - margin, 1e-6)) * (d + margin)
        squares, n = squares + d * d, n + 1
    return sum(harm), {margin: sum(wealth) for margin, wealth in expand.items()}


@pytest.mark.parametrize("size", [1, 63, 64, 65, 400])
@pytest.mark.parametrize("design", [DESIGN, Design(delta_harm=0.0, margins=(1.0,))])
def test_equals_the_naive_recursion(size, design):
    rng = np.random.default_rng(size)
    ds = np.where(rng.random(size) < 0.5, differences(rng, size, effect=-0.1), rng.uniform(-1, 1, size))
    state = pairs.update(design, pairs.init(design), d=ds)
    harm, expand = naive(design, ds.tolist())
    assert pairs.log_e_harm(design, state) == pytest.approx(math.log(harm), abs=1e-9)
    for margin in design.margins:
        assert pairs.log_e_expand(design, state, margin) == pytest.approx(math.log(expand[margin]), abs=1e-9)
    mean, counted = pairs.estimate(state)
    assert mean == pytest.approx(ds.mean())
    assert counted == size


def test_starts_at_one_and_knows_no_effect():
    state = pairs.init(DESIGN)
    assert pairs.log_e_harm(DESIGN, state) == pytest.approx(0.0, abs=1e-12)
    assert pairs.log_e_expand(DESIGN, state, 0.05) == pytest.approx(0.0, abs=1e-12)
    assert pairs.estimate(state) == (None, 0)
    assert pairs.interval(state) == (-1.0, 1.0)


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(0, 200),
    binary=st.booleans(),
    cuts=st.lists(st.integers(0, 200), max_size=5),
)
@settings(max_examples=60, deadline=None)
def test_any_cutting_into_batches_gives_the_same_state_bit_for_bit(seed, size, binary, cuts):
    rng = np.random.default_rng(seed)
    ds = differences(rng, size, effect=-0.1) if binary else rng.uniform(-1, 1, size)
    whole, harm, expand = pairs.trajectory(DESIGN, pairs.init(DESIGN), d=ds)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    state, harm_parts, expand_parts = pairs.init(DESIGN), [], []
    for start, stop in itertools.pairwise(edges):
        # A restart between batches must not show either.
        state = pairs.from_json(json.loads(json.dumps(pairs.to_json(state))))
        state, harm_part, expand_part = pairs.trajectory(DESIGN, state, d=ds[start:stop])
        harm_parts.append(harm_part)
        expand_parts.append(expand_part)
    assert state == whole == pairs.update(DESIGN, pairs.init(DESIGN), d=ds)
    assert np.array_equal(np.concatenate(harm_parts), harm)
    assert np.array_equal(np.concatenate(expand_parts, axis=1), expand)
    if size:
        assert harm[-1] == pairs.log_e_harm(DESIGN, state)
        assert expand[1, -1] == pairs.log_e_expand(DESIGN, state, 0.05)


def test_expected_wealth_is_at_most_one_at_the_edge_of_each_null():
    """By enumeration of all ternary outcomes of six pairs: no Monte Carlo error."""
    design = Design(delta_harm=0.1, margins=(0.1,))
    for discordance in (0.1, 0.3, 0.9):
        up, down = (discordance - 0.1) / 2, (discordance + 0.1) / 2
        chances = {1.0: up, -1.0: down, 0.0: 1 - up - down}
        harm = expand = 0.0
        for ds in itertools.product(chances, repeat=6):
            state = pairs.update(design, pairs.init(design), d=ds)
            chance = math.prod(chances[d] for d in ds)
            harm += chance * math.exp(pairs.log_e_harm(design, state))
            expand += chance * math.exp(pairs.log_e_expand(design, state, 0.1))
        assert harm == pytest.approx(1.0, abs=1e-9)
        assert expand == pytest.approx(1.0, abs=1e-9)


RUNS = 400
AT_MOST = int(stats.binom.ppf(0.999, RUNS, 0.05))


def crossings(effect, *, size, margins=(), discordance=0.2, seed=3, runs=RUNS):
    """Pairs until harm, or with a margin until it is met (and no harm is asked for); infinite if neither."""
    # ``parallel_pairs`` decides where this process does, held in test_parallel.py, and is quicker.
    found = decisions(
        Design(delta_harm=0.99 if margins else 0.0, margins=margins),
        ternary(np.random.default_rng(seed), discordance=discordance, effect=effect),
        runs=runs,
        max_pairs=size,
        alpha_harm=0.05,
        alpha_expand=0.05,
    )
    return found.expand if margins else found.harm


@pytest.mark.parametrize("discordance", [0.02, 0.3])
def test_an_equal_candidate_is_rarely_called_harmful_however_often_one_looks(discordance):
    harmed = crossings(0.0, size=800, discordance=discordance)
    assert np.isfinite(harmed).sum() <= AT_MOST


def test_a_loss_of_the_whole_margin_rarely_expands():
    met = crossings(-0.05, size=800, margins=(0.05,))
    assert np.isfinite(met).sum() <= AT_MOST


def test_eight_points_are_found_in_two_hundred_pairs():
    # STATISTICS: discordance .20, median 181 pairs.
    harmed = crossings(-0.08, size=900, runs=2_000)
    assert np.median(harmed) == pytest.approx(181, rel=0.1)
    assert np.median(harmed) <= 200


def test_four_points_and_an_expansion_take_as_long_as_published():
    # STATISTICS: -4 points 797 pairs, expansion at margin .05 466 pairs; standard error 3 % with 1,000 runs.
    harmed = crossings(-0.04, size=3_000, runs=1_000)
    met = crossings(0.0, size=1000, margins=(0.05,), runs=1_000)
    assert np.median(harmed) == pytest.approx(797, rel=0.1)
    assert np.median(met) == pytest.approx(466, rel=0.1)


def test_the_interval_covers_and_shrinks():
    rng = np.random.default_rng(8)
    missed = 0
    for _ in range(60):
        state, miss = pairs.init(DESIGN), False
        widths = []
        for _ in range(5):
            state = pairs.update(DESIGN, state, d=differences(rng, 100, effect=-0.06))
            low, high = pairs.interval(state)
            miss |= not low <= -0.06 <= high
            widths.append(high - low)
        missed += miss
        assert widths[-1] < widths[0]
        assert sorted(widths, reverse=True) == widths
    assert missed <= stats.binom.ppf(0.999, 60, 0.05)


def test_what_an_interval_left_out_stays_out_even_if_nothing_is_left():
    """The loss turns into a gain, so in the end every effect has been rejected."""
    rng, state, before = np.random.default_rng(4), pairs.init(DESIGN, alpha=0.3), (-1.0, 1.0)
    for effect in (-0.1, -0.1, 0.1, 0.1, 0.1, 0.1):
        state = pairs.update(DESIGN, state, d=differences(rng, 333, effect=effect))
        now = pairs.interval(state)
        assert before[0] <= now[0] < now[1] <= before[1]
        before = now
    assert len(state.alive) == 1


def test_constant_differences_end_at_the_border():
    state = pairs.update(DESIGN, pairs.init(DESIGN), d=np.full(300, -1.0))
    low, high = pairs.interval(state)
    assert low == -1.0
    assert high <= -0.9
    assert pairs.log_e_harm(DESIGN, state) > BAR
    same = pairs.update(DESIGN, pairs.init(DESIGN), d=np.zeros(300))
    assert pairs.log_e_expand(DESIGN, same, 0.05) > BAR
    assert pairs.log_e_harm(DESIGN, same) < 0.0


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delta_harm": 1.0, "margins": ()}, "delta_harm"),
        ({"delta_harm": 0.0, "margins": (0.0,)}, "margin"),
        ({"delta_harm": 0.0, "margins": (0.1, 0.1)}, "differ"),
    ],
)
def test_designs_that_cannot_be_tested_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Design(**wrong)


def test_malformed_pairs_states_and_questions_are_refused():
    state = pairs.init(DESIGN)
    with pytest.raises(ValueError, match=r"\[-1, 1\]"):
        pairs.update(DESIGN, state, d=[1.5])
    with pytest.raises(ValueError, match="NaN"):
        pairs.update(DESIGN, state, d=[math.nan])
    with pytest.raises(ValueError, match="flat"):
        pairs.update(DESIGN, state, d=[[0.0]])
    other = Design(delta_harm=0.0, margins=())
    for ask in (
        lambda: pairs.update(other, state, d=[0.0]),
        lambda: pairs.log_e_harm(other, state),
        lambda: pairs.log_e_expand(DESIGN, state, 0.07),
    ):
        with pytest.raises(ValueError, match=r"design|margin"):
            ask()
    with pytest.raises(ValueError, match="alpha"):
        pairs.init(DESIGN, alpha=0.0)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"version": "pairs/0"}, "version"),
        ({"log_harm": [0.0]}, "6 finite"),
        ({"log_expand": [[math.inf] * 6]}, "6 finite"),
        ({"mantissa": [0.5]}, "confidence sequence"),
        ({"alive": []}, "must keep effects"),
        ({"pairs": None}, "malformed"),
    ],
)
def test_damaged_states_are_refused(damage, message):
    with pytest.raises(ValueError, match=message):
        pairs.from_json(pairs.to_json(pairs.init(DESIGN)) | damage)
