"""Deciding: the order of the rules, the sentences, the edges, and the replay."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom
from tests.unit.rollout.world import HOUR, STABLE, batch, draw, exposing, metric, policy, rollout

from inchworm.domain.errors import InputError, TransitionError
from inchworm.domain.ids import BenchmarkId, ConfigurationId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Clock, Role
from inchworm.domain.rollout import DecisionKind, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.rollout.controller import acknowledged
from inchworm.rollout.decide import plan, replay
from inchworm.rollout.evidence.snapshot import snapshot
from inchworm.rollout.lacking import units_to_settle
from inchworm.rollout.monitor import consume, empty
from inchworm.rollout.observed import Asked, Gated, Stopped, Subject, Turn, Watched
from inchworm.rollout.rules import pausing
from inchworm.rollout.transitions import TERMINAL, Act

SOAK = len(policy().stages)


def watch(row, units, *, seen=()):
    """What is seen of ``row`` after these units."""
    return Watched(evidence=snapshot(row, consume(row, empty(row), units)), acknowledged=seen)


def decided(row, observed, now=2 * HOUR):
    """The decision, which must exist and replay to the bit, also after a trip through JSON."""
    decision = plan(row, observed, now)
    assert decision is not None
    assert decision.parent == row.generation
    assert decision.id == f"{row.id}/{row.generation + 1}"
    text = json.dumps(decision.evidence, allow_nan=False)
    stored = replace(decision, evidence=json.loads(text))
    again = replay(stored)
    assert again == decision
    assert again is not None
    assert json.dumps(again.evidence) == text
    return decision


HARMED = draw(2, 3_000, rates={"answered": (0.95, 0.68)})
HEALTHY = draw(3, 3_000, rates={"answered": (0.95, 0.97)})
EVEN = draw(3, 60, rates={"answered": (0.9, 0.9)})
NONE = draw(3, 0, rates={"answered": (0.9, 0.9)})


def test_harm_rolls_back_and_says_so():
    decision = decided(exposing(), watch(exposing(), HARMED), now=0.0)
    assert decision.kind is DecisionKind.ROLLBACK
    assert decision.state is RolloutState.ROLLED_BACK
    assert decision.weight == 0
    assert decision.actor == "inchworm"
    # Only one clock has metrics, so it has both shares: 1 / .05 = 20.
    assert re.fullmatch(
        r"rolled back because answered fell by 2\d\.\d points \(−\d\d\.\d … −\d\d\.\d\); "
        r"evidence of harm passed 20 at the \d+(st|nd|rd|th) exposed session\.",
        decision.because,
    )


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        (RolloutState.EXPOSING, 0),
        (RolloutState.PAUSED, 0),
        (RolloutState.HOLDING, 1),
        (RolloutState.SOAKING, SOAK),
        (RolloutState.PAUSED, SOAK),
    ],
)
def test_harm_stops_wherever_somebody_is_exposed(state, stage):
    row = exposing(stage, state=state)
    assert decided(row, watch(row, HARMED)).kind is DecisionKind.ROLLBACK


def test_harm_outranks_a_broken_split():
    row = exposing()
    off = draw(2, 3_000, rates={"answered": (0.95, 0.6)}, share=0.4)
    observed = watch(row, off)
    assert observed.evidence.ratio_void
    assert decided(row, observed).kind is DecisionKind.ROLLBACK


def test_a_broken_split_holds_and_never_expands_again():
    row = exposing()
    off = draw(3, 3_000, rates={"answered": (0.95, 0.97)}, share=0.4)
    decision = decided(row, watch(row, off))
    assert decision.kind is DecisionKind.HOLD
    assert "holding at 20 % because the evidence is void" in decision.because
    assert "of 3,000 sessions got the candidate where 600 were expected" in decision.because
    held = exposing(state=RolloutState.HOLDING)
    assert plan(held, watch(held, off), 99 * HOUR) is None
    soaking = exposing(SOAK, state=RolloutState.SOAKING)
    assert decided(soaking, watch(soaking, off)).state is RolloutState.HOLDING


def test_enough_evidence_units_and_time_expand():
    row = exposing()
    decision = decided(row, watch(row, HEALTHY))
    assert decision.kind is DecisionKind.EXPAND
    assert (decision.state, decision.stage, decision.weight) == (RolloutState.EXPOSING, 1, 0.5)
    assert decision.because.startswith(
        "expanded from 20 % to 50 % because answered is not worse by more than 8.1 points (margin × 2.7): "
        "evidence "
    )
    assert decision.because.endswith(" of the 20 it needed, after 3,000 sessions.")
    last = exposing(1)
    units = draw(3, 3_000, rates={"answered": (0.95, 0.97)}, stage=1, probability=0.5)
    decision = decided(last, watch(last, units))
    assert (decision.kind, decision.state, decision.stage) == (DecisionKind.SOAK, RolloutState.SOAKING, SOAK)
    assert decision.weight == pytest.approx(0.9)
    assert "to 90 %, the soak," in decision.because


def test_it_waits_for_time_and_for_units():
    row = exposing()
    assert plan(row, watch(row, HEALTHY), HOUR - 1) is None
    assert plan(row, watch(row, HEALTHY), HOUR) is not None
    second = exposing(1)
    # All units came at the first stage: none counts for the second.
    assert plan(second, watch(second, HEALTHY), 2 * HOUR) is None


def test_every_gate_must_pass_and_a_signal_need_not():
    metrics = (metric("answered"), metric("format", role=Role.GUARDRAIL), metric("cost", role=Role.SIGNAL))
    row = exposing(metrics=metrics)
    fine = {"answered": (0.95, 0.97), "format": (0.97, 0.98)}
    assert decided(row, watch(row, draw(1, 3_000, rates={**fine, "cost": (0.9, 0.88)}))).kind is (
        DecisionKind.EXPAND
    )
    because = decided(row, watch(row, draw(1, 3_000, rates={**fine, "cost": (0.9, 0.88)}))).because
    assert re.search(
        r"because every gate passed; closest was \w+, which is not worse by more than 8\.1 points", because
    )
    worse = draw(2, 900, rates={**fine, "format": (0.97, 0.93), "cost": (0.9, 0.9)})
    assert plan(row, watch(row, worse), 2 * HOUR) is None


def test_a_harmed_signal_pauses_once():
    row = exposing(metrics=(metric("answered"), metric("cost", role=Role.SIGNAL)))
    units = draw(1, 3_000, rates={"answered": (0.95, 0.97), "cost": (0.9, 0.5)})
    decision = decided(row, watch(row, units))
    assert (decision.kind, decision.state, decision.weight) == (DecisionKind.PAUSE, RolloutState.PAUSED, 0.2)
    assert re.match(r"paused at 20 % because the signal cost fell by (39|4\d)\.\d points", decision.because)
    assert decided(row, watch(row, units, seen=("cost",))).kind is DecisionKind.EXPAND
    paused = exposing(metrics=row.metrics, state=RolloutState.PAUSED)
    assert plan(paused, watch(paused, units), 99 * HOUR) is None
    held = exposing(metrics=row.metrics, state=RolloutState.HOLDING)
    assert plan(held, watch(held, units), 99 * HOUR) is None


def test_weak_evidence_of_harm_pauses_once_and_asks_where_the_policy_wants_it():
    row = exposing(metrics=(metric(harm_margin=0.0),))
    units = draw(4, 260, rates={"answered": (0.95, 0.86)})
    (clock,) = watch(row, units).evidence.clocks
    assert clock.crossing is None
    assert clock.log_e is not None
    assert math.log(5) < clock.log_e < math.log(20)
    assert plan(row, watch(row, units), 2 * HOUR) is None
    asking = replace(row, policy=replace(row.policy, alpha_pause=0.2))
    decision = decided(asking, watch(asking, units))
    assert (decision.kind, decision.state) == (DecisionKind.PAUSE, RolloutState.PAUSED)
    assert "past the 5 at which a person is asked" in decision.because
    assert replay(decision) == decision
    seen = acknowledged([decision])
    assert seen == ("on the fast clock",)
    assert plan(asking, watch(asking, units, seen=seen), 2 * HOUR) is None


def test_weak_evidence_asks_about_a_harmless_change_no_more_often_than_it_may():
    row = exposing(metrics=(metric(harm_margin=0.0),))
    asking = replace(row, policy=replace(row.policy, alpha_pause=0.2))
    asked, runs = 0, 60
    for seed in range(runs):
        state = empty(asking)
        for look in range(12):
            units = draw(1_000 * seed + look, 64, rates={"answered": (0.9, 0.9)}, start=64 * look)
            state = consume(asking, state, units)
            if "on the fast clock" in pausing(Subject.of(asking), Watched(evidence=snapshot(asking, state))):
                asked += 1
                break
    assert asked <= binom.ppf(0.999, runs, 0.2)


def test_a_metric_whose_labels_are_void_pauses_instead_of_rolling_back():
    def arrive(_rng, a):
        return ~a | (np.arange(a.size) % 2 == 0) | (np.arange(a.size) > 3_000)

    row = exposing(metrics=(metric(absence=Absence.VOID),))
    healthy = draw(3, 3_000, rates={"answered": (0.95, 0.96)}, present=arrive)
    state = consume(row, empty(row), healthy)
    assert plan(row, Watched(evidence=snapshot(row, state)), 2 * HOUR) is None
    held = decided(row, Watched(evidence=snapshot(row, state)), now=50 * HOUR)
    assert "answered cannot be trusted (its values arrive more often in one arm" in held.because
    harmed = draw(5, 3_000, rates={"answered": (0.95, 0.4)}, present=arrive, start=3_000)
    after = Watched(evidence=snapshot(row, consume(row, state, harmed)))
    decision = decided(row, after)
    assert decision.kind is DecisionKind.PAUSE
    assert "answered cannot be trusted" in decision.because


def test_the_deadline_holds_and_says_what_would_settle_it():
    row = exposing()
    units = draw(11, 400, rates={"answered": (0.9, 0.9)})
    observed = watch(row, units)
    decision = decided(row, observed, now=50 * HOUR)
    assert (decision.kind, decision.state, decision.weight) == (DecisionKind.HOLD, RolloutState.HOLDING, 0.2)
    one = observed.evidence.metric("answered")
    more = units_to_settle(one, np.log(20))
    assert 0 < one.log_e_expand < np.log(20)
    assert more is not None
    assert 400 * (np.log(20) / one.log_e_expand - 1) <= more
    assert decision.because.startswith("holding at 20 % because 2.1 days passed and answered has evidence ")
    assert f"of the 20 it needs (at the pace so far about {more:,} more sessions would settle it)." in (
        decision.because
    )


def test_without_growth_no_number_is_promised():
    row = exposing()
    decision = decided(row, watch(row, draw(6, 300, rates={"answered": (0.9, 0.82)})), now=50 * HOUR)
    assert "at the pace so far no number of sessions would settle it" in decision.because


@pytest.mark.parametrize(("unheard", "expands"), [(0.05, True), (0.2, False)])
def test_an_arm_that_is_hardly_heard_of_keeps_the_stage_closed(unheard, expands):
    quiet = HEALTHY.candidate & (np.arange(len(HEALTHY)) % 100 < 100 * unheard)
    units = replace(HEALTHY, silent=quiet)
    assert (plan(exposing(), watch(exposing(), units), 2 * HOUR) is not None) == expands
    if not expands:
        held = decided(exposing(), watch(exposing(), units), now=999 * HOUR)
        assert held.kind is DecisionKind.HOLD
        assert "nothing came in from 1" in held.because
        assert "sessions of the candidate (rollout.maturation says how long" in held.because
        soaking = exposing(SOAK, state=RolloutState.SOAKING)
        late = replace(draw(3, 400, rates={"answered": (0.95, 0.97)}, stage=SOAK, probability=0.9))
        late = replace(late, silent=~late.candidate)
        assert "of the baseline" in decided(soaking, watch(soaking, late), now=999 * HOUR).because


def test_held_it_still_expands_once_the_evidence_suffices():
    held = exposing(state=RolloutState.HOLDING, entered_at=60 * HOUR)
    decision = decided(held, watch(held, HEALTHY), now=60 * HOUR + 1)
    assert (decision.kind, decision.state, decision.stage) == (DecisionKind.EXPAND, RolloutState.EXPOSING, 1)
    assert plan(held, watch(held, EVEN), 999 * HOUR) is None


def test_the_soak_completes_when_it_is_over_and_was_watched():
    row = exposing(SOAK, state=RolloutState.SOAKING, policy=policy(maturation_s=HOUR))
    units = draw(3, 400, rates={"answered": (0.95, 0.97)}, stage=SOAK, probability=0.9)
    assert plan(row, watch(row, units), 3 * HOUR - 1) is None
    decision = decided(row, watch(row, units), now=3 * HOUR)
    assert (decision.kind, decision.state, decision.weight) == (
        DecisionKind.COMPLETE,
        RolloutState.COMPLETED,
        1.0,
    )
    assert decision.because.startswith(
        "completed because nothing was harmed in the soak of 2 h: 400 sessions, evidence of harm "
    )


def test_a_soak_that_nobody_watched_is_no_success():
    row = exposing(SOAK, state=RolloutState.SOAKING)
    decision = decided(row, watch(row, HEALTHY), now=2 * HOUR)
    assert decision.state is RolloutState.HOLDING
    assert decision.because == (
        "holding at 90 % because the soak is over and answered was not reported for either arm at this stage."
    )
    none = exposing(SOAK, state=RolloutState.SOAKING, policy=policy(soak_s=0.0))
    assert decided(none, watch(none, NONE), now=0.0).state is RolloutState.COMPLETED


EDGES = {
    "zero units": NONE,
    "one arm empty": batch(a=np.zeros(300), values={"answered": np.ones(300)}),
    "the other arm empty": batch(a=np.ones(300), values={"answered": np.ones(300)}, probability=0.99),
    "all missing": batch(
        a=np.arange(4_000) % 5 == 0,
        values={"answered": np.ones(4_000)},
        present={"answered": np.zeros(4_000)},
    ),
    "never reported": batch(a=np.arange(4_000) % 5 == 0, values={}),
    "baseline never reported": batch(
        a=np.arange(900) % 5 == 0,
        values={"answered": np.ones(900)},
        present={"answered": np.arange(900) % 5 == 0},
    ),
}


@pytest.mark.parametrize("units", EDGES.values(), ids=EDGES)
def test_nothing_measured_never_expands(units):
    row = exposing()
    for now in (0.0, 2 * HOUR):
        decision = plan(row, watch(row, units), now)
        assert decision is None or decision.kind in {DecisionKind.HOLD, DecisionKind.ROLLBACK}
    assert decided(row, watch(row, units), now=50 * HOUR).kind in {DecisionKind.HOLD, DecisionKind.ROLLBACK}


def test_the_reasons_are_named():
    row = exposing()
    because = decided(row, watch(row, NONE), now=50 * HOUR).because
    assert "0 of at least 200 sessions came at this stage" in because
    assert "no session got the candidate at this stage" in because
    assert "answered was not reported for either arm at this stage" in because
    none = exposing(metrics=())
    assert "no goal and no guardrail" in decided(none, watch(none, HEALTHY), now=50 * HOUR).because


def test_a_candidate_that_reports_nothing_where_absence_is_failure_is_harmed():
    units = batch(
        a=np.arange(900) % 5 == 0,
        values={"answered": np.ones(900)},
        present={"answered": np.arange(900) % 5 != 0},
    )
    row = exposing()
    assert decided(row, watch(row, units)).kind is DecisionKind.ROLLBACK


def test_where_everything_fails_in_both_arms_nothing_grows_and_a_person_is_asked():
    """Nobody can be worse than 0: what is down for all is no evidence for the candidate."""
    row = exposing()
    units = batch(a=np.arange(3_000) % 5 == 0, values={"answered": np.zeros(3_000)})
    observed = watch(row, units)
    assert observed.evidence.metric("answered").log_e_expand > np.log(20)
    assert plan(row, observed, 2 * HOUR) is None
    held = decided(row, observed, now=50 * HOUR)
    assert held.kind is DecisionKind.HOLD
    assert "answered was 0 for everybody at this stage, with either configuration" in held.because
    # One success is data again.
    one = replace(units, values={"answered": np.where(np.arange(3_000) == 7, 1.0, 0.0)})
    assert decided(row, watch(row, one)).kind is DecisionKind.EXPAND
    soaking = exposing(SOAK, state=RolloutState.SOAKING)
    down = batch(a=np.arange(3_000) % 10 > 0, values={"answered": np.zeros(3_000)}, stage=SOAK)
    assert decided(soaking, watch(soaking, down), now=999 * HOUR).kind is DecisionKind.HOLD


def test_a_clock_that_runs_backwards_lets_no_time_pass():
    row = exposing(entered_at=1_000 * HOUR)
    assert plan(row, watch(row, HEALTHY), 0.0) is None
    assert plan(row, watch(row, NONE), 0.0) is None
    assert decided(row, watch(row, HARMED), now=0.0).kind is DecisionKind.ROLLBACK


def test_clocks_are_apart_and_several_culprits_are_named():
    metrics = (
        metric("answered"),
        metric("format", role=Role.GUARDRAIL),
        metric("helpful", clock=Clock.JUDGED),
    )
    row = exposing(metrics=metrics)
    rates = {"answered": (0.95, 0.5), "format": (0.95, 0.5), "helpful": (0.9, 0.9)}
    decision = decided(row, watch(row, draw(1, 3_000, rates=rates)))
    assert "evidence of harm passed 100 " in decision.because
    judged = draw(1, 3_000, rates={"answered": (0.95, 0.95), "format": (0.95, 0.95), "helpful": (0.9, 0.5)})
    decision = decided(row, watch(row, judged))
    assert "because helpful fell by" in decision.because
    assert "evidence of harm passed 25 " in decision.because


def test_harm_without_a_culprit_names_what_weighed_most():
    """Two of nine guardrails fail together: the sum crosses, and neither can be told from the other."""
    names = [f"check_{number}" for number in range(9)]
    row = exposing(metrics=tuple(metric(name, role=Role.GUARDRAIL) for name in names))
    units = draw(1, 600, rates=dict.fromkeys(names, (1.0, 1.0)))
    failing = draw(1, 600, rates={"failing": (0.8, 0.5)}).values["failing"]
    together = replace(units, values=dict(units.values) | {"check_3": failing, "check_7": failing})
    observed = watch(row, together)
    assert observed.evidence.culprits == ()
    decision = decided(row, observed)
    assert decision.kind is DecisionKind.ROLLBACK
    assert "because the metrics together lost (most of all check_7 fell by " in decision.because


def test_the_gate_lets_through_stops_or_asks():
    row = rollout(state=RolloutState.BENCHMARKING, stage=-1, generation=1)
    seen = {}
    for verdict in Verdict:
        gate = Gated(verdict=verdict, benchmark_id=BenchmarkId("bench-1"), because="answered −1.1 points.")
        seen[verdict] = decided(row, gate)
    assert {verdict: one.state for verdict, one in seen.items()} == {
        Verdict.PASS: RolloutState.EXPOSING,
        Verdict.FAIL: RolloutState.REJECTED,
        Verdict.INCONCLUSIVE: RolloutState.HOLDING,
        Verdict.NO_DATA: RolloutState.HOLDING,
        Verdict.ERRORED: RolloutState.HOLDING,
        Verdict.CANCELLED: RolloutState.HOLDING,
    }
    assert seen[Verdict.PASS].stage == 0
    assert seen[Verdict.PASS].because == (
        "exposed to 20 % of the sessions because benchmark bench-1 passed: answered −1.1 points."
    )
    assert seen[Verdict.ERRORED].stage == -1
    assert all(one.weight == 0 for verdict, one in seen.items() if verdict is not Verdict.PASS)
    held = rollout(state=RolloutState.HOLDING, stage=-1, generation=2)
    assert plan(held, watch(held, NONE), 999 * HOUR) is None
    asked = Asked(act=Act.PROMOTE, actor="ana", reason="", stable=STABLE.id, in_flight=held.id)
    assert decided(held, asked).because == "promoted from 0 % to 20 % by ana, ahead of the evidence."


def test_the_queue():
    stable, other = STABLE.id, STABLE.with_layer(Layer.MODEL, {"name": "new"}).id
    turn = Turn(stable=stable, assumed=stable, candidate=other)
    gated = rollout(policy=policy(gate=True))
    assert decided(gated, turn).state is RolloutState.BENCHMARKING
    assert decided(gated, turn).stage == -1
    start = decided(rollout(), turn)
    assert (start.kind, start.state, start.stage, start.weight) == (
        DecisionKind.START,
        RolloutState.EXPOSING,
        0,
        0.2,
    )
    rebased = decided(gated, replace(turn, assumed=ConfigurationId("f" * 64)))
    assert rebased.because.startswith(
        f"re-based onto {stable[:4]}…{stable[-2:]}, because its plan expected ffff…ff"
    )
    lost = Stopped(rollout_id=RolloutId("r-0"), layer=Layer.CONTEXT, state=RolloutState.ROLLED_BACK)
    cancelled = decided(gated, replace(turn, stopped=(lost,)))
    assert cancelled.because == "cancelled because it needs what did not stay: r-0 (context) was rolled back."
    assert decided(gated, replace(turn, candidate=stable)).kind is DecisionKind.CANCEL
    broken = decided(gated, replace(turn, problems=("the prompt names no such tool.",)))
    assert broken.because.endswith("the prompt names no such tool.")


OBSERVED = (
    Turn(stable=STABLE.id, assumed=None, candidate=ConfigurationId("c")),
    Gated(verdict=Verdict.PASS, benchmark_id=None, because="fine"),
    watch(exposing(), HARMED),
    watch(exposing(), HEALTHY),
    watch(exposing(), NONE),
)


@settings(max_examples=150)
@given(
    st.sampled_from(RolloutState),
    st.integers(-1, SOAK),
    st.sampled_from(OBSERVED),
    st.floats(-1e6, 1e12, allow_nan=False),
)
def test_it_is_total_and_replays(state, stage, observed, now):
    if state is RolloutState.EXPOSING:
        stage = min(max(stage, 0), SOAK - 1)
    if state is RolloutState.SOAKING:
        stage = SOAK
    row = exposing(stage, state=state)
    decision = plan(row, observed, now)
    if decision is None:
        return
    assert state not in TERMINAL
    assert decision.because.endswith(".")
    assert replay(replace(decision, evidence=json.loads(json.dumps(decision.evidence)))) == decision


def test_a_decision_without_its_evidence_cannot_be_replayed():
    decision = decided(exposing(), watch(exposing(), HARMED))
    for evidence in (
        {},
        {"format": "evidence/0"},
        {"format": "evidence/1"},
        decision.evidence | {"observed": {}},
    ):
        with pytest.raises(InputError):
            replay(replace(decision, evidence=evidence))


def test_undo_only_of_what_is_stable_and_alone():
    row = exposing(SOAK, state=RolloutState.COMPLETED)
    assert row.candidate is not None
    asked = Asked(act=Act.UNDO, actor="ana", reason="wrong tone", stable=row.candidate, in_flight=None)
    decision = decided(row, asked)
    assert (decision.state, decision.actor, decision.weight) == (RolloutState.UNDONE, "ana", 0.0)
    assert decision.because.endswith(": wrong tone.")
    with pytest.raises(TransitionError, match="while r-9 is in flight"):
        plan(row, replace(asked, in_flight=RolloutId("r-9")), 0.0)
    with pytest.raises(TransitionError, match="which it did not make"):
        plan(row, replace(asked, stable=STABLE.id), 0.0)
