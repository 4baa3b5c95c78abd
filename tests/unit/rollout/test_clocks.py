"""Two clocks with watermarks of their own, judged samples, and what comes too late."""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.world import HOUR, Traffic, batch, cut, draw, exposing, metric, policy, store_with

from inchworm.domain.ids import RolloutId
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import Judging, Rollout, Stage, UnitKind, WatchedCluster
from inchworm.domain.serving import Candidate
from inchworm.domain.targeting import Condition
from inchworm.rollout.consuming import consume_matured
from inchworm.rollout.evidence import Pair
from inchworm.rollout.evidence.populations import matures_after, pairs_mature_after
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.monitor import MonitorState, consume, empty
from inchworm.rollout.monitor.streaming import among_judged
from inchworm.rollout.ports import Late, UnitBatch

HELPFUL = metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED)
BOTH = (metric("answered"), HELPFUL)
RATES = {"answered": (0.95, 0.95), "helpful": (0.9, 0.9)}
WAIT = policy(maturation_s=HOUR, maturation_judged_s=24 * HOUR)


def served(*, rates: Any = RATES, rules: Any = WAIT) -> tuple[Any, Traffic, Rollout]:
    """A rollout with traffic of two hours, all of it at the first stage."""
    one = exposing(metrics=BOTH, policy=rules)
    store = store_with(one)
    traffic = Traffic(store, rates)
    store.tables[one.app] = replace(
        store.tables[one.app],
        candidate=Candidate(
            rollout_id=one.id,
            configuration_id=one.candidate,  # type: ignore[arg-type]
            stage=0,
            weight=0.2,
            salt=one.salt,
            hash_version=1,
        ),
    )
    traffic.until(2 * HOUR)
    return store, traffic, one


def look(store: Any, traffic: Traffic, one: Rollout, now: float) -> MonitorState:
    state = consume_matured(store, traffic, one, now)
    assert state is not None
    return state


def consumed(state: Any) -> list[int]:
    return [state.clocks[clock].consumed for clock in Clock]


def test_each_clock_has_a_watermark_and_the_stored_one_is_their_sum():
    store, traffic, one = served()
    at = {hours: look(store, traffic, one, hours * HOUR) for hours in (0.5, 1.5, 3.0, 24.5, 26.0)}
    assert [consumed(state) for state in at.values()] == [
        [0, 0],
        [300, 0],
        [1_200, 0],
        [1_200, 300],
        [1_200, 1_200],
    ]
    assert store.monitors[one.id][0] == 2_400
    found = snapshot(one, at[24.5])
    assert found.consumed == found.stages[0].units.both == 1_200
    assert found.metric("answered").consumed == 1_200
    assert found.metric("helpful").consumed == 300
    assert found.metric("helpful").missing == Pair()
    assert [clock.consumed for clock in found.clocks] == [1_200, 300]


def test_a_fast_outage_does_not_wait_for_a_label():
    store, traffic, one = served(rates={"answered": (0.95, 0.3), "helpful": (0.9, 0.9)})
    state = look(store, traffic, one, 3 * HOUR)
    assert set(state.harm) == {Clock.FAST}
    assert consumed(state)[1] == 0
    # Nothing more is consumed, on either clock.
    assert look(store, traffic, one, 99 * HOUR) == state


def test_consuming_in_steps_is_consuming_at_once():
    store, traffic, one = served()
    for hours in np.arange(1.0, 30.0, 0.7):
        state = look(store, traffic, one, hours * HOUR)
    other = store_with(one)
    assert look(other, traffic, one, 99 * HOUR) == state


def test_a_judged_outcome_never_matures_before_a_fast_one_and_a_user_has_a_window():
    assert matures_after(policy(maturation_s=5.0), Clock.JUDGED) == 5.0
    assert matures_after(policy(maturation_s=5.0, maturation_judged_s=9.0), Clock.FAST) == 5.0
    by_user = policy(unit=UnitKind.USER, maturation_s=5.0, maturation_judged_s=9.0, user_window_s=100.0)
    assert [matures_after(by_user, clock) for clock in Clock] == [105.0, 109.0]
    waiting = policy(maturation_s=5.0, maturation_judged_s=9.0)
    assert pairs_mature_after(exposing(policy=waiting)) == 5.0
    assert pairs_mature_after(exposing(policy=waiting, metrics=BOTH)) == 9.0


def test_a_clock_that_goes_back_consumes_nothing_twice():
    store, traffic, one = served()
    state = look(store, traffic, one, 30 * HOUR)
    for hours in (2.0, -5.0, 30.0):
        assert look(store, traffic, one, hours * HOUR) == state


def judging(seed: int, count: int, rates: Judging, *, helpful: tuple[float, float]) -> UnitBatch:
    """Units of which each arm's share is judged; the values of the others are nobody's business."""
    units = draw(seed, count, rates={"answered": (0.95, 0.95), "helpful": helpful}, probability=0.05)
    rate = np.where(units.candidate, rates.candidate, rates.baseline)
    judged = np.random.default_rng(seed + 10_000).random(count) < rate
    hidden = {**units.present, "helpful": units.present["helpful"] & judged}
    return replace(units, judged=judged, present=hidden)


RARE = Judging(candidate=1.0, baseline=0.2)


def test_units_that_are_not_judged_neither_count_nor_miss():
    one = exposing(metrics=BOTH, policy=policy(judging=RARE))
    units = judging(3, 4_000, RARE, helpful=(0.9, 0.9))
    found = snapshot(one, consume(one, empty(one), units))
    helpful = found.metric("helpful")
    assert helpful.missing == Pair()
    assert units.judged is not None
    assert helpful.consumed == int(np.count_nonzero(units.judged))
    assert found.metric("answered").consumed == found.consumed == 4_000
    assert found.clocks[1].counted == helpful.reported
    assert found.clocks[1].consumed == 4_000
    assert helpful.void_at is None


def test_among_the_judged_the_candidate_is_drawn_more_often():
    # 5 % of all; of 100 units 5 + 95 × .2 = 24 are judged, of which 5 got the candidate.
    assert among_judged(np.array([0.0, 0.05, 1.0]), RARE) == pytest.approx([0.0, 5 / 24, 1.0])
    found = judging(4, 40_000, RARE, helpful=(0.9, 0.9))
    assert found.judged is not None
    share = np.mean(found.candidate[found.judged])
    assert share == pytest.approx(5 / 24, abs=4 * np.sqrt(0.165 / np.count_nonzero(found.judged)))


def test_judging_a_fifth_of_the_baseline_finds_a_harm():
    one = exposing(metrics=BOTH, policy=policy(judging=RARE))
    state = consume(one, empty(one), judging(5, 12_000, RARE, helpful=(0.9, 0.75)))
    assert state.harm[Clock.JUDGED].culprits == ("helpful",)
    crossing = state.harm[Clock.JUDGED]
    assert crossing.candidate < crossing.unit / 10, "counted in all units, judged or not"


class Straggling(Traffic):
    """Some of what was missing comes in later."""

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        assert rollout.id == RolloutId("r-1")
        if before == 0:
            return Late(baseline=0, candidate=0, seen=100)
        assert since >= 100
        judged = clock is Clock.JUDGED
        return Late(baseline=3 + judged, candidate=1, seen=since + 4)


def test_what_comes_in_behind_the_watermark_is_counted_and_changes_nothing():
    store, traffic, one = served()
    late = Straggling(store, RATES, exposures=traffic.exposures)
    plain = store_with(one)
    for hours in (1.5, 2.0, 25.0, 26.0):
        state = look(store, late, one, hours * HOUR)
        other = look(plain, traffic, one, hours * HOUR)
    found = snapshot(one, state)
    # Looked for whenever units are consumed after the first time.
    assert [clock.late for clock in found.clocks] == [
        Pair(baseline=6, candidate=2),
        Pair(baseline=4, candidate=1),
    ]
    assert found.metrics == snapshot(one, other).metrics


def test_a_clock_is_consumed_in_order_and_alone():
    one = exposing(metrics=BOTH)
    units = draw(1, 100, rates=RATES)
    state = consume(one, empty(one), cut(units, 0, 60), clock=Clock.FAST)
    assert consumed(state) == [60, 0]
    assert state.metrics[1] == empty(one).metrics[1]
    with pytest.raises(ValueError, match="number 0"):
        consume(one, state, cut(units, 60, 100), clock=Clock.JUDGED)
    state = consume(one, state, cut(units, 60, 100), clock=Clock.FAST)
    assert consume(one, state, units, clock=Clock.JUDGED) == consume(one, empty(one), units)


def test_without_fast_metrics_the_fast_clock_still_counts_who_was_exposed():
    one = exposing(metrics=(HELPFUL,))
    units = batch(a=[0, 1] * 50, values={"helpful": np.ones(100)}, probability=0.5)
    found = snapshot(one, consume(one, empty(one), units, clock=Clock.FAST))
    assert found.stages[0].units == Pair(baseline=50, candidate=50)
    assert [clock.clock for clock in found.clocks] == [Clock.JUDGED]
    assert found.clocks[0].alpha == pytest.approx(0.05)


def test_rates_of_judging_are_those_that_are_drawn():
    """A third is 3,333 of 10,000 buckets; what rounds to nobody has no probability either."""
    third = among_judged(np.array([0.5]), Judging(candidate=1 / 3, baseline=1.0))
    assert third[0] == pytest.approx(0.3333 / 1.3333, abs=1e-15)
    assert among_judged(np.array([0.5]), Judging(candidate=0.00004, baseline=1.0))[0] == 0.0


def everything() -> tuple[Rollout, UnitBatch]:
    """A ladder with an audience, judged samples, clusters, a signal, fractions, errors, and losses."""
    inside = Stage(
        weight=0.2,
        min_units=200,
        min_bake_s=HOUR,
        max_bake_s=50 * HOUR,
        margin_factor=2.7,
        audience=(Condition(attribute="staff", values=("yes",)),),
    )
    later = tuple(replace(inside, weight=weight, audience=()) for weight in (0.2, 0.5))
    metrics = (
        metric("answered"),
        metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, absence=Absence.VOID),
        metric("cost", role=Role.SIGNAL, absence=Absence.VOID),
        metric("latency", role=Role.GUARDRAIL, harm_margin=0.0),
    )
    clusters = (
        WatchedCluster(id="a", name="a", share=0.6),
        WatchedCluster(id="b", name="b", share=0.3),
    )
    one = exposing(
        2,
        metrics=metrics,
        clusters=clusters,
        policy=policy(stages=(inside, *later), judging=Judging(candidate=1.0, baseline=0.5)),
    )
    rng, n = np.random.default_rng(8), 1_500
    stage = np.repeat([0, 1, 2], n // 3)
    pi = np.array([0.2, 0.2, 0.5])[stage]
    a = rng.random(n) < pi
    fails = 0.9 - 0.25 * (a & (stage == 2))
    made = batch(
        a=a,
        values={
            "answered": (rng.random(n) < fails).astype(float),
            "helpful": np.round(rng.random(n), 2),
            "cost": rng.beta(8, 2, n) - 0.05 * a,
            "latency": (rng.random(n) < 0.95).astype(float),
        },
        present={
            "answered": rng.random(n) < 0.97,
            "helpful": rng.random(n) < np.where(a, 0.7, 0.95),
            "cost": rng.random(n) < 0.9,
            "latency": rng.random(n) < 0.99,
        },
        stage=stage,
        errored=(rng.random(n) < 0.02).astype(int),
    )
    cluster = np.array(["a", "b", "other", None], dtype=object)[rng.choice(4, n, p=[0.6, 0.3, 0.05, 0.05])]
    judged = rng.random(n) < np.where(a, 1.0, 0.5)
    made = replace(made, probability=pi, cluster=cluster, judged=judged, values=_within(made.values))
    return one, made


def _within(values: Any) -> Any:
    return {name: np.clip(one, 0.0, 1.0) for name, one in values.items()}


EVERYTHING, ALL = everything()
TOLD = ((300.0, "the index was rebuilt."), (1_100.0, "the application changed."))
CUTS = st.lists(st.integers(0, 1_500), max_size=3)


def in_parts(cuts: dict[Clock, Sequence[int]]) -> MonitorState:
    state = empty(EVERYTHING)
    for clock, at in cuts.items():
        for first, last in zip([0, *sorted(at)], [*sorted(at), 1_500], strict=True):
            part = cut(ALL, first, last)
            state = consume(EVERYTHING, state, part, clock=clock, changes=TOLD)
            state = MonitorState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    return state


WHOLE = in_parts(dict.fromkeys(Clock, ()))


@settings(max_examples=10, deadline=None)
@given(CUTS, CUTS)
def test_with_everything_on_no_cut_of_either_clock_changes_one_bit(
    fast: Sequence[int], judged: Sequence[int]
):
    assert in_parts({Clock.FAST: fast, Clock.JUDGED: judged}) == WHOLE


def test_with_everything_on_lines_are_crossed():
    found = snapshot(EVERYTHING, WHOLE)
    assert found.harm is not None
    assert found.metric("helpful").void_at is not None
    assert {one.units.both > 0 for one in found.clusters} == {True}
    assert len(found.segments) == 3
    assert sum(one.weight for one in found.metrics if one.clock is Clock.FAST and one.gates) == pytest.approx(
        0.8
    )
    assert [one.came for one in found.metrics] == [1_000] * 4, "of the population of the present stage"
