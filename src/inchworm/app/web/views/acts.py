"""What a person may do to a rollout now, what it would do, and how it is taken back."""

from __future__ import annotations

from dataclasses import dataclass, replace

from inchworm.app.texts import harmless
from inchworm.app.web.views.permitted import agreed, awaited, from_whom, rule_of, without_command
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.stages import stage_name
from inchworm.app.web.views.words import sentence
from inchworm.domain import wording
from inchworm.domain.errors import TransitionError
from inchworm.domain.ids import RolloutId, short
from inchworm.domain.rollout import Decision, Lineage, Rollout, RolloutState
from inchworm.rollout.commands import Acted, ask
from inchworm.rollout.evidence.populations import is_shadow
from inchworm.rollout.permits import NONE_ASKED, rung_name
from inchworm.rollout.transitions import STOPPED, Act, acts, standing, weight_of
from inchworm.rollout.wording import plural, share_at

APPROVE, RETRY = "approve", "retry"
KEYS = {
    Act.PROMOTE.value: "p",
    Act.PAUSE.value: "s",
    Act.RESUME.value: "r",
    Act.ABORT.value: "a",
    Act.UNDO.value: "u",
    APPROVE: "y",
    RETRY: "g",
}
_ORDER = (Act.PROMOTE, Act.RESUME, Act.PAUSE, Act.ABORT, Act.UNDO)
_WHEN_PAUSED = (Act.RESUME, Act.PROMOTE, Act.ABORT)
_SOLID = frozenset({Act.PROMOTE.value, Act.RESUME.value, APPROVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A rung that a promotion may come to.

    Attributes:
        to: what is asked for: ``2``, ``soak``, ``stable``.
        label: ``Promote to 25 %``.
        does: what it does, as a sentence.
        undo: how it is taken back, as a sentence.
        blocked: why it is not possible now, as a sentence; empty if it is.
    """

    to: str
    label: str
    does: str
    undo: str
    blocked: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An act that is possible now, or that says why it is not.

    Attributes:
        act: ``approve``, ``promote``, ``pause``, ``resume``, ``abort``, ``undo`` or ``retry``.
        label: what its button says.
        key: its key.
        style: ``go``, ``stop`` or nothing.
        question: what is asked before it is done.
        does: what it does, as a sentence.
        undo: how it is taken back, as a sentence.
        blocked: why it is not possible now, as a sentence; empty if it is.
        choices: of a promotion, the rungs that it may come to, the next one first.
    """

    act: str
    label: str
    key: str
    style: str
    question: str
    does: str
    undo: str
    blocked: str = ""
    choices: tuple[Choice, ...] = ()


def offers(seen: Seen, lineage: Lineage, who: str | None = None) -> tuple[Offer, ...]:
    """What the table of transitions, the lock, stable and approvals allow now; the most likely first.

    Args:
        seen: all that was read of the rollout.
        lineage: of its app.
        who: who would act; only an approval depends on it.
    """
    rollout = seen.rollout
    may = acts(rollout.state, standing(rollout.state, rollout.stage, len(rollout.policy.stages)))
    found = [*_approval(seen, who)]
    for act in _WHEN_PAUSED if rollout.state is RolloutState.PAUSED else _ORDER:
        if act not in may:
            continue
        try:
            asked = _ask(seen, lineage, act)
        except TransitionError:  # an undo of what is not stable any more, or while something is in flight
            continue
        label, does = _says(act, rollout, lineage, asked.decision)
        choices = _choices(seen, lineage) if act is Act.PROMOTE else ()
        found.append(
            Offer(
                act=act.value,
                label=label,
                key=KEYS[act.value],
                style="stop" if act is Act.ABORT else "",
                question=f"{label}: {rollout.id}, {_layers(rollout)}?",
                does=does,
                undo=sentence(asked.undo),
                blocked=choices[0].blocked if choices else "",
                choices=choices,
            )
        )
    found += _again(seen)
    if found and found[0].act in _SOLID and not found[0].blocked:
        found[0] = replace(found[0], style="go")
    return tuple(found)


def _layers(rollout: Rollout) -> str:
    return wording.listed([layer.value for layer in rollout.layers])


def _ask(seen: Seen, lineage: Lineage, act: Act, *, to: int | None = None, permitted: bool = False) -> Acted:
    """What an act would come to; of a promotion only if freezes and approvals permit it, if that is asked."""
    rollout, permits = seen.rollout, seen.permits
    if not permitted:
        rollout = replace(rollout, policy=replace(rollout.policy, approvals=None), joint={})
        permits = NONE_ASKED
    return ask(rollout, lineage, act, actor="somebody", reason="", now=seen.now, to=to, permits=permits)


def _choices(seen: Seen, lineage: Lineage) -> tuple[Choice, ...]:
    """Every rung above the present one, with why it cannot be come to, if it cannot."""
    rollout, stages = seen.rollout, len(seen.rollout.policy.stages)
    first = rollout.stage + 1
    found: list[Choice] = []
    for to in range(first, stages + 2):
        try:
            asked = _ask(seen, lineage, Act.PROMOTE, to=to)
        except TransitionError:
            break
        blocked = ""
        try:
            _ask(seen, lineage, Act.PROMOTE, to=to, permitted=True)
        except TransitionError as error:
            said = sentence(without_command(error.message))
            blocked = f"{said} {sentence(error.hint)}" if error.hint else said
        label, does = _says(Act.PROMOTE, rollout, lineage, asked.decision)
        past = [rung_name(rollout.policy, rung) for rung in range(first, to)]
        found.append(
            Choice(
                to=str(to + 1) if to < stages else "soak" if to == stages else "stable",
                label=label,
                does=f"{does[:-1]}, past {wording.listed(past)}." if past else does,
                undo=sentence(asked.undo),
                blocked=blocked,
            )
        )
    return tuple(found)


def _approval(seen: Seen, who: str | None) -> list[Offer]:
    rollout, rule, open_ = seen.rollout, rule_of(seen.rollout), awaited(seen)
    if rule is None or not open_:
        return []
    stage = open_[0]
    have, name = agreed(seen, rule, stage), rung_name(rollout.policy, stage)
    blocked = ""
    if who is not None and who == rollout.author:
        blocked = f"{harmless(who)} applied {rollout.id}, and one’s own word does not count."
    elif who is not None and who in have:
        blocked = f"{harmless(who)} has approved {name} already."
    elif who is not None and rule.by and who not in rule.by:
        blocked = f"{harmless(who)} is not among those who may approve {rollout.id}."
    if blocked:
        blocked = f"{blocked} It is awaited from {from_whom(seen, rule, stage)}."
    given = f", as {wording.listed([harmless(one) for one in have])} did" if have else ""
    return [
        Offer(
            act=APPROVE,
            label=f"Approve {name}",
            key=KEYS[APPROVE],
            style="",
            question=f"Approve {name}: {rollout.id}, {_layers(rollout)}?",
            does=f"You agree to {rollout.id} going on to {name}{given}; {rule.count} "
            f"{'word is' if rule.count == 1 else 'words are'} needed, and the evidence still decides.",
            undo="A word is not taken back; whoever thinks better of it pauses or aborts.",
            blocked=blocked,
        )
    ]


def _again(seen: Seen) -> list[Offer]:
    rollout = seen.rollout
    waits = any(one.plan_id == rollout.plan_id and one.step == rollout.step for one in seen.others)
    if rollout.state not in STOPPED or waits:
        return []
    return [
        Offer(
            act=RETRY,
            label="Try again",
            key=KEYS[RETRY],
            style="",
            question=f"Try {rollout.id} again, {_layers(rollout)}?",
            does="The same values become a new rollout, queued on what is stable when its turn comes, judged "
            "by what inchworm.yaml declares now.",
            undo="The new rollout can be cancelled while it waits, and aborted later.",
        )
    ]


def _says(act: Act, rollout: Rollout, lineage: Lineage, then: Decision) -> tuple[str, str]:
    units = plural(rollout.policy.unit)
    before = share_at(rollout.state, rollout.stage, rollout.policy)
    stable = short(lineage.stable)
    match act:
        case Act.PROMOTE:
            return _promotes(rollout, then, units, before)
        case Act.RESUME:
            return "Resume", f"It goes on at {before}, with the stage’s whole time before it again."
        case Act.PAUSE if is_shadow(rollout.policy, rollout.stage):
            return "Pause", "Nothing more is mirrored until it is resumed."
        case Act.PAUSE:
            return "Pause", f"It stays at {before} and does not grow; guardrails run on."
        case Act.ABORT if then.state is RolloutState.CANCELLED:
            return "Cancel", "It leaves the queue; nobody has seen it."
        case Act.ABORT if weight_of(rollout.state, rollout.stage, rollout.policy) == 0.0:
            return "Abort", f"It ends here; everybody has stable {stable} already."
        case Act.ABORT:
            return "Abort", f"Everybody gets stable {stable} again, within a second."
        case Act.UNDO:
            base = "its base" if rollout.base is None else short(rollout.base)
            return "Undo", f"Stable goes back from {stable} to {base} for everybody."


def _promotes(rollout: Rollout, then: Decision, units: str, before: str) -> tuple[str, str]:
    if then.state is RolloutState.COMPLETED:
        soaks = rollout.state is RolloutState.SOAKING or rollout.stage >= len(rollout.policy.stages)
        ahead = ", ahead of the end of its soak" if soaks else ""
        return "Promote to stable", f"The candidate becomes stable for everybody{ahead}."
    soak = then.stage >= len(rollout.policy.stages)
    after = wording.share(then.weight) if soak else stage_name(rollout, then.stage)
    if is_shadow(rollout.policy, then.stage):
        return f"Start {after}", f"The {units} of {after} are mirrored to it, for nobody to see."
    if rollout.stage < 0:
        return f"Expose to {after}", f"{after} of the {units} get it, past its benchmark."
    label = f"Promote to the soak, {after}" if soak else f"Promote to {after}"
    return label, f"It goes from {before} to {after}, ahead of the evidence."


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
