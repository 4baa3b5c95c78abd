"""The question that a declared policy and its metrics ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from inchworm.domain.errors import InputError
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Policy, StageKind
from inchworm.rollout.evidence.budget import alphas, gates, shares
from inchworm.rollout.evidence.populations import margin_at, populations
from inchworm.rollout.simulate.question import Judged, Question, Rates, Span, Tables

__all__ = ["declared"]


def declared(
    policy: Policy,
    metrics: Sequence[Metric],
    outcomes: Mapping[str, Rates | Tables],
    *,
    max_units: int,
    runs: int,
    seed: int,
    units_per_hour: float | None = None,
) -> Question:
    """Stages, margins and budgets as a policy declares them; shadow stages are left out.

    Args:
        policy: stages and error rates. Baking times count where there is traffic to count them in.
        metrics: those that gate are simulated.
        outcomes: of each metric, by name.
        max_units: where a run ends undecided.
        runs: simulated rollouts.
        seed: of the generator.
        units_per_hour: traffic.

    Raises:
        InputError: if outcomes are missing for a metric that gates, or are given for one that does not.
    """
    gating = [metric for metric in metrics if gates(metric)]
    missing = [metric.name for metric in gating if metric.name not in outcomes]
    unknown = [name for name in outcomes if name not in {metric.name for metric in gating}]
    if missing or unknown:
        said = [f"nothing is said of {', '.join(missing)}"] if missing else []
        said += [f"the policy does not gate on {', '.join(unknown)}"] if unknown else []
        asked = " ".join(f"--metric {metric.name}:BASE:CANDIDATE" for metric in gating)
        raise InputError("; ".join(said), hint=f"say each metric's rates: {asked}")
    split = [(place, stage) for place, stage in enumerate(policy.stages) if stage.kind is StageKind.SPLIT]
    if not split:
        raise InputError("the policy has no stage that exposes anybody", hint="simulate it with --shadow")
    hourly = units_per_hour if units_per_hour is not None else 0.0
    share = shares(policy, metrics)
    clocks = {metric.clock for metric in gating}
    return Question(
        metrics=tuple(
            Judged(
                name=metric.name,
                outcomes=outcomes[metric.name],
                harm_margin=metric.harm_margin,
                margins=tuple(margin_at(policy, metric, place) for place, _ in split),
                clock=metric.clock,
                weight=share[metric.name].weight,
            )
            for metric in gating
        ),
        stages=tuple(
            Span(
                weight=stage.weight,
                min_units=max(stage.min_units, round(stage.min_bake_s / 3_600.0 * hourly)),
                max_units=max(round(stage.max_bake_s / 3_600.0 * hourly), 1) if hourly else None,
            )
            for _, stage in split
        ),
        max_units=max_units,
        runs=runs,
        seed=seed,
        alphas=tuple(alphas(policy, clocks).items()),
        alpha_expand=policy.alpha_expand,
        units_per_hour=units_per_hour,
        populations=tuple(
            next(number for number, one in enumerate(populations(policy)) if place in one)
            for place, _ in split
        ),
        later=1,
    )
