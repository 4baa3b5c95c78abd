"""Deciding: a pure function from what was observed to a decision that keeps what it saw.

``plan`` makes every choice; carrying a decision out (``effects``, ``controller``) makes none. Replaying a
decision runs ``plan`` again on the evidence stored with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from inchworm.domain.errors import TransitionError
from inchworm.domain.ids import DecisionId
from inchworm.domain.rollout import Decision, Policy, Rollout, RolloutState, StageKind
from inchworm.domain.verdict import Verdict
from inchworm.rollout import permits, wording
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
    Transition,
    climb,
    event_of,
    mirrored,
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
    row, because = _asked(subject, asked)
    return _decision(subject, asked, now, row, because)


def replay(decision: Decision) -> Decision | None:
    """The decision recomputed from its own evidence; equal to it, unless the rules have changed since.

    The evidence is taken over as it is stored: it is what goes in, and an older version said less in it.

    Raises:
        InputError: if its evidence is missing or of another format.
        TransitionError: if a person's act would be refused now.
    """
    again = _plan(*recall(decision.evidence))
    return None if again is None else replace(again, evidence=decision.evidence)


def _plan(subject: Subject, observed: Observed, now: float) -> Decision | None:
    if isinstance(observed, Asked):
        row, because = _asked(subject, observed)
        return _decision(subject, observed, now, row, because)
    found = _choose(subject, observed, max(now - subject.entered_at, 0.0))
    if found is None:
        return None
    event, because = found
    return _decision(subject, observed, now, transition(subject.state, subject.rung, event), because)


def _decision(subject: Subject, observed: Observed, now: float, row: Transition, because: str) -> Decision:
    stage = row.stage_after(_stage(subject), len(subject.policy.stages))
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


def _stage(subject: Subject) -> int:
    """Its stage; before anybody is exposed −1, whatever the queue wrote."""
    return UNEXPOSED if subject.rung is Rung.UNEXPOSED else subject.stage


def _choose(subject: Subject, observed: Turn | Gated | Watched, elapsed: float) -> tuple[Event, str] | None:
    match observed:
        case Turn():
            return _turn(subject, observed) if subject.state is RolloutState.QUEUED else None
        case Gated() if subject.state is RolloutState.BENCHMARKING:
            return _gated(subject, observed)
        case Gated():
            held = subject.state is RolloutState.HOLDING and subject.rung is Rung.UNEXPOSED
            return _waited(subject, observed) if held else None
        case Watched():
            return _watched(subject, observed, elapsed) if subject.state in WATCHED else None
        case _:
            assert_never(observed)


def _turn(subject: Subject, turn: Turn) -> tuple[Event, str] | None:
    stable = wording.configuration(turn.stable)
    if turn.stopped:
        why = wording.listed(
            [f"{one.rollout_id} ({one.layer}) was {wording.state(one.state)}" for one in turn.stopped]
        )
        return Event.CANCEL, f"cancelled because it needs what did not stay: {why}."
    if turn.candidate == turn.stable:
        layers = wording.listed([str(layer) for layer in subject.layers])
        return Event.CANCEL, f"cancelled because stable {stable} already has this {layers}."
    if turn.problems:
        return (
            Event.CANCEL,
            f"cancelled because it cannot run on stable {stable}: {turn.problems[0].rstrip('.')}.",
        )
    if subject.emergency is not None:
        return _emergency(subject, stable)
    if turn.permits.frozen is not None:
        return None
    rebased = turn.assumed is not None and turn.assumed != turn.stable
    assumed = wording.configuration(turn.assumed) if turn.assumed is not None else stable
    onto = (
        f"re-based onto {stable}, because its plan expected {assumed} to be stable by now"
        if rebased
        else f"started on stable {stable}"
    )
    if subject.policy.gate:
        return Event.START, f"{onto}; its benchmark comes first."
    if waits := permits.obstacles(subject, turn.permits, 0):
        return Event.START_WAITING, f"{onto}, and held before anybody is exposed: {wording.listed(waits)}."
    return (
        Event.START_UNGATED,
        f"{onto}; {_exposed(subject)}, since its policy asks for no benchmark.",
    )


def _emergency(subject: Subject, stable: str) -> tuple[Event, str]:
    layers = wording.listed([str(layer) for layer in subject.layers])
    share, units = wording.percent(1.0 - subject.policy.holdback), wording.plural(subject.policy.unit)
    reason = (subject.emergency or "").strip().rstrip(".")
    because = (
        f"EMERGENCY: the glass was broken by {subject.author}, and {layers} exposed to {share} of the "
        f"{units} at once on stable {stable}, past gate, freezes, approvals and ladder: {reason}."
    )
    return Event.BREAK_GLASS, because


def _exposed(subject: Subject) -> str:
    """What the first stage does."""
    first, units = subject.policy.stages[0], wording.plural(subject.policy.unit)
    share = wording.percent(first.weight)
    if first.kind is StageKind.SHADOW:
        return f"{share} of the {units} are mirrored to it, for nobody to see"
    return f"exposed to {share} of the {units}"


def _waited(subject: Subject, gate: Gated) -> tuple[Event, str] | None:
    """It was held although its gate passed: it goes on once nothing stands in the way any more."""
    if gate.verdict is not Verdict.PASS:
        return None
    spent = permits.over_budget(subject, gate.permits)
    if spent is not None and not gate.permits.anchor_asked:
        ask = "A person decides: promote or abort."
        return Event.GATE_WAITS, f"holding before anybody is exposed: {spent}. {ask}"
    if permits.obstacles(subject, gate.permits, 0):
        return None
    agreed = _agreed(subject, gate)
    why = f"approved by {wording.listed(agreed)}" if agreed else "what it waited for is over"
    name = f"benchmark {gate.benchmark_id} passed" if subject.policy.gate else "no benchmark is asked for"
    return Event.GATE_PASSED, f"{_exposed(subject)} because {name}, and {why}."


def _agreed(subject: Subject, gate: Gated) -> list[str]:
    rule = permits.needed(subject.policy, subject.joint)
    if rule is None or 0 not in rule.before:
        return []
    return list(permits.approved_by(gate.permits.approvals, rule, stage=0, author=subject.author))


def _gated(subject: Subject, gate: Gated) -> tuple[Event, str]:
    name = f"benchmark {gate.benchmark_id}" if gate.benchmark_id is not None else "its benchmark"
    because = gate.because.strip().rstrip(".")
    ask = "A person decides: promote or abort."
    match gate.verdict:
        case Verdict.PASS:
            if waits := permits.obstacles(subject, gate.permits, 0):
                held = wording.listed(waits)
                return Event.GATE_WAITS, f"holding before anybody is exposed: {name} passed, and {held}."
            return Event.GATE_PASSED, f"{_exposed(subject)} because {name} passed: {because}."
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


def _asked(subject: Subject, asked: Asked) -> tuple[Transition, str]:
    row = transition(subject.state, subject.rung, event_of(asked.act, subject.state, subject.rung))
    reason = f": {asked.reason.strip().rstrip('.')}." if asked.reason.strip() else "."
    here = _share(subject.state, subject.stage, subject.policy)
    match asked.act:
        case Act.PAUSE:
            return row, f"paused at {here} by {asked.actor}{reason}"
        case Act.RESUME:
            return row, f"resumed at {here} by {asked.actor}{reason}"
        case Act.PROMOTE:
            return _promoted(subject, asked, row, here, reason)
        case Act.ABORT:
            return row, f"aborted at {here} by {asked.actor}{reason}"
        case Act.UNDO:
            _check_undo(subject, asked)
            stable = wording.configuration(asked.stable)
            base = wording.configuration(subject.base) if subject.base is not None else "its base"
            return row, f"undone by {asked.actor}, stable goes back from {stable} to {base}{reason}"
        case _:
            assert_never(asked.act)


def _share(state: RolloutState, stage: int, policy: Policy) -> str:
    """Whom it has: ``25 %``, or what is mirrored to it."""
    if shadow := mirrored(state, stage, policy):
        return f"{wording.percent(shadow)} mirrored"
    return wording.percent(weight_of(state, stage, policy))


def _promoted(
    subject: Subject, asked: Asked, row: Transition, here: str, reason: str
) -> tuple[Transition, str]:
    """A promotion, of several rungs if that is asked. It outranks evidence; freezes and approvals stand."""
    stages, stage = len(subject.policy.stages), _stage(subject)
    jumps = asked.to is not None and asked.to != stage + 1
    if asked.to is not None:
        row = climb(subject.state, stage, stages, asked.to)
    stable = row.to is RolloutState.COMPLETED
    after = row.stage_after(stage, stages)
    _check_permitted(subject, asked, stage, stages + 1 if stable else after)
    to = "stable" if stable else _share(row.to, after, subject.policy)
    past = ""
    if jumps and (left := _left_out(subject.policy, stage, stages + 1 if stable else after)):
        past = f", past {wording.listed(left)}"
    return row, f"promoted from {here} to {to}{past} by {asked.actor}, ahead of the evidence{reason}"


def _left_out(policy: Policy, stage: int, to: int) -> list[str]:
    return [permits.rung_name(policy, rung) for rung in range(stage + 1, to)]


def _check_permitted(subject: Subject, asked: Asked, stage: int, to: int) -> None:
    """Freezes and approvals are other people's word, which no single person takes back."""
    if subject.emergency is not None:
        return
    if asked.permits.frozen is not None:
        msg = f"{subject.id} cannot be promoted: nothing grows in {asked.permits.frozen}"
        raise TransitionError(
            msg, hint="pause, resume, abort and undo work; so does: inchworm apply --break-glass"
        )
    for rung in range(stage + 1, to + 1):
        if missing := permits.unapproved(subject, asked.permits.approvals, rung):
            raise TransitionError(f"{subject.id} cannot be promoted: {missing[0]}")


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
