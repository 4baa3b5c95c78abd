"""The table: what follows what, and that the documentation shows the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.rollout.world import policy

from inchworm.domain.errors import TransitionError
from inchworm.domain.rollout import DecisionKind, RolloutState
from inchworm.rollout.transitions import (
    EVENTS_OF_ACT,
    IN_FLIGHT,
    STOPPED,
    TABLE,
    TERMINAL,
    UNEXPOSED,
    WATCHED,
    Act,
    Event,
    Rung,
    acts,
    event_of,
    mermaid,
    next_state,
    possible,
    rung,
    standing,
    transition,
    weight_of,
)

ROOT = Path(__file__).resolve().parents[3]
STAGES = len(policy().stages)


class Walk(RuleBasedStateMachine):
    """Any sequence of possible events keeps the rollout where its state says it is."""

    def __init__(self):
        super().__init__()
        self.state, self.stage, self.seen = RolloutState.QUEUED, UNEXPOSED, [RolloutState.QUEUED]

    def at(self):
        return standing(self.state, self.stage, STAGES)

    @precondition(lambda self: bool(possible(self.state, self.at())))
    @rule(data=st.data())
    def take(self, data):
        event = data.draw(st.sampled_from(possible(self.state, self.at())))
        row = transition(self.state, self.at(), event)
        assert row.to is next_state(self.state, event)
        self.state, self.stage = row.to, row.stage_after(self.stage, STAGES)
        self.seen.append(self.state)

    @rule(event=st.sampled_from(Event))
    def ask_for_anything(self, event):
        if event not in possible(self.state, self.at()):
            with pytest.raises(TransitionError):
                transition(self.state, self.at(), event)

    @invariant()
    def stands_where_it_says(self):
        if self.state is RolloutState.EXPOSING:
            assert 0 <= self.stage < STAGES
        if self.state in {RolloutState.SOAKING, RolloutState.COMPLETED, RolloutState.UNDONE}:
            assert self.stage == STAGES
        if self.state in {RolloutState.QUEUED, RolloutState.BENCHMARKING, RolloutState.REJECTED}:
            assert self.stage == UNEXPOSED
        assert -1 <= self.stage <= STAGES

    @invariant()
    def weight_follows(self):
        weight = weight_of(self.state, self.stage, policy())
        shown = self.state in WATCHED and self.stage >= 0
        assert (weight > 0) == (shown or self.state is RolloutState.COMPLETED)

    @invariant()
    def never_back_from_an_end(self):
        ends = [state for state in self.seen if state in TERMINAL]
        assert ends in ([], [ends[0]] if ends else [], [RolloutState.COMPLETED, RolloutState.UNDONE])

    @invariant()
    def what_is_in_flight_can_be_aborted(self):
        assert (Act.ABORT in acts(self.state, self.at())) == (
            self.state in IN_FLIGHT or self.state is RolloutState.QUEUED
        )


TestWalk = Walk.TestCase


def test_every_state_is_reached_and_sorted():
    assert {row.to for row in TABLE.values()} | {RolloutState.QUEUED} == set(RolloutState)
    assert IN_FLIGHT | TERMINAL | {RolloutState.QUEUED} == set(RolloutState)
    assert not IN_FLIGHT & TERMINAL
    assert TERMINAL - {RolloutState.COMPLETED} == STOPPED


def test_harm_ends_every_state_in_which_somebody_is_exposed():
    for state in WATCHED:
        assert next_state(state, Event.HARM) is RolloutState.ROLLED_BACK


@given(st.sampled_from(RolloutState), st.sampled_from(Event))
def test_what_is_not_in_the_table_is_refused_with_what_is(state, event):
    if (state, event) in TABLE:
        assert next_state(state, event) is TABLE[state, event].to
        return
    with pytest.raises(TransitionError) as caught:
        next_state(state, event)
    for source, other in TABLE:
        assert source is not state or other.value in str(caught.value)


def test_a_refusal_is_a_sentence():
    with pytest.raises(TransitionError, match=r"rolled back cannot take .pause.: nothing follows"):
        event_of(Act.PAUSE, RolloutState.ROLLED_BACK, Rung.LAST)
    with pytest.raises(TransitionError, match=r"holding cannot take .resume.; possible are: promote, abort"):
        event_of(Act.RESUME, RolloutState.HOLDING, Rung.UNEXPOSED)
    with pytest.raises(TransitionError, match="possible are:"):
        transition(RolloutState.EXPOSING, Rung.LAST, Event.EXPAND)


def test_an_act_means_one_event_at_each_rung():
    for act, events in EVENTS_OF_ACT.items():
        for state in RolloutState:
            for at in Rung:
                assert sum(event in possible(state, at) for event in events) <= 1
        for event in events:
            kinds = {row.kind for (_, other), row in TABLE.items() if other is event}
            assert kinds <= {DecisionKind(act.value), DecisionKind.CANCEL}


def test_rungs():
    assert [rung(stage, 3) for stage in range(-1, 5)] == [
        Rung.UNEXPOSED,
        Rung.MIDDLE,
        Rung.MIDDLE,
        Rung.LAST,
        Rung.SOAK,
        Rung.SOAK,
    ]
    assert rung(0, 1) is Rung.LAST
    assert standing(RolloutState.QUEUED, 0, 3) is Rung.UNEXPOSED


def test_the_documentation_shows_this_table():
    page = (ROOT / "docs" / "rollout-states.md").read_text("utf-8")
    begin, end = "<!-- generated -->\n", "<!-- /generated -->"
    shown = page[page.index(begin) + len(begin) : page.index(end)]
    assert shown == f"```mermaid\n{mermaid()}```\n"
