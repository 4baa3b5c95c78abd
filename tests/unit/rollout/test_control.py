"""What holds a rollout up besides its evidence, and what goes past it: whole lives over a store in memory."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.rollout.world import (
    APP,
    HOUR,
    STABLE,
    Traffic,
    Verdicts,
    check_recorded,
    metric,
    policy,
    rollout,
    store_with,
)

from inchworm.domain.errors import TransitionError, UsageError
from inchworm.domain.ids import BenchmarkId, ConfigurationId, RolloutId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import (
    Approval,
    Approvals,
    DecisionKind,
    LedgerEntry,
    LossBudget,
    RolloutState,
)
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkState
from inchworm.rollout.commands import act
from inchworm.rollout.controller import tick, verify_served
from inchworm.rollout.decide import replay
from inchworm.rollout.effects import EARLY
from inchworm.rollout.fleet import Memo
from inchworm.rollout.gating import WorkBenchmarks
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import Permits, approved_by, needed, obstacles, unapproved
from inchworm.rollout.ports import GateResult
from inchworm.rollout.transitions import Act

HEALTHY = {"answered": (0.93, 0.95)}
TERRIBLE = {"answered": (0.95, 0.5)}
ONE, TWO = RolloutId("r-1"), RolloutId("r-2")
SHORT = tuple(replace(stage, max_bake_s=6 * HOUR) for stage in policy().stages)


class Calendar:
    """Frozen between two moments."""

    def __init__(self, start=0.0, end=0.0):
        self.start, self.end = start, end

    def __call__(self, app, now):
        assert app == APP
        return ("the freeze at night", self.end) if self.start <= now < self.end else None


def live(store, traffic, *, hours, start=0.0, **more):
    """Let time pass in half hours, one tick each."""
    made, now = [], start
    verdicts = more.pop("verdicts", None) or Verdicts()
    while now <= start + hours * HOUR:
        traffic.until(now)
        made += tick(store, traffic, verdicts, now, **more)
        check_recorded(store)
        assert verify_served(store, APP) == ()
        now += HOUR / 2
    for decision in made:
        assert replay(decision) == decision
    return made


def kinds(decisions):
    return [decision.kind.value for decision in decisions]


def agree(store, actor, stage=0, number=1):
    store.agreed.append(Approval(rollout_id=RolloutId(f"r-{number}"), stage=stage, actor=actor, at=0.0))


# --- approvals


def test_without_approvals_it_holds_before_anybody_is_exposed_and_says_who_is_awaited():
    rule = Approvals(count=2, by=("ana", "ben", "cleo", "dan"), before=(0,))
    store = store_with(rollout(policy=policy(gate=True, approvals=rule)))
    traffic = Traffic(store, HEALTHY)
    start, held = live(store, traffic, hours=2)
    assert kinds([start, held]) == ["start", "hold"]
    assert (held.state, held.stage, held.weight) == (RolloutState.HOLDING, -1, 0)
    assert held.because == (
        "holding before anybody is exposed: benchmark bench-r-1 passed, and it has 0 of 2 approvals for "
        "20 %; awaited from ben, cleo or dan: inchworm rollout approve r-1."
    )
    for actor in ("ana", "eve", "ben", "ben"):  # the author, a stranger, and one person twice
        agree(store, actor)
    assert live(store, traffic, hours=1, start=3 * HOUR) == []
    agree(store, "dan")
    (exposed,) = live(store, traffic, hours=0, start=5 * HOUR)
    assert exposed.kind is DecisionKind.EXPOSE
    assert exposed.because == (
        "exposed to 20 % of the sessions because benchmark bench-r-1 passed, and approved by ben and dan."
    )
    assert (exposed.state, exposed.weight) == (RolloutState.EXPOSING, 0.2)


def test_without_a_gate_it_waits_all_the_same():
    store = store_with(rollout(policy=policy(approvals=Approvals())))
    traffic = Traffic(store, HEALTHY)
    (start,) = live(store, traffic, hours=1)
    assert (start.kind, start.state, start.weight) == (DecisionKind.START, RolloutState.HOLDING, 0)
    assert "held before anybody is exposed: it has no approval yet for 20 %" in start.because
    assert "awaited from anybody but ana, who applied it" in start.because
    agree(store, "ben")
    (exposed,) = live(store, traffic, hours=0, start=2 * HOUR)
    assert exposed.because == (
        "exposed to 20 % of the sessions because no benchmark is asked for, and approved by ben."
    )


def test_what_waits_for_approval_at_a_later_stage_still_rolls_back():
    rule = Approvals(before=(1,))
    store = store_with(rollout(policy=policy(approvals=rule), metrics=(metric(harm_margin=0.0),)))
    traffic = Traffic(store, HEALTHY)
    assert kinds(live(store, traffic, hours=10)) == ["start", "hold"]
    traffic.rates = TERRIBLE
    assert kinds(live(store, traffic, hours=20, start=11 * HOUR)) == ["rollback"]


def test_an_approved_stage_is_reached_by_itself_and_people_are_asked_once_the_evidence_suffices():
    store = store_with(rollout(policy=policy(stages=SHORT, approvals=Approvals(before=(1, 2)))))
    traffic = Traffic(store, HEALTHY)
    held = live(store, traffic, hours=6)[-1]
    assert (held.kind, held.state, held.weight) == (DecisionKind.HOLD, RolloutState.HOLDING, 0.2)
    assert held.because == (
        "holding at 20 %: every gate passed, and it has no approval yet for 50 %; awaited from anybody but "
        "ana, who applied it: inchworm rollout approve r-1."
    )
    assert held.at < 6 * HOUR  # the stage's longest time
    assert replay(held) == held
    agree(store, "ben", stage=1)
    assert kinds(live(store, traffic, hours=3, start=6.5 * HOUR)) == ["expand", "hold"]
    agree(store, "ben", stage=2)
    assert kinds(live(store, traffic, hours=5, start=10 * HOUR)) == ["soak", "complete"]


def test_an_unclear_gate_is_not_mended_by_approvals():
    store = store_with(rollout(policy=policy(gate=True, approvals=Approvals())))
    agree(store, "ben")
    made = live(store, Traffic(store, HEALTHY), hours=2, verdicts=Verdicts(Verdict.INCONCLUSIVE))
    assert kinds(made) == ["start", "hold"]


@pytest.mark.parametrize(
    ("rule", "joint", "expected"),
    [
        (None, (), None),
        (None, (Layer.PROMPT,), Approvals()),
        (Approvals(count=2, before=(1,)), (), Approvals(count=2, before=(1,))),
        (Approvals(count=2, before=(1,)), (Layer.PROMPT,), Approvals(count=2, before=(0, 1))),
        (Approvals(by=("ben",)), (Layer.PROMPT,), Approvals(by=("ben",))),
    ],
)
def test_a_joint_step_needs_at_least_one_other_person(rule, joint, expected):
    assert needed(policy(approvals=rule), joint) == expected


def test_whose_word_counts():
    rule = Approvals(count=2, by=("ana", "ben", "cleo"))
    said = [
        Approval(rollout_id=ONE, stage=stage, actor=actor, at=0.0)
        for stage, actor in ((0, "cleo"), (0, "ana"), (0, "ben"), (0, "eve"), (1, "ben"), (0, "cleo"))
    ]
    assert approved_by(said, rule, stage=0, author="ana") == ("cleo", "ben")
    assert approved_by(said, rule, stage=1, author="ana") == ("ben",)


# --- freezes


def test_in_a_freeze_nothing_starts_and_after_it_everything_goes_on_by_itself():
    store = store_with(rollout(policy=policy(gate=True)))
    traffic, night = Traffic(store, HEALTHY), Calendar(0, 5 * HOUR)
    assert live(store, traffic, hours=4.5, frozen=night) == []
    assert kinds(live(store, traffic, hours=0.5, start=5 * HOUR, frozen=night)) == ["start", "expose"]


def test_a_gate_that_passes_in_a_freeze_exposes_nobody_before_its_end():
    store = store_with(rollout(policy=policy(gate=True)))
    traffic, night = Traffic(store, HEALTHY), Calendar(HOUR / 4, 5 * HOUR)
    start, held = live(store, traffic, hours=4.5, frozen=night)
    assert kinds([start, held]) == ["start", "hold"]
    assert held.because.endswith("passed, and nothing grows in the freeze at night.")
    (exposed,) = live(store, traffic, hours=0, start=5 * HOUR, frozen=night)
    assert "and what it waited for is over" in exposed.because


def test_in_a_freeze_nothing_grows_or_completes_and_harm_still_rolls_back():
    store = store_with(rollout(metrics=(metric(harm_margin=0.0),)))
    traffic, night = Traffic(store, HEALTHY), Calendar()
    live(store, traffic, hours=0)
    night.start, night.end = HOUR / 4, 10 * HOUR
    assert live(store, traffic, hours=8.5, start=HOUR, frozen=night) == []
    assert kinds(live(store, traffic, hours=2, start=10 * HOUR, frozen=night)) == ["expand", "soak"]
    night.start, night.end = 12 * HOUR, 40 * HOUR
    soaking = live(store, traffic, hours=6, start=12.5 * HOUR, frozen=night)
    assert soaking == [], "it would be stable long since"
    traffic.rates = TERRIBLE
    assert kinds(live(store, traffic, hours=12, start=19 * HOUR, frozen=night)) == ["rollback"]


def test_a_freeze_alone_never_holds_at_the_deadline_and_what_is_open_besides_does():
    store = store_with(rollout(policy=policy(stages=SHORT)))
    traffic = Traffic(store, HEALTHY)
    # Frozen before the evidence suffices, and past the deadline of six hours.
    made = live(store, traffic, hours=20, frozen=Calendar(HOUR, 12 * HOUR))
    assert kinds(made) == ["start", "expand", "soak", "complete"]
    assert made[1].at == 12 * HOUR
    rare = tuple(replace(stage, min_units=10**6) for stage in SHORT)
    store = store_with(rollout(policy=policy(stages=rare)))
    made = live(store, Traffic(store, HEALTHY), hours=8, frozen=Calendar(HOUR, 12 * HOUR))
    assert kinds(made) == ["start", "hold"]
    assert "1,000,000 sessions" in made[1].because


def test_without_a_soak_a_freeze_only_delays_the_end():
    store = store_with(rollout(policy=policy(soak_s=0.0)))
    traffic, now = Traffic(store, HEALTHY), 0.0
    while store.rows[ONE].state is not RolloutState.SOAKING:
        traffic.until(now)
        tick(store, traffic, Verdicts(), now)
        now += HOUR / 2
    soaking, night = store.rows[ONE].entered_at, Calendar(0.0, 30 * HOUR)
    # Nothing was measured in it yet, and nothing has to be.
    assert tick(store, traffic, Verdicts(), soaking + 1.0, frozen=night) == []
    (done,) = tick(store, traffic, Verdicts(), 30 * HOUR, frozen=night)
    assert done.kind is DecisionKind.COMPLETE


def test_in_a_freeze_a_person_may_stop_and_not_promote():
    store = store_with(rollout())
    live(store, Traffic(store, HEALTHY), hours=0)
    night: Any = Calendar(0, 9 * HOUR)
    with pytest.raises(TransitionError, match="cannot be promoted: nothing grows in the freeze at night"):
        act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, frozen=night)
    for wanted in (Act.PAUSE, Act.RESUME, Act.PAUSE, Act.ABORT):
        act(store, ONE, wanted, actor="ana", reason="", now=HOUR, frozen=night)
    assert store.rows[ONE].state is RolloutState.ABORTED
    check_recorded(store)


# --- jumps


@pytest.mark.parametrize(
    ("to", "state", "stage", "weight", "said"),
    [
        ("50%", RolloutState.EXPOSING, 1, 0.5, "promoted from 20 % to 50 % by ana"),
        ("stage 2", RolloutState.EXPOSING, 1, 0.5, "promoted from 20 % to 50 % by ana"),
        ("soak", RolloutState.SOAKING, 2, 0.9, "promoted from 20 % to 90 %, past 50 % by ana"),
        (
            "stable",
            RolloutState.COMPLETED,
            2,
            1.0,
            "promoted from 20 % to stable, past 50 % and the soak by ana",
        ),
    ],
)
def test_a_person_jumps_stages(to, state, stage, weight, said):
    store = store_with(rollout())
    live(store, Traffic(store, HEALTHY), hours=0)
    done = act(store, ONE, Act.PROMOTE, actor="ana", reason="known good", now=HOUR, to=to).decision
    assert (done.state, done.stage) == (state, stage)
    assert done.weight == pytest.approx(weight)
    assert done.because == f"{said}, ahead of the evidence: known good."
    assert replay(done) == done
    check_recorded(store)


def test_a_jump_leads_past_an_unclear_gate_and_never_down():
    store = store_with(rollout(policy=policy(gate=True)))
    live(store, Traffic(store, HEALTHY), hours=1, verdicts=Verdicts(Verdict.INCONCLUSIVE))
    done = act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="50%").decision
    assert (done.state, done.stage) == (RolloutState.EXPOSING, 1)
    assert done.because == "promoted from 0 % to 50 %, past 20 % by ana, ahead of the evidence."
    with pytest.raises(TransitionError, match="at stage 2 is not promoted to stage 1: shares only grow"):
        act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="20%")
    with pytest.raises(UsageError, match="write soak, stable, or one of 1 \\(20%\\), 2 \\(50%\\)"):
        act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="60%")
    alike = rollout(policy=policy(stages=(policy().stages[0], policy().stages[0])))
    with pytest.raises(UsageError, match='there is more than one stage "20%": write soak'):
        act(store_with(alike), ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="20%")


def test_a_jump_does_not_lead_past_other_peoples_word():
    store = store_with(rollout(policy=policy(approvals=Approvals(before=(1,)))))
    live(store, Traffic(store, HEALTHY), hours=0)
    with pytest.raises(TransitionError, match="cannot be promoted: it has no approval yet for 50 %"):
        act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="soak")
    agree(store, "ben", stage=1)
    assert act(store, ONE, Act.PROMOTE, actor="ana", reason="", now=HOUR, to="soak").decision.stage == 2


# --- emergencies


def emergency(number=9, **changes):
    return rollout(
        number,
        plan_id="plan-9",
        step=1,
        emergency="customers see prices of yesterday",
        joint={Layer.PROMPT: {"system": "careful"}},
        author="ben",
        **changes,
    )


def test_an_emergency_goes_past_everything_and_keeps_a_control_group():
    rule = Approvals(count=3)
    store = store_with(rollout(), rollout(2, layer=Layer.CONTEXT, values={"k": 9}))
    traffic, night = Traffic(store, HEALTHY), Calendar(0, 90 * HOUR)
    live(store, traffic, hours=0)
    row = emergency(policy=policy(gate=True, approvals=rule, loss_budget=LossBudget(margin=0.01, per_s=1.0)))
    store.rows[row.id] = row
    aborted, broken = live(store, traffic, hours=0.5, start=HOUR, frozen=night)
    assert (aborted.rollout_id, aborted.state, aborted.actor) == (ONE, RolloutState.ABORTED, "ben")
    assert aborted.because == "aborted at 20 % by ben: the glass was broken for r-9."
    assert (broken.kind, broken.state, broken.stage) == (DecisionKind.EMERGENCY, RolloutState.SOAKING, 2)
    assert broken.weight == pytest.approx(0.9)
    assert broken.because == (
        "EMERGENCY: the glass was broken by ben, and model and prompt exposed to 90 % of the sessions at "
        f"once on stable {STABLE.id[:4]}…{STABLE.id[-2:]}, past gate, freezes, approvals and ladder: "
        "customers see prices of yesterday."
    )
    assert [entry.kind for entry in store.told[-1:]] == ["emergency"]
    assert not any(item.id.startswith("benchmark:r-9") for item in store.items.values())
    assert kinds(live(store, traffic, hours=6, start=2 * HOUR, frozen=night)) == ["complete"]
    moved = [entry for entry in store.told if entry.kind == "configuration"][-1]
    assert moved.data["layers"] == ["model", "prompt"], "it is told that they were bundled"
    assert store.kept[store.lineage_rows[APP].stable].moved(STABLE) == (Layer.MODEL, Layer.PROMPT)
    assert store.rows[TWO].state is RolloutState.QUEUED


def test_an_emergency_that_harms_is_rolled_back():
    row = emergency(metrics=(metric(harm_margin=0.0),))
    store = store_with(row)
    made = live(store, Traffic(store, TERRIBLE), hours=12)
    assert kinds(made) == ["emergency", "rollback"]


# --- loss budget


class Budgets(Verdicts):
    """Gates pass; the comparison with the anchor comes out as it is set."""

    against: Verdict | None = None

    def budget(self, rollout):
        if self.against is None or rollout.anchor is None:
            return None
        return GateResult(
            verdict=self.against,
            benchmark_id=BenchmarkId("b-12"),
            because="answered −3.4 (−5.0 … −1.8)",
        )


def budgeted(**changes):
    """A store whose stable is younger than the budget's time; before it was another."""
    rules = policy(gate=True, stages=SHORT, loss_budget=LossBudget(margin=0.03, per_s=90 * 86_400.0))
    store = store_with(rollout(policy=rules, **changes))
    old = ConfigurationId("3f2a" + "0" * 58 + "c1")
    store.told.append(
        LedgerEntry(
            app=APP, at=-1.0, kind="configuration", actor="ana", what="x", data={"from": old, "to": STABLE.id}
        )
    )
    return store, old


def test_the_anchor_is_fixed_at_the_start_and_compared_with():
    store, old = budgeted()
    live(store, Traffic(store, HEALTHY), hours=0, verdicts=Verdicts(None))
    row = store.rows[ONE]
    assert row.candidate is not None
    assert row.anchor == old
    asked_for = store.items[WorkId(f"benchmark:r-1:anchor:{old[:8]}-{row.candidate[:8]}")]
    assert asked_for.payload["base"] == old
    assert (asked_for.payload["margin"], asked_for.payload["margin_factor"]) == (0.03, 1.0)
    assert WorkBenchmarks(store).budget(row) is None
    result = {"verdict": "fail", "benchmark_id": "b-12", "because": "x"}
    store.finish(asked_for.id, state=WorkState.DONE, result=result)
    found = WorkBenchmarks(store).budget(row)
    assert found is not None
    assert found.verdict is Verdict.FAIL


def test_where_the_anchor_is_stable_there_is_nothing_to_ask():
    rules = policy(gate=True, loss_budget=LossBudget(margin=0.03, per_s=60.0))
    store = store_with(rollout(policy=rules))
    made = live(store, Traffic(store, HEALTHY), hours=20)
    assert store.rows[ONE].anchor == STABLE.id
    assert not any(":anchor:" in name for name in store.items)
    assert kinds(made)[-1] == "complete"


def test_it_does_not_grow_before_the_budget_is_shown_to_be_kept():
    store, _ = budgeted()
    traffic, verdicts = Traffic(store, HEALTHY), Budgets()
    assert kinds(live(store, traffic, hours=4, verdicts=verdicts)) == ["start", "expose"]
    verdicts.against = Verdict.INCONCLUSIVE
    held = live(store, traffic, hours=3, start=4.5 * HOUR, verdicts=verdicts)
    assert kinds(held) == ["hold"]
    assert (
        "the loss budget of 3.0 points per 90 days against 3f2a…c1 (stable on 3 Oct) is not shown to be "
        "kept: answered −3.4 (−5.0 … −1.8) in benchmark b-12" in held[0].because
    )
    verdicts.against = Verdict.PASS
    made = live(store, traffic, hours=8, start=8 * HOUR, verdicts=verdicts)
    assert kinds(made) == ["expand", "soak", "complete"]


def test_a_spent_budget_holds_once_and_a_person_has_the_word():
    store, _ = budgeted()
    traffic, verdicts = Traffic(store, HEALTHY), Budgets()
    live(store, traffic, hours=1, verdicts=verdicts)
    verdicts.against = Verdict.FAIL
    (held,) = live(store, traffic, hours=1, start=2 * HOUR, verdicts=verdicts)
    assert held.state is RolloutState.HOLDING
    assert held.because == (
        "holding at 20 % because the loss budget of 3.0 points per 90 days against 3f2a…c1 (stable on 3 Oct) "
        "is spent: answered −3.4 (−5.0 … −1.8) in benchmark b-12. A person decides: promote or abort."
    )
    act(store, ONE, Act.RESUME, actor="ben", reason="", now=4 * HOUR)
    assert live(store, traffic, hours=5, start=4 * HOUR, verdicts=verdicts) == []
    act(store, ONE, Act.PROMOTE, actor="ben", reason="agreed with the owners", now=10 * HOUR)
    assert store.rows[ONE].stage == 1


@pytest.mark.parametrize("gate", [True, False])
def test_a_budget_that_turns_out_spent_while_approval_is_awaited_is_said_once(gate):
    store, _ = budgeted()
    row = store.rows[ONE]
    store.rows[ONE] = replace(row, policy=replace(row.policy, gate=gate, approvals=Approvals()))
    traffic, verdicts = Traffic(store, HEALTHY), Budgets()
    made = live(store, traffic, hours=1, verdicts=verdicts)
    assert made[-1].state is RolloutState.HOLDING
    assert "no approval yet" in made[-1].because
    verdicts.against = Verdict.FAIL
    (held,) = live(store, traffic, hours=2, start=2 * HOUR, verdicts=verdicts)
    assert (held.kind, held.stage) == (DecisionKind.HOLD, -1)
    assert held.because.startswith("holding before anybody is exposed: the loss budget of 3.0 points")
    assert "is spent" in held.because
    agree(store, "ben")
    assert live(store, traffic, hours=2, start=5 * HOUR, verdicts=verdicts) == []
    act(store, ONE, Act.PROMOTE, actor="ben", reason="agreed with the owners", now=8 * HOUR)
    assert store.rows[ONE].stage == 0


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.ERRORED, Verdict.NO_DATA])
def test_a_soak_that_ends_without_the_budget_kept_asks_instead_of_lasting_for_ever(verdict):
    store, _ = budgeted()
    traffic, verdicts = Traffic(store, HEALTHY), Budgets()
    live(store, traffic, hours=1, verdicts=verdicts)
    act(store, ONE, Act.PROMOTE, actor="ben", reason="agreed with the owners", now=1.2 * HOUR, to="soak")
    # Still being measured when the soak is over: waited for, since nobody could say more.
    assert live(store, traffic, hours=4, start=1.5 * HOUR, verdicts=verdicts) == []
    verdicts.against = verdict
    made = live(store, traffic, hours=2, start=6 * HOUR, verdicts=verdicts)
    assert made[0].state is RolloutState.HOLDING
    assert "the loss budget of 3.0 points" in made[0].because
    act(store, ONE, Act.RESUME, actor="ben", reason="", now=9 * HOUR)
    asked = live(store, traffic, hours=6, start=9 * HOUR, verdicts=verdicts)
    assert kinds(asked) == ["hold"]
    assert asked[0].because.startswith("holding at 90 % because the soak is over and the loss budget of 3.0")
    act(store, ONE, Act.PROMOTE, actor="ben", reason="", now=16 * HOUR)
    assert store.rows[ONE].state is RolloutState.COMPLETED


def test_a_budget_that_is_spent_before_the_start_exposes_nobody():
    store, _ = budgeted()
    verdicts = Budgets()
    verdicts.against = Verdict.FAIL
    start, held = live(store, Traffic(store, HEALTHY), hours=2, verdicts=verdicts)
    assert kinds([start, held]) == ["start", "hold"]
    assert held.stage == -1
    assert "is spent" in held.because


# --- early benchmarks


def two(**changes):
    return store_with(
        rollout(policy=policy(gate=True), metrics=(metric(harm_margin=0.0),)),
        rollout(2, step=2, layer=Layer.CONTEXT, values={"k": 3}, policy=policy(gate=True), **changes),
    )


def finish(store, name, verdict="pass"):
    store.finish(
        name,
        state=WorkState.DONE,
        result={"verdict": verdict, "benchmark_id": f"b-{name[-4:]}", "because": "ok"},
    )


def gate(store):
    return WorkBenchmarks(store)


def test_what_waits_next_is_benchmarked_early_and_the_result_is_used_on_exactly_that_base():
    store = two()
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0, verdicts=gate(store))
    mine, early = store.items.values()
    assert (mine.kind, early.kind) == ("benchmark", EARLY)
    first = store.rows[ONE]
    assert early.payload["base"] == first.candidate
    both = store.kept[ConfigurationId(early.payload["candidate"])]
    assert both.moved(STABLE) == (Layer.MODEL, Layer.CONTEXT)
    finish(store, early.id)
    finish(store, mine.id)
    made = live(store, traffic, hours=20, start=HOUR, verdicts=gate(store))
    second = [one for one in made if one.rollout_id == TWO]
    assert kinds(second)[:2] == ["start", "expose"]
    assert second[1].at - second[0].at <= HOUR / 2, "nobody waited for a benchmark"
    assert len(store.items) == 2


def test_after_a_rollback_it_is_benchmarked_on_what_is_stable_then():
    store = two()
    traffic = Traffic(store, TERRIBLE)
    live(store, traffic, hours=0, verdicts=gate(store))
    mine, early = store.items.values()
    finish(store, mine.id)
    finish(store, early.id, "fail")
    made = live(store, traffic, hours=6, start=HOUR, verdicts=gate(store))
    assert kinds([one for one in made if one.rollout_id == ONE]) == ["expose", "rollback"]
    (begun,) = [one for one in made if one.rollout_id == TWO]
    assert begun.kind is DecisionKind.START
    assert begun.because.startswith("re-based onto")
    again = store.items[WorkId(f"benchmark:r-2:{STABLE.id[:8]}-{(store.rows[TWO].candidate or '')[:8]}")]
    assert (again.kind, again.state) == ("benchmark", WorkState.READY)


def test_an_early_benchmark_that_could_not_be_made_is_made_again_when_its_turn_comes():
    store = two()
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0, verdicts=gate(store))
    mine, early = store.items.values()
    finish(store, mine.id)
    store.finish(early.id, state=WorkState.FAILED, error="the provider was down")
    made = live(store, traffic, hours=20, start=HOUR, verdicts=gate(store))
    assert kinds([one for one in made if one.rollout_id == TWO]) == ["start"]
    again = store.items[early.id]
    assert (again.kind, again.state) == ("benchmark", WorkState.READY)


@pytest.mark.parametrize("changes", [{"policy": policy(gate=False)}, {"values": {"k": 1}}])
def test_nothing_is_asked_early_without_a_gate_or_a_difference(changes):
    store = store_with(
        rollout(policy=policy(gate=True)),
        rollout(
            2, step=2, layer=Layer.CONTEXT, **({"values": {"k": 3}, "policy": policy(gate=True)} | changes)
        ),
    )
    live(store, Traffic(store, HEALTHY), hours=0, verdicts=gate(store))
    assert [item.kind for item in store.items.values()] == ["benchmark"]


def test_one_that_cannot_run_on_what_is_in_flight_is_not_benchmarked_early():
    store = two()
    live(
        store,
        Traffic(store, HEALTHY),
        hours=0,
        verdicts=gate(store),
        validate=lambda row, _configuration: ["too small."] * (row.id == TWO),
    )
    assert [item.kind for item in store.items.values()] == ["benchmark"]


# --- joint steps


def test_a_joint_step_moves_its_layers_together_and_is_rebased_as_one():
    joint = rollout(
        2, step=2, layer=Layer.CONTEXT, values={"k": 3}, joint={Layer.PROMPT: {"system": "hi"}}, author="ana"
    )
    store = store_with(rollout(metrics=(metric(harm_margin=0.0),)), joint)
    traffic = Traffic(store, TERRIBLE)
    made = live(store, traffic, hours=6)
    assert kinds([one for one in made if one.rollout_id == ONE])[-1] == "rollback"
    row = store.rows[TWO]
    assert row.state is RolloutState.HOLDING, "a joint step needs somebody's approval"
    assert row.base == STABLE.id
    assert store.kept[row.candidate or ConfigurationId("")].moved(STABLE) == (Layer.CONTEXT, Layer.PROMPT)
    agree(store, "ben", number=2)
    traffic.rates = HEALTHY
    made = live(store, traffic, hours=12, start=7 * HOUR)
    assert kinds(made) == ["expose", "expand", "soak", "complete"]
    moved = [entry for entry in store.told if entry.kind == "configuration"][-1]
    assert "(context and prompt, r-2)" in moved.what


# --- the memo


@pytest.mark.parametrize("rates", [HEALTHY, TERRIBLE], ids=["healthy", "harmed"])
def test_a_memo_changes_no_decision(rates):
    lives = []
    for memo in (None, Memo(), Memo(most=1)):
        store = store_with(rollout(metrics=(metric(harm_margin=0.0),)))
        made = live(store, Traffic(store, rates, gap=40.0), hours=30, memo=memo)
        # More ticks than units: most of them find nothing new.
        lives.append((made, store.lineage_rows, store.tables))
    assert lives[0] == lives[1] == lives[2]


def test_a_memo_keeps_one_thing_per_rollout_however_often_units_come():
    store, memo = two(), Memo()
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=2, memo=memo)
    few = len(memo)
    live(store, traffic, hours=1, start=2.5 * HOUR, memo=memo)
    assert len(memo) == few == 2  # what is in flight, and the early benchmark of what waits


def test_a_step_that_somebody_moves_while_its_turn_is_taken_is_left_to_the_next_tick():
    first = rollout(state=RolloutState.ROLLED_BACK, stage=0, generation=5)
    store = store_with(first, rollout(2, step=2, layer=Layer.CONTEXT, values={"k": 3}, after=(Layer.MODEL,)))

    class Overtaken:
        """Somebody aborts it between the look at the queue and the look at its plan."""

        def __call__(self, app, now):
            assert app == APP
            if store.rows[TWO].state is RolloutState.QUEUED:
                act(store, TWO, Act.ABORT, actor="ben", reason="", now=now)

    assert tick(store, Traffic(store, HEALTHY), Verdicts(), HOUR, frozen=Overtaken()) == []
    assert store.rows[TWO].state is RolloutState.CANCELLED
    assert store.lineage_rows[APP].in_flight is None


def test_an_unchanged_tick_reads_no_units_and_no_monitor():
    store = store_with(rollout())
    traffic, memo = Traffic(store, HEALTHY), Memo()
    live(store, traffic, hours=0.5, memo=memo)
    reads = []

    class Watching(Traffic):
        def read(self, *args, **named):
            reads.append(named)
            return super().read(*args, **named)

    still = Watching(store, HEALTHY, exposures=traffic.exposures)
    store.calls = 0
    assert tick(store, still, Verdicts(), 0.5 * HOUR, memo=memo) == []
    assert reads == []
    assert store.calls == 4, "lineages, servings, rollouts and watermarks"


# --- the words


def test_what_stands_in_the_way_is_listed():
    row = rollout(policy=policy(approvals=Approvals(count=2)))
    subject = Subject.of(row)
    found = obstacles(subject, Permits(frozen="the freeze at night", frozen_until=9.0), 0)
    assert found[0] == "nothing grows in the freeze at night"
    assert "it has 0 of 2 approvals for 20 %" in found[1]
    assert obstacles(subject, Permits(), 1) == ()
    assert obstacles(Subject.of(replace(row, emergency="fire")), Permits(frozen="x"), 0) == ()
    said = [Approval(rollout_id=ONE, stage=0, actor="ben", at=0.0)]
    assert "it has 1 of 2 approvals (ben) for 20 %" in unapproved(subject, said, 0)[0]
