"""What waits for a person: only what exists, the oldest consequence first, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inchworm.app.loop.retiring import Retiring
from inchworm.app.texts import harmless
from inchworm.app.web.views.permitted import without_command
from inchworm.app.web.views.stages import either
from inchworm.app.web.views.words import sentence, sentence_end
from inchworm.capture.spool import Quarantined
from inchworm.domain.attribution import Proposal
from inchworm.domain.ids import short
from inchworm.domain.notice import Notice
from inchworm.domain.rollout import Approval, Lineage, Rollout, RolloutState
from inchworm.domain.wording import counted
from inchworm.domain.work import WorkItem
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import approved_by, needed, rung_name
from inchworm.rollout.transitions import UNEXPOSED, Rung

_TELLING = "notifications"
"""The part of the server that tells people; what it could not deliver says more than that it is not well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """One thing.

    Attributes:
        verb: what is asked: ``decide``, ``approve``, ``accept``, ``mend``, ``look``, ``adopt``, ``plan``.
        name: what it is about; linked if there is a page.
        href: the page; empty if there is none.
        said: the rest of the sentence.
        command: what to type; empty if the page has a button for it.
        since: since when, seconds since the epoch; ``None`` if nobody knows.
    """

    verb: str
    name: str
    href: str
    said: str
    command: str
    since: float | None


def waits(
    *,
    flying: Sequence[Rollout],
    queued: Sequence[Rollout],
    lineage: Lineage | None,
    declared: str,
    traces: int,
    proposals: Sequence[Proposal],
    failed: Sequence[WorkItem],
    quarantine: Sequence[Quarantined],
    health: Mapping[str, str],
    approvals: Sequence[Approval] = (),
    untold: Sequence[Notice] = (),
    retiring: Sequence[Retiring] = (),
) -> tuple[Waits, ...]:
    """Everything that a person is needed for.

    Args:
        flying: rollouts in flight.
        queued: rollouts that wait.
        lineage: what is stable.
        declared: id of the configuration that ``inchworm.yaml`` declares.
        traces: how many are stored.
        proposals: open ones.
        failed: work that failed for good.
        quarantine: what could not be taken in.
        health: what is wrong, by part.
        approvals: who agreed to what is in flight or queued.
        untold: notices that could not be delivered.
        retiring: configured models that are switched off soon, or were.
    """
    found = [
        Waits(
            verb="decide",
            name=one.id,
            href=f"/rollouts/{one.id}",
            said=f"is {sentence_end(one.because.replace('`', ''))}",
            command="",
            since=one.entered_at,
        )
        for one in flying
        if one.state in {RolloutState.HOLDING, RolloutState.PAUSED}
        # Held for somebody's word alone, it is that word that is asked for.
        and not (one.state is RolloutState.HOLDING and without_command(one.because) != one.because)
    ]
    found += [one for rollout in (*flying, *queued) for one in _approval(rollout, approvals)]
    found += [
        Waits(verb="mend", name=name, href="", said=sentence(said), command="inchworm doctor", since=None)
        for name, said in health.items()
        if not (untold and name == _TELLING)
    ]
    found += [_failed(one) for one in failed]
    if untold:
        found.append(_untold(untold))
    found += [_retires(one) for one in retiring]
    if quarantine:
        found.append(_quarantine(quarantine))
    found += [_proposal(one) for one in proposals]
    found += _first_steps(lineage, declared, traces=traces, idle=not flying and not queued)
    return tuple(found)


def _approval(one: Rollout, approvals: Sequence[Approval]) -> list[Waits]:
    """The next rung that lacks somebody's word: ``r-7 needs 1 more approval for 25 %: ben or carla``."""
    rule = None if one.emergency is not None else needed(one.policy, one.joint)
    if rule is None:
        return []
    mine = [approval for approval in approvals if approval.rollout_id == one.id]
    here = UNEXPOSED if Subject.of(one).rung is Rung.UNEXPOSED else one.stage
    for stage in sorted(rule.before):
        have = approved_by(mine, rule, stage=stage, author=one.author)
        missing = rule.count - len(have)
        if stage <= here or missing <= 0:
            continue
        left = [name for name in rule.by if name not in have and name != one.author]
        whose = either(left) if left else f"anybody but {one.author}"
        more = "more " if have else ""
        return [
            Waits(
                verb="approve",
                name=one.id,
                href=f"/rollouts/{one.id}",
                said=f"needs {missing} {more}{'approval' if missing == 1 else 'approvals'} "
                f"for {rung_name(one.policy, stage)}: {harmless(whose)}.",
                command="",
                since=one.entered_at if one.state is not RolloutState.QUEUED else one.created_at,
            )
        ]
    return []


def _untold(untold: Sequence[Notice]) -> Waits:
    last = max(untold, key=lambda one: one.at)
    return Waits(
        verb="mend",
        name=counted(len(untold), "notification"),
        href="",
        said=f"could not be delivered, the last because: {sentence(last.error or 'nobody said why')}",
        command="inchworm notify retry",
        since=min(one.at for one in untold),
    )


def _retires(one: Retiring) -> Waits:
    where = f" It is named by {either(one.where)}." if len(one.where) == 1 else ""
    return Waits(
        verb="plan",
        name=one.model,
        href="",
        said=f"{one.text.removeprefix(one.model).strip()}{where}",
        command="",
        since=None,
    )


def _failed(one: WorkItem) -> Waits:
    rollout = one.payload.get("rollout")
    name = str(rollout) if rollout else one.id
    return Waits(
        verb="look",
        name=name,
        href=f"/rollouts/{rollout}" if rollout else "",
        said=f"its {one.kind} failed after {one.attempts:,} "
        f"{'try' if one.attempts == 1 else 'tries'}: {sentence(one.error or 'nobody said why')}",
        command="",
        since=None,
    )


def _quarantine(quarantine: Sequence[Quarantined]) -> Waits:
    records = sum(one.records or 0 for one in quarantine)
    what = counted(records, "record") if records else counted(len(quarantine), "segment")
    last = max(quarantine, key=lambda one: one.at)
    return Waits(
        verb="look",
        name=what,
        href="",
        said=f"could not be taken in and wait in quarantine, the last because: {sentence(last.reason)}",
        command="inchworm doctor",
        since=min(one.at for one in quarantine),
    )


def _proposal(one: Proposal) -> Waits:
    cases = "1 case" if len(one.cases) == 1 else f"{len(one.cases):,} cases"
    return Waits(
        verb="accept",
        name=one.id,
        href="",
        said=f"{cases} for the eval set: {sentence(one.because)}",
        command=f"inchworm evalset accept {one.id}",
        since=None,
    )


def _first_steps(lineage: Lineage | None, declared: str, *, traces: int, idle: bool) -> list[Waits]:
    if lineage is None and traces:
        said = "is stable yet, so nothing can be changed safely. Adopt what the traffic shows."
        command = "inchworm adopt"
        return [Waits(verb="adopt", name="nothing", href="", said=said, command=command, since=None)]
    if lineage is not None and lineage.stable != declared and idle:
        return [
            Waits(
                verb="plan",
                name="inchworm.yaml",
                href="",
                said=f"says {short(declared)}, stable is {short(lineage.stable)}, and nothing is planned.",
                command="inchworm plan",
                since=None,
            )
        ]
    return []
