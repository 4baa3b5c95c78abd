"""Deciding: a pure function from what was observed to a decision that keeps what it saw.

``plan`` makes every choice; carrying a decision out (``effects``, ``controller``) makes none. Replaying a
decision runs ``plan`` again on the evidence stored with it.
"""

from __future__ import annotations

from typing import assert_never

from inchworm.domain.errors import TransitionError
from inchworm.domain.ids import DecisionId
from inchworm.domain.rollout import Decision, Rollout, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.rollout import wording
from inchworm.rollout.observed import (
    Asked,
    Gated,
    Observed,
    Subject,
    Turn,
    Watched,
    actor_of,
    recall,
    record,
)
from inchworm.rollout.rules import RULES
from inchworm.rollout.transitions import (
    UNEXPOSED,
    WATCHED,
    Act,
    Event,
    Rung,
    event_of,
    possible,
    transition,
    weight_of,
)


def plan(rollout: Rollout, observed: Observed, now: float) -> Decision | None:
    """What to do with ``rollout``, if anything. An unchanged hold is nothing.

    Total: an observation that says nothing about the rollout's state decides nothing, and a clock that runs
    backwards lets no time pass. It raises only for what a person asks.

    Args:
        rollout: as it stands.
        observed: its turn in the queue, its benchmark, its evidence, or a person's wish.
        now: seconds since the epoch.

    Raises:
        TransitionError: if a person asks for what is not possible, naming what is.
    """
    return _plan(Subject.of(rollout), observed, now)


def answer(rollout: Rollout, asked: Asked, now: float) -> Decision:
    """The decision on what a person asks of ``rollout``.

    Raises:
        TransitionError: if it is not possible, naming what is.
    """
    subject = Subject.of(rollout)
    return _decision(subject, asked, now, _asked(subject, asked))


def replay(decision: Decision) -> Decision | None:
    """The decision recomputed from its own evidence; equal to it, unless the rules have changed since.

    Raises:
        InputError: if its evidence is missing or of another format.
        TransitionError: if a person's act would be refused now.
    """
    return _plan(*recall(decision.evidence))


def _plan(subject: Subject, observed: Observed, now: float) -> Decision | None:
    found = _choose(subject, observed, max(now - subject.entered_at, 0.0))
    return None if found is None else _decision(subject, observed, now, found)


def _decision(subject: Subject, observed: Observed, now: float, chosen: tuple[Event, str]) -> Decision:
    event, because = chosen
    row = transition(subject.state, subject.rung, event)
    # Before anybody is exposed the stage is -1, whatever the queue wrote.
    stage = (UNEXPOSED if subject.rung is Rung.UNEXPOSED else subject.stage) + row.step
    return Decision(
        id=DecisionId(f"{subject.id}/{subject.generation + 1}"),
        rollout_id=subject.id,
        parent=subject.generation,
        kind=row.kind,
        state=row.to,
        stage=stage,
        weight=weight_of(row.to, stage, subject.policy),
        because=because,
        actor=actor_of(observed),
        at=now,
        evidence=record(subject, observed, now),
    )


def _choose(subject: Subject, observed: Observed, elapsed: float) -> tuple[Event, str] | None:
    match observed:
        case Asked():
            return _asked(subject, observed)
        case Turn():
            return _turn(subject, observed) if subject.state is RolloutState.QUEUED else None
        case Gated():
            return _gated(subject, observed) if subject.state is RolloutState.BENCHMARKING else None
        case Watched():
            return _watched(subject, observed, elapsed) if subject.state in WATCHED else None
        case _:
            assert_never(observed)


def _turn(subject: Subject, turn: Turn) -> tuple[Event, str]:
    stable = wording.configuration(turn.stable)
    if turn.stopped:
        why = wording.listed(
            [f"{one.rollout_id} ({one.layer}) was {wording.state(one.state)}" for one in turn.stopped]
        )
        return Event.CANCEL, f"cancelled because it needs what did not stay: {why}."
    if turn.candidate == turn.stable:
        return Event.CANCEL, f"cancelled because stable {stable} already has this {subject.layer}."
    if turn.problems:
        return (
            Event.CANCEL,
            f"cancelled because it cannot run on stable {stable}: {turn.problems[0].rstrip('.')}.",
        )
    rebased = turn.assumed is not None and turn.assumed != turn.stable
    assumed = wording.configuration(turn.assumed) if turn.assumed is not None else stable
    onto = (
        f"re-based onto {stable}, because its plan expected {assumed} to be stable by now"
        if rebased
        else f"started on stable {stable}"
    )
    if subject.policy.gate:
        return Event.START, f"{onto}; its benchmark comes first."
    share = wording.percent(subject.policy.stages[0].weight)
    units = wording.plural(subject.policy.unit)
    return (
        Event.START_UNGATED,
        f"{onto}; exposed to {share} of the {units}, since its policy asks for no benchmark.",
    )


def _gated(subject: Subject, gate: Gated) -> tuple[Event, str]:
    name = f"benchmark {gate.benchmark_id}" if gate.benchmark_id is not None else "its benchmark"
    because = gate.because.strip().rstrip(".")
    ask = "A person decides: promote or abort."
    match gate.verdict:
        case Verdict.PASS:
            share, units = (
                wording.percent(subject.policy.stages[0].weight),
                wording.plural(subject.policy.unit),
            )
            return Event.GATE_PASSED, f"exposed to {share} of the {units} because {name} passed: {because}."
        case Verdict.FAIL:
            return Event.GATE_FAILED, f"rejected because {name} failed: {because}."
        case Verdict.INCONCLUSIVE:
            return Event.GATE_UNCLEAR, f"holding because {name} is inconclusive: {because}. {ask}"
        case Verdict.NO_DATA:
            return Event.GATE_UNCLEAR, f"holding because {name} measured nothing: {because}. {ask}"
        case Verdict.ERRORED:
            return Event.GATE_UNCLEAR, f"holding because {name} could not be made: {because}. {ask}"
        case Verdict.CANCELLED:
            return Event.GATE_UNCLEAR, f"holding because {name} was cancelled: {because}. {ask}"
        case _:
            assert_never(gate.verdict)


def _watched(subject: Subject, observed: Watched, elapsed: float) -> tuple[Event, str] | None:
    may = possible(subject.state, subject.rung)
    for event, rule in RULES:
        if event in may and (because := rule(subject, observed, elapsed)) is not None:
            return event, because
    return None


def _asked(subject: Subject, asked: Asked) -> tuple[Event, str]:
    event = event_of(asked.act, subject.state, subject.rung)
    reason = f": {asked.reason.strip().rstrip('.')}." if asked.reason.strip() else "."
    here = wording.percent(weight_of(subject.state, subject.stage, subject.policy))
    match asked.act:
        case Act.PAUSE:
            return event, f"paused at {here} by {asked.actor}{reason}"
        case Act.RESUME:
            return event, f"resumed at {here} by {asked.actor}{reason}"
        case Act.PROMOTE:
            row = transition(subject.state, subject.rung, event)
            stage = UNEXPOSED if subject.rung is Rung.UNEXPOSED else subject.stage
            to = (
                "stable"
                if row.to is RolloutState.COMPLETED
                else wording.percent(weight_of(row.to, stage + row.step, subject.policy))
            )
            return event, f"promoted from {here} to {to} by {asked.actor}, ahead of the evidence{reason}"
        case Act.ABORT:
            return event, f"aborted at {here} by {asked.actor}{reason}"
        case Act.UNDO:
            _check_undo(subject, asked)
            stable = wording.configuration(asked.stable)
            base = wording.configuration(subject.base) if subject.base is not None else "its base"
            return event, f"undone by {asked.actor}, stable goes back from {stable} to {base}{reason}"
        case _:
            assert_never(asked.act)


def _check_undo(subject: Subject, asked: Asked) -> None:
    if asked.in_flight is not None:
        msg = f"{subject.id} cannot be undone while {asked.in_flight} is in flight"
        raise TransitionError(msg, hint=f"abort it first: inchworm rollout abort {asked.in_flight}")
    if subject.base is None or asked.stable != subject.candidate:
        msg = (
            f"{subject.id} cannot be undone: stable is {wording.configuration(asked.stable)} by now, "
            "which it did not make"
        )
        raise TransitionError(msg, hint="undo the rollouts that came after it first, the latest first")
