"""Shadow stages: pairs are evidence apart, with a budget, a population and sentences of their own."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.rollout.world import HOUR, cut, draw, exposing, metric, policy, store_with

from inchworm.domain.metric import Clock, Role
from inchworm.domain.rollout import DecisionKind, Judging, Rollout, Stage, StageKind
from inchworm.domain.targeting import Condition
from inchworm.rollout import wording
from inchworm.rollout.consuming import consume_matured
from inchworm.rollout.decide import plan, replay
from inchworm.rollout.evidence import Evidence, ShadowStage
from inchworm.rollout.evidence.budget import SHADOW_SHARE, alphas, shadow_alpha, shadow_shares
from inchworm.rollout.evidence.populations import populations
from inchworm.rollout.evidence.snapshot import point, snapshot
from inchworm.rollout.lacking import units_to_settle
from inchworm.rollout.monitor import MonitorState, consume, consume_pairs, design_of, empty
from inchworm.rollout.observed import Subject, Watched
from inchworm.rollout.ports import PairBatch
from inchworm.rollout.rules import obstacles

SHADOW = Stage(
    weight=0.3,
    min_units=100,
    min_bake_s=HOUR,
    max_bake_s=50 * HOUR,
    margin_factor=2.0,
    kind=StageKind.SHADOW,
)
SPLIT = Stage(weight=0.5, min_units=200, min_bake_s=HOUR, max_bake_s=50 * HOUR, margin_factor=1.0)
LADDER = policy(stages=(SHADOW, SPLIT))
METRICS = (
    metric("answered"),
    metric("helpful", role=Role.GUARDRAIL, clock=Clock.JUDGED, margin=0.05, harm_margin=0.0),
    metric("cost", role=Role.SIGNAL),
)
MIRRORING = exposing(metrics=METRICS, policy=LADDER)


def mirrored(
    seed: int,
    count: int,
    *,
    shift: dict[str, float] | None = None,
    start: int = 0,
    silent: float = 0.0,
    missing: float = 0.0,
    stage: int = 0,
    discordance: float = 0.2,
) -> PairBatch:
    """Pairs that differ in ``discordance`` of all, by ``shift`` on average."""
    rng = np.random.default_rng(seed)
    values, present = {}, {}
    for one in METRICS:
        less = (discordance - (shift or {}).get(one.name, 0.0)) / 2
        luck = rng.random(count)
        baseline = np.where(luck < less, 1.0, np.where(luck < discordance, 0.0, 1.0))
        candidate = np.where(luck < less, 0.0, 1.0)
        values[one.name] = baseline, candidate
        present[one.name] = rng.random(count) >= missing
    return PairBatch(
        order=np.arange(start, start + count),
        stage=np.full(count, stage),
        at=np.arange(count, dtype=np.float64),
        silent=rng.random(count) < silent,
        errored=np.zeros(count, dtype=np.bool_),
        values=values,
        present=present,
    )


def part(pairs: PairBatch, first: int, last: int) -> PairBatch:
    cut_ = slice(first, last)
    return PairBatch(
        order=pairs.order[cut_],
        stage=pairs.stage[cut_],
        at=pairs.at[cut_],
        silent=pairs.silent[cut_],
        errored=pairs.errored[cut_],
        values={name: (one[cut_], other[cut_]) for name, (one, other) in pairs.values.items()},
        present={name: flags[cut_] for name, flags in pairs.present.items()},
        again=None if pairs.again is None else pairs.again[cut_],
    )


def seen(pairs: PairBatch, one: Rollout = MIRRORING) -> Evidence:
    return snapshot(one, consume_pairs(one, empty(one), pairs))


PAIRS = replace(mirrored(11, 400, shift={"helpful": -0.1}, missing=0.05), again=np.arange(400) % 7 == 3)
WHOLE = consume_pairs(MIRRORING, empty(MIRRORING), PAIRS)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=5))
def test_batches_and_trips_through_json_change_not_one_bit(cuts: Sequence[int]):
    state = empty(MIRRORING)
    for first, last in zip([0, *sorted(cuts)], [*sorted(cuts), 400], strict=True):
        state = consume_pairs(MIRRORING, state, part(PAIRS, first, last))
        state = MonitorState.from_json(json.loads(json.dumps(state.to_json(), allow_nan=False)))
    assert state == WHOLE


def test_shadow_and_split_spend_no_more_than_alpha_in_all():
    both = alphas(LADDER, set(Clock))
    assert sum(both.values()) + shadow_alpha(LADDER) == pytest.approx(0.05)
    assert shadow_alpha(LADDER) == pytest.approx(SHADOW_SHARE * 0.05)
    assert both[Clock.FAST] / both[Clock.JUDGED] == pytest.approx(0.25)
    # Without a shadow stage the split has all of it.
    assert sum(alphas(policy(), set(Clock)).values()) == pytest.approx(0.05)
    share = shadow_shares(LADDER, METRICS)
    assert share["answered"].weight + share["helpful"].weight == 1.0
    assert share["cost"].weight == 1.0


def test_harm_in_pairs_is_found_before_anybody_is_exposed():
    pairs = mirrored(3, 1_500, shift={"helpful": -0.08})
    found = seen(pairs)
    harm = found.harm
    assert harm is not None
    assert harm.paired
    assert harm.crossing.culprits == ("helpful",)
    assert harm.crossing.unit == harm.crossing.candidate < 1_500
    assert (found.consumed, found.seen) == (0, 1_500)
    decision = plan(MIRRORING, Watched(evidence=found), 2 * HOUR)
    assert decision is not None
    assert decision.kind is DecisionKind.ROLLBACK
    assert decision.because == (
        f"rolled back because helpful fell by 8.5 points (−13.0 … −5.5); evidence of harm passed 40, "
        f"found in {harm.crossing.unit} pairs, and nobody was exposed."
    )
    assert replay(decision) == decision


def test_calls_of_one_conversation_are_one_pair_and_harm_nobody_by_being_alike():
    """Ten calls of a conversation that agree: bet on one by one they roll back six of ten harmless ones."""
    one, runs, size, harmed, whole = replace(MIRRORING, metrics=METRICS[:1]), 40, 10, 0, 0
    for seed in range(runs):
        luck = np.random.default_rng(seed).random(120).repeat(size)
        values = np.where(luck < 0.1, 0.0, 1.0), np.where(luck > 0.9, 0.0, 1.0)
        none = np.zeros(luck.size, dtype=np.bool_)
        calls = PairBatch(
            order=np.arange(luck.size),
            stage=np.zeros(luck.size, dtype=np.int64),
            at=np.zeros(luck.size),
            silent=none,
            errored=none,
            values={"answered": values},
            present={"answered": ~none},
        )
        found = seen(replace(calls, again=np.arange(luck.size) % size > 0), one)
        harmed += found.harm is not None
        whole += seen(calls, one).harm is not None
        assert found.shadow_stage == ShadowStage(pairs=120, again=1_080)
        assert found.shadow is not None
        assert (found.shadow.metric("answered").consumed, found.shadow.metric("answered").missing) == (120, 0)
    # The budget of pairs is .025: more than four of 40 have a chance of .004.
    assert harmed <= 4
    assert whole > 10, "what it would come to otherwise"


def test_harm_is_told_by_pairs_and_not_by_calls():
    pairs = mirrored(3, 1_500, shift={"helpful": -0.08})
    alone = seen(pairs).harm
    twice = np.arange(1_500).repeat(2)
    doubled = replace(
        pairs.only(twice),  # type: ignore[arg-type]  # places, as good as flags
        order=np.arange(3_000),
        again=np.arange(3_000) % 2 == 1,
    )
    state = consume_pairs(MIRRORING, empty(MIRRORING), doubled)
    assert state.watermark == 3_000
    found = snapshot(MIRRORING, state)
    assert found.harm == alone
    assert found.seen == 1_500


def test_a_shadow_stage_grows_on_its_pairs():
    found = seen(mirrored(5, 1_200, discordance=0.05))
    assert found.paired
    assert [one.name for one in found.asked] == ["answered", "helpful"]
    decision = plan(MIRRORING, Watched(evidence=found), 2 * HOUR)
    assert decision is not None
    assert (decision.kind, decision.stage) == (DecisionKind.EXPAND, 1)
    assert "from the shadow of 30 % to 50 % because every gate passed" in decision.because
    assert "after 1,200 pairs." in decision.because
    # Held too early it says what is missing, in pairs.
    early = Watched(evidence=seen(mirrored(5, 60)))
    clauses = obstacles(Subject.of(MIRRORING), early, 2 * HOUR)
    assert clauses[0] == "60 of at least 100 pairs came at this stage"
    assert all("session" not in one for one in clauses)


def test_split_stages_start_evidence_of_their_own():
    state = consume_pairs(MIRRORING, empty(MIRRORING), mirrored(5, 1_200, discordance=0.05))
    found = snapshot(replace(MIRRORING, stage=1), state)
    assert not found.paired
    assert [one.log_e_expand for one in found.gates] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert found.shadow is not None
    assert found.shadow.metric("helpful").consumed == 1_200
    assert found.shadow.stages[0].pairs == 1_200
    # The pairs of the shadow stage are no units of the split one.
    assert found.consumed == 0
    blocked = obstacles(Subject.of(replace(MIRRORING, stage=1)), Watched(evidence=found), 2 * HOUR)
    assert blocked[0] == "0 of at least 200 sessions came at this stage"


def test_silent_candidates_and_missing_values_keep_a_shadow_stage_closed():
    silent = seen(mirrored(5, 1_200, discordance=0.05, silent=0.2))
    stage = silent.shadow_stage
    assert stage == ShadowStage(pairs=1_200, silent=stage.silent, errored=0)
    clauses = obstacles(Subject.of(MIRRORING), Watched(evidence=silent), 2 * HOUR)
    assert clauses == (f"the candidate never answered in {stage.silent} of 1,200 pairs",)
    missing = seen(mirrored(5, 1_200, discordance=0.05, missing=0.15))
    clauses = obstacles(Subject.of(MIRRORING), Watched(evidence=missing), 2 * HOUR)
    assert [one.split(" has no value on both sides of ")[0] for one in clauses] == ["answered", "helpful"]
    nothing = seen(replace(mirrored(5, 200), present={}))
    clauses = obstacles(Subject.of(MIRRORING), Watched(evidence=nothing), 2 * HOUR)
    assert "answered has no value on both sides of any pair at this stage" in clauses


def test_where_both_sides_of_every_pair_fail_nothing_grows():
    down = mirrored(5, 1_200, discordance=0.0)
    nothing = {name: (np.zeros(1_200), np.zeros(1_200)) for name in down.values}
    found = seen(replace(down, values=nothing))
    clauses = obstacles(Subject.of(MIRRORING), Watched(evidence=found), 2 * HOUR)
    assert [one.split(" was 0 for everybody ")[0] for one in clauses] == ["answered", "helpful"]
    assert not obstacles(Subject.of(MIRRORING), Watched(evidence=seen(down)), 2 * HOUR)


def test_a_signal_that_is_harmed_in_pairs_pauses():
    found = seen(mirrored(7, 1_500, shift={"cost": -0.12}))
    assert found.harm is None
    decision = plan(MIRRORING, Watched(evidence=found), 2 * HOUR)
    assert decision is not None
    assert decision.kind is DecisionKind.PAUSE
    assert decision.because.startswith("paused at the shadow of 30 % because the signal cost fell by 1")
    assert replay(decision) == decision
    assert plan(MIRRORING, Watched(evidence=found, acknowledged=("cost",)), 2 * HOUR) != decision


def test_pairs_come_in_order_each_once_and_only_to_shadow_stages():
    state = consume_pairs(MIRRORING, empty(MIRRORING), part(PAIRS, 0, 10))
    with pytest.raises(ValueError, match="number 10"):
        consume_pairs(MIRRORING, state, part(PAIRS, 0, 10))
    assert consume_pairs(MIRRORING, state, part(PAIRS, 10, 10)) is state
    with pytest.raises(ValueError, match="no stage"):
        consume_pairs(exposing(), empty(exposing()), PAIRS)


class Mirrored:
    """Pairs that have matured, and no units."""

    def __init__(self, pairs: PairBatch) -> None:
        self._pairs = pairs

    def __getattr__(self, name: str) -> Any:
        assert name == "read"
        return lambda *_, **__: cut(draw(1, 1, rates={"answered": (1.0, 1.0)}), 0, 0)

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        assert (rollout.id, matured_before) == (MIRRORING.id, 5 * HOUR)
        return part(self._pairs, start, min(start + min(limit, 150), 400))


def test_pairs_are_consumed_when_all_their_outcomes_are_due():
    one = replace(MIRRORING, policy=replace(LADDER, maturation_s=HOUR, maturation_judged_s=4 * HOUR))
    store = store_with(one)
    units: Any = Mirrored(mirrored(11, 400, missing=0.05))
    state = consume_matured(store, units, one, 9 * HOUR)
    assert state is not None
    assert state.shadow is not None
    assert (state.shadow.consumed, store.monitors[one.id][0]) == (400, 400)
    kept = point(one, snapshot(one, state), 9 * HOUR)
    assert kept.consumed == 400
    assert kept.metrics[1].candidate == state.shadow.metrics[1].reported[0]


AUDIENCE = (Condition(attribute="tenant", values=("us",)),)


def test_a_new_audience_is_a_new_population():
    inside = replace(SPLIT, audience=AUDIENCE, margin_factor=2.7)
    ladder = policy(stages=(SHADOW, inside, replace(inside, margin_factor=1.7), SPLIT))
    found = populations(ladder)
    assert [(one.first, one.last) for one in found] == [(0, 0), (1, 2), (3, 4)]
    # The soak exposes everybody: after a ladder that ends inside it is nobody's population.
    assert populations(policy(stages=(SPLIT, inside)))[-1].last == 1
    design = design_of(ladder, metric())
    assert [(round(m, 3), s) for m, s in zip(design.margins, design.spans, strict=True)] == [
        (0.081, (1, 2)),
        (0.051, (1, 2)),
        (0.03, (3, 4)),
    ]


def test_expansion_starts_anew_with_an_audience_and_harm_goes_on():
    inside = replace(SPLIT, audience=AUDIENCE)
    ladder = policy(stages=(inside, SPLIT))
    one = exposing(policy=ladder, metrics=(metric(),))
    state = consume(one, empty(one), draw(1, 4_000, rates={"answered": (0.9, 0.93)}, probability=0.5))
    first = snapshot(one, state).metric("answered")
    assert first.log_e_expand > math.log(20)
    moved = replace(one, stage=1)
    second = snapshot(moved, state).metric("answered")
    assert second.log_e_expand == pytest.approx(0.0, abs=1e-9)
    assert second.log_e_harm == first.log_e_harm
    # At the same margin for the same people nothing would start anew.
    same = exposing(policy=policy(stages=(SPLIT, SPLIT)), metrics=(metric(),))
    went_on = consume(same, empty(same), draw(1, 4_000, rates={"answered": (0.9, 0.93)}, probability=0.5))
    assert snapshot(replace(same, stage=1), went_on).metric("answered").log_e_expand == first.log_e_expand
    # Units of the new population count for it alone.
    later = consume(
        moved,
        state,
        draw(2, 4_000, rates={"answered": (0.9, 0.93)}, probability=0.5, start=4_000, stage=1),
    )
    assert snapshot(one, later).metric("answered").log_e_expand == first.log_e_expand
    assert snapshot(moved, later).metric("answered").log_e_expand > math.log(20)


def test_what_would_settle_it_is_counted_in_the_units_that_come_now():
    """Of the present population, and all that come, not those only that are judged."""
    inside = replace(SPLIT, weight=0.2, audience=(Condition(attribute="staff", values=("yes",)),))
    rates = {"answered": (0.9, 0.92), "helpful": (0.9, 0.92)}
    ladder = policy(stages=(inside, SPLIT), judging=Judging(candidate=1.0, baseline=0.25))
    one = exposing(1, metrics=METRICS[:2], policy=ladder)
    rng, state = np.random.default_rng(3), empty(one)
    staff = draw(1, 8_000, rates=rates)
    everybody = draw(2, 2_000, rates=rates, stage=1, probability=0.5, start=8_000)
    for units in (staff, everybody):
        judged = units.candidate | (rng.random(len(units)) < 0.25)
        state = consume(one, state, replace(units, judged=judged))
    found = snapshot(one, state)
    for each in found.metrics:
        assert each.log_e_expand > 0
        assert each.came == 2_000
        more = units_to_settle(each, math.log(20))
        if each.log_e_expand < math.log(20):
            assert more == pytest.approx(each.came * (math.log(20) / each.log_e_expand - 1.0), rel=0.1)


def test_standing_tells_the_shadow():
    assert wording.standing(MIRRORING) == "exposing, stage 1 of 2 (the shadow of 30 %)"
