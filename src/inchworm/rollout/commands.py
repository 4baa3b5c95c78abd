"""What people do to a rollout. Every act is a decision like any other, and tells its own undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from inchworm.domain.errors import ConflictError, NotFoundError, UsageError
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Decision, Lineage, Policy, Rollout, RolloutState
from inchworm.domain.wording import share
from inchworm.rollout.decide import answer
from inchworm.rollout.effects import effects
from inchworm.rollout.observed import Asked
from inchworm.rollout.permits import NONE_ASKED, Permits
from inchworm.rollout.permitting import never_frozen
from inchworm.rollout.ports import Calendar, Store, land
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


def ask(
    rollout: Rollout,
    lineage: Lineage,
    act: Act,
    *,
    actor: str,
    reason: str,
    now: float,
    to: int | None = None,
    permits: Permits = NONE_ASKED,
) -> Acted:
    """Take a person's act as a decision. Pure: nothing is written.

    Args:
        rollout: as it stands.
        lineage: of its app.
        act: what is asked.
        actor: who asks.
        reason: why, in their words; may be empty.
        now: seconds since the epoch.
        to: of a promotion, the stage to come to; one rung up if left out.
        permits: what besides is in order; a promotion asks for it.

    Raises:
        TransitionError: if that is not possible now, naming what is.
    """
    asked = Asked(
        act=act,
        actor=actor,
        reason=reason,
        stable=lineage.stable,
        in_flight=lineage.in_flight,
        to=to,
        permits=permits,
    )
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
    again = f"to try it again: inchworm rollout retry {rollout.id}"
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


def stage_of(policy: Policy, name: str) -> int:
    """The stage that a person means by ``50%``, ``stage 2``, ``soak`` or ``stable``.

    Raises:
        UsageError: if there is no such stage, naming those that there are.
    """
    stages = policy.stages
    wanted = name.strip().lower().replace(" ", "").removeprefix("stage")
    if wanted in {"soak", "stable"}:
        return len(stages) + (wanted == "stable")
    if wanted.isdecimal() and 1 <= int(wanted) <= len(stages):
        return int(wanted) - 1
    names = [share(stage.weight).replace(" ", "") for stage in stages]
    if names.count(wanted) == 1:
        return names.index(wanted)
    numbered = ", ".join(f"{place} ({one})" for place, one in enumerate(names, 1))
    wrong = "more than one" if wanted in names else "no"
    raise UsageError(f'there is {wrong} stage "{name}": write soak, stable, or one of {numbered}')


def act(
    store: Store,
    rollout_id: RolloutId,
    event: Act,
    *,
    actor: str,
    reason: str,
    now: float,
    to: str | None = None,
    frozen: Calendar = never_frozen,
) -> Acted:
    """Read the rollout, decide, and commit.

    Args:
        store: the control store.
        rollout_id: of which rollout.
        event: what is asked.
        actor: who asks.
        reason: why, in their words; may be empty.
        now: seconds since the epoch.
        to: of a promotion, the rung to come to (see :func:`stage_of`).
        frozen: the freezes of an app.

    Raises:
        UsageError: if there is no such rung.
        NotFoundError: if there is no such rollout, or its app serves nothing.
        TransitionError: if that is not possible now, naming what is.
        ConflictError: if somebody else moved it at the same moment; nothing was written.
    """
    rollout = store.rollout(rollout_id)
    lineage, table = store.lineage(rollout.app), store.serving(rollout.app)
    if lineage is None or table is None:
        msg = f"{rollout.app} has no stable configuration"
        raise NotFoundError(msg, hint="inchworm adopt makes the declared one stable")
    permits = NONE_ASKED
    if event is Act.PROMOTE:
        asks = rollout.policy.approvals is not None or bool(rollout.joint)
        clause, until = frozen(rollout.app, now) or (None, None)
        agreed = tuple(store.approvals([rollout_id])) if asks else ()
        permits = Permits(frozen=clause, frozen_until=until, approvals=agreed)
    stage = None if to is None else stage_of(rollout.policy, to)
    acted = ask(rollout, lineage, event, actor=actor, reason=reason, now=now, to=stage, permits=permits)
    change = effects(acted.decision, rollout, lineage, table)
    landed = land(store, acted.decision, change, lineage)
    if not landed:
        msg = f"{rollout_id} moved while you asked to {event.value} it, so nothing was done"
        raise ConflictError(msg, hint=f"look again: inchworm rollout show {rollout_id}")
    return acted
