"""Approvals: somebody else's word, before a rollout goes on."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.domain.errors import ConflictError, TransitionError, UsageError
from inchworm.domain.rollout import Approval, Approvals, LedgerEntry, Rollout
from inchworm.domain.wording import listed
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import approved_by, needed, rung_name, unapproved
from inchworm.rollout.transitions import TERMINAL, UNEXPOSED, Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved:
    """What became of somebody's word.

    Attributes:
        approval: what was kept.
        before: the rung that it is about, as people call it.
        missing: what is still missing for it, as a clause; empty if nothing is.
    """

    approval: Approval
    before: str
    missing: str


def approve(house: House, rollout: Rollout, *, reason: str = "") -> Approved:
    """Agree to the next stage that needs it.

    Raises:
        UsageError: if the rollout needs nobody's word, or not that of who gives it.
        TransitionError: if it has ended.
        ConflictError: if they have agreed already, or nothing that lies ahead needs it.
    """
    subject, rule = Subject.of(rollout), needed(rollout.policy, rollout.joint)
    if rule is None or rollout.emergency is not None:
        raise UsageError(f"{rollout.id} needs nobody's approval", hint=f"inchworm rollout show {rollout.id}")
    if rollout.state in TERMINAL:
        raise TransitionError(f"{rollout.id} has ended: it is {rollout.state.value.replace('_', ' ')}")
    _check_counts(rollout, rule, house.actor)
    have = house.control.approvals([rollout.id])
    here = UNEXPOSED if subject.rung is Rung.UNEXPOSED else rollout.stage
    ahead = [
        stage
        for stage in rule.before
        if stage > here and len(approved_by(have, rule, stage=stage, author=rollout.author)) < rule.count
    ]
    if not ahead:
        raise ConflictError(f"{rollout.id} has every approval that it needs from here on")
    stage = ahead[0]
    name = rung_name(rollout.policy, stage)
    approval = Approval(
        rollout_id=rollout.id, stage=stage, actor=house.actor, at=house.now(), reason=reason.strip()
    )
    why = f": {approval.reason.rstrip('.')}." if approval.reason else "."
    entry = LedgerEntry(
        app=rollout.app,
        at=approval.at,
        kind="approval",
        actor=approval.actor,
        what=f"{approval.actor} approved {rollout.id} ({listed([str(one) for one in rollout.layers])}) "
        f"for {name}{why}",
        data={"rollout": rollout.id, "stage": stage},
    )
    if not house.control.put_approval(rollout.app, approval, entry):
        raise ConflictError(f"{house.actor} has approved {rollout.id} for {name} already")
    return Approved(
        approval=approval,
        before=name,
        missing="".join(unapproved(subject, [*have, approval], stage)),
    )


def _check_counts(rollout: Rollout, rule: Approvals, actor: str) -> None:
    """Refuse a word that would not count, and say whose would."""
    others = [name for name in rule.by if name != rollout.author]
    hint = f"awaited from {' or '.join(others)}" if others else "somebody else has to look at it"
    if actor == rollout.author:
        raise UsageError(f"{actor} applied {rollout.id}, and one's own word does not count", hint=hint)
    if rule.by and actor not in rule.by:
        raise UsageError(f"{actor} is not among those who may approve {rollout.id}", hint=hint)
