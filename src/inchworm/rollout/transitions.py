"""The life of a rollout as one table: what follows what, and which decision it is called.

Everything else asks this table: the planner for what it may decide, the commands for what a person may ask,
the documentation for its diagram.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from inchworm.domain.errors import TransitionError
from inchworm.domain.rollout import DecisionKind, Policy, RolloutState, StageKind

UNEXPOSED: Final = -1
"""The stage of a rollout that nobody has been exposed to yet."""


class Rung(StrEnum):
    """Where on the ladder a rollout stands."""

    UNEXPOSED = "unexposed"
    """Nobody gets the candidate yet."""
    MIDDLE = "middle"
    """At a stage that another stage follows."""
    LAST = "last"
    """At the last stage."""
    SOAK = "soak"
    """Past the last stage: everybody but the holdback."""


class Event(StrEnum):
    """What can happen to a rollout."""

    START = "start"
    """Its turn has come, and a gate is asked for."""
    START_UNGATED = "start_ungated"
    """Its turn has come, and its policy asks for no gate."""
    GATE_PASSED = "gate_passed"
    GATE_FAILED = "gate_failed"
    GATE_UNCLEAR = "gate_unclear"
    """Inconclusive, errored, cancelled or without data: never a pass."""
    START_WAITING = "start_waiting"
    """Its turn has come, no gate is asked for, and something must come before anybody is exposed."""
    GATE_WAITS = "gate_waits"
    """The gate passed, and something must come before anybody is exposed: approvals, the end of a freeze."""
    BREAK_GLASS = "break_glass"
    """An emergency: past gate, freeze, approvals and ladder."""
    OVER_BUDGET = "over_budget"
    """More was lost against the anchor than the loss budget allows."""
    EXPAND = "expand"
    EXPAND_TO_SOAK = "expand_to_soak"
    HARM = "harm"
    """A goal or a guardrail is worse than it may be."""
    SIGNAL_HARM = "signal_harm"
    """A signal, or a metric whose labels are void, looks harmed."""
    VOID = "void"
    """The arms are not split as recorded, so the evidence counts for nothing."""
    DEADLINE = "deadline"
    SOAKED = "soaked"
    PAUSE = "pause"
    RESUME = "resume"
    RESUME_SOAK = "resume_soak"
    PROMOTE = "promote"
    PROMOTE_TO_SOAK = "promote_to_soak"
    PROMOTE_TO_STABLE = "promote_to_stable"
    ABORT = "abort"
    CANCEL = "cancel"
    """A step that it needs was stopped, or it has nothing left to change."""
    UNDO = "undo"


class Act(StrEnum):
    """What a person may ask of a rollout."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"
    UNDO = "undo"


EVENTS_OF_ACT: Final[Mapping[Act, tuple[Event, ...]]] = MappingProxyType(
    {
        Act.PAUSE: (Event.PAUSE,),
        Act.RESUME: (Event.RESUME, Event.RESUME_SOAK),
        Act.PROMOTE: (Event.PROMOTE, Event.PROMOTE_TO_SOAK, Event.PROMOTE_TO_STABLE),
        Act.ABORT: (Event.ABORT,),
        Act.UNDO: (Event.UNDO,),
    }
)
"""The events that an act can mean; the rung tells which."""

ANYWHERE: Final = frozenset(Rung)
LADDER: Final = frozenset({Rung.MIDDLE, Rung.LAST})
EXPOSED: Final = frozenset({Rung.MIDDLE, Rung.LAST, Rung.SOAK})
UNEXPOSED_ONLY: Final = frozenset({Rung.UNEXPOSED})
MIDDLE_ONLY: Final = frozenset({Rung.MIDDLE})
LAST_ONLY: Final = frozenset({Rung.LAST})
SOAK_ONLY: Final = frozenset({Rung.SOAK})
NEXT_IS_A_STAGE: Final = frozenset({Rung.UNEXPOSED, Rung.MIDDLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table.

    Attributes:
        to: the state that follows.
        kind: what the decision is called.
        rungs: where on the ladder it is possible.
        step: how far the stage moves.
        top: whether it goes past the last stage at once, however many there are.
    """

    to: RolloutState
    kind: DecisionKind
    rungs: frozenset[Rung]
    step: int = 0
    top: bool = False

    def stage_after(self, stage: int, stages: int) -> int:
        """The stage that follows ``stage`` on a ladder of ``stages`` stages."""
        return stages if self.top else stage + self.step


def _row(
    to: RolloutState,
    kind: DecisionKind,
    rungs: frozenset[Rung] = EXPOSED,
    step: int = 0,
    *,
    top: bool = False,
) -> Transition:
    return Transition(to=to, kind=kind, rungs=rungs, step=step, top=top)


_S, _E, _K = RolloutState, Event, DecisionKind

TABLE: Final[Mapping[tuple[RolloutState, Event], Transition]] = MappingProxyType(
    {
        (_S.QUEUED, _E.START): _row(_S.BENCHMARKING, _K.START, UNEXPOSED_ONLY),
        (_S.QUEUED, _E.START_UNGATED): _row(_S.EXPOSING, _K.START, UNEXPOSED_ONLY, 1),
        (_S.QUEUED, _E.START_WAITING): _row(_S.HOLDING, _K.START, UNEXPOSED_ONLY),
        (_S.QUEUED, _E.BREAK_GLASS): _row(_S.SOAKING, _K.EMERGENCY, UNEXPOSED_ONLY, top=True),
        (_S.QUEUED, _E.CANCEL): _row(_S.CANCELLED, _K.CANCEL, UNEXPOSED_ONLY),
        (_S.QUEUED, _E.ABORT): _row(_S.CANCELLED, _K.CANCEL, UNEXPOSED_ONLY),
        (_S.BENCHMARKING, _E.GATE_PASSED): _row(_S.EXPOSING, _K.EXPOSE, UNEXPOSED_ONLY, 1),
        (_S.BENCHMARKING, _E.GATE_FAILED): _row(_S.REJECTED, _K.REJECT, UNEXPOSED_ONLY),
        (_S.BENCHMARKING, _E.GATE_UNCLEAR): _row(_S.HOLDING, _K.HOLD, UNEXPOSED_ONLY),
        (_S.BENCHMARKING, _E.GATE_WAITS): _row(_S.HOLDING, _K.HOLD, UNEXPOSED_ONLY),
        (_S.BENCHMARKING, _E.ABORT): _row(_S.ABORTED, _K.ABORT, UNEXPOSED_ONLY),
        (_S.EXPOSING, _E.EXPAND): _row(_S.EXPOSING, _K.EXPAND, MIDDLE_ONLY, 1),
        (_S.EXPOSING, _E.EXPAND_TO_SOAK): _row(_S.SOAKING, _K.SOAK, LAST_ONLY, 1),
        (_S.EXPOSING, _E.HARM): _row(_S.ROLLED_BACK, _K.ROLLBACK),
        (_S.EXPOSING, _E.SIGNAL_HARM): _row(_S.PAUSED, _K.PAUSE),
        (_S.EXPOSING, _E.VOID): _row(_S.HOLDING, _K.HOLD),
        (_S.EXPOSING, _E.DEADLINE): _row(_S.HOLDING, _K.HOLD),
        (_S.EXPOSING, _E.OVER_BUDGET): _row(_S.HOLDING, _K.HOLD),
        (_S.EXPOSING, _E.PAUSE): _row(_S.PAUSED, _K.PAUSE),
        (_S.EXPOSING, _E.PROMOTE): _row(_S.EXPOSING, _K.PROMOTE, MIDDLE_ONLY, 1),
        (_S.EXPOSING, _E.PROMOTE_TO_SOAK): _row(_S.SOAKING, _K.PROMOTE, LAST_ONLY, 1),
        (_S.EXPOSING, _E.ABORT): _row(_S.ABORTED, _K.ABORT),
        (_S.PAUSED, _E.HARM): _row(_S.ROLLED_BACK, _K.ROLLBACK),
        (_S.PAUSED, _E.RESUME): _row(_S.EXPOSING, _K.RESUME, LADDER),
        (_S.PAUSED, _E.RESUME_SOAK): _row(_S.SOAKING, _K.RESUME, SOAK_ONLY),
        (_S.PAUSED, _E.PROMOTE): _row(_S.EXPOSING, _K.PROMOTE, MIDDLE_ONLY, 1),
        (_S.PAUSED, _E.PROMOTE_TO_SOAK): _row(_S.SOAKING, _K.PROMOTE, LAST_ONLY, 1),
        (_S.PAUSED, _E.PROMOTE_TO_STABLE): _row(_S.COMPLETED, _K.PROMOTE, SOAK_ONLY),
        (_S.PAUSED, _E.ABORT): _row(_S.ABORTED, _K.ABORT),
        # Held although the gate passed, it goes on by itself once what it waited for is there.
        (_S.HOLDING, _E.GATE_PASSED): _row(_S.EXPOSING, _K.EXPOSE, UNEXPOSED_ONLY, 1),
        # It waited for one thing, and then another turned up that only a person can clear away: that is said.
        (_S.HOLDING, _E.GATE_WAITS): _row(_S.HOLDING, _K.HOLD, UNEXPOSED_ONLY),
        # Held at its deadline it still expands when the evidence suffices after all: what was asked has been
        # answered. Whoever wants it to stand still pauses it.
        (_S.HOLDING, _E.EXPAND): _row(_S.EXPOSING, _K.EXPAND, MIDDLE_ONLY, 1),
        (_S.HOLDING, _E.EXPAND_TO_SOAK): _row(_S.SOAKING, _K.SOAK, LAST_ONLY, 1),
        (_S.HOLDING, _E.HARM): _row(_S.ROLLED_BACK, _K.ROLLBACK),
        (_S.HOLDING, _E.PAUSE): _row(_S.PAUSED, _K.PAUSE),
        (_S.HOLDING, _E.RESUME): _row(_S.EXPOSING, _K.RESUME, LADDER),
        (_S.HOLDING, _E.RESUME_SOAK): _row(_S.SOAKING, _K.RESUME, SOAK_ONLY),
        (_S.HOLDING, _E.PROMOTE): _row(_S.EXPOSING, _K.PROMOTE, NEXT_IS_A_STAGE, 1),
        (_S.HOLDING, _E.PROMOTE_TO_SOAK): _row(_S.SOAKING, _K.PROMOTE, LAST_ONLY, 1),
        (_S.HOLDING, _E.PROMOTE_TO_STABLE): _row(_S.COMPLETED, _K.PROMOTE, SOAK_ONLY),
        (_S.HOLDING, _E.ABORT): _row(_S.ABORTED, _K.ABORT, ANYWHERE),
        (_S.SOAKING, _E.SOAKED): _row(_S.COMPLETED, _K.COMPLETE, SOAK_ONLY),
        (_S.SOAKING, _E.HARM): _row(_S.ROLLED_BACK, _K.ROLLBACK, SOAK_ONLY),
        (_S.SOAKING, _E.SIGNAL_HARM): _row(_S.PAUSED, _K.PAUSE, SOAK_ONLY),
        (_S.SOAKING, _E.VOID): _row(_S.HOLDING, _K.HOLD, SOAK_ONLY),
        # The soak is over and something was not measured in it, which is no success: a person is asked.
        (_S.SOAKING, _E.DEADLINE): _row(_S.HOLDING, _K.HOLD, SOAK_ONLY),
        (_S.SOAKING, _E.OVER_BUDGET): _row(_S.HOLDING, _K.HOLD, SOAK_ONLY),
        (_S.SOAKING, _E.PAUSE): _row(_S.PAUSED, _K.PAUSE, SOAK_ONLY),
        (_S.SOAKING, _E.PROMOTE_TO_STABLE): _row(_S.COMPLETED, _K.PROMOTE, SOAK_ONLY),
        (_S.SOAKING, _E.ABORT): _row(_S.ABORTED, _K.ABORT, SOAK_ONLY),
        (_S.COMPLETED, _E.UNDO): _row(_S.UNDONE, _K.UNDO, SOAK_ONLY),
    }
)
"""What follows what."""

IN_FLIGHT: Final = frozenset({_S.BENCHMARKING, _S.EXPOSING, _S.PAUSED, _S.HOLDING, _S.SOAKING})
"""States that hold the lock of their app; at most one rollout per app is in one of them."""
WATCHED: Final = frozenset({_S.EXPOSING, _S.PAUSED, _S.HOLDING, _S.SOAKING})
"""States in which guardrails run."""
TERMINAL: Final = frozenset(RolloutState) - IN_FLIGHT - {_S.QUEUED}
"""States that nothing leaves by itself; ``completed`` can be undone by a person."""
STOPPED: Final = TERMINAL - {_S.COMPLETED}
"""Ends at which the candidate did not stay: steps that need it are cancelled."""


def next_state(state: RolloutState, event: Event) -> RolloutState:
    """What follows ``state`` upon ``event``, wherever on the ladder that is possible.

    Raises:
        TransitionError: naming what is possible instead.
    """
    row = TABLE.get((state, event))
    if row is None:
        raise TransitionError(_refusal(state, event.value, [e.value for s, e in TABLE if s is state]))
    return row.to


def rung(stage: int, stages: int) -> Rung:
    """Where stage ``stage`` stands on a ladder of ``stages`` stages."""
    if stage < 0:
        return Rung.UNEXPOSED
    if stage >= stages:
        return Rung.SOAK
    return Rung.LAST if stage == stages - 1 else Rung.MIDDLE


def standing(state: RolloutState, stage: int, stages: int) -> Rung:
    """Where a rollout stands: one that is queued, benchmarked or cancelled has exposed nobody."""
    if state in {_S.QUEUED, _S.BENCHMARKING, _S.REJECTED, _S.CANCELLED}:
        return Rung.UNEXPOSED
    return rung(stage, stages)


def possible(state: RolloutState, at: Rung) -> tuple[Event, ...]:
    """The events that a rollout in ``state`` at ``at`` can take, in the order of the table."""
    return tuple(event for (source, event), row in TABLE.items() if source is state and at in row.rungs)


def transition(state: RolloutState, at: Rung, event: Event) -> Transition:
    """The row of the table for ``event``.

    Raises:
        TransitionError: naming what is possible instead.
    """
    row = TABLE.get((state, event))
    if row is None or at not in row.rungs:
        raise TransitionError(_refusal(state, event.value, [e.value for e in possible(state, at)]))
    return row


def acts(state: RolloutState, at: Rung) -> tuple[Act, ...]:
    """What a person may ask of a rollout in ``state`` at ``at``."""
    events = set(possible(state, at))
    return tuple(act for act, means in EVENTS_OF_ACT.items() if events.intersection(means))


def event_of(act: Act, state: RolloutState, at: Rung) -> Event:
    """The event that ``act`` means there.

    Raises:
        TransitionError: naming what may be asked instead.
    """
    for event in EVENTS_OF_ACT[act]:
        row = TABLE.get((state, event))
        if row is not None and at in row.rungs:
            return event
    raise TransitionError(_refusal(state, act.value, [other.value for other in acts(state, at)]))


def climb(state: RolloutState, stage: int, stages: int, to: int) -> Transition:
    """Several promotions at once, as one row: every rung on the way must be one that the table allows.

    Args:
        state: where it stands.
        stage: its stage; −1 if nobody is exposed yet.
        stages: how many stages the ladder has.
        to: the stage to come to; ``stages`` for the soak, ``stages + 1`` for stable.

    Raises:
        TransitionError: if that is not above where it stands, or a rung cannot be passed.
    """
    here, at, climbed = state, stage, 0
    if to <= stage:
        words = state.value.replace("_", " ")
        msg = f"a rollout that is {words} at {_rung_name(stage, stages)} is not promoted"
        raise TransitionError(f"{msg} to {_rung_name(to, stages)}: shares only grow")
    while at < to and here is not _S.COMPLETED:
        where = standing(here, at, stages)
        row = transition(here, where, event_of(Act.PROMOTE, here, where))
        here, at, climbed = row.to, at + row.step, climbed + row.step
    return Transition(to=here, kind=_K.PROMOTE, rungs=ANYWHERE, step=climbed)


def _rung_name(stage: int, stages: int) -> str:
    if stage < 0:
        return "no stage"
    return f"stage {stage + 1}" if stage < stages else "the soak" if stage == stages else "stable"


def weight_of(state: RolloutState, stage: int, policy: Policy) -> float:
    """The candidate's share of the traffic in ``state`` at ``stage``; 1 once it is stable.

    At a shadow stage nobody gets the candidate: see :func:`mirrored`.
    """
    if state is _S.COMPLETED:
        return 1.0
    if state not in WATCHED or stage < 0:
        return 0.0
    if stage >= len(policy.stages):
        return 1.0 - policy.holdback
    here = policy.stages[stage]
    return 0.0 if here.kind is StageKind.SHADOW else here.weight


def mirrored(state: RolloutState, stage: int, policy: Policy) -> float:
    """The share of the traffic that the candidate answers too, for nobody to see; 0 but at a shadow stage.

    Paused or held it is 0 too: mirroring costs money, and there is nobody whose arm would have to be kept.
    """
    if state is not _S.EXPOSING or not 0 <= stage < len(policy.stages):
        return 0.0
    here = policy.stages[stage]
    return here.weight if here.kind is StageKind.SHADOW else 0.0


def _refusal(state: RolloutState, asked: str, instead: list[str]) -> str:
    words = state.value.replace("_", " ")
    if not instead:
        return f'a rollout that is {words} cannot take "{asked}": nothing follows that state'
    return f'a rollout that is {words} cannot take "{asked}"; possible are: {", ".join(instead)}'


def mermaid() -> str:
    """The table as a Mermaid state diagram, one edge per pair of states."""
    edges: dict[tuple[RolloutState, RolloutState], list[str]] = {}
    for (source, event), row in TABLE.items():
        edges.setdefault((source, row.to), []).append(event.value)
    lines = ["stateDiagram-v2", f"    [*] --> {_S.QUEUED.value}"]
    lines += [
        f"    {source.value} --> {target.value}: {', '.join(events)}"
        for (source, target), events in edges.items()
    ]
    lines += [f"    {state.value} --> [*]" for state in RolloutState if state in TERMINAL]
    return "\n".join(lines) + "\n"
