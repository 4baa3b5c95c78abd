"""The control loop over a store in memory: whole lives, races, and a kill at every call."""

import itertools
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from tests.unit.rollout.world import (
    APP,
    HOUR,
    STABLE,
    FakeStore,
    Killed,
    Traffic,
    Verdicts,
    check_recorded,
    exposing,
    metric,
    policy,
    rollout,
    store_with,
)

from inchworm.domain.errors import ConflictError, NotFoundError, TransitionError
from inchworm.domain.ids import ConfigurationId, PlanId, RolloutId, WorkId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Clock, Role
from inchworm.domain.rollout import Approval, Approvals, DecisionKind, LossBudget, Rollout, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkState
from inchworm.rollout.commands import abort, act, ask, pause, promote, resume, undo
from inchworm.rollout.controller import acknowledged, tick, verify_served
from inchworm.rollout.decide import replay
from inchworm.rollout.fleet import Memo
from inchworm.rollout.gating import WorkBenchmarks
from inchworm.rollout.permits import approved_by, needed
from inchworm.rollout.ports import UnitBatch
from inchworm.rollout.transitions import Act

HEALTHY = {"answered": (0.93, 0.95)}
WORSE = {"answered": (0.93, 0.85)}
TERRIBLE = {"answered": (0.95, 0.5)}


def live(store, traffic, *, hours, start=0.0, verdicts=None, step=HOUR / 2):
    """Let time pass in half hours, one tick each."""
    made, now = [], start
    while now <= start + hours * HOUR:
        traffic.until(now)
        made += tick(store, traffic, verdicts or Verdicts(), now)
        check_recorded(store)
        assert verify_served(store, APP) == ()
        now += step
    return made


def kinds(decisions):
    return [decision.kind for decision in decisions]


def steps(count=3, **changes):
    """A plan of several steps."""
    moves = [
        (Layer.MODEL, {"name": "new"}),
        (Layer.CONTEXT, {"k": 3}),
        (Layer.PROMPT, {"system": "hi"}),
    ][:count]
    return [
        rollout(number, step=number, steps=count, layer=layer, values=values, **changes)
        for number, (layer, values) in enumerate(moves, 1)
    ]


def test_a_healthy_candidate_becomes_stable():
    store = store_with(rollout())
    made = live(store, Traffic(store, HEALTHY), hours=20)
    assert kinds(made) == [
        DecisionKind.START,
        DecisionKind.EXPAND,
        DecisionKind.SOAK,
        DecisionKind.COMPLETE,
    ]
    end = store.rows[RolloutId("r-1")]
    assert store.lineage_rows[APP].stable == end.candidate
    assert (end.base, end.ended_at, end.generation) == (STABLE.id, made[-1].at, 4)
    assert store.lineage_rows[APP].since == made[-1].at
    assert [entry.kind for entry in store.told] == ["rollout"] * 4 + ["configuration"]
    assert live(store, Traffic(store, HEALTHY), hours=2, start=30 * HOUR) == []


def test_eight_points_worse_is_rolled_back_and_stable_never_moves():
    store = store_with(rollout(policy=policy(), metrics=(metric(harm_margin=0.0),)))
    made = live(store, Traffic(store, WORSE, seed=3), hours=40)
    assert kinds(made)[-1] is DecisionKind.ROLLBACK
    assert store.rows[RolloutId("r-1")].state is RolloutState.ROLLED_BACK
    assert store.lineage_rows[APP].stable == STABLE.id
    assert store.tables[APP].candidate is None


def test_every_decision_replays_to_the_bit():
    store = store_with(*steps(3, policy=policy(gate=True)))
    live(store, Traffic(store, HEALTHY), hours=60)
    assert (
        store.lineage_rows[APP].stable
        == store.plans[store.rows[RolloutId("r-1")].plan_id].change.candidate.id
    )
    assert len(store.made) == 3 * 5
    for decision in store.made:
        assert replay(decision) == decision


def test_a_step_that_needs_a_rolled_back_one_is_cancelled_and_the_next_is_rebased():
    one, two, three = steps(3)
    store = store_with(one, replace(two, after=(Layer.MODEL,)), three)
    made = live(store, Traffic(store, TERRIBLE), hours=4)
    by_rollout = {row: [d for d in made if d.rollout_id == row] for row in store.rows}
    assert kinds(by_rollout[RolloutId("r-2")]) == [DecisionKind.CANCEL]
    assert "r-1 (model) was rolled back" in by_rollout[RolloutId("r-2")][0].because
    begun = by_rollout[RolloutId("r-3")][0]
    assert begun.because.startswith("re-based onto ")
    assert store.rows[RolloutId("r-3")].base == STABLE.id
    candidate = store.kept[store.rows[RolloutId("r-3")].candidate or ConfigurationId("")]
    assert candidate.moved(STABLE) == (Layer.PROMPT,)


def test_a_step_that_is_there_already_or_cannot_run_is_cancelled():
    same = rollout(1, values={"name": "old"})
    store = store_with(same, rollout(2, plan_id=same.plan_id, step=2, layer=Layer.CONTEXT, values={"k": 9}))
    made = tick(
        store,
        Traffic(store, HEALTHY),
        Verdicts(),
        0.0,
        validate=lambda row, configuration: (
            ["the window is too small."] * (row.id == "r-2" and bool(configuration))
        ),
    )
    assert kinds(made) == [DecisionKind.CANCEL, DecisionKind.CANCEL]
    assert "already has this model" in made[0].because
    assert made[1].because.endswith("the window is too small.")
    assert store.lineage_rows[APP].generation == 1


def test_thresholds_are_frozen_at_the_start():
    store = store_with(rollout())
    frozen = metric(source={"builtin": "latency_p95", "threshold_ms": 900})
    tick(
        store,
        Traffic(store, HEALTHY),
        Verdicts(),
        0.0,
        freeze=lambda row, now: (frozen,) * bool(row.id and now >= 0),
    )
    assert store.rows[RolloutId("r-1")].metrics == (frozen,)


def test_the_benchmark_is_asked_for_once_and_read_when_done():
    store = store_with(rollout(policy=policy(gate=True)))
    traffic, benchmarks = Traffic(store, HEALTHY), WorkBenchmarks(store)
    assert kinds(tick(store, traffic, benchmarks, 0.0)) == [DecisionKind.START]
    row = store.rows[RolloutId("r-1")]
    assert row.candidate is not None
    work = WorkId(f"benchmark:r-1:{STABLE.id[:8]}-{row.candidate[:8]}")
    assert store.items[work].payload["base"] == STABLE.id
    assert store.items[work].payload["candidate"] == row.candidate
    assert (row.state, store.tables[APP].candidate) == (RolloutState.BENCHMARKING, None)
    assert tick(store, traffic, benchmarks, 1.0) == []
    passed = {"verdict": "pass", "benchmark_id": "bench-7", "because": "fine"}
    other = store.copy()
    store.finish(work, state=WorkState.DONE, result=passed)
    assert kinds(tick(store, traffic, benchmarks, 2.0)) == [DecisionKind.EXPOSE]
    assert store.rows[RolloutId("r-1")].benchmark_id == "bench-7"
    check_recorded(store)
    other.finish(work, state=WorkState.FAILED, error="the provider was down")
    made = tick(other, Traffic(other, HEALTHY), WorkBenchmarks(other), 2.0)
    assert made[0].state is RolloutState.HOLDING
    assert "could not be made: the provider was down" in made[0].because
    check_recorded(other)
    promoted = act(other, RolloutId("r-1"), Act.PROMOTE, actor="ana", reason="known outage", now=3.0)
    assert promoted.decision.weight == 0.2
    check_recorded(other)


@pytest.mark.parametrize("verdict", [v for v in Verdict if v is not Verdict.PASS])
def test_only_a_pass_passes(verdict):
    store = store_with(rollout(policy=policy(gate=True)))
    live(store, Traffic(store, HEALTHY), hours=2, verdicts=Verdicts(verdict))
    assert store.tables[APP].candidate is None
    assert store.rows[RolloutId("r-1")].state in {RolloutState.REJECTED, RolloutState.HOLDING}


def test_overdue_steps_fold_into_one_evaluation():
    store = store_with(rollout())
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0.5)
    traffic.until(49 * HOUR)
    assert kinds(tick(store, traffic, Verdicts(), 49 * HOUR)) == [DecisionKind.EXPAND]
    assert tick(store, traffic, Verdicts(), 49 * HOUR) == []


def test_a_signal_pauses_once_and_the_person_has_the_word():
    metrics = (metric("answered"), metric("cost", role=Role.SIGNAL))
    store = store_with(rollout(metrics=metrics))
    traffic = Traffic(store, {"answered": (0.93, 0.95), "cost": (0.9, 0.4)})
    made = live(store, traffic, hours=3)
    assert kinds(made) == [DecisionKind.START, DecisionKind.PAUSE]
    assert acknowledged(store.made) == ("cost",)
    act(store, RolloutId("r-1"), Act.RESUME, actor="ana", reason="expected", now=4 * HOUR)
    made = live(store, traffic, hours=16, start=4 * HOUR)
    assert kinds(made) == [DecisionKind.EXPAND, DecisionKind.SOAK, DecisionKind.COMPLETE]


def test_a_loser_of_a_race_writes_nothing_and_goes_on_at_the_next_tick():
    store = store_with(rollout())
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0.5)
    traffic.until(2 * HOUR)
    store.before_commit = lambda: act(
        store, RolloutId("r-1"), Act.PAUSE, actor="ana", reason="wait", now=2 * HOUR
    )
    assert tick(store, traffic, Verdicts(), 2 * HOUR) == []
    assert store.rows[RolloutId("r-1")].state is RolloutState.PAUSED
    check_recorded(store)
    store.before_commit = lambda: act(
        store, RolloutId("r-1"), Act.RESUME, actor="bo", reason="", now=2 * HOUR
    )
    with pytest.raises(ConflictError, match="nothing was done"):
        act(store, RolloutId("r-1"), Act.ABORT, actor="ana", reason="", now=2 * HOUR)
    assert kinds(tick(store, traffic, Verdicts(), 3 * HOUR)) == [DecisionKind.EXPAND]


def test_another_process_at_the_monitor_is_left_alone():
    store = store_with(rollout())
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0.5)
    traffic.until(2 * HOUR)

    class Slow(Traffic):
        """While it reads, another controller consumes the same units."""

        def read(
            self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
        ) -> UnitBatch:
            found = traffic.read(
                rollout, clock=clock, start=start, matured_before=matured_before, limit=limit
            )
            assert kinds(tick(store, traffic, Verdicts(), 2 * HOUR)) == [DecisionKind.EXPAND]
            return found

    assert tick(store, Slow(store, HEALTHY, exposures=traffic.exposures), Verdicts(), 2 * HOUR) == []
    assert store.monitors[RolloutId("r-1")][0] == len(traffic.exposures[RolloutId("r-1")])
    check_recorded(store)


def test_people_act_and_are_told_the_undo():
    store = store_with(rollout(), rollout(2, layer=Layer.PROMPT, values={"system": "hi"}))
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=0)
    one, two = RolloutId("r-1"), RolloutId("r-2")
    asked: dict[str, Any] = {"actor": "ana", "reason": "because", "now": HOUR}
    assert act(store, one, Act.PAUSE, **asked).undo == "Undo: inchworm rollout resume r-1"
    assert act(store, one, Act.RESUME, **asked).undo == "Undo: inchworm rollout pause r-1"
    promoted = act(store, one, Act.PROMOTE, **asked)
    assert promoted.decision.because == "promoted from 20 % to 50 % by ana, ahead of the evidence: because."
    assert "rollout abort r-1" in promoted.undo
    check_recorded(store)
    assert act(store, two, Act.ABORT, **asked).decision.state is RolloutState.CANCELLED
    assert store.lineage_rows[APP].in_flight == one
    check_recorded(store)
    act(store, one, Act.PROMOTE, **asked)
    with pytest.raises(
        TransitionError, match=r"soaking cannot take .undo.; possible are: pause, promote, abort"
    ):
        act(store, one, Act.UNDO, **asked)
    done = act(store, one, Act.PROMOTE, **asked)
    assert done.undo == "Undo: inchworm rollout undo r-1"
    check_recorded(store)
    assert store.lineage_rows[APP].stable != STABLE.id
    undone = act(store, one, Act.UNDO, **asked)
    assert "inchworm rollout retry r-1" in undone.undo
    assert store.lineage_rows[APP].stable == STABLE.id
    check_recorded(store)
    for decision in store.made:
        assert replay(decision) == decision
    with pytest.raises(NotFoundError):
        act(store, RolloutId("r-9"), Act.ABORT, **asked)
    store.tables.clear()
    with pytest.raises(NotFoundError, match="no stable configuration"):
        act(store, one, Act.ABORT, **asked)


@pytest.mark.parametrize("one", [pause, resume, promote, abort, undo])
def test_each_act_by_name_is_the_same_act(one):
    lineage = store_with().lineage_rows[APP]
    for state in RolloutState:
        row: Any = exposing(2 if state in {RolloutState.SOAKING, RolloutState.COMPLETED} else 0, state=state)
        asked: dict[str, Any] = {"actor": "ana", "reason": "", "now": 0.0}
        try:
            wanted = ask(row, replace(lineage, stable=row.candidate), Act(one.__name__), **asked)
        except TransitionError as refused:
            with pytest.raises(TransitionError, match=re.escape(refused.message)):
                one(row, replace(lineage, stable=row.candidate), **asked)
        else:
            assert one(row, replace(lineage, stable=row.candidate), **asked) == wanted


def test_a_rollout_without_a_known_plan_starts_on_stable():
    store = store_with(rollout())
    store.plans.clear()
    (begun,) = tick(store, Traffic(store, HEALTHY), Verdicts(), 0.0)
    assert begun.because.startswith("started on stable ")


def test_a_benchmark_that_is_not_done_is_waited_for():
    store = store_with(rollout(policy=policy(gate=True)))
    made = live(store, Traffic(store, HEALTHY), hours=3, verdicts=Verdicts(None))
    assert kinds(made) == [DecisionKind.START]
    (item,) = store.items.values()
    other = replace(item, id=WorkId("benchmark:r-0"), state=WorkState.DONE)
    store.items[other.id] = other
    assert WorkBenchmarks(store).result(store.rows[RolloutId("r-1")]) is None


def test_a_benchmark_that_an_older_version_asked_for_is_still_read():
    store = store_with(rollout(policy=policy(gate=True)))
    live(store, Traffic(store, HEALTHY), hours=0, verdicts=Verdicts(None))
    row, (item,) = store.rows[RolloutId("r-1")], store.items.values()
    store.items.clear()
    old = replace(
        item,
        id=WorkId("benchmark:r-1"),
        state=WorkState.DONE,
        result={"verdict": "pass", "benchmark_id": "bench-1", "because": "fine"},
    )
    store.items[old.id] = old
    found = WorkBenchmarks(store).result(row)
    assert found is not None
    assert found.benchmark_id == "bench-1"
    store.items[old.id] = replace(old, payload=old.payload | {"base": "another"})
    assert WorkBenchmarks(store).result(row) is None


def test_an_abort_sends_everybody_back():
    store = store_with(rollout())
    live(store, Traffic(store, HEALTHY), hours=0)
    acted = act(store, RolloutId("r-1"), Act.ABORT, actor="ana", reason="", now=9.0)
    assert acted.decision.because == "aborted at 20 % by ana."
    assert store.tables[APP].candidate is None
    check_recorded(store)


def test_reading_back_finds_what_differs():
    store = store_with(rollout())
    live(store, Traffic(store, HEALTHY), hours=0)
    table = store.tables[APP]
    assert table.candidate is not None
    store.tables[APP] = replace(table, candidate=replace(table.candidate, weight=0.9))
    assert "serves the candidate" in verify_served(store, APP)[0]
    store.tables[APP] = replace(table, stable=ConfigurationId("x"))
    assert "as stable" in verify_served(store, APP)[0]
    store.tables[APP] = table
    store.lineage_rows[APP] = replace(store.lineage_rows[APP], in_flight=None)
    assert "lock" in verify_served(store, APP)[0]
    del store.tables[APP]
    assert "not both" in verify_served(store, APP)[0]
    assert verify_served(FakeStore(), APP) == ()
    assert tick(FakeStore(), Traffic(store, HEALTHY), Verdicts(), 0.0, app=APP) == []


# ---- a kill at every call -------------------------------------------------------------------------------


@pytest.mark.parametrize("rates", [HEALTHY, TERRIBLE], ids=["healthy", "harmed"])
def test_a_kill_at_every_call_changes_no_decision(rates):
    """The process dies at the k-th call of each tick, for every k, and the next tick carries on."""

    def life(kill_at):
        store = store_with(*steps(2, policy=policy(gate=True, soak_s=HOUR)))
        traffic, deaths = Traffic(store, rates, gap=12.0), 0
        for half_hours in range(34):
            now = half_hours * HOUR / 2
            traffic.until(now)
            if kill_at is not None:
                store.countdown = kill_at
                try:
                    tick(store, traffic, Verdicts(), now)
                except Killed:
                    deaths += 1
                store.countdown = None
            check_recorded(store)
            tick(store, traffic, Verdicts(), now)
            # A tick may leave one more step to the next: whole ticks are what is compared.
            tick(store, traffic, Verdicts(), now)
            check_recorded(store)
        return store, deaths

    unharmed, _ = life(None)
    assert unharmed.made
    assert all(row.state is not RolloutState.QUEUED for row in unharmed.rows.values())
    for kill_at in itertools.count():
        store, deaths = life(kill_at)
        assert store.made == unharmed.made
        assert store.lineage_rows == unharmed.lineage_rows
        assert store.tables == unharmed.tables
        if deaths == 0:
            assert kill_at > 10
            break


# ---- two controllers and people, interleaved --------------------------------------------------------------


class Interleaved(RuleBasedStateMachine):
    """Two controllers and people at one store; each commit may be overtaken by another's whole turn."""

    @initialize(
        rates=st.sampled_from([HEALTHY, HEALTHY, HEALTHY, TERRIBLE]),
        gate=st.booleans(),
        approvals=st.sampled_from([None, None, Approvals(), Approvals(before=(1, 2))]),
        budget=st.sampled_from([None, LossBudget(margin=0.03, per_s=3 * HOUR)]),
        joint=st.booleans(),
    )
    def begin(self, rates, gate, approvals, budget, joint):
        rules = policy(gate=gate, soak_s=HOUR, approvals=approvals, loss_budget=budget)
        one, two, three = steps(3, policy=rules)
        if joint:
            two = replace(two, joint={Layer.PROMPT: {"system": "both"}})
        self.store = store_with(one, two, three)
        self.traffic = Traffic(self.store, rates, gap=30.0)
        self.now, self.thaws = 0.0, 0.0
        self.memo = Memo(most=3)
        self.broken = 0

    def frozen(self, app, now):
        assert app == APP
        return ("the freeze at night", self.thaws) if now < self.thaws else None

    def tick(self, now, memo=None):
        return tick(self.store, self.traffic, Verdicts(), now, frozen=self.frozen, memo=memo)

    @rule(hours=st.sampled_from([0.5, 3.0, 8.0]), ticks=st.integers(0, 3))
    def time_passes(self, hours, ticks):
        self.now += hours * HOUR
        self.traffic.until(self.now)
        for _ in range(ticks):
            frozen, before = self.now < self.thaws, self.share()
            made = self.tick(self.now, self.memo)
            if frozen and not any(one.kind is DecisionKind.EMERGENCY for one in made):
                assert self.share() <= before, "in a freeze nothing grows"

    def share(self):
        candidate = self.store.tables[APP].candidate
        return 0.0 if candidate is None else candidate.weight

    @rule(hours=st.sampled_from([1.0, 6.0]))
    def a_freeze_begins(self, hours):
        self.thaws = self.now + hours * HOUR

    @rule(number=st.integers(1, 3), stage=st.integers(0, 2), actor=st.sampled_from(["ana", "ben"]))
    def somebody_approves(self, number, stage, actor):
        said = Approval(rollout_id=RolloutId(f"r-{number}"), stage=stage, actor=actor, at=self.now)
        self.store.agreed.append(said)

    @precondition(lambda self: getattr(self, "broken", 2) < 2)
    @rule()
    def somebody_breaks_the_glass(self):
        self.broken += 1
        row = rollout(
            10 + self.broken,
            plan_id=PlanId(f"plan-x{self.broken}"),
            step=1,
            values={"name": f"fixed-{self.broken}"},
            joint={Layer.PROMPT: {"system": f"careful-{self.broken}"}},
            emergency="fire",
            policy=policy(soak_s=HOUR, approvals=Approvals(count=2)),
            created_at=self.now,
            entered_at=self.now,
        )
        self.store.rows[row.id] = row
        for _ in range(2):
            self.tick(self.now)
        assert self.store.rows[row.id].state is not RolloutState.QUEUED, "it waits for nobody"

    @rule(to=st.sampled_from(["20%", "50%", "soak", "stable"]), number=st.integers(1, 3))
    def a_person_jumps(self, to, number):
        before = self.share()
        try:
            made = act(
                self.store,
                RolloutId(f"r-{number}"),
                Act.PROMOTE,
                actor="ben",
                reason="",
                now=self.now,
                to=to,
                frozen=self.frozen,
            )
        except (TransitionError, ConflictError):
            return
        assert self.now >= self.thaws
        assert made.decision.weight > before

    def overtake(self, calls):
        """Another controller has a whole turn before the n-th call of the store."""
        if calls is not None:
            self.store.overtaking = (calls, lambda: self.tick(self.now))

    @rule(overtaken=st.none() | st.integers(0, 15), back=st.booleans())
    def a_controller_ticks(self, overtaken, back):
        self.overtake(overtaken)
        self.tick(self.now - (HOUR if back else 0.0), self.memo)
        self.store.overtaking = None

    @rule(wanted=st.sampled_from(Act), number=st.integers(1, 3), overtaken=st.none() | st.integers(0, 3))
    def a_person_acts(self, wanted, number, overtaken):
        self.overtake(overtaken)
        try:
            act(self.store, RolloutId(f"r-{number}"), wanted, actor="ana", reason="so", now=self.now)
        except (TransitionError, ConflictError):
            pass
        finally:
            self.store.overtaking = None

    @rule(calls=st.integers(0, 15))
    def a_controller_is_killed(self, calls):
        self.store.countdown = calls
        try:
            self.tick(self.now)
        except Killed:
            pass
        finally:
            self.store.countdown = None

    @invariant()
    def nobody_is_exposed_against_other_peoples_word(self):
        if not hasattr(self, "store"):
            return
        for row in self.store.rows.values():
            rule = needed(row.policy, row.joint)
            if rule is None or row.emergency is not None:
                continue
            for stage in rule.before:
                reached = row.state is not RolloutState.QUEUED and row.stage >= stage
                said = approved_by(self.store.agreed, rule, stage=stage, author=row.author)
                mine = [one for one in self.store.agreed if one.rollout_id == row.id]
                assert not reached or (said and approved_by(mine, rule, stage=stage, author=row.author))

    @invariant()
    def served_is_recorded(self):
        if hasattr(self, "store"):
            check_recorded(self.store)
            assert verify_served(self.store, APP) == ()

    @invariant()
    def decisions_form_a_chain(self):
        if hasattr(self, "store"):
            for row in self.store.rows.values():
                mine = [decision for decision in self.store.made if decision.rollout_id == row.id]
                assert [decision.parent for decision in mine] == list(range(len(mine)))
                assert row.generation == len(mine)

    def teardown(self):
        if hasattr(self, "store"):
            for decision in self.store.made:
                assert replay(decision) == decision


TestInterleaved = Interleaved.TestCase
TestInterleaved.settings = settings(max_examples=40, stateful_step_count=30)


# --- evidence over time


def test_a_point_is_kept_whenever_units_came_and_none_when_nothing_did():
    store = store_with(rollout())
    traffic = Traffic(store, HEALTHY)
    live(store, traffic, hours=3)
    kept = store.points[RolloutId("r-1")]
    assert len(kept) == 6, "one for each half hour after the first"
    assert [one.consumed for one in kept] == sorted({one.consumed for one in kept})
    assert kept[-1].metrics[0].baseline + kept[-1].metrics[0].candidate == kept[-1].consumed
    before = list(kept)
    tick(store, traffic, Verdicts(), 3 * HOUR)
    assert kept == before


def test_the_last_point_of_a_rollback_shows_the_evidence_that_it_was_taken_on():
    store = store_with(rollout(metrics=(metric(harm_margin=0.0),)))
    made = live(store, Traffic(store, TERRIBLE), hours=10)
    assert kinds(made)[-1] is DecisionKind.ROLLBACK
    last = store.points[RolloutId("r-1")][-1]
    seen = made[-1].evidence["observed"]["evidence"]
    assert last.consumed == seen["consumed"]
    assert last.metrics[0].log_e_harm == seen["metrics"][0]["log_e_harm"]
    assert last.metrics[0].low == seen["metrics"][0]["effect"]["low"]
    assert last.at == made[-1].at
