"""What besides evidence decides whether somebody new may get it: freezes, approvals, the loss budget."""

from __future__ import annotations

import re
from collections.abc import Iterator

from inchworm.app.texts import harmless
from inchworm.app.web.views.seen import Seen
from inchworm.app.web.views.stages import either
from inchworm.app.web.views.words import at, coming, sentence
from inchworm.domain import wording
from inchworm.domain.ids import short
from inchworm.domain.rollout import Approvals, Rollout
from inchworm.domain.verdict import Verdict
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import approved_by, needed, over_budget, rung_name
from inchworm.rollout.transitions import TERMINAL, UNEXPOSED, Rung

_NEAR_S = 3 * 86_400.0
"""How far ahead a freeze is worth a line on the ladder."""
_COMMAND = re.compile(r": inchworm rollout approve r-\d+")
_MEASURED = {
    Verdict.PASS: "kept",
    Verdict.FAIL: "spent",
    Verdict.INCONCLUSIVE: "not shown to be kept",
    Verdict.NO_DATA: "not shown to be kept: nothing was measured",
    Verdict.ERRORED: "not shown to be kept: its benchmark errored",
    Verdict.CANCELLED: "not shown to be kept: its benchmark was cancelled",
}


def rule_of(rollout: Rollout) -> Approvals | None:
    """Who must agree; nobody of an emergency."""
    return None if rollout.emergency is not None else needed(rollout.policy, rollout.joint)


def here(rollout: Rollout) -> int:
    """The stage that it stands at; −1 while nobody was exposed."""
    return UNEXPOSED if Subject.of(rollout).rung is Rung.UNEXPOSED else rollout.stage


def awaited(seen: Seen) -> tuple[int, ...]:
    """The stages ahead that lack approvals."""
    rollout, rule = seen.rollout, rule_of(seen.rollout)
    if rule is None or rollout.state in TERMINAL:
        return ()
    return tuple(
        stage
        for stage in sorted(rule.before)
        if stage > here(rollout) and len(agreed(seen, rule, stage)) < rule.count
    )


def agreed(seen: Seen, rule: Approvals, stage: int) -> tuple[str, ...]:
    """Whose word counts before a stage."""
    return approved_by(seen.approvals, rule, stage=stage, author=seen.rollout.author)


def from_whom(seen: Seen, rule: Approvals, stage: int) -> str:
    """``ben or carla``, ``anybody but ana``."""
    have = agreed(seen, rule, stage)
    left = [name for name in rule.by if name not in have and name != seen.rollout.author]
    return (
        either([harmless(name) for name in left]) if left else f"anybody but {harmless(seen.rollout.author)}"
    )


def approval_line(seen: Seen, stage: int) -> str:
    """What a rung says of approvals: ``approved by ben``, ``needs 1 more approval: carla or dora``."""
    rule = rule_of(seen.rollout)
    if rule is None or stage not in rule.before:
        return ""
    have = agreed(seen, rule, stage)
    missing = rule.count - len(have)
    if missing <= 0:
        return f"approved by {wording.listed([harmless(name) for name in have])}"
    if seen.rollout.state in TERMINAL or stage <= here(seen.rollout):
        return ""
    more = "more " if have else ""
    return (
        f"needs {missing} {more}{'approval' if missing == 1 else 'approvals'}: {from_whom(seen, rule, stage)}"
    )


def freeze_line(seen: Seen) -> str:
    """What the next rung says of freezes: ``freeze until Mon 08:00``, ``freeze from Fri 16:00``."""
    if seen.rollout.emergency is not None or seen.rollout.state in TERMINAL:
        return ""
    if seen.permits.frozen is not None:
        until = seen.permits.frozen_until
        return "freeze" if until is None else f"freeze until {coming(until, seen.now)}"
    nearest = next((one for one in seen.freezes if seen.now < one.start <= seen.now + _NEAR_S), None)
    return "" if nearest is None else f"freeze from {coming(nearest.start, seen.now)}"


def without_command(clause: str) -> str:
    """A clause, or a sentence, without the command that a button of the page stands for."""
    return _COMMAND.sub("", clause)


def facts_of_permits(seen: Seen) -> Iterator[tuple[str, str]]:
    """Approvals and the loss budget, for the list in the head."""
    rollout, rule = seen.rollout, rule_of(seen.rollout)
    if rule is not None:
        yield from _approvals(seen, rule)
    elif rollout.emergency is not None and needed(rollout.policy, rollout.joint) is not None:
        yield "approvals", "passed over: the glass was broken"
    if (said := _budget(seen)) is not None:
        yield "loss budget", said


def _approvals(seen: Seen, rule: Approvals) -> Iterator[tuple[str, str]]:
    now = seen.now
    counts = {one: agreed(seen, rule, one) for one in rule.before}
    given = [
        f"{harmless(one.actor)} for {rung_name(seen.rollout.policy, one.stage)}, {at(one.at, now)}"
        + (f" (“{harmless(one.reason)}”)" if one.reason else "")
        for one in seen.approvals
        if one.actor in counts.get(one.stage, ())
    ]
    if given:
        yield "approved", "; ".join(given)
    missing = [
        f"{rule.count - len(counts[stage])} for {rung_name(seen.rollout.policy, stage)} "
        f"from {from_whom(seen, rule, stage)}"
        for stage in awaited(seen)
    ]
    if missing:
        yield "awaited", "; ".join(missing)


def _budget(seen: Seen) -> str | None:
    """Where the loss budget stands: its verdict, and on what that rests."""
    limits, anchor = seen.rollout.policy.loss_budget, seen.rollout.anchor
    if limits is None:
        return None
    allowed = f"{wording.points(limits.margin, signed=False)} points per {wording.duration(limits.per_s)}"
    if seen.rollout.emergency is not None:
        return f"{allowed}, not counted: the glass was broken"
    if anchor is None:
        return f"{allowed}, counted from when it starts"
    budget = seen.permits.anchor
    if budget is None:
        return f"{allowed} against {short(anchor)}, which it starts from: nothing was lost before"
    against = f"{allowed} against {short(anchor)}, stable {at(budget.since, seen.now)}"
    if budget.verdict is None:
        return f"{against}: not measured yet"
    mark = "■ " if over_budget(Subject.of(seen.rollout), seen.permits) is not None else ""
    because = f": {sentence(budget.because)}" if budget.because else ""
    return f"{against}: {mark}{_MEASURED[budget.verdict]}{because}"
