"""What besides evidence must be in order before somebody new gets the candidate.

Freezes, approvals and the loss budget. They are the app's and its people's, not the rollout's evidence: what
was observed of them is stored with each decision, so that it replays. Going back never asks them: harm,
pause, abort and undo work in every freeze.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from inchworm.domain.ids import BenchmarkId, ConfigurationId, short
from inchworm.domain.layers import Layer
from inchworm.domain.rollout import Approval, Approvals, Policy, StageKind
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import counted, duration, listed, points
from inchworm.domain.wording import share as percent

if TYPE_CHECKING:  # it holds permits itself
    from inchworm.rollout.observed import Subject

JOINT: Final = Approvals()
"""What a joint step needs at least: one other person, before anybody is exposed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Where the loss budget stands: the candidate, benchmarked against the anchor.

    Attributes:
        anchor: what was stable when the budget's time began.
        since: that moment, seconds since the epoch.
        verdict: only ``pass`` keeps the budget; ``None`` while it is not measured.
        benchmark_id: the benchmark, once made.
        because: its sentence.
    """

    anchor: ConfigurationId
    since: float
    verdict: Verdict | None = None
    benchmark_id: BenchmarkId | None = None
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permits:
    """What was found in order, or not.

    Attributes:
        frozen: the freeze that is on, as a clause; ``None`` if none is.
        frozen_until: when it ends, seconds since the epoch.
        approvals: who has agreed to this rollout, to any of its stages.
        anchor: where the loss budget stands; ``None`` if nobody counts, or nothing was lost before.
        anchor_asked: whether a person has been asked about it already.
        shadow: what its shadow stage took so far; ``None`` where nothing is mirrored.
    """

    frozen: str | None = None
    frozen_until: float | None = None
    approvals: tuple[Approval, ...] = ()
    anchor: Budget | None = None
    anchor_asked: bool = False
    shadow: ShadowSpent | None = None


NONE_ASKED: Final = Permits()
"""No freeze, nobody has agreed, nobody counts."""


def needed(policy: Policy, joint: Collection[Layer]) -> Approvals | None:
    """Who must agree; a joint step always needs somebody before it is exposed."""
    asked = policy.approvals
    if not joint:
        return asked
    if asked is None:
        return JOINT
    if 0 in asked.before and asked.count > 0:
        return asked
    return Approvals(count=max(asked.count, 1), by=asked.by, before=tuple(sorted({0, *asked.before})))


def approved_by(
    approvals: Sequence[Approval], rule: Approvals, *, stage: int, author: str
) -> tuple[str, ...]:
    """The different people whose word counts before ``stage``, in the order in which they gave it."""
    names = dict.fromkeys(
        one.actor
        for one in approvals
        if one.stage == stage and one.actor != author and (not rule.by or one.actor in rule.by)
    )
    return tuple(names)


def unreachable(policy: Policy, joint: Collection[Layer], author: str) -> str | None:
    """Why enough people can never agree to what ``author`` applies, as a clause; ``None`` if they can."""
    rule = needed(policy, joint)
    if rule is None or not rule.by:
        return None
    others = [name for name in rule.by if name != author]
    if len(others) >= rule.count:
        return None
    may = f"only {listed(others)} may give one" if others else "nobody else may give one"
    own = f"the word of {author}, who applies it, does not count"
    return f"it needs {counted(rule.count, 'approval')}, and {may}: {own}"


def obstacles(subject: Subject, permits: Permits, next_stage: int) -> tuple[str, ...]:
    """Why it may not go on, as clauses; empty if it may.

    Args:
        subject: the rollout.
        permits: what was found.
        next_stage: where it would go, 0-based; the number of stages for the soak, one more for stable.
    """
    if subject.emergency is not None:
        return ()
    found = [*frozen(subject, permits), *unapproved(subject, permits.approvals, next_stage)]
    return (*found, *_unmeasured(subject, permits, next_stage))


def frozen(subject: Subject, permits: Permits) -> tuple[str, ...]:
    """The freeze that is on, as a clause; empty if none is. It ends by itself: nobody has to be asked."""
    if subject.emergency is not None or permits.frozen is None:
        return ()
    return (f"nothing grows in {permits.frozen}",)


def asking(subject: Subject, permits: Permits, next_stage: int) -> tuple[str, ...]:
    """What of the obstacles only people can clear away: no freeze, and no benchmark that is being made."""
    if subject.emergency is not None:
        return ()
    known = permits.anchor is not None and permits.anchor.verdict is not None
    budget = _unmeasured(subject, permits, next_stage) if known else []
    return (*unapproved(subject, permits.approvals, next_stage), *budget)


def unapproved(subject: Subject, approvals: Sequence[Approval], next_stage: int) -> list[str]:
    """What is missing of the approvals before ``next_stage``, as a clause."""
    rule = needed(subject.policy, subject.joint)
    if rule is None or next_stage not in rule.before:
        return []
    have = approved_by(approvals, rule, stage=next_stage, author=subject.author)
    if len(have) >= rule.count:
        return []
    so_far = f"{len(have)} of {rule.count} approvals" if rule.count > 1 else "no approval yet"
    given = f" ({listed(have)})" if have else ""
    left = [name for name in rule.by if name not in have and name != subject.author]
    if left:
        ask = _either(left)
    elif rule.by:
        ask = f"nobody who may, since {subject.author} applied it"
    else:
        ask = f"anybody but {subject.author}, who applied it"
    missing = f"it has {so_far}{given} for {rung_name(subject.policy, next_stage)}"
    return [f"{missing}; awaited from {ask}: inchworm rollout approve {subject.id}"]


def over_budget(subject: Subject, permits: Permits) -> str | None:
    """Why the loss budget is spent, as a clause; ``None`` if it is not known to be."""
    budget = permits.anchor
    if subject.emergency is not None or budget is None or budget.verdict is not Verdict.FAIL:
        return None
    return _budget(subject, budget)


def rung_name(policy: Policy, stage: int) -> str:
    """A rung as people call it: ``25 %``, ``the shadow of 30 %``, ``the soak``, ``stable``."""
    stages = policy.stages
    if stage < len(stages):
        share = percent(stages[stage].weight)
        return f"the shadow of {share}" if stages[stage].kind is StageKind.SHADOW else share
    return "the soak" if stage == len(stages) else "stable"


def _unmeasured(subject: Subject, permits: Permits, next_stage: int) -> list[str]:
    """The loss budget: what is known to be spent exposes nobody, what is not known does not grow."""
    budget = permits.anchor
    if budget is None or budget.verdict is Verdict.PASS:
        return []
    if next_stage <= 0 and budget.verdict is not Verdict.FAIL:
        return []
    return [_budget(subject, budget)]


def _budget(subject: Subject, budget: Budget) -> str:
    limits = subject.policy.loss_budget
    allowed = (
        ""
        if limits is None
        else f" of {points(limits.margin, signed=False)} points per {duration(limits.per_s)}"
    )
    since = datetime.fromtimestamp(budget.since, UTC)
    against = f"the loss budget{allowed} against {short(budget.anchor)} (stable on {since.day} {since:%b})"
    if budget.verdict is None:
        return f"{against} is not measured yet"
    said = budget.because.strip().rstrip(".") or "nothing was measured"
    where = f" in benchmark {budget.benchmark_id}" if budget.benchmark_id is not None else ""
    kept = "is spent" if budget.verdict is Verdict.FAIL else "is not shown to be kept"
    return f"{against} {kept}: {said}{where}"


def _either(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
