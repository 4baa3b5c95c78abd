"""Changes: planned, applied, carried through by the controller, and acted on by people."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.evidence import StoredUnits, freeze
from inchworm.app.loop.measuring import MAIN, repetitions, work_off
from inchworm.app.loop.telling import Telling
from inchworm.domain.canonical import canonical
from inchworm.domain.change import Change, Plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import ConflictError, NotFoundError, StaleBaseError, UsageError
from inchworm.domain.ids import PlanId, RolloutId, short
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Decision, LedgerEntry, Rollout, RolloutState
from inchworm.providers.pricing import cost, price_of
from inchworm.rollout.controller import WorkBenchmarks, tick
from inchworm.rollout.forecast import StageTime, forecast
from inchworm.rollout.sequence import take_apart
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.rollout.validate import Known, validate

HASH_VERSION = 1
_LONGEST = 8
_LATEST = 1_000
_TRAFFIC_DAYS = 7.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What carrying a plan through would take.

    Attributes:
        units_per_day: traffic of the last seven days; 0 if there was none.
        stages: forecast per stage; empty without traffic.
        calls: model calls for the benchmarks of all steps, if nothing was answered before.
        cost_usd: what they cost, as far as the configured prices say.
        in_flight: what is in flight now, if anything is.
        queued: rollouts that wait.
    """

    units_per_day: float
    stages: tuple[StageTime, ...]
    calls: int
    cost_usd: float | None
    in_flight: Rollout | None
    queued: tuple[Rollout, ...]


def known(house: House) -> Known:
    """What the latest stored interactions say about inputs, for validation."""
    page = house.traces.traces(house.app, limit=_LATEST)
    telling = Telling(house)
    recorded = [trace.inputs for trace in page.traces if trace.has_content]
    # Of conversations from before the templates were known, those that they fit.
    inputs = [told for one in recorded if (told := telling.inputs(one)) is not None] or recorded
    longest = sorted(inputs, key=lambda one: -len(canonical(one)))[:_LONGEST]
    names = frozenset.intersection(*map(frozenset, inputs)) if inputs else None
    return Known(inputs=names, longest=tuple(longest))


def make_plan(house: House, candidate: Configuration, *, reason: str = "") -> Plan:
    """Take the way from stable to ``candidate`` apart, and keep the plan.

    Raises:
        NotFoundError: if nothing is stable yet.
        UsageError: if nothing differs, or no order of one-layer steps is valid.
    """
    lineage = house.lineage()
    change = Change(
        app=house.app,
        base=house.control.configuration(lineage.stable),
        candidate=candidate,
        author=house.actor,
        reason=reason,
    )
    plan = take_apart(change, known(house), house.spec.after)
    now = house.now()
    house.control.put_configuration(house.app, candidate, note=f"asked for by {plan.id}", at=now)
    for step in plan.steps:
        house.control.put_configuration(
            house.app, step.candidate, note=f"step {step.number} of {plan.id}", at=now
        )
    house.control.put_plan(plan, at=now)
    return plan


def look_ahead(house: House, plan: Plan) -> Outlook:
    """What carrying ``plan`` through would take: time, calls, money, and who is before it."""
    now = house.now()
    traffic = house.traces.traffic(house.app, now=now, days=_TRAFFIC_DAYS)
    summary = house.traces.summary(
        house.app,
        by="configuration",
        metrics=[metric.name for metric in house.spec.metrics],
        since=now - _TRAFFIC_DAYS * 86_400,
        until=now,
    )
    rates: dict[str, float] = {}
    for row in summary:
        if row.key == plan.change.base.id:
            rates |= {name: mean.mean for name, mean in row.metrics.items() if mean.mean is not None}
    stages = (
        forecast(house.spec.policy, house.spec.metrics, rates, units_per_day=traffic) if traffic > 0 else ()
    )
    calls, cost_usd = _benchmarks(house, plan)
    everything = house.control.rollouts(house.app)
    flying = [rollout for rollout in everything if rollout.state in IN_FLIGHT]
    return Outlook(
        units_per_day=traffic,
        stages=stages,
        calls=calls,
        cost_usd=cost_usd,
        in_flight=flying[0] if flying else None,
        queued=tuple(rollout for rollout in everything if rollout.state is RolloutState.QUEUED),
    )


def _benchmarks(house: House, plan: Plan) -> tuple[int, float | None]:
    """Calls for the benchmarks of all steps, and what they cost at the lengths of the latest interactions."""
    sets = [summary for summary in house.control.eval_sets(house.app) if summary.name == MAIN]
    cases = max(sets, key=lambda summary: summary.version).cases if sets else 0
    latest = house.traces.traces(house.app, limit=_LATEST).traces
    calls, costs, before = 0, list[float | None](), plan.change.base
    for step in plan.steps:
        each = cases * repetitions((before, step.candidate))
        for configuration in (before, step.candidate):
            price = price_of(configuration)
            said = [one for trace in latest if (one := cost(trace.usage, price)) is not None]
            calls += each
            costs.append(each * sum(said) / len(said) if said else None)
        before = step.candidate
    known_costs = [one for one in costs if one is not None]
    return calls, sum(known_costs) if calls and len(known_costs) == len(costs) else None


def apply(house: House, plan_id: PlanId) -> tuple[Rollout, ...]:
    """Queue the steps of exactly this plan, and start the first if nothing is before it.

    Raises:
        NotFoundError: if there is no such plan.
        StaleBaseError: if stable has moved since the plan was made.
        ConflictError: if steps of the plan are queued or in flight already; it names their rollouts.
    """
    plan = house.control.plan(plan_id)
    now = house.now()
    _refuse_twice(house, plan)
    lineage = house.lineage()
    if lineage.stable != plan.change.base.id:
        raise _stale(plan, lineage.stable, lineage.note)
    ids = house.control.reserve_rollouts(len(plan.steps))
    rollouts = tuple(
        Rollout(
            id=rollout_id,
            app=house.app,
            plan_id=plan.id,
            step=step.number,
            steps=len(plan.steps),
            layer=step.layer,
            values=step.candidate.layer(step.layer),
            after=step.after,
            policy=house.spec.policy,
            metrics=house.spec.metrics,
            salt=_salt(rollout_id, plan.id, now),
            hash_version=HASH_VERSION,
            author=house.actor,
            state=RolloutState.QUEUED,
            stage=0,
            generation=0,
            because=f"queued by {house.actor} as step {step.number} of {len(plan.steps)} of {plan.id}.",
            created_at=now,
            entered_at=now,
        )
        for rollout_id, step in zip(ids, plan.steps, strict=True)
    )
    entry = LedgerEntry(
        app=house.app,
        at=now,
        kind="rollout",
        actor=house.actor,
        what=f"{plan.id} applied: {', '.join(step.layer for step in plan.steps)}, one at a time.",
        data={"plan": plan.id, "rollouts": list(ids)},
    )
    if not house.control.enqueue(rollouts, expected_stable=plan.change.base.id, ledger=[entry]):
        moved = house.lineage()
        raise _stale(plan, moved.stable, moved.note)
    return rollouts


def _refuse_twice(house: House, plan: Plan) -> None:
    """The store refuses it too, for whoever comes between; this one says where the first one stands."""
    still = house.control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT})
    mine = [rollout for rollout in still if rollout.plan_id == plan.id]
    if mine:
        where = ", ".join(f"{rollout.id} ({rollout.layer}) is {rollout.state.value}" for rollout in mine)
        raise ConflictError(
            f"{plan.id} is applied already: {where}", hint=f"watch it: inchworm rollout show {mine[0].id}"
        )


def _stale(plan: Plan, stable: str, note: str) -> StaleBaseError:
    return StaleBaseError(
        f"stable has moved since {plan.id} was made ({short(plan.change.base.id)} → {short(stable)}, {note})",
        hint="plan again: inchworm plan",
    )


def _salt(rollout_id: RolloutId, plan_id: PlanId, now: float) -> str:
    """Fresh per rollout, and nothing that a unit's id could be chosen by beforehand."""
    return hashlib.sha256(f"{rollout_id}\0{plan_id}\0{now!r}".encode()).hexdigest()[:16]


def advance(house: House, *, owner: str) -> list[Decision]:
    """One round of the control loop: work off what rollouts wait for, then decide."""
    work_off(house, owner=owner)
    return decide(house)


def decide(house: House) -> list[Decision]:
    """One tick over the app's rollouts. Takes milliseconds: it waits for no benchmark."""
    store = house.control
    known_inputs: list[Known] = []

    def problems(rollout: Rollout, configuration: Configuration) -> Sequence[str]:
        del rollout
        if not known_inputs:
            known_inputs.append(known(house))
        return [problem.message for problem in validate(configuration, known_inputs[0])]

    def thresholds(rollout: Rollout, now: float) -> tuple[Metric, ...]:
        return freeze(house, rollout, now)

    return tick(
        store,
        StoredUnits(house),
        WorkBenchmarks(store),
        house.now(),
        house.app,
        freeze=thresholds,
        validate=problems,
    )


def find_plan(house: House, name: str) -> PlanId:
    """The id of a plan by its id or the beginning of it, with or without ``plan-``.

    Raises:
        NotFoundError: if there is none.
        UsageError: if several fit.
    """
    plans = [plan.id for plan in house.control.plans(house.app)]
    wanted = name.removeprefix("plan-")
    found = [plan_id for plan_id in plans if wanted and plan_id.removeprefix("plan-").startswith(wanted)]
    if not found:
        recent = ", ".join(plans[:3]) or "none"
        raise NotFoundError(f"there is no plan {name} (latest: {recent})", hint="inchworm plan")
    if len(found) > 1:
        raise UsageError(f"{name} fits several plans: {', '.join(found)}")
    return found[0]
