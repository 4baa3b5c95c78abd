"""The forecast of a canary stage against the process that will decide it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from inchworm.stats import eprocess, power
from inchworm.stats.eprocess import Design

DESIGN = Design(delta_harm=0.0, margins=(0.08,), stages=3)
CASE: dict[str, Any] = {"margin": 0.08, "baseline_rate": 0.85, "effect": 0.0, "weight": 0.25, "seed": 1}


def played(effect, *, runs, size):
    """Times of the first decision by the process itself, looked at as the forecast does: at block ends."""
    rng = np.random.default_rng(9)
    pi, stage = np.full(size, 0.25), np.zeros(size, dtype=int)
    looks = np.concatenate((np.arange(64), np.arange(127, size, 64)))
    times: dict[str, list[float]] = {"expand": [], "harm": []}
    for _ in range(runs):
        a = rng.random(size) < pi
        y = rng.random(size) < 0.85 + effect * a
        _, harm, expand = eprocess.trajectory(DESIGN, eprocess.init(DESIGN), y=y, a=a, pi=pi, stage=stage)
        harm, expand = harm[looks], expand[:, looks]
        decided = np.flatnonzero((harm >= math.log(20)) | (expand[0] >= math.log(20)))
        first = decided[0] if decided.size else None
        for kind, path in (("expand", expand[0]), ("harm", harm)):
            hit = first is not None and path[first] >= math.log(20)
            times[kind].append(float(looks[first] + 1) if hit else math.inf)
    return times


def test_agrees_with_the_process():
    equal, worse = played(0.0, runs=300, size=6000), played(-0.08, runs=300, size=6000)
    expand = power.expected_units(DESIGN, **CASE).expand
    assert expand.median == pytest.approx(np.median(equal["expand"]), rel=0.12)
    assert expand.share == pytest.approx(np.mean(np.isfinite(equal["expand"])), abs=0.04)
    caught = power.expected_units(DESIGN, **CASE | {"effect": -0.08}).roll_back
    assert caught.median == pytest.approx(np.median(worse["harm"]), rel=0.12)
    assert caught.share == pytest.approx(np.mean(np.isfinite(worse["harm"])), abs=0.04)


def test_shares_sum_to_one_and_the_same_seed_gives_the_same_forecast():
    forecast = power.expected_units(DESIGN, **CASE)
    assert forecast.expand.share + forecast.roll_back.share + forecast.undecided == pytest.approx(1.0)
    assert forecast == power.expected_units(DESIGN, **CASE)
    assert forecast.roll_back.median is None
    assert forecast.expand.median is not None
    assert forecast.expand.p90 is not None
    assert forecast.expand.median < forecast.expand.p90


def test_a_cap_too_small_leaves_it_undecided():
    forecast = power.expected_units(DESIGN, **CASE | {"max_units": 100})
    assert forecast.expand == power.Horizon(median=None, p90=None, share=0.0)
    assert forecast.undecided > 0.9


def test_a_smaller_margin_and_a_smaller_share_take_longer():
    base, tight, small = (
        power.expected_units(DESIGN, **CASE | change).expand.median or 0
        for change in ({}, {"margin": 0.04}, {"weight": 0.05})
    )
    assert 0 < 2 * base < min(tight, small)
    harm = CASE | {"effect": -0.08}
    alone = power.expected_units(replace(DESIGN, stages=1), **harm).roll_back
    strict = power.expected_units(replace(DESIGN, stages=1), **harm, alpha_harm=0.001).roll_back
    assert 0 < (alone.median or 0) < (strict.median or 0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"margin": 0.0}, "margin"),
        ({"baseline_rate": 1.2}, "Rates"),
        ({"effect": 0.2}, "Rates"),
        ({"weight": 1.0}, "weight"),
        ({"alpha_harm": 0.0}, "alpha"),
        ({"alpha_expand": 1.0}, "alpha"),
        ({"max_units": 0}, "max_units"),
        ({"runs": 0}, "max_units and runs"),
    ],
)
def test_refusals(wrong, message):
    with pytest.raises(ValueError, match=message):
        power.expected_units(DESIGN, **CASE | wrong)
