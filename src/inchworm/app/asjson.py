"""What is told as JSON, by the command line with ``--json`` and by the API: the same of the same thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inchworm.domain.change import Absent, ValueDiff
from inchworm.domain.outcome import encode
from inchworm.store import codec

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.app.loop.attributing import Findings
    from inchworm.app.loop.changing import Outlook
    from inchworm.app.loop.seeing import Seen
    from inchworm.app.loop.standing import Standing
    from inchworm.app.loop.topics import Picture
    from inchworm.domain.attribution import Proposal
    from inchworm.domain.change import Plan
    from inchworm.domain.evalset import Case, EvalSet
    from inchworm.domain.rollout import Decision, LedgerEntry, Rollout
    from inchworm.domain.serving import Resolved
    from inchworm.domain.trace import Trace
    from inchworm.rollout.commands import Acted
    from inchworm.store.control import ApiKey, AuditEntry, EvalSetSummary


def data_of(value: Any) -> Any:
    """The JSON form of a domain value: members are named as its fields are."""
    return codec.from_text(codec.encode(value))


def difference(diff: ValueDiff) -> dict[str, Any]:
    """One value that differs; a side on which the key does not exist is left out."""
    sides = {"old": diff.old, "new": diff.new}
    found = {side: value for side, value in sides.items() if not isinstance(value, Absent)}
    return {"layer": str(diff.layer), "path": list(diff.path), **found}


def standing(seen: Standing, following: str) -> dict[str, Any]:
    """Where an app stands, and what to do next."""
    lineage = seen.lineage
    return {
        "app": seen.app,
        "declared": seen.declared,
        "stable": None
        if lineage is None
        else {"configuration": lineage.stable, "since": lineage.since, "note": lineage.note},
        "in_flight": None if seen.in_flight is None else _named(seen.in_flight),
        "queued": [_named(one) for one in seen.queued],
        "eval_sets": [{"id": name, "cases": cases} for name, cases in seen.eval_sets],
        "traces": seen.traces,
        "traces_unknown_because": seen.hindrance,
        "period": None if seen.period is None else {"from": seen.period[0], "to": seen.period[1]},
        "proposals": seen.proposals,
        "next": following or None,
    }


def _named(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "layer": str(rollout.layer),
        "state": rollout.state.value,
        "stage": rollout.stage,
        "because": rollout.because,
    }


def ledger_entry(entry: LedgerEntry) -> dict[str, Any]:
    """What changed."""
    return {"at": entry.at, "kind": entry.kind, "actor": entry.actor, "what": entry.what, "data": entry.data}


def audit_entry(entry: AuditEntry) -> dict[str, Any]:
    """Who did what."""
    return {
        "at": entry.at,
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "because": entry.because,
    }


def api_key(key: ApiKey) -> dict[str, Any]:
    """A key, without anything that it could be made from."""
    return {
        "id": key.id,
        "name": key.name,
        "scope": key.scope.value,
        "created_at": key.created_at,
        "created_by": key.created_by,
        "expires_at": key.expires_at,
        "used_at": key.used_at,
        "revoked_at": key.revoked_at,
    }


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
            }
            for score in one.scores
        ],
    }


def whole_trace(one: Trace, cluster: str | None) -> dict[str, Any]:
    """An interaction with its content."""
    return {
        **trace(one, cluster),
        "inputs": one.inputs,
        "output": one.output,
        "reference": one.reference,
        "attributes": one.attributes,
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


def plan(one: Plan) -> dict[str, Any]:
    """A plan."""
    change = one.change
    return {
        "id": one.id,
        "app": str(change.app),
        "base": change.base.id,
        "candidate": change.candidate.id,
        "author": change.author,
        "reason": change.reason,
        "layers": [str(layer) for layer in change.layers],
        "diffs": [difference(diff) for diff in one.diffs],
        "steps": [
            {
                "number": step.number,
                "layer": str(step.layer),
                "base": step.base,
                "candidate": step.candidate.id,
                "because": step.because,
                "after": [str(layer) for layer in step.after],
            }
            for step in one.steps
        ],
        "notes": list(one.notes),
    }


def planned(one: Plan, outlook: Outlook) -> dict[str, Any]:
    """A plan, with what carrying it through would take."""
    return {
        "plan": plan(one),
        "outlook": {
            "units_per_day": outlook.units_per_day,
            "stages": [
                {"weight": stage.weight, "units": stage.units, "days": stage.days, "slowest": stage.slowest}
                for stage in outlook.stages
            ],
            "calls": outlook.calls,
            "cost_usd": outlook.cost_usd,
            "in_flight": None if outlook.in_flight is None else outlook.in_flight.id,
            "queued": [rollout.id for rollout in outlook.queued],
        },
        "next": f"inchworm apply {one.id}",
    }


def rollout(one: Rollout) -> dict[str, Any]:
    """What every listing of rollouts says, as JSON."""
    from inchworm.rollout.transitions import TERMINAL, weight_of

    return {
        "id": one.id,
        "plan": one.plan_id,
        "step": one.step,
        "steps": one.steps,
        "layer": str(one.layer),
        "state": one.state.value,
        "stage": one.stage,
        "stages": len(one.policy.stages),
        "weight": weight_of(one.state, one.stage, one.policy),
        "terminal": one.state in TERMINAL,
        "base": one.base,
        "candidate": one.candidate,
        "benchmark": one.benchmark_id,
        "because": one.because,
        "author": one.author,
        "created_at": one.created_at,
        "entered_at": one.entered_at,
        "started_at": one.started_at,
        "ended_at": one.ended_at,
    }


def decision(one: Decision) -> dict[str, Any]:
    """One decision without its evidence, which ``rollout replay`` reads."""
    return {
        "id": one.id,
        "kind": one.kind.value,
        "state": one.state.value,
        "stage": one.stage,
        "weight": one.weight,
        "because": one.because,
        "actor": one.actor,
        "at": one.at,
    }


def seen(one: Seen) -> dict[str, Any]:
    """A rollout with its evidence and its decisions, newest first, and what a person may ask now."""
    return {
        "rollout": rollout(one.rollout),
        "diffs": [difference(diff) for diff in one.diffs],
        "evidence": None if one.evidence is None else one.evidence.to_json(),
        "decisions": [decision(each) for each in reversed(one.decisions)],
        "may": [act.value for act in one.may],
    }


def acted(done: Acted) -> dict[str, Any]:
    """What a person's act came to."""
    made = done.decision
    return {
        "rollout": made.rollout_id,
        "decision": made.id,
        "kind": made.kind.value,
        "state": made.state.value,
        "stage": made.stage,
        "weight": made.weight,
        "because": made.because,
        "undo": done.undo,
    }


def resolved(unit: str, answer: Resolved) -> dict[str, Any]:
    """What a unit gets."""
    given = answer.assignment
    return {
        "unit": unit,
        "configuration": answer.configuration_id,
        "rollout": None if given is None else given.rollout_id,
        "arm": None if given is None else given.arm.value,
        "stage": None if given is None else given.stage,
        "probability": None if given is None else given.probability,
    }


def replayed(decision: Decision) -> dict[str, Any]:
    """A decision recomputed from its stored evidence: whether it is the same, and what came instead."""
    from inchworm.domain.errors import InchwormError
    from inchworm.rollout import decide

    try:
        again = decide.replay(decision)
    except InchwormError as error:
        again, instead = None, error.message
    else:
        instead = "nothing would be decided now" if again is None else f"{again.kind}: {again.because}"
    identical = again == decision
    return {
        "id": decision.id,
        "kind": decision.kind.value,
        "identical": identical,
        "instead": "" if identical else instead,
    }
