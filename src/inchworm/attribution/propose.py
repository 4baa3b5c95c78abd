"""Feeding back: the cases that a change broke are proposed to the eval set. ``benchmark`` admits them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inchworm.domain.attribution import Attribution, Proposal
from inchworm.domain.canonical import digest
from inchworm.domain.configuration import AppRef
from inchworm.domain.evalset import Case
from inchworm.domain.ids import CaseId, TraceId
from inchworm.domain.trace import Trace


def from_attribution(
    attribution: Attribution, *, known: frozenset[CaseId] = frozenset()
) -> tuple[Proposal, ...]:
    """One proposal per named contribution that breaks cases, largest loss first.

    Args:
        attribution: the answer of an unbundling.
        known: cases that the eval set has already; they are counted, and not proposed.
    """
    harmful = [
        item for item in attribution.contributions if item.named and item.effect.high < 0 and item.cases
    ]
    proposals: list[Proposal] = []
    for item in sorted(harmful, key=lambda item: item.effect.estimate):
        fresh = tuple(case_id for case_id in item.cases if case_id not in known)
        if not fresh:
            continue
        had = len(item.cases) - len(fresh)
        proposals.append(
            _proposal(
                attribution.app,
                f"attribution:{'+'.join(item.layers)}",
                f"{len(item.cases):,} cases fail only with {' and '.join(item.layers)}"
                + (f", {had:,} of them in the eval set already" if had else ""),
                fresh,
            )
        )
    return tuple(proposals)


def from_failures(
    app: AppRef, origin: str, because: str, traces: Sequence[Trace], clusters: Mapping[TraceId, str]
) -> tuple[Proposal, tuple[Case, ...]]:
    """Failures seen in production as cases, without duplicates, in the order of their ids.

    Args:
        app: whose.
        origin: where they were seen, e.g. ``rollout:r-2``.
        because: why they are proposed, as a sentence.
        traces: sanitized interactions that failed.
        clusters: the cluster of each trace; one without stays unclustered.
    """
    cases: dict[CaseId, Case] = {}
    for trace in traces:
        if not trace.has_content:
            continue
        case = Case(
            id=Case.identify(trace.inputs, trace.reference, trace.call),
            inputs=trace.inputs,
            reference=trace.reference,
            origin=f"trace:{trace.id}",
            cluster=clusters.get(trace.id, ""),
            group=trace.unit_id,
            call=trace.call,
        )
        cases.setdefault(case.id, case)
    ordered = tuple(cases[key] for key in sorted(cases))
    return _proposal(app, origin, because, tuple(case.id for case in ordered)), ordered


def _proposal(app: AppRef, origin: str, because: str, cases: tuple[CaseId, ...]) -> Proposal:
    content = {"app": str(app), "origin": origin, "cases": list(cases)}
    return Proposal(
        id=f"proposal-{digest(content)[:6]}", app=app, origin=origin, because=because, cases=cases
    )
