"""What came in, and what was drawn from it: traces, topics, eval sets, findings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inchworm.app.asjson.values import data_of
from inchworm.domain.outcome import encode

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.app.loop.attributing import Findings
    from inchworm.app.loop.topics import Picture
    from inchworm.domain.attribution import Proposal
    from inchworm.domain.evalset import Case, EvalSet
    from inchworm.domain.span import Span
    from inchworm.domain.trace import Trace
    from inchworm.store.control import EvalSetSummary


def trace(one: Trace, cluster: str | None) -> dict[str, Any]:
    """An interaction without its content."""
    assignment = one.assignment
    return {
        "id": one.id,
        "at": one.at,
        "unit": one.unit_id,
        "configuration": one.configuration_id,
        "rollout": None if assignment is None else assignment.rollout_id,
        "stage": None if assignment is None else assignment.stage,
        "arm": None if assignment is None else assignment.arm.value,
        "probability": None if assignment is None else assignment.probability,
        "cluster": cluster,
        "shadow_of": one.shadow_of,
        "outcome": encode(one.outcome),
        "finish_reason": one.finish_reason,
        "latency_ms": one.latency_ms,
        "usage": {
            "input_tokens": one.usage.input_tokens,
            "output_tokens": one.usage.output_tokens,
            "cost_usd": one.usage.cost_usd,
        },
        "scores": [
            {
                "metric": score.metric,
                "result": encode(score.result),
                "source": score.source,
                "at": score.at,
                "id": score.id,
                "comment": score.comment,
            }
            for score in one.scores
        ],
    }


def span(one: Span) -> dict[str, Any]:
    """A piece of work within an interaction, with its content."""
    return {
        "id": one.id,
        "parent": one.parent_id,
        "name": one.name,
        "kind": one.kind.value,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
        "outcome": None if one.outcome is None else encode(one.outcome),
        "model": one.model,
        "usage": {
            "input_tokens": one.usage.input_tokens,
            "output_tokens": one.usage.output_tokens,
            "cost_usd": one.usage.cost_usd,
        },
        "finish_reason": one.finish_reason,
        "inputs": dict(one.inputs),
        "output": one.output,
        "attributes": dict(one.attributes),
    }


def whole_trace(
    one: Trace, cluster: str | None, shadow: Trace | None = None, spans: Sequence[Span] = ()
) -> dict[str, Any]:
    """An interaction with its content and its spans.

    Also with what a candidate answered to the same, for nobody to see.
    """
    return {
        **trace(one, cluster),
        "shadow": None if shadow is None else {**trace(shadow, None), "output": shadow.output},
        "inputs": one.inputs,
        "output": one.output,
        "reference": one.reference,
        "attributes": one.attributes,
        "spans": [span(each) for each in spans],
    }


def picture(seen: Picture, odd: int) -> dict[str, Any]:
    """What people ask about; of what fits nothing, the ``odd`` oddest."""
    from inchworm.label.clusters import PassRate

    return {
        "metric": seen.metric or None,
        "interactions": seen.interactions,
        "unclustered": seen.unclustered,
        "topics": [
            {
                "id": topic.cluster.id,
                "name": topic.cluster.name,
                "interactions": topic.messages,
                "quality": {
                    "passed": quality.passed,
                    "scored": quality.scored,
                    "rate": quality.rate,
                    "low": quality.low,
                    "high": quality.high,
                }
                if isinstance(quality := topic.quality, PassRate)
                else None,
            }
            for topic in seen.topics
        ],
        "odd": [
            {
                "trace": one.trace_id,
                "seen": one.seen,
                "score": one.anomaly.score,
                "reasons": list(one.anomaly.reasons),
            }
            for one in seen.oddities[:odd]
        ],
    }


def eval_set(found: EvalSet, cases: Sequence[Case] = ()) -> dict[str, Any]:
    """An eval set, with these of its cases."""
    return {
        "id": found.id,
        "name": found.name,
        "version": found.version,
        "parent": found.parent,
        "population": found.population,
        "count": len(found.cases),
        "shares": found.shares,
        "cases": [
            {
                "id": case.id,
                "cluster": case.cluster,
                "group": case.group,
                "weight": case.weight,
                "origin": case.origin,
                "inputs": case.inputs,
                "reference": case.reference,
            }
            for case in cases
        ],
    }


def eval_set_row(one: EvalSetSummary) -> dict[str, Any]:
    """A version of an eval set in a listing."""
    return {
        "id": one.id,
        "name": one.name,
        "version": one.version,
        "cases": one.cases,
        "population": one.population,
        "at": one.at,
    }


def proposal(one: Proposal) -> dict[str, Any]:
    """Cases that somebody would like to have in the eval set."""
    return {"id": one.id, "origin": one.origin, "because": one.because, "cases": list(one.cases)}


def findings(found: Findings) -> dict[str, Any]:
    """What an attribution found."""
    return {
        "attribution": data_of(found.attribution),
        "proposals": [data_of(one) for one in found.proposals],
    }
