"""Clusters: which are watched, how they find what a mean hides, and who is named."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.world import cut, draw, exposing, metric

from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import WatchedCluster
from inchworm.rollout import wording
from inchworm.rollout.evidence import InCluster
from inchworm.rollout.evidence.budget import CLUSTER_SHARE, Watch, cluster_weights, shares
from inchworm.rollout.evidence.clusters import LEAST_SHARE, MOST, choose
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState, consume, empty
from inchworm.rollout.ports import UnitBatch

NAMES = ("orders", "refunds", "other")
SHARES = (0.6, 0.1, 0.3)
CLUSTERS = tuple(
    WatchedCluster(id=name, name=name, share=share) for name, share in zip(NAMES, SHARES, strict=True)
)
METRICS = (
    metric("answered"),
    metric("polite", role=Role.GUARDRAIL, absence=Absence.VOID),
    metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED),
    metric("cost", role=Role.SIGNAL),
)
RATES = {one.name: (0.9, 0.9) for one in METRICS}
WATCHING = exposing(metrics=METRICS, clusters=CLUSTERS)


def within(seed: int, count: int, *, broken: str | None = None, start: int = 0) -> UnitBatch:
    """Units of three clusters; in the broken one the candidate does not answer."""
    units = draw(seed, count, rates=RATES, start=start)
    rng = np.random.default_rng(seed + 1)
    names = rng.choice(np.array([*NAMES, None], dtype=object), count, p=[0.57, 0.1, 0.28, 0.05])
    values = dict(units.values)
    if broken is not None:
        values["answered"] = np.where((names == broken) & units.candidate, 0.0, values["answered"])
    present = {**units.present, "polite": rng.random(count) < 0.9}
    return replace(units, values=values, present=present, cluster=names)


def test_the_largest_clusters_are_watched():
    seen: dict[str | None, int] = {f"c{number}": 30 for number in range(30)}
    seen |= {"tiny": 5, None: 95}
    found = choose(seen)
    assert len(found) == MOST
    assert [one.name for one in found] == sorted(f"c{number}" for number in range(30))[:MOST]
    assert found[0] == WatchedCluster(id="c0", name="c0", share=0.03)
    assert choose({"a": 97, "b": 3, None: 0}) == (WatchedCluster(id="b", name="b", share=0.03),)
    assert choose({"a": 1, None: 99}) == ()
    assert choose({}) == ()
    assert pytest.approx(0.02) == LEAST_SHARE


def test_clusters_have_a_fifth_of_each_clock_by_the_root_of_their_traffic():
    plain, share = shares(WATCHING.policy, METRICS), shares(WATCHING.policy, METRICS, CLUSTERS)
    weights = cluster_weights(WATCHING.policy, METRICS, CLUSTERS)
    for clock in Clock:
        here = [one.name for one in METRICS if one.clock is clock and one.role is not Role.SIGNAL]
        assert sum(share[name].weight for name in here) == pytest.approx(1 - CLUSTER_SHARE)
        assert sum(weights[key] for key in weights if key.metric in here) == pytest.approx(CLUSTER_SHARE)
    assert share["cost"] == plain["cost"]
    assert not any(key.metric == "cost" for key in weights)
    by_name = {key: weight for key, weight in weights.items() if key.metric == "answered"}
    ratio = by_name[Watch("answered", "orders")] / by_name[Watch("answered", "refunds")]
    assert ratio == pytest.approx(np.sqrt(6.0))


def test_a_broken_tail_is_found_and_named():
    state = consume(WATCHING, empty(WATCHING), within(2, 4_000, broken="refunds"))
    crossing = state.harm[Clock.FAST]
    assert InCluster(metric="answered", cluster="refunds") in crossing.in_clusters
    assert crossing.leading_cluster == "refunds"
    # Without clusters the same units say nothing of it yet at that point.
    mean = consume(
        replace(WATCHING, clusters=()),
        empty(replace(WATCHING, clusters=())),
        cut(within(2, 4_000, broken="refunds"), 0, crossing.unit),
    )
    assert not mean.harm
    found = snapshot(WATCHING, state)
    refunds = found.cluster("refunds").metric("answered")
    assert refunds.candidate == 0.0
    assert refunds.effect == pytest.approx(-0.9, abs=0.1)
    assert found.cluster("orders").metric("answered").effect == pytest.approx(0.0, abs=0.1)
    assert found.harm is not None
    assert wording.blamed(found, found.harm) == (
        "answered fell by 89.8 points in refunds (0.0 of 87 against 89.8 of 322)"
    )


def test_evidence_says_what_each_cluster_saw():
    units = within(3, 2_000)
    found = snapshot(WATCHING, consume(WATCHING, empty(WATCHING), units))
    assert [one.name for one in found.clusters] == list(NAMES)
    for one in found.clusters:
        mine = units.cluster == one.id
        assert one.units.both == np.count_nonzero(mine)
        answered = one.metric("answered")
        assert answered.units.candidate == np.count_nonzero(mine & units.candidate)
        assert answered.candidate == pytest.approx(units.values["answered"][mine & units.candidate].mean())
        assert one.metric("polite").units.both < one.units.both
        assert {each.name for each in one.metrics} == {"answered", "polite", "helpful"}
    assert found.clusters_void_at is None
    total = found.clocks[0].log_e
    assert total is not None
    parts = [one.log_e_harm + np.log(one.weight) for one in found.metrics[:2]]
    parts += [
        m.log_e_harm + np.log(m.weight) for c in found.clusters for m in c.metrics if m.name != "helpful"
    ]
    assert total == pytest.approx(np.logaddexp.reduce(parts))


def test_the_effect_within_a_cluster_is_not_biased_by_a_ramp_with_drift():
    errors = []
    for seed in range(40):
        units = within(100 + seed, 1_200)
        rng = np.random.default_rng(seed)
        pi = np.repeat([0.05, 0.5], 600)
        a, rate = rng.random(1_200) < pi, np.repeat([0.95, 0.6], 600)
        values = {name: (rng.random(1_200) < rate).astype(float) for name in RATES}
        stage = np.repeat([0, 1], 600)
        units = replace(units, candidate=a, probability=pi, values=values, stage=stage)
        found = snapshot(WATCHING, consume(WATCHING, empty(WATCHING), units))
        errors.append(found.cluster("orders").metric("answered").effect or 0.0)
    assert abs(np.mean(errors)) < 4 * np.std(errors) / np.sqrt(40)


def test_units_that_one_arm_keeps_silent_about_void_the_clusters():
    """The candidate is down in one cluster: nobody knows which its silent units would have been."""
    units = within(4, 4_000)
    rng = np.random.default_rng(4)
    hidden = units.candidate & (rng.random(4_000) < 0.5)
    assert units.cluster is not None
    found = consume(
        WATCHING,
        empty(WATCHING),
        replace(
            units,
            cluster=np.array(
                [None if h else c for h, c in zip(hidden, units.cluster, strict=True)], dtype=object
            ),
        ),
    )
    evidence = snapshot(WATCHING, found)
    assert evidence.clusters_void_at is not None
    alone = replace(WATCHING, clusters=())
    assert evidence.clocks[0].log_e == pytest.approx(
        np.logaddexp.reduce([m.log_e_harm + np.log(m.weight) for m in evidence.metrics[:2]])
    )
    assert snapshot(alone, consume(alone, empty(alone), units)).clusters == ()


UNITS = within(7, 300, broken="refunds")
WHOLE = consume(WATCHING, empty(WATCHING), UNITS)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 300), max_size=5))
def test_batches_and_trips_through_json_change_not_one_bit_with_clusters(cuts: Any):
    state = empty(WATCHING)
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 300], strict=True):
        state = consume(WATCHING, state, cut(UNITS, first, last))
        state = MonitorState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    assert state == WHOLE


def test_a_state_of_other_clusters_is_refused():
    with pytest.raises(ValueError, match="other clusters"):
        consume(exposing(metrics=METRICS), WHOLE, UNITS)
