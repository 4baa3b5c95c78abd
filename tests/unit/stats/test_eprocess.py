"""The e-process against a naive reading of its definition, its exact properties, and its refusals."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.stats import eprocess
from inchworm.stats.eprocess import Design

DESIGN = Design(delta_harm=0.015, margins=(0.08, 0.05, 0.03), stages=3)


def naive(design, units):
    """The recursion one unit and one bet at a time, in plain wealth: E_harm, and E by margin."""
    n, sy, sv = 2, 1.0, 0.5
    c = [0.03, 0.06, 0.12, 0.24, 0.48, 0.96]
    w = [0.03, 0.07, 0.2, 0.35, 0.25, 0.1]
    later = design.stages - 1
    H = [[(0.9 if later else 1.0) * wk for wk in w]] + [[0.1 / later * wk for wk in w] for _ in range(later)]
    X = {delta: [0.2, 0.5, 0.3] for delta in design.margins}
    count = 0
    m, v = 0.5, 0.25
    for y, a, pi, stage in units:
        if pi in (0.0, 1.0):
            continue
        if count < 64 or count % 64 == 0:
            m, v = sy / n, max(sv / n, 0.001)
        q = pi * (1 - pi)
        x = (a - pi) * (y - m)
        bh = max((1 - pi) * (1 - m), pi * m) + q * design.delta_harm
        for r in range(design.stages):
            if r <= stage:
                for k in range(6):
                    H[r][k] *= 1 + min(c[k] / math.sqrt(v), 0.9 / bh) * (-x - q * design.delta_harm)
        for delta in design.margins:
            be = max((1 - pi) * m, pi * (1 - m)) - q * delta
            for k, rate in enumerate((0.35, 0.7, 1.0)):
                X[delta][k] *= 1 + min(rate * delta / v, 0.9 / max(be, 1e-6)) * (x + q * delta)
        sv += (y - sy / n) ** 2
        sy += y
        n += 1
        count += 1
    return sum(map(sum, H)), {delta: sum(row) for delta, row in X.items()}


def stream(seed, size, *, binary=True, skipped=True):
    """Units with ramping, changing probabilities: arrays y, a, pi, stage."""
    rng = np.random.default_rng(seed)
    stage = np.minimum(np.arange(size) * 3 // max(size, 1), 2)
    pi = np.array([0.05, 0.25, 0.5])[stage] * rng.choice([1.0, 0.8], size)
    if skipped:
        pi = np.where(rng.random(size) < 0.05, rng.integers(0, 2, size), pi)
    a = (rng.random(size) < pi).astype(float)
    mean = 0.85 - 0.2 * a
    y = (rng.random(size) < mean).astype(float) if binary else rng.beta(4 * mean, 4 * (1 - mean))
    return {"y": y, "a": a, "pi": pi, "stage": stage}


def part(units, start, stop):
    return {name: values[start:stop] for name, values in units.items()}


def run(design, units, state=None):
    return eprocess.update(design, state or eprocess.init(design), **units)


def test_one_unit_by_hand():
    # n=2, sy=1, sv=.5: m=.5, v=.25. A failure of the candidate at pi=.5: x=-.25, q=.25, bh=.25.
    design = Design(delta_harm=0.0, margins=(0.1,), stages=1)
    state = run(design, {"y": [0.0], "a": [1], "pi": [0.5], "stage": [0]})
    bets = [min(c / 0.5, 0.9 / 0.25) for c in (0.03, 0.06, 0.12, 0.24, 0.48, 0.96)]
    harm = sum(w * (1 + bet * 0.25) for w, bet in zip((0.03, 0.07, 0.2, 0.35, 0.25, 0.1), bets, strict=True))
    assert eprocess.log_e_harm(design, state) == pytest.approx(math.log(harm), abs=1e-12)
    # be = .25 - .025 = .225, le_k = rate * .4 (all below .9/.225 = 4), x + q delta = -.225.
    expand = sum(w * (1 - r * 0.4 * 0.225) for w, r in zip((0.2, 0.5, 0.3), (0.35, 0.7, 1.0), strict=True))
    assert eprocess.log_e_expand(design, state, 0.1) == pytest.approx(math.log(expand), abs=1e-12)
    assert (state.past.consumed, state.past.sum_y, state.past.sum_sq) == (1, 1.0, 0.75)


@pytest.mark.parametrize("design", [DESIGN, Design(delta_harm=0.0, margins=(0.03,), stages=3)])
@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("size", [1, 63, 64, 65, 700])
def test_equals_the_naive_recursion(design, binary, size):
    units = stream(size, size, binary=binary)
    state = run(design, units)
    harm, expand = naive(
        design, zip(*(units[name].tolist() for name in ("y", "a", "pi", "stage")), strict=True)
    )
    assert eprocess.log_e_harm(design, state) == pytest.approx(math.log(harm), abs=1e-9)
    for margin in design.margins:
        assert eprocess.log_e_expand(design, state, margin) == pytest.approx(
            math.log(expand[margin]), abs=1e-9
        )


def test_a_single_stage_keeps_no_reserve():
    design = replace(DESIGN, stages=1)
    units = stream(3, 200) | {"stage": np.zeros(200, dtype=int)}
    harm, _ = naive(design, zip(*(units[name].tolist() for name in ("y", "a", "pi", "stage")), strict=True))
    assert eprocess.log_e_harm(design, run(design, units)) == pytest.approx(math.log(harm), abs=1e-9)


@pytest.mark.parametrize("stages", [1, 2, 5])
def test_starts_at_one(stages):
    design = replace(DESIGN, stages=stages)
    state = eprocess.init(design)
    assert eprocess.log_e_harm(design, state) == pytest.approx(0.0, abs=1e-12)
    for margin in design.margins:
        assert eprocess.log_e_expand(design, state, margin) == pytest.approx(0.0, abs=1e-12)


@given(
    seed=st.integers(0, 10_000),
    size=st.integers(0, 260),
    binary=st.booleans(),
    cuts=st.lists(st.integers(0, 260), max_size=6),
)
@settings(max_examples=120, deadline=None)
def test_any_cutting_into_batches_gives_the_same_state_bit_for_bit(seed, size, binary, cuts):
    units = stream(seed, size, binary=binary)
    whole, harm, expand = eprocess.trajectory(DESIGN, eprocess.init(DESIGN), **units)
    edges = [0, *sorted(min(cut, size) for cut in cuts), size]
    state, harm_parts, expand_parts = eprocess.init(DESIGN), [], []
    for start, stop in itertools.pairwise(edges):
        # A restart between batches must not show either.
        state = eprocess.from_json(json.loads(json.dumps(eprocess.to_json(state))))
        state, harm_part, expand_part = eprocess.trajectory(DESIGN, state, **part(units, start, stop))
        harm_parts.append(harm_part)
        expand_parts.append(expand_part)
    assert state == whole == run(DESIGN, units)
    assert np.array_equal(np.concatenate(harm_parts), harm)
    assert np.array_equal(np.concatenate(expand_parts, axis=1), expand)


def test_unit_by_unit_equals_one_batch_of_thousands():
    units = stream(11, 3000, binary=False)
    state = eprocess.init(DESIGN)
    for i in range(3000):
        state = run(DESIGN, part(units, i, i + 1), state)
    assert state == run(DESIGN, units)


def test_the_trajectory_ends_where_the_state_stands_and_repeats_at_skipped_units():
    units = stream(5, 500)
    units["pi"][[0, 100, 499]] = [0.0, 1.0, 1.0]
    state, harm, expand = eprocess.trajectory(DESIGN, eprocess.init(DESIGN), **units)
    assert harm.shape == (500,)
    assert expand.shape == (3, 500)
    assert harm[-1] == eprocess.log_e_harm(DESIGN, state)
    assert [row[-1] for row in expand] == [eprocess.log_e_expand(DESIGN, state, x) for x in DESIGN.margins]
    assert harm[0] == pytest.approx(0.0, abs=1e-12)
    assert harm[100] == harm[99]
    assert np.array_equal(expand[:, 499], expand[:, 498])


def test_certain_assignments_change_nothing_but_the_count():
    units = stream(7, 300, skipped=False)
    holes = np.sort(np.random.default_rng(1).integers(0, 300, 40))
    holed = {name: np.insert(values, holes, 0) for name, values in units.items()}
    plain, with_holes = run(DESIGN, units), run(DESIGN, holed)
    assert with_holes.skipped == 40
    assert replace(with_holes, skipped=0) == plain


def test_wealth_of_later_stages_sleeps_until_its_stage_and_wakes_whole():
    units = stream(2, 400, skipped=False) | {"stage": np.zeros(400, dtype=int)}
    fresh, first = eprocess.init(DESIGN), run(DESIGN, units)
    assert first.log_harm[0] != fresh.log_harm[0]
    assert first.log_harm[1:] == fresh.log_harm[1:]
    second = run(DESIGN, units | {"stage": np.ones(400, dtype=int)}, first)
    assert second.log_harm[1] != fresh.log_harm[1]
    assert second.log_harm[2] == fresh.log_harm[2]
    assert (first.stage, second.stage) == (0, 1)


def expected_wealth(design, rates, probabilities, wealth):
    """E[E_t] by enumeration of all arms and outcomes: no Monte Carlo error."""
    stage = np.zeros(len(rates), dtype=int)
    total = 0.0
    for cells in itertools.product(((0, 0), (0, 1), (1, 0), (1, 1)), repeat=len(rates)):
        chance = 1.0
        for (a, y), (baseline, candidate), pi in zip(cells, rates, probabilities, strict=True):
            rate = candidate if a else baseline
            chance *= (pi if a else 1 - pi) * (rate if y else 1 - rate)
        a, y = np.array(cells).T
        total += chance * math.exp(wealth(run(design, {"y": y, "a": a, "pi": probabilities, "stage": stage})))
    return total


BASELINES = (0.9, 0.3, 0.7, 0.85, 0.5)
PROBABILITIES = (0.05, 0.5, 0.3, 0.05, 0.9)


@pytest.mark.parametrize(("delta", "effect"), [(0.0, 0.0), (0.1, -0.1)])
def test_expected_harm_wealth_is_one_at_the_boundary_despite_drift(delta, effect):
    design = Design(delta_harm=delta, margins=(), stages=1)
    rates = [(rate, rate + effect) for rate in BASELINES]
    mean = expected_wealth(design, rates, PROBABILITIES, lambda state: eprocess.log_e_harm(design, state))
    assert mean == pytest.approx(1.0, abs=1e-9)


def test_expected_harm_wealth_is_below_one_inside_the_null():
    design = Design(delta_harm=0.0, margins=(), stages=1)
    rates = [(rate, rate + 0.1) for rate in BASELINES]
    assert expected_wealth(design, rates, PROBABILITIES, lambda s: eprocess.log_e_harm(design, s)) < 0.99


def test_expected_expansion_wealth_is_one_when_the_loss_is_the_margin_and_less_beyond():
    design = Design(delta_harm=0.0, margins=(0.1,), stages=1)
    at, beyond = (
        expected_wealth(
            design,
            [(rate, rate - loss) for rate in BASELINES],
            PROBABILITIES,
            lambda state: eprocess.log_e_expand(design, state, 0.1),
        )
        for loss in (0.1, 0.2)
    )
    assert at == pytest.approx(1.0, abs=1e-9)
    assert beyond < 1.0 - 1e-3


def test_json_is_plain_and_versioned():
    data = eprocess.to_json(run(DESIGN, stream(1, 100)))
    assert data["version"] == "rbe/1"
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    with pytest.raises(ValueError, match="version 'rbe/0'"):
        eprocess.from_json(data | {"version": "rbe/0"})
    with pytest.raises(ValueError, match="malformed"):
        eprocess.from_json({"version": "rbe/1", "past": data["past"]})
    with pytest.raises(ValueError, match="running moments"):
        eprocess.from_json(data | {"past": {}})
    with pytest.raises(ValueError, match="6 finite numbers"):
        eprocess.from_json(data | {"log_harm": [[0.0]]})


GOOD = {"y": [1.0, 0.0], "a": [0, 1], "pi": [0.5, 0.5], "stage": [0, 0]}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"y": [1.1, 0.0]}, "Outcomes"),
        ({"y": [math.nan, 0.0]}, "Outcomes"),
        ({"y": [1.0]}, "one length"),
        ({"a": [0, 2]}, "Arms"),
        ({"a": [0]}, "one length"),
        ({"pi": [0.5, -0.1]}, "probabilities"),
        ({"pi": [0.5, math.nan]}, "probabilities"),
        ({"pi": [[0.5, 0.5]]}, "one length"),
        ({"stage": [0, 3]}, "Stages must lie in 0..2"),
        ({"stage": [-1, 0]}, "Stages must lie"),
        ({"stage": [0.0, 0.0]}, "integers"),
        ({"stage": [0]}, "one length"),
    ],
)
def test_malformed_units_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        run(DESIGN, GOOD | wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"delta_harm": -0.1}, "delta_harm"),
        ({"delta_harm": math.nan}, "delta_harm"),
        ({"margins": (0.0,)}, "positive"),
        ({"margins": (math.nan,)}, "positive"),
        ({"margins": (0.1, 0.1)}, "differ"),
        ({"stages": 0}, "at least one stage"),
    ],
)
def test_impossible_designs_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        replace(DESIGN, **wrong)


def test_a_state_of_another_design_is_refused():
    state = eprocess.init(DESIGN)
    with pytest.raises(ValueError, match="another design"):
        run(replace(DESIGN, stages=2), GOOD, state)
    with pytest.raises(ValueError, match="3 stages"):
        eprocess.log_e_harm(replace(DESIGN, stages=2), state)
    with pytest.raises(ValueError, match=r"No process runs at margin 0\.04"):
        eprocess.log_e_expand(DESIGN, state, 0.04)
