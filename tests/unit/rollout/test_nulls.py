"""No harm, in every way in which the statistics promise that nothing is rolled back: seeded Monte Carlo.

Small versions of what ``benchmarks/canary.py`` runs at length. Each scenario looks at every unit; a run
counts when any clock ever crosses. At most α of the runs may, give or take the luck of so many.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats
from tests.unit.rollout.world import batch, exposing, metric, policy

from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import Judging, Rollout, WatchedCluster
from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.ports import UnitBatch
from inchworm.stats import eprocess

RUNS = 80
MOST = int(stats.binom.ppf(0.999, RUNS, 0.05))
PLAIN = (metric(harm_margin=0.0),)
Random = np.random.Generator
Scenario = Callable[[Random], UnitBatch]


def units(rng: Random, count: int, rate: Any, *, pi: Any = 0.2, **changes: Any) -> UnitBatch:
    """Units whose outcomes do not ask for their arm."""
    a = rng.random(count) < pi
    found = batch(a=a, values={"answered": (rng.random(count) < rate).astype(float)})
    return replace(found, probability=np.broadcast_to(pi, (count,)).astype(float), **changes)


def drifting(rng: Random) -> UnitBatch:
    """5, then 25, then 50 %, while both arms fall from .9 to .8."""
    pi = np.repeat([0.05, 0.25, 0.5], 300)
    return units(rng, 900, np.linspace(0.9, 0.8, 900), pi=pi, stage=np.repeat([0, 1, 2], 300))


def clustered(rng: Random) -> UnitBatch:
    """Sessions of a few users who are all alike: each session is drawn afresh."""
    users = rng.beta(3, 1, 40)
    return units(rng, 800, users[rng.integers(0, 40, 800)])


def rare(rng: Random) -> UnitBatch:
    return units(rng, 1_500, 0.98, pi=0.05)


def missing(rng: Random) -> UnitBatch:
    """A fifth of the outcomes never comes, in both arms alike: absence is failure."""
    found = units(rng, 800, 0.9)
    return replace(found, present={"answered": rng.random(800) < 0.8})


def delayed(rng: Random) -> UnitBatch:
    """Failures are known less often when the window is over, in both arms alike."""
    found = units(rng, 800, 0.85)
    known = (found.values["answered"] == 1.0) | (rng.random(800) < 0.6)
    return replace(found, present={"answered": known})


SCENARIOS: dict[str, Scenario] = {
    scenario.__name__: scenario for scenario in (drifting, clustered, rare, missing, delayed)
}


def crossings(scenario: Scenario, one: Rollout, seed: int) -> int:
    """In how many runs evidence of harm ever passed a line."""
    rngs = np.random.default_rng(seed).spawn(RUNS)
    return sum(consume(one, empty(one), scenario(rng)).harmed for rng in rngs)


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("absence", Absence)
def test_nothing_harmed_is_seldom_rolled_back(name: str, absence: Absence):
    one = exposing(metrics=(replace(PLAIN[0], absence=absence),))
    assert crossings(SCENARIOS[name], one, 1) <= MOST


JUDGED = (
    metric("answered", harm_margin=0.0),
    metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, absence=Absence.VOID, harm_margin=0.0),
)
RATES = Judging(candidate=1.0, baseline=0.2)


def judged(rng: Random) -> UnitBatch:
    found = units(rng, 1_500, 0.9, pi=0.05)
    drawn = rng.random(1_500) < np.where(found.candidate, RATES.candidate, RATES.baseline)
    helpful = (rng.random(1_500) < np.linspace(0.9, 0.7, 1_500)).astype(float)
    return replace(
        found,
        judged=drawn,
        values={**found.values, "helpful": helpful},
        present={**found.present, "helpful": drawn},
    )


def test_a_judged_sample_of_nothing_harmed_is_seldom_rolled_back():
    one = exposing(metrics=JUDGED, policy=policy(judging=RATES))
    assert crossings(judged, one, 2) <= MOST


NAMES = ("a", "b", "c", "d")
SPLIT = tuple(WatchedCluster(id=name, name=name, share=0.25) for name in NAMES)


def apart(rng: Random) -> UnitBatch:
    """Clusters that differ from one another and drift, each alike in both arms."""
    places = rng.integers(0, 4, 1_000)
    rate = np.array([0.95, 0.9, 0.7, 0.5])[places] - 0.1 * np.arange(1_000) / 1_000
    return units(rng, 1_000, rate, cluster=np.array(NAMES, dtype=object)[places])


def test_clusters_of_nothing_harmed_are_seldom_rolled_back():
    assert crossings(apart, exposing(metrics=PLAIN, clusters=SPLIT), 3) <= MOST


def test_expected_evidence_is_at_most_one_whatever_the_time():
    """The mean of E over runs at fixed times, of harm and of expansion at the edge of the margin."""
    runs, size = 3_000, 60
    rng = np.random.default_rng(5)
    design = eprocess.Design(delta_harm=0.0, margins=(0.1,), stages=2)
    at = [9, 29, 59]
    harm, expand = np.empty((runs, 3)), np.empty((runs, 3))
    pi = np.repeat([0.2, 0.5], 30)
    stage = np.repeat([0, 1], 30)
    base = np.linspace(0.9, 0.6, size)
    for run in range(runs):
        a = rng.random(size) < pi
        y, worse = rng.random(size) < base, rng.random(size) < base - 0.1 * a
        start = eprocess.init(design)
        harm[run] = eprocess.trajectory(design, start, y=y, a=a, pi=pi, stage=stage)[1][at]
        expand[run] = eprocess.trajectory(design, start, y=worse, a=a, pi=pi, stage=stage)[2][0][at]
    for log_e in (harm, expand):
        e = np.exp(log_e)
        assert np.all(e.mean(axis=0) <= 1.0 + 4 * e.std(axis=0) / np.sqrt(runs))
