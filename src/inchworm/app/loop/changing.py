"""Changes: applied as planned, carried through by the controller, and acted on by people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from inchworm.app.house import House
from inchworm.app.loop.evidence import StoredUnits, freeze, watch_clusters
from inchworm.app.loop.freezing import freezes
from inchworm.app.loop.knowing import known
from inchworm.app.loop.planning import held_against_now, stale
from inchworm.app.loop.working import work_off
from inchworm.domain.change import Plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ConflictError, TransitionError, UsageError
from inchworm.domain.ids import PlanId, RolloutId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Decision, LedgerEntry, Rollout, RolloutState, WatchedCluster
from inchworm.domain.wording import listed
from inchworm.rollout.controller import tick
from inchworm.rollout.fleet import Memo
from inchworm.rollout.gating import WorkBenchmarks
from inchworm.rollout.permits import unreachable
from inchworm.rollout.sequencing.advice import refusal
from inchworm.rollout.transitions import IN_FLIGHT, STOPPED
from inchworm.rollout.validate import Known, validate


def apply(house: House, plan_id: PlanId, *, undecided_because: str | None = None) -> tuple[Rollout, ...]:
    """Queue the steps of exactly this plan, and start the first if nothing is before it.

    Args:
        house: whose.
        plan_id: which.
        undecided_because: why it is wanted although its policy cannot decide at the app's traffic; goes to
            the ledger.

    Raises:
        NotFoundError: if there is no such plan.
        UsageError: if its policy cannot decide at the app's traffic, and no reason is given; or enough people
            could never agree to what this person applies.
        StaleBaseError: if stable has moved since the plan was made.
        ConflictError: if steps of the plan are queued or in flight already; it names their rollouts.
    """
    plan = house.control.plan(plan_id)
    _refuse_twice(house, plan)
    check_base(house, plan)
    plan = held_against_now(house, plan)
    if (refused := refusal(plan, undecided_because)) is not None:
        raise refused
    for step in plan.steps:
        if (never := unreachable(house.spec.policy, step.layers[1:], house.actor)) is not None:
            raise UsageError(
                f"{plan.id} is not applied: {never}",
                hint="let somebody else apply it, or name more people under rollout.approvals.by",
            )
    ids = house.control.reserve_rollouts(len(plan.steps))
    rollouts = tuple(
        queued_rollout(
            house,
            rollout_id,
            plan,
            step=step.number,
            steps=len(plan.steps),
            layer=step.layer,
            values=step.candidate.layer(step.layer),
            joint={layer: step.candidate.layer(layer) for layer in step.layers if layer != step.layer},
            after=step.after,
            because=f"queued by {house.actor} as step {step.number} of {len(plan.steps)} of {plan.id}.",
        )
        for rollout_id, step in zip(ids, plan.steps, strict=True)
    )
    moves = ", ".join(" with ".join(str(layer) for layer in step.layers) for step in plan.steps)
    entry = LedgerEntry(
        app=house.app,
        at=house.now(),
        kind="rollout",
        actor=house.actor,
        what=f"{plan.id} applied: {moves}{', one at a time' if len(plan.steps) > 1 else ''}."
        + (f" It may end undecided, and is wanted: {undecided_because}" if plan.undecided else ""),
        data={"plan": plan.id, "rollouts": list(ids)},
    )
    if not house.control.enqueue(rollouts, expected_stable=plan.change.base.id, ledger=[entry]):
        raise stale(house, plan)
    return rollouts


def retry(house: House, ended: Rollout, *, reason: str = "") -> Rollout:
    """Queue a rollout that did not stay once more, with the same values, on what is stable by then.

    It is judged by what ``inchworm.yaml`` declares now.

    Raises:
        TransitionError: unless it was rolled back, rejected, aborted, cancelled or undone.
        ConflictError: if it is queued or in flight again already, or stable moved at the same moment.
    """
    if ended.state not in STOPPED:
        what = ended.state.value.replace("_", " ")
        raise TransitionError(
            f"{ended.id} is {what}: only what did not stay is tried again",
            hint=f"look: inchworm rollout show {ended.id}",
        )
    plan = house.control.plan(ended.plan_id)
    _refuse_twice(house, plan, step=ended.step)
    (rollout_id,) = house.control.reserve_rollouts(1)
    why = f": {reason.strip().rstrip('.')}." if reason.strip() else "."
    layers = listed([str(layer) for layer in ended.layers])
    rollout = queued_rollout(
        house,
        rollout_id,
        plan,
        step=ended.step,
        steps=ended.steps,
        layer=ended.layer,
        values=ended.values,
        joint=ended.joint,
        after=ended.after,
        retries=ended.id,
        because=f"queued by {house.actor} to try {ended.id} ({layers}) again{why}",
    )
    entry = LedgerEntry(
        app=house.app,
        at=house.now(),
        kind="rollout",
        actor=house.actor,
        what=f"{rollout_id} tries {ended.id} ({layers}) again{why}",
        data={"plan": plan.id, "rollouts": [rollout_id], "retries": ended.id},
    )
    if not house.control.enqueue([rollout], expected_stable=house.lineage().stable, ledger=[entry]):
        raise ConflictError("stable moved at the same moment, so nothing was done", hint="try again")
    return rollout


def ahead_of(house: House, rollout: Rollout) -> Rollout | None:
    """What ``rollout`` waits for: what is in flight, else the first that is queued before it."""
    if rollout.state is not RolloutState.QUEUED:
        return None
    still = house.control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT})
    flying = [one for one in still if one.state in IN_FLIGHT]
    names = [one.id for one in still]
    before = still[: names.index(rollout.id)] if rollout.id in names else []
    waiting = [one for one in before if one.state is RolloutState.QUEUED]
    return next(iter([*flying, *waiting]), None)


def queued_rollout(
    house: House,
    rollout_id: RolloutId,
    plan: Plan,
    *,
    step: int,
    steps: int,
    layer: Layer,
    values: dict[str, Any],
    because: str,
    joint: dict[Layer, dict[str, Any]] | None = None,
    after: tuple[Layer, ...] = (),
    emergency: str | None = None,
    retries: RolloutId | None = None,
) -> Rollout:
    """One step as it enters the queue, under the policy and the metrics that are declared now."""
    now, policy = house.now(), house.spec.policy
    return Rollout(
        id=rollout_id,
        app=house.app,
        plan_id=plan.id,
        step=step,
        steps=steps,
        layer=layer,
        values=values,
        joint={} if joint is None else joint,
        after=after,
        policy=policy,
        metrics=house.spec.metrics,
        salt=_salt(rollout_id, plan.id, now),
        hash_version=policy.hash_version,
        author=house.actor,
        state=RolloutState.QUEUED,
        stage=0,
        generation=0,
        because=because,
        created_at=now,
        entered_at=now,
        emergency=emergency,
        retries=retries,
    )


def check_base(house: House, plan: Plan) -> None:
    """Refuse a plan whose base is no longer stable.

    Raises:
        StaleBaseError: naming what is.
    """
    lineage = house.lineage()
    if lineage.stable != plan.change.base.id:
        raise stale(house, plan)


def _refuse_twice(house: House, plan: Plan, *, step: int | None = None) -> None:
    """The store refuses it too, for whoever comes between; this one says where the first one stands."""
    still = house.control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT})
    mine = [one for one in still if one.plan_id == plan.id and step in {None, one.step}]
    if mine:
        where = ", ".join(f"{rollout.id} ({rollout.layer}) is {rollout.state.value}" for rollout in mine)
        raise ConflictError(
            f"{plan.id} is applied already: {where}", hint=f"watch it: inchworm rollout show {mine[0].id}"
        )


def _salt(rollout_id: RolloutId, plan_id: PlanId, now: float) -> str:
    """Fresh per rollout, and nothing that a unit's id could be chosen by beforehand."""
    return hashlib.sha256(f"{rollout_id}\0{plan_id}\0{now!r}".encode()).hexdigest()[:16]


def advance(house: House, *, owner: str) -> list[Decision]:
    """One round of the control loop: work off what rollouts wait for, then decide."""
    work_off(house, owner=owner)
    return decide(house)


def decide(house: House, *, memo: Memo | None = None) -> list[Decision]:
    """One tick over the app's rollouts. Takes milliseconds: it waits for no benchmark.

    Args:
        house: the app.
        memo: what was derived in ticks before; only who ticks again and again has one.
    """
    store = house.control
    known_inputs: list[Known] = []

    def problems(rollout: Rollout, configuration: Configuration) -> Sequence[str]:
        del rollout
        if not known_inputs:
            known_inputs.append(known(house))
        return [problem.message for problem in validate(configuration, known_inputs[0])]

    def thresholds(rollout: Rollout, now: float) -> tuple[Metric, ...]:
        return freeze(house, rollout, now)

    def clusters(rollout: Rollout, now: float) -> tuple[WatchedCluster, ...]:
        del rollout
        return watch_clusters(house, now)

    return tick(
        store,
        StoredUnits(house),
        WorkBenchmarks(store),
        house.now(),
        house.app,
        freeze=thresholds,
        validate=problems,
        watch_clusters=clusters,
        frozen=freezes(house),
        memo=memo,
    )
