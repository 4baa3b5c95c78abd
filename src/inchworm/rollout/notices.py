"""Who is told of a decision, and what: pure. The store keeps the notices with the decision itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from inchworm.domain.errors import InputError
from inchworm.domain.notice import Notice, Target
from inchworm.domain.rollout import Approval, Decision, DecisionKind, Rollout, RolloutState
from inchworm.rollout.evidence import Evidence
from inchworm.rollout.observed import Watched, recall

_DIGITS = 4


def decided(decision: Decision, rollout: Rollout, targets: Sequence[Target]) -> tuple[Notice, ...]:
    """A notice per target that wants to hear of ``decision``.

    Args:
        decision: what was decided.
        rollout: the rollout after it.
        targets: everybody who is told anything.
    """
    # A step that starts and is held at once waits for people as any other hold does.
    kinds = [decision.kind.value]
    kinds += [DecisionKind.HOLD.value] if decision.state is RolloutState.HOLDING else []
    wanting = [
        (one, event)
        for one in targets
        if (event := next((kind for kind in kinds if kind in one.events), None)) is not None
    ]
    if not wanting:
        return ()
    said = {
        "app": str(rollout.app),
        "sentence": f"{rollout.id} {_layers(rollout)}: {decision.because}",
        "rollout": _rollout(rollout),
        "decision": {
            "id": decision.id,
            "kind": decision.kind.value,
            "state": decision.state.value,
            "stage": decision.stage,
            "weight": decision.weight,
            "actor": decision.actor,
            "at": decision.at,
            "because": decision.because,
        },
        "evidence": _evidence(decision),
        "undo": undo(decision.state, rollout),
    }
    return tuple(
        _notice(one, event, decision.id, at=decision.at, said={"event": event, **said}, rollout=rollout)
        for one, event in wanting
    )


def queued(rollouts: Sequence[Rollout], targets: Sequence[Target]) -> tuple[Notice, ...]:
    """A notice per target that wants to hear of a plan being applied."""
    first, event = rollouts[0], DecisionKind.QUEUE.value
    ids = ", ".join(f"{one.id} ({_layers(one)})" for one in rollouts)
    why = "" if first.emergency is None else f" past gate, freeze and approvals: {first.emergency}"
    said = {
        "app": str(first.app),
        "sentence": f"{ids} queued by {first.author} from {first.plan_id}{why}.",
        "rollout": _rollout(first),
        "rollouts": [_rollout(one) for one in rollouts],
        "decision": None,
        "evidence": None,
        "undo": undo_of_queueing(rollouts),
    }
    return tuple(
        _notice(
            one, event, f"{first.id}/0", at=first.created_at, said={"event": event, **said}, rollout=first
        )
        for one in targets
        if event in one.events
    )


def approved(approval: Approval, rollout: Rollout, targets: Sequence[Target]) -> tuple[Notice, ...]:
    """A notice per target that wants to hear of approvals."""
    reason = f": {approval.reason.strip().rstrip('.')}" if approval.reason.strip() else ""
    said = {
        "event": "approval",
        "app": str(rollout.app),
        "sentence": f"{rollout.id} {_layers(rollout)}: approved by {approval.actor}{reason}.",
        "rollout": _rollout(rollout),
        "decision": None,
        "evidence": None,
        "undo": undo(rollout.state, rollout),
    }
    what = f"{rollout.id}/approval/{approval.stage}/{approval.actor}"
    return tuple(
        _notice(one, "approval", what, at=approval.at, said=said, rollout=rollout)
        for one in targets
        if "approval" in one.events
    )


def undo(state: RolloutState, rollout: Rollout) -> str:
    """What takes a rollout out of ``state`` again, as a command."""
    match state:
        case RolloutState.PAUSED:
            return f"inchworm rollout resume {rollout.id}"
        case RolloutState.COMPLETED:
            return f"inchworm rollout undo {rollout.id}"
        case (
            RolloutState.REJECTED
            | RolloutState.ROLLED_BACK
            | RolloutState.ABORTED
            | RolloutState.CANCELLED
            | RolloutState.UNDONE
        ):
            return "inchworm plan"
        case _:
            return f"inchworm rollout abort {rollout.id}"


def undo_of_queueing(rollouts: Sequence[Rollout]) -> str:
    """What takes the steps of a plan back, as a command: the last first, so that none starts in between."""
    return " && ".join(f"inchworm rollout abort {one.id}" for one in reversed(rollouts))


def _notice(
    target: Target, event: str, what: str, *, at: float, said: dict[str, Any], rollout: Rollout
) -> Notice:
    return Notice(
        id=f"{what}:{target.key}",
        app=rollout.app,
        target=target.key,
        event=event,
        at=at,
        data=said,
        due_at=at,
    )


def _layers(rollout: Rollout) -> str:
    return " + ".join(layer.value for layer in rollout.layers)


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "layers": [layer.value for layer in rollout.layers],
        "state": rollout.state.value,
        "stage": rollout.stage,
        "stages": len(rollout.policy.stages),
        "plan": rollout.plan_id,
        "author": rollout.author,
        "base": rollout.base,
        "candidate": rollout.candidate,
    }


def _evidence(decision: Decision) -> dict[str, Any] | None:
    """The numbers that decided, of a decision on units; ``None`` of every other."""
    try:
        _, observed, _ = recall(decision.evidence)
    except InputError:
        return None
    return _numbers(observed.evidence) if isinstance(observed, Watched) else None


def _numbers(evidence: Evidence) -> dict[str, Any]:
    return {
        "units": {"all": evidence.consumed, "candidate": evidence.candidate},
        "sample_ratio": {
            "log_e": _short(evidence.log_e_ratio),
            "limit": _short(-math.log(evidence.alpha_ratio)),
        },
        "harm": [
            {"clock": one.clock.value, "log_e": _short(one.log_e), "limit": _short(-math.log(one.alpha))}
            for one in evidence.clocks
        ],
        "culprits": list(evidence.culprits),
        "metrics": [
            {
                "name": one.name,
                "role": one.role.value,
                "margin": one.margin,
                "effect": None if one.effect is None else _short(one.effect.effect),
                "low": None if one.effect is None else _short(one.effect.low),
                "high": None if one.effect is None else _short(one.effect.high),
            }
            for one in evidence.metrics
        ],
    }


def _short(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, _DIGITS)
