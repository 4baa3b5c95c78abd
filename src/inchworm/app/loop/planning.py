"""Plans: what a change would take, said before anyone is exposed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from inchworm.app import differences
from inchworm.app.house import House
from inchworm.app.loop import expecting
from inchworm.app.loop.expecting import Asking, Spent
from inchworm.app.loop.knowing import known
from inchworm.app.texts import one_line, span
from inchworm.domain.canonical import digest
from inchworm.domain.change import Change, Plan, diff
from inchworm.domain.codec import plain
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError, StaleBaseError, UsageError
from inchworm.domain.ids import PlanId, short
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.trace import Trace
from inchworm.rollout.sequencing.advice import Proposal, Situation, Undecided, advise, as_sentence, propose
from inchworm.rollout.sequencing.forecast import StageTime, forecast
from inchworm.rollout.sequencing.needs import needs
from inchworm.rollout.sequencing.sequence import left_undecided, take_apart
from inchworm.rollout.transitions import IN_FLIGHT

if TYPE_CHECKING:  # it brings the mathematics of measuring with it, which a plan by itself need not wait for
    from inchworm.app.loop.corners import Measuring

_LATEST = 1_000


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
        undecided: stages that cannot decide at this traffic, with what could be decided instead.
        proposal: stages for low traffic, if it is low.
        conflicts: what is before it, and what that means, as sentences.
        retirements: models that are switched off soon, as sentences.
        budget: what is spent of the loss budget, per metric; empty if nobody counts.
        benchmarks: the same calls and money for each step.
    """

    units_per_day: float
    stages: tuple[StageTime, ...]
    calls: int
    cost_usd: float | None
    in_flight: Rollout | None
    queued: tuple[Rollout, ...]
    undecided: tuple[Undecided, ...] = ()
    proposal: Proposal | None = None
    conflicts: tuple[str, ...] = ()
    retirements: tuple[str, ...] = ()
    budget: tuple[Spent, ...] = ()
    benchmarks: tuple[Asking, ...] = ()

    def applied(self, plan: Plan) -> Rollout | None:
        """The first of its steps that is in flight or queued already, if any is."""
        still = [*([] if self.in_flight is None else [self.in_flight]), *self.queued]
        return next((one for one in still if one.plan_id == plan.id), None)


def make_plan(
    house: House,
    candidate: Configuration,
    *,
    reason: str = "",
    via: Configuration | None = None,
    joint: bool = False,
    measuring: Measuring | None = None,
) -> Plan:
    """Take the way from stable to ``candidate`` apart, and keep the plan.

    Args:
        house: whose stable, traffic and rules.
        candidate: what is wanted.
        reason: why, in the author's words.
        via: a configuration that the way leads over.
        joint: let layers that are coupled move in one step, and look for no bridge.
        measuring: measure all combinations of the layers first; ``None`` for a plan by validity alone.

    Raises:
        NotFoundError: if nothing is stable yet, or there is nothing to measure on.
        UsageError: if nothing differs, the candidate or ``via`` cannot run, or nothing couples the layers
            that are to move together.
    """
    lineage = house.lineage()
    change = Change(
        app=house.app,
        base=house.control.configuration(lineage.stable),
        candidate=candidate,
        author=house.actor,
        reason=reason,
    )
    seen = known(house, candidate, *([] if via is None else [via]))
    after, needed = house.spec.after, needs(change.base, candidate)
    # What can be refused without measuring is refused before it costs anything.
    plan = take_apart(change, seen, after, needed=needed, via=via, joint=joint and measuring is None)
    if measuring is not None:
        from inchworm.app.loop.corners import Rules, measure

        rules = Rules(known=seen, after=after, needed=needed)
        measured, via = measure(house, change, rules, measuring, via=via, joint=joint)
        plan = take_apart(change, seen, after, needed=needed, via=via, measured=measured, joint=joint)
    plan = replace(left_undecided(plan, _undecided(house, change)), policy=_policy(house))
    now = house.now()
    house.control.put_configuration(house.app, candidate, note=f"asked for by {plan.id}", at=now)
    if via is not None:
        house.control.put_configuration(house.app, via, note=f"bridge of {plan.id}", at=now)
    for step in plan.steps:
        house.control.put_configuration(
            house.app, step.candidate, note=f"step {step.number} of {plan.id}", at=now
        )
    house.control.put_plan(plan, at=now)
    return plan


def held_against_now(house: House, plan: Plan) -> Plan:
    """The plan with what the policy of *now* cannot decide, if that is another than it was made for."""
    if plan.policy in {"", _policy(house)}:
        return plan
    return replace(plan, undecided=_undecided(house, plan.change))


def _policy(house: House) -> str:
    return digest([plain(house.spec.policy), [plain(metric) for metric in house.spec.metrics]])


def _undecided(house: House, change: Change) -> tuple[str, ...]:
    found, stages = _foreseen(house, change, house.traces.traces(house.app, limit=_LATEST).traces)
    return () if found is None else tuple(as_sentence(one) for one in advise(found, stages))


def look_ahead(house: House, plan: Plan) -> Outlook:
    """What carrying ``plan`` through would take: time, calls, money, and who is before it."""
    latest = house.traces.traces(house.app, limit=_LATEST).traces
    found, stages = _foreseen(house, plan.change, latest)
    asking = expecting.benchmarks(house, plan, latest)
    costs = [one.cost_usd for one in asking if one.cost_usd is not None]
    everything = house.control.rollouts(house.app)
    flying = next((one for one in everything if one.state in IN_FLIGHT), None)
    queued = tuple(one for one in everything if one.state is RolloutState.QUEUED)
    return Outlook(
        units_per_day=0.0 if found is None else found.traffic.units_per_day,
        stages=stages,
        calls=sum(one.calls for one in asking),
        cost_usd=sum(costs) if asking and len(costs) == len(asking) else None,
        in_flight=flying,
        queued=queued,
        undecided=() if found is None else advise(found, stages),
        proposal=None if found is None else propose(found),
        conflicts=expecting.conflicts(plan, flying, queued, expecting.frozen(house)),
        retirements=expecting.retirements(house, plan),
        budget=expecting.spent(house),
        benchmarks=asking,
    )


def _foreseen(
    house: House, change: Change, latest: Sequence[Trace]
) -> tuple[Situation | None, tuple[StageTime, ...]]:
    """What the policy has to decide on, and when it will have; nothing without traffic."""
    found = expecting.situation(house, change.base.id, change.candidate, latest)
    if found is None:
        return None, ()
    traffic = found.traffic
    return found, forecast(
        found.policy, found.metrics, found.rates, units_per_day=traffic.units_per_day, traffic=traffic
    )


def stale(house: House, plan: Plan) -> StaleBaseError:
    """Why a plan cannot be applied any more: which layers moved since, who moved them, and when."""
    lineage = house.lineage()
    stable = house.control.configuration(lineage.stable)
    moved = diff(plan.change.base, stable)
    what = one_line(f"{moved[0].layer}: {differences.said(moved)}" if moved else lineage.note)
    entry = next(
        (
            one
            for one in house.control.ledger(house.app, limit=100)
            if one.kind == "configuration" and one.data.get("to") == stable.id
        ),
        None,
    )
    rollout = "" if entry is None else str(entry.data.get("rollout", ""))
    who = "" if entry is None else f" by {entry.actor}" + (f" with {rollout}" if rollout else "")
    ago = span(max(house.now() - lineage.since, 0.0))
    return StaleBaseError(
        f"stable has moved since {plan.id} was made ({short(plan.change.base.id)} → {short(stable.id)}, "
        f'"{what}", promoted{who} {ago} ago)',
        hint="plan again: inchworm plan",
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
