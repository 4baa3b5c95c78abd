"""What people do to a rollout. Every act is a decision like any other, and tells its own undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from inchworm.domain.errors import ConflictError, NotFoundError
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Decision, Lineage, Rollout, RolloutState
from inchworm.rollout.decide import answer
from inchworm.rollout.effects import effects
from inchworm.rollout.observed import Asked
from inchworm.rollout.ports import Store, land
from inchworm.rollout.transitions import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a person's act came to.

    Attributes:
        decision: with its sentence.
        undo: how to take it back, as a sentence.
    """

    decision: Decision
    undo: str


def ask(rollout: Rollout, lineage: Lineage, act: Act, *, actor: str, reason: str, now: float) -> Acted:
    """Take a person's act as a decision. Pure: nothing is written.

    Args:
        rollout: as it stands.
        lineage: of its app.
        act: what is asked.
        actor: who asks.
        reason: why, in their words; may be empty.
        now: seconds since the epoch.

    Raises:
        TransitionError: if that is not possible now, naming what is.
    """
    asked = Asked(act=act, actor=actor, reason=reason, stable=lineage.stable, in_flight=lineage.in_flight)
    decision = answer(rollout, asked, now)
    return Acted(decision=decision, undo=undo_of(act, rollout, decision))


def pause(rollout: Rollout, lineage: Lineage, *, actor: str, reason: str, now: float) -> Acted:
    """Stop it from growing; its share stays and guardrails run.

    Raises:
        TransitionError: if it does not expose anybody, or is paused already.
    """
    return ask(rollout, lineage, Act.PAUSE, actor=actor, reason=reason, now=now)


def resume(rollout: Rollout, lineage: Lineage, *, actor: str, reason: str, now: float) -> Acted:
    """Let it go on at its stage, with its whole time before it again.

    Raises:
        TransitionError: unless it is paused, or held after it was exposed.
    """
    return ask(rollout, lineage, Act.RESUME, actor=actor, reason=reason, now=now)


def promote(rollout: Rollout, lineage: Lineage, *, actor: str, reason: str, now: float) -> Acted:
    """Move it up one rung ahead of the evidence: past the gate, to the next stage, the soak, or stable.

    Raises:
        TransitionError: unless it is in flight and not being benchmarked.
    """
    return ask(rollout, lineage, Act.PROMOTE, actor=actor, reason=reason, now=now)


def abort(rollout: Rollout, lineage: Lineage, *, actor: str, reason: str, now: float) -> Acted:
    """Stop it for good; everybody gets stable. One that is queued is cancelled.

    Raises:
        TransitionError: if it has ended.
    """
    return ask(rollout, lineage, Act.ABORT, actor=actor, reason=reason, now=now)


def undo(rollout: Rollout, lineage: Lineage, *, actor: str, reason: str, now: float) -> Acted:
    """Take a completed rollout back: stable becomes its base again.

    Raises:
        TransitionError: unless it is completed, its candidate is still stable, and nothing is in flight.
    """
    return ask(rollout, lineage, Act.UNDO, actor=actor, reason=reason, now=now)


def undo_of(act: Act, rollout: Rollout, decision: Decision) -> str:
    """How to take ``decision`` back, as a sentence with the command."""
    again = "inchworm plan proposes the change again."
    match act:
        case Act.PAUSE:
            return f"Undo: inchworm rollout resume {rollout.id}"
        case Act.RESUME:
            return f"Undo: inchworm rollout pause {rollout.id}"
        case Act.PROMOTE if decision.state is RolloutState.COMPLETED:
            return f"Undo: inchworm rollout undo {rollout.id}"
        case Act.PROMOTE:
            return f"Shares only grow; to send everybody back to stable: inchworm rollout abort {rollout.id}"
        case Act.ABORT:
            return f"An ended rollout does not start again; {again}"
        case Act.UNDO:
            return f"It is not stable any more; {again}"
        case _:
            assert_never(act)


def act(store: Store, rollout_id: RolloutId, event: Act, *, actor: str, reason: str, now: float) -> Acted:
    """Read the rollout, decide, and commit.

    Raises:
        NotFoundError: if there is no such rollout, or its app serves nothing.
        TransitionError: if that is not possible now, naming what is.
        ConflictError: if somebody else moved it at the same moment; nothing was written.
    """
    rollout = store.rollout(rollout_id)
    lineage, table = store.lineage(rollout.app), store.serving(rollout.app)
    if lineage is None or table is None:
        msg = f"{rollout.app} has no stable configuration"
        raise NotFoundError(msg, hint="inchworm adopt makes the declared one stable")
    acted = ask(rollout, lineage, event, actor=actor, reason=reason, now=now)
    change = effects(acted.decision, rollout, lineage, table)
    landed = land(store, acted.decision, change, lineage)
    if not landed:
        msg = f"{rollout_id} moved while you asked to {event.value} it, so nothing was done"
        raise ConflictError(msg, hint=f"look again: inchworm rollout show {rollout_id}")
    return acted
