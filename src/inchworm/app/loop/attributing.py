"""Who did it: bundles taken apart on an eval set, broken cases proposed, the way back planned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.measuring import TrialRunner, Watch
from inchworm.app.loop.sampling import MAIN, repetitions
from inchworm.attribution.propose import from_attribution, from_failures
from inchworm.attribution.unbundle import unbundle
from inchworm.domain.attribution import Attribution, Proposal
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import UsageError
from inchworm.domain.evalset import Case, EvalSet
from inchworm.domain.ids import CaseId, RolloutId
from inchworm.domain.metric import Role
from inchworm.domain.rollout import LedgerEntry
from inchworm.domain.trace import Arm, Trace
from inchworm.store.traces import TraceFilter

_FAILED = 0.5
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an attribution found, and what it proposes."""

    attribution: Attribution
    proposals: tuple[Proposal, ...]


def attribute(
    house: House,
    base: Configuration,
    candidate: Configuration,
    *,
    eval_set: EvalSet | None = None,
    metric: str | None = None,
    samples: int | None = None,
    watch: Watch | None = None,
) -> Findings:
    """Measure every combination of the layers that differ, name those that did it, propose cases.

    Proposed are broken cases that the latest ``main`` lacks, so attributing on another draw (or after
    ``main`` was drawn anew) finds more to propose than attributing on ``main`` itself.

    Raises:
        UsageError: if nothing differs, or no such metric is declared.
        NotIdentifiableError: if too many layers moved, or too few cases can be scored.
    """
    cases = (house.control.eval_set(house.app, MAIN) if eval_set is None else eval_set).remaining()
    now = house.now()
    for configuration in (base, candidate):
        house.control.put_configuration(house.app, configuration, note="attributed", at=now)
    attribution = unbundle(
        cases,
        base,
        candidate,
        _metric(house, metric),
        TrialRunner(house, watch),
        repetitions=repetitions((base, candidate)) if samples is None else samples,
    )
    house.control.put_attribution(attribution, at=now)
    house.control.put_configuration(
        house.app,
        base.with_layers_of(candidate, attribution.ship.moved),
        note=f"best combination of {', '.join(attribution.layers)}",
        at=now,
    )
    proposals = from_attribution(attribution, known=_known(house))
    by_id: dict[str, Case] = {case.id: case for case in cases.cases}
    for proposal in proposals:
        house.control.put_proposal(proposal, [by_id[case_id] for case_id in proposal.cases], at=now)
    house.control.append_ledger(
        LedgerEntry(
            app=house.app,
            at=now,
            kind="attribution",
            actor=house.actor,
            what=_what(attribution),
            data={"base": base.id, "candidate": candidate.id, "metric": attribution.metric},
        )
    )
    return Findings(attribution=attribution, proposals=proposals)


def propose_failures(house: House, rollout_id: RolloutId) -> tuple[Proposal, ...]:
    """Propose what a rollout's candidate failed on in production, if the eval set lacks it.

    Raises:
        NotFoundError: if there is no such rollout.
    """
    rollout = house.control.rollout(rollout_id)
    goal = _metric(house, None)
    failed: list[Trace] = []
    after: str | None = None
    while True:
        page = house.traces.traces(
            house.app,
            filters=TraceFilter(rollout=rollout_id, arm=Arm.CANDIDATE, metric_below=(goal, _FAILED)),
            after=after,
            limit=_PAGE,
        )
        failed += page.traces
        after = page.next_cursor
        if after is None:
            break
    known = _known(house)
    new = [trace for trace in failed if Case.identify(trace.inputs, trace.reference, trace.call) not in known]
    proposal, cases = from_failures(
        house.app,
        f"rollout:{rollout_id}",
        f"{len(failed):,} sessions of {rollout_id} ({rollout.layer}) failed {goal}; their cases that the "
        "eval set lacks are proposed",
        new,
        house.traces.clusters(house.app, [trace.id for trace in new]),
    )
    if not cases:
        return ()
    house.control.put_proposal(proposal, cases, at=house.now())
    return (proposal,)


def _known(house: House) -> frozenset[CaseId]:
    """The cases that the eval set has already."""
    if not any(summary.name == MAIN for summary in house.control.eval_sets(house.app)):
        return frozenset()
    return frozenset(case.id for case in house.control.eval_set(house.app, MAIN).cases)


def _metric(house: House, name: str | None) -> str:
    declared: Sequence[str] = [metric.name for metric in house.spec.metrics]
    if name is None:
        goals = [metric.name for metric in house.spec.metrics if metric.role is Role.GOAL]
        return (goals or list(declared))[0]
    if name not in declared:
        raise UsageError(f'no metric "{name}" is declared; declared are {", ".join(declared)}')
    return name


def _what(attribution: Attribution) -> str:
    named = [" × ".join(item.layers) for item in attribution.contributions if item.named]
    who = ", ".join(named) if named else "nobody"
    return f"{attribution.metric} attributed on {attribution.eval_set}: {who} named."
