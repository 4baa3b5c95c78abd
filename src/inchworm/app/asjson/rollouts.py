"""Rollouts: as they stand, what was decided and asked, the queue, what units get."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from inchworm.app.asjson.values import difference

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.app.loop.approving import Approved
    from inchworm.app.loop.queueing import Place, Queue
    from inchworm.app.loop.seeing import Seen
    from inchworm.domain.rollout import Approval, Decision, Rollout
    from inchworm.domain.serving import Resolved
    from inchworm.rollout.commands import Acted


def rollout(one: Rollout) -> dict[str, Any]:
    """What every listing of rollouts says, as JSON."""
    from inchworm.rollout.transitions import TERMINAL, mirrored, weight_of

    return {
        "id": one.id,
        "plan": one.plan_id,
        "step": one.step,
        "steps": one.steps,
        "layer": str(one.layer),
        "layers": [str(layer) for layer in one.layers],
        "state": one.state.value,
        "stage": one.stage,
        "stages": len(one.policy.stages),
        "weight": weight_of(one.state, one.stage, one.policy),
        "mirrored": mirrored(one.state, one.stage, one.policy),
        "emergency": one.emergency,
        "retries": one.retries,
        "anchor": one.anchor,
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


def approved(done: Approved) -> dict[str, Any]:
    """What became of somebody's approval."""
    said = done.approval
    return {
        "rollout": said.rollout_id,
        "stage": said.stage,
        "before": done.before,
        "actor": said.actor,
        "at": said.at,
        "missing": done.missing or None,
        "undo": f"inchworm rollout abort {said.rollout_id}",
    }


def approval(one: Approval) -> dict[str, Any]:
    """Somebody's word."""
    return {"stage": one.stage, "actor": one.actor, "at": one.at, "reason": one.reason}


def retried(made: Rollout) -> dict[str, Any]:
    """A rollout that tries another one again."""
    return {
        "rollout": made.id,
        "retries": made.retries,
        "state": made.state.value,
        "because": made.because,
        "undo": f"inchworm rollout abort {made.id}",
    }


def applied(queued: Sequence[Rollout], first: Rollout, ahead: Rollout | None) -> dict[str, Any]:
    """The steps of a plan that was applied, and behind what the first of them waits."""
    from inchworm.rollout.notices import undo_of_queueing

    return {
        "plan": first.plan_id,
        "rollouts": [
            {
                "id": one.id,
                "step": one.step,
                "layer": str(one.layer),
                "layers": [str(layer) for layer in one.layers],
            }
            for one in queued
        ],
        "first": {"id": first.id, "state": first.state.value, "because": first.because},
        "behind": None if ahead is None else ahead.id,
        "undo": undo_of_queueing(queued),
    }


def queue(seen: Queue) -> dict[str, Any]:
    """What is in flight, what waits and why, and the freezes ahead."""
    return {
        "app": seen.app,
        "now": seen.now,
        "stable": None
        if seen.lineage is None
        else {
            "configuration": seen.lineage.stable,
            "since": seen.lineage.since,
            "note": seen.lineage.note,
        },
        "running": None if seen.running is None else _place(seen.running),
        "queued": [_place(one) for one in seen.waiting],
        "frozen": seen.frozen,
        "freezes": [
            {
                "start": span.start,
                "end": span.end,
                "text": span.window.text,
                "zone": span.window.zone,
                "reason": span.window.reason,
            }
            for span in seen.freezes
        ],
    }


def _place(place: Place) -> dict[str, Any]:
    early = place.early
    return {
        **rollout(place.rollout),
        "waits": list(place.waits),
        "early": None
        if early is None
        else {
            "state": early.state.value,
            "verdict": None if early.result is None else early.result.verdict.value,
            "benchmark": None if early.result is None else early.result.benchmark_id,
            "because": None if early.result is None else early.result.because,
        },
        "starts": None if place.starts is None else [place.starts.low, place.starts.high],
        "ends": None if place.ends is None else [place.ends.low, place.ends.high],
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
        "approvals": [approval(each) for each in one.approvals],
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
