"""How long will a rollout take at this app's traffic? From the statistics, before anyone is exposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inchworm.domain.metric import Metric, Role
from inchworm.domain.rollout import Policy
from inchworm.stats.eprocess import Design
from inchworm.stats.power import expected_units

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageTime:
    """One stage's forecast.

    Attributes:
        weight: the stage's share of the traffic.
        units: units (both arms) until every gate has enough evidence, if nothing changed; ``None``
            if that does not happen within the stage's maximum bake at this traffic.
        days: the longest of evidence, minimum units and minimum bake, in days; ``None`` likewise.
        slowest: the metric that takes longest.
    """

    weight: float
    units: int | None
    days: float | None
    slowest: str


def forecast(
    policy: Policy,
    metrics: Sequence[Metric],
    rates: Mapping[str, float],
    *,
    units_per_day: float,
    seed: int = 1,
    runs: int = 200,
) -> tuple[StageTime, ...]:
    """The median time of each stage for a candidate that changes nothing.

    Args:
        policy: stages and error rates.
        metrics: those that gate count, signals do not.
        rates: present mean of each metric; one that was never measured is taken as .9.
        units_per_day: traffic; must be positive.
        seed: for the simulation.
        runs: simulated runs per metric and stage.
    """
    gating = [metric for metric in metrics if metric.role is not Role.SIGNAL]
    times: list[StageTime] = []
    for stage in policy.stages:
        cap = max(int(stage.max_bake_s / DAY_S * units_per_day), 1)
        slowest, worst = "", 0
        undecided = False
        for metric in gating:
            margin = min(metric.margin * stage.margin_factor, 1.0)
            rate = min(max(rates.get(metric.name, 0.9), 0.0), 1.0)
            median = expected_units(
                Design(delta_harm=metric.harm_margin, margins=(margin,), stages=1),
                margin=margin,
                baseline_rate=rate,
                effect=0.0,
                weight=stage.weight,
                alpha_expand=policy.alpha_expand,
                max_units=cap,
                runs=runs,
                seed=seed,
            ).expand.median
            if median is None:
                undecided, slowest = True, metric.name
            elif median > worst and not undecided:
                slowest, worst = metric.name, median
        units = None if undecided else max(worst, stage.min_units)
        days = None if units is None else max(units / units_per_day, stage.min_bake_s / DAY_S)
        times.append(StageTime(weight=stage.weight, units=units, days=days, slowest=slowest))
    return tuple(times)
