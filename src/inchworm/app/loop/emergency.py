"""Breaking the glass: a whole plan at once, past everything but the harm detection of the soak."""

from __future__ import annotations

from inchworm.app.house import House
from inchworm.app.loop.changing import check_base, decide, queued_rollout
from inchworm.app.loop.knowing import known
from inchworm.domain.change import Plan
from inchworm.domain.errors import ConflictError, TransitionError, UsageError
from inchworm.domain.ids import PlanId, RolloutId
from inchworm.domain.rollout import LedgerEntry, Rollout, RolloutState
from inchworm.domain.wording import listed
from inchworm.rollout.commands import act
from inchworm.rollout.transitions import IN_FLIGHT, Act
from inchworm.rollout.validate import validate


def break_glass(house: House, plan_id: PlanId, reason: str) -> Rollout:
    """Expose all layers of a plan at once to everybody but the holdback, ahead of all that waits.

    What is in flight is aborted by the control loop in the same breath: should this process die in between,
    the next round of the loop does the rest.

    Args:
        house: the app.
        plan_id: the plan.
        reason: why; it stands in the ledger and the audit trail for good.

    Raises:
        UsageError: without a reason.
        NotFoundError: if there is no such plan.
        StaleBaseError: if stable has moved since the plan was made.
        TransitionError: if the plan cannot run by now; what is in flight is left alone then.
        ConflictError: if somebody applied the plan at the same moment.
    """
    why = reason.strip()
    if not why:
        raise UsageError("breaking the glass needs a reason, for those who read the ledger afterwards")
    plan = house.control.plan(plan_id)
    check_base(house, plan)
    _check_runs(house, plan)
    taken = _take_back(house, plan, why)
    now = house.now()
    (rollout_id,) = house.control.reserve_rollouts(1)
    layers = plan.change.layers
    wanted = plan.change.candidate
    rollout = queued_rollout(
        house,
        rollout_id,
        plan,
        step=1,
        steps=1,
        layer=layers[0],
        values=wanted.layer(layers[0]),
        joint={layer: wanted.layer(layer) for layer in layers[1:]},
        emergency=why,
        because=f"EMERGENCY: the glass was broken by {house.actor}: {why.rstrip('.')}.",
    )
    entry = LedgerEntry(
        app=house.app,
        at=now,
        kind="emergency",
        actor=house.actor,
        what=f"EMERGENCY: {house.actor} broke the glass for {plan.id} "
        f"({listed([str(layer) for layer in layers])} at once): {why.rstrip('.')}.",
        data={"plan": plan.id, "rollouts": [rollout_id], "bundled": [str(layer) for layer in layers]},
    )
    if not house.control.enqueue([rollout], expected_stable=plan.change.base.id, ledger=[entry]):
        besides = f" but that {listed(taken)} of it was taken back" if taken else ""
        raise ConflictError(
            f"stable moved while the glass was broken for {plan.id}, so nothing was exposed{besides}",
            hint="make a new plan: inchworm plan",
        )
    decide(house)
    return house.control.rollout(rollout_id)


def _check_runs(house: House, plan: Plan) -> None:
    """Before what is in flight is aborted for it: what cannot run would be cancelled at its turn."""
    problems = validate(plan.change.candidate, known(house, plan.change.candidate))
    if problems:
        msg = f"{plan.id} cannot run by now, so nothing was done: {problems[0].message}"
        raise TransitionError(msg, hint="make a plan that can: inchworm plan")


def _take_back(house: House, plan: Plan, why: str) -> list[RolloutId]:
    """Steps of the same plan make room, for it has one place in the queue; which ones were."""
    taken: list[RolloutId] = []
    still = house.control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT})
    for one in reversed(still):
        if one.plan_id == plan.id:
            act(
                house.control,
                one.id,
                Act.ABORT,
                actor=house.actor,
                reason=f"the glass is broken for {plan.id}: {why}",
                now=house.now(),
            )
            taken.append(one.id)
    return taken
