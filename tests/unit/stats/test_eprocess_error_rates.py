"""Error rates and power of the e-process, seeded; benchmarks/canary.py runs the large version."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from inchworm.stats import eprocess
from inchworm.stats.eprocess import Design

BAR = math.log(20.0)
RUNS = 400
# What a test of level .05 exceeds once in a thousand seeds.
AT_MOST = int(stats.binom.ppf(0.999, RUNS, 0.05))


def evidence(design, rng, *, baseline, candidate, pi, stage=None):
    """One simulated rollout: paths of harm and expansion, and the candidate units so far."""
    size = pi.size
    a = rng.random(size) < pi
    y = rng.random(size) < np.where(a, candidate, baseline)
    stage = np.zeros(size, dtype=int) if stage is None else stage
    _, harm, expand = eprocess.trajectory(design, eprocess.init(design), y=y, a=a, pi=pi, stage=stage)
    return harm, expand, np.cumsum(a)


@pytest.mark.parametrize(("weight", "size"), [(0.05, 4000), (0.5, 2000)])
def test_a_harmless_candidate_is_rarely_rolled_back_however_often_one_looks(weight, size):
    rng = np.random.default_rng(20)
    design = Design(delta_harm=0.0, margins=(), stages=1)
    pi = np.full(size, weight)
    alarms = sum(
        evidence(design, rng, baseline=0.85, candidate=0.85, pi=pi)[0].max() >= BAR for _ in range(RUNS)
    )
    assert 0 < alarms <= AT_MOST


def test_a_ramp_while_both_arms_drift_is_no_harm():
    rng = np.random.default_rng(21)
    design = Design(delta_harm=0.0, margins=(), stages=3)
    stage = np.repeat([0, 1, 2], 1500)
    pi = np.array([0.05, 0.25, 0.5])[stage]
    drift = np.linspace(0.9, 0.8, stage.size)
    alarms = sum(
        evidence(design, rng, baseline=drift, candidate=drift, pi=pi, stage=stage)[0].max() >= BAR
        for _ in range(RUNS)
    )
    assert alarms <= AT_MOST


def test_a_loss_of_the_whole_margin_rarely_expands():
    rng = np.random.default_rng(22)
    design = Design(delta_harm=0.0, margins=(0.08,), stages=1)
    pi = np.full(3000, 0.25)
    expansions = sum(
        evidence(design, rng, baseline=0.85, candidate=0.77, pi=pi)[1].max() >= BAR for _ in range(RUNS)
    )
    assert expansions <= AT_MOST


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_mean_evidence_at_a_fixed_time_is_at_most_one(weight):
    rng = np.random.default_rng(23)
    design = Design(delta_harm=0.0, margins=(0.08,), stages=1)
    pi = np.full(150, weight)
    finals = np.exp([evidence(design, rng, baseline=0.85, candidate=0.85, pi=pi)[0][-1] for _ in range(1500)])
    assert finals.mean() <= 1.0 + 3.0 * finals.std() / math.sqrt(finals.size)


def test_a_large_harm_is_found_as_soon_as_published():
    # STATISTICS: .85 -> .77 at 5/95, median 139 candidate units.
    rng = np.random.default_rng(24)
    design = Design(delta_harm=0.0, margins=(), stages=3)
    pi = np.full(12_000, 0.05)
    found = []
    for _ in range(RUNS):
        harm, _, candidates = evidence(design, rng, baseline=0.85, candidate=0.77, pi=pi)
        crossed = np.flatnonzero(harm >= BAR)
        found.append(candidates[crossed[0]] if crossed.size else math.inf)
    assert np.mean(np.isfinite(found)) > 0.95
    assert np.median(found) == pytest.approx(139, rel=0.15)


def test_evidence_falls_as_the_candidate_gets_better():
    design = Design(delta_harm=0.0, margins=(0.05,), stages=1)
    pi = np.full(1000, 0.3)
    harm_means, expand_means = [], []
    for effect in (-0.1, -0.05, 0.0, 0.05):
        # The same draws at every effect.
        paths = [
            evidence(design, np.random.default_rng(seed), baseline=0.8, candidate=0.8 + effect, pi=pi)
            for seed in range(40)
        ]
        harm_means.append(np.mean([harm[-1] for harm, _, _ in paths]))
        expand_means.append(np.mean([expand[0, -1] for _, expand, _ in paths]))
    assert harm_means == sorted(harm_means, reverse=True)
    assert expand_means == sorted(expand_means)
