"""What a plan can be held against: traffic, prices, the queue, the calendar, and what was lost before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.costing import mean_cost
from inchworm.app.loop.knowing import catalogue
from inchworm.app.loop.retiring import sentence, today
from inchworm.app.loop.sampling import MAIN, repetitions
from inchworm.domain.benchmark import Benchmark
from inchworm.domain.change import Plan
from inchworm.domain.configuration import Configuration
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.targeting import Condition, takes_part
from inchworm.domain.trace import Trace
from inchworm.domain.wording import listed
from inchworm.rollout import calendar
from inchworm.rollout.evidence.budget import gates
from inchworm.rollout.sequencing.advice import Situation
from inchworm.rollout.sequencing.forecast import Traffic

TRAFFIC_DAYS = 7.0
_DAY_S = 86_400.0
_UNIT = "unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What an app has lost of its loss budget on one metric, by the benchmarks that are stored.

    Attributes:
        metric: its name.
        change: stable against the anchor, in the metric's units; the sum over the rollouts since, unless the
            two were compared with each other.
        margin: what may be lost.
        anchor: what was stable when the budget's time began.
        since: that moment, seconds since the epoch.
        rollouts: how many moved stable since.
        unmeasured: of how many of them nothing is known.
    """

    metric: str
    change: float
    margin: float
    anchor: ConfigurationId
    since: float
    rollouts: int
    unmeasured: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What the benchmark of one step takes, if nothing was answered before.

    Attributes:
        step: its number.
        calls: to models, for both configurations.
        cost_usd: what they cost; ``None`` where a price is not known.
    """

    step: int
    calls: int
    cost_usd: float | None


def situation(
    house: House, base: ConfigurationId, candidate: Configuration, latest: Sequence[Trace]
) -> Situation | None:
    """What the policy has to decide on; ``None`` if no traffic was seen in the last seven days.

    Args:
        house: whose.
        base: whose present rates count.
        candidate: what mirrored calls would be answered by.
        latest: the latest interactions.
    """
    now = house.now()
    units = house.traces.traffic(house.app, now=now, days=TRAFFIC_DAYS)
    if units <= 0:
        return None
    summary = house.traces.summary(
        house.app,
        by="configuration",
        metrics=[metric.name for metric in house.spec.metrics],
        since=now - TRAFFIC_DAYS * _DAY_S,
        until=now,
    )
    rates: dict[str, float] = {}
    for row in summary:
        if row.key == base:
            rates |= {name: mean.mean for name, mean in row.metrics.items() if mean.mean is not None}
    return Situation(
        policy=house.spec.policy,
        metrics=house.spec.metrics,
        rates=rates,
        traffic=Traffic(
            units_per_day=units,
            takes_part=tuple(audience_share(stage.audience, latest) for stage in house.spec.policy.stages),
            usd_per_call=mean_cost(latest, candidate),
        ),
    )


def audience_share(audience: Sequence[Condition], latest: Sequence[Trace]) -> float | None:
    """The share of the units that an audience has; ``None`` if the traffic does not say its attributes."""
    if not audience:
        return 1.0
    units: dict[str, bool] = {}
    known = {one.attribute for one in audience} == {_UNIT}
    for trace in latest:
        said = {name: str(value) for name, value in trace.attributes.items()} | {_UNIT: trace.unit_id}
        known = known or all(one.attribute in said for one in audience)
        units[trace.unit_id] = units.get(trace.unit_id, False) or takes_part(audience, said)
    return sum(units.values()) / len(units) if known and units else None


def benchmarks(house: House, plan: Plan, latest: Sequence[Trace]) -> tuple[Asking, ...]:
    """What the benchmark of each step takes, at the lengths of the latest interactions."""
    sets = [summary for summary in house.control.eval_sets(house.app) if summary.name == MAIN]
    cases = max(sets, key=lambda summary: summary.version).cases if sets else 0
    found, before = list[Asking](), plan.change.base
    for step in plan.steps:
        sides = (before, step.candidate)
        each = cases * repetitions(sides)
        prices = [price for one in sides if (price := mean_cost(latest, one)) is not None]
        found.append(
            Asking(
                step=step.number,
                calls=len(sides) * each,
                cost_usd=each * sum(prices) if each and len(prices) == len(sides) else None,
            )
        )
        before = step.candidate
    return tuple(found)


def frozen(house: House) -> str | None:
    """The freeze that is on, as a clause."""
    found = calendar.said(house.spec.freeze, house.now())
    return None if found is None else found[0]


def conflicts(
    plan: Plan, flying: Rollout | None, queued: Sequence[Rollout], freeze: str | None
) -> tuple[str, ...]:
    """What is before a plan, and what that means for its steps, as sentences."""
    found: list[str] = []
    ahead = [*([flying] if flying is not None else []), *queued]
    own = [other for other in ahead if other.plan_id == plan.id]
    if own:
        names = [f"{one.id} ({listed([str(layer) for layer in one.layers])})" for one in own]
        found.append(f"{plan.id} is applied already: {listed(names)}.")
    for other in () if own else ahead:
        where = "is in flight" if other is flying else "is queued"
        named = f"{other.id} ({listed([str(layer) for layer in other.layers])}) {where}"
        both = [step for step in plan.steps if set(step.layers) & set(other.layers)]
        if both:
            steps = listed([str(step.number) for step in both])
            layers = listed(
                [str(layer) for layer in other.layers if any(layer in step.layers for step in both)]
            )
            found.append(
                f"{named} and moves {layers}, too: step {steps} of this plan will be re-based onto it, and "
                f"takes the place of its {layers}."
            )
        else:
            found.append(f"{named}: this change waits behind it, is re-based onto it and measured again.")
    if freeze is not None:
        found.append(f"Frozen: nothing starts and nothing grows in {freeze}.")
    return tuple(found)


def retirements(house: House, plan: Plan) -> tuple[str, ...]:
    """Models of stable and of the candidate that are switched off soon, or were, as sentences."""
    day, known = today(house), catalogue(house)
    new = known.retirements(plan.change.candidate, day)
    left = [
        one
        for one in known.retirements(plan.change.base, day)
        if all(one.facts != other.facts for other in new)
    ]
    return (
        *(sentence(one) for one in new),
        *(f"{one.name} is retired on {one.facts.retires_on}: this plan moves away from it." for one in left),
    )


def spent(house: House) -> tuple[Spent, ...]:
    """What is spent of the loss budget on each metric that gates; nothing if nobody counts."""
    budget = house.spec.policy.loss_budget
    if budget is None:
        return ()
    since = house.now() - budget.per_s
    stable = house.lineage().stable
    anchor = house.control.stable_at(house.app, since) or stable
    moved = [
        one
        for one in house.control.rollouts(house.app, {RolloutState.COMPLETED})
        if one.ended_at is not None and one.ended_at >= since
    ]
    direct = next(
        (
            one
            for one in (house.control.benchmarks(house.app) if anchor != stable else [])
            if (one.base, one.candidate) == (anchor, stable)
        ),
        None,
    )
    if direct is not None:
        counted: list[Benchmark | None] = [direct]
    elif anchor == stable:
        counted = []
    else:
        counted = [
            None if one.benchmark_id is None else house.control.benchmark(one.benchmark_id) for one in moved
        ]
    return tuple(
        Spent(
            metric=metric.name,
            change=sum(one for benchmark in counted if (one := _effect(benchmark, metric.name)) is not None),
            margin=budget.margin,
            anchor=anchor,
            since=since,
            rollouts=len(moved),
            unmeasured=sum(_effect(benchmark, metric.name) is None for benchmark in counted),
        )
        for metric in house.spec.metrics
        if gates(metric)
    )


def _effect(benchmark: Benchmark | None, metric: str) -> float | None:
    for one in () if benchmark is None else benchmark.comparisons:
        if one.metric == metric and one.effect is not None:
            return one.effect.estimate
    return None
