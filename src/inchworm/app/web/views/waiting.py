"""What waits for a person: only what exists, the oldest consequence first, each with what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inchworm.app.web.views.words import sentence, sentence_end
from inchworm.capture.spool import Quarantined
from inchworm.domain.attribution import Proposal
from inchworm.domain.ids import short
from inchworm.domain.rollout import Lineage, Rollout, RolloutState
from inchworm.domain.wording import counted
from inchworm.domain.work import WorkItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """One thing.

    Attributes:
        verb: what is asked: ``decide``, ``accept``, ``mend``, ``look``, ``adopt``, ``plan``.
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
    ]
    found += [
        Waits(verb="mend", name=name, href="", said=sentence(said), command="inchworm doctor", since=None)
        for name, said in health.items()
    ]
    found += [_failed(one) for one in failed]
    if quarantine:
        found.append(_quarantine(quarantine))
    found += [_proposal(one) for one in proposals]
    found += _first_steps(lineage, declared, traces=traces, idle=not flying and not queued)
    return tuple(found)


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
