"""What a person may do to a rollout now, what it would do, and how it is taken back."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.web.views.words import sentence
from inchworm.domain import wording
from inchworm.domain.errors import TransitionError
from inchworm.domain.ids import RolloutId, short
from inchworm.domain.rollout import Decision, Lineage, Rollout, RolloutState
from inchworm.rollout.commands import ask
from inchworm.rollout.transitions import Act, acts, standing, weight_of
from inchworm.rollout.wording import plural

KEYS = {Act.PROMOTE: "p", Act.PAUSE: "s", Act.RESUME: "r", Act.ABORT: "a", Act.UNDO: "u"}
_ORDER = (Act.PROMOTE, Act.RESUME, Act.PAUSE, Act.ABORT, Act.UNDO)
_WHEN_PAUSED = (Act.RESUME, Act.PROMOTE, Act.ABORT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An act that is possible now.

    Attributes:
        act: ``promote``, ``pause``, ``resume``, ``abort`` or ``undo``.
        label: what its button says.
        key: its key.
        style: ``go``, ``stop`` or nothing.
        question: what is asked before it is done.
        does: what it does, as a sentence.
        undo: how it is taken back, as a sentence.
    """

    act: str
    label: str
    key: str
    style: str
    question: str
    does: str
    undo: str


def offers(rollout: Rollout, lineage: Lineage, now: float) -> tuple[Offer, ...]:
    """What the table of transitions, the lock and stable allow now; the most likely first."""
    at = standing(rollout.state, rollout.stage, len(rollout.policy.stages))
    may = acts(rollout.state, at)
    found: list[Offer] = []
    for act in _WHEN_PAUSED if rollout.state is RolloutState.PAUSED else _ORDER:
        if act not in may:
            continue
        try:
            asked = ask(rollout, lineage, act, actor="somebody", reason="", now=now)
        except TransitionError:  # an undo of what is not stable any more, or while something is in flight
            continue
        label, does = _says(act, rollout, lineage, asked.decision)
        found.append(
            Offer(
                act=act.value,
                label=label,
                key=KEYS[act],
                style="stop" if act is Act.ABORT else "",
                question=f"{label}: {rollout.id}, {rollout.layer}?",
                does=does,
                undo=sentence(asked.undo),
            )
        )
    if found and found[0].act in {Act.PROMOTE.value, Act.RESUME.value}:
        first = found[0]
        found[0] = Offer(
            act=first.act,
            label=first.label,
            key=first.key,
            style="go",
            question=first.question,
            does=first.does,
            undo=first.undo,
        )
    return tuple(found)


def _says(act: Act, rollout: Rollout, lineage: Lineage, then: Decision) -> tuple[str, str]:
    units = plural(rollout.policy.unit)
    before = wording.share(weight_of(rollout.state, rollout.stage, rollout.policy))
    after = wording.share(then.weight)
    stable = short(lineage.stable)
    match act:
        case Act.PROMOTE if then.state is RolloutState.COMPLETED:
            return (
                "Promote to stable",
                "The candidate becomes stable for everybody, ahead of the end of its soak.",
            )
        case Act.PROMOTE if before == "0 %":
            return f"Expose to {after}", f"{after} of the {units} get it, past its benchmark."
        case Act.PROMOTE:
            return f"Promote to {after}", f"It goes from {before} to {after}, ahead of the evidence."
        case Act.RESUME:
            return "Resume", f"It goes on at {before}, with the stage’s whole time before it again."
        case Act.PAUSE:
            return "Pause", f"It stays at {before} and does not grow; guardrails run on."
        case Act.ABORT if then.state is RolloutState.CANCELLED:
            return "Cancel", "It leaves the queue; nobody has seen it."
        case Act.ABORT:
            return "Abort", f"Everybody gets stable {stable} again, within a second."
        case Act.UNDO:
            base = "its base" if rollout.base is None else short(rollout.base)
            return "Undo", f"Stable goes back from {stable} to {base} for everybody."


def way_back(rollout: Rollout, newest: Decision, may: tuple[Offer, ...]) -> str:
    """The command that takes the newest decision back; empty if none does."""
    possible = {offer.act for offer in may}
    wished = {
        RolloutState.PAUSED: (Act.RESUME,),
        RolloutState.HOLDING: (Act.ABORT,),
        RolloutState.COMPLETED: (Act.UNDO,),
    }.get(newest.state, (Act.ABORT,))
    for act in wished:
        if act.value in possible:
            return command(act, rollout.id)
    return ""


def command(act: Act, rollout_id: RolloutId) -> str:
    """The same act on a terminal."""
    return f"inchworm rollout {act.value} {rollout_id}"
