"""Plans, and what carrying them through would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inchworm.app.asjson.values import data_of, difference

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.app.loop.planning import Outlook
    from inchworm.domain.change import Plan


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
                "joint": [str(layer) for layer in step.joint],
            }
            for step in one.steps
        ],
        "notes": list(one.notes),
        "checks": [data_of(check) for check in one.checks],
        "couplings": [data_of(coupling) for coupling in one.couplings],
        "corners": [data_of(corner) for corner in one.corners],
        "via": one.via,
        "eval_set": one.eval_set,
        "undecided": list(one.undecided),
    }


def planned(one: Plan, outlook: Outlook) -> dict[str, Any]:
    """A plan, with what carrying it through would take."""
    return {
        "plan": plan(one),
        "outlook": {
            "units_per_day": outlook.units_per_day,
            "stages": [data_of(stage) | {"undecided": stage.undecided} for stage in outlook.stages],
            "calls": outlook.calls,
            "cost_usd": outlook.cost_usd,
            "benchmarks": [data_of(asking) for asking in outlook.benchmarks],
            "in_flight": None if outlook.in_flight is None else outlook.in_flight.id,
            "queued": [rollout.id for rollout in outlook.queued],
            "undecided": [data_of(stage) for stage in outlook.undecided],
            "proposal": None if outlook.proposal is None else data_of(outlook.proposal),
            "conflicts": list(outlook.conflicts),
            "retirements": list(outlook.retirements),
            "budget": [data_of(spent) for spent in outlook.budget],
        },
        "next": _next(one, outlook),
    }


def _next(one: Plan, outlook: Outlook) -> str:
    if (applied := outlook.applied(one)) is not None:
        return f"inchworm rollout watch {applied.id}"
    return f"inchworm apply {one.id}" + (" --undecided-because REASON" if one.undecided else "")
