"""The words of a decision: units, states, and what became of a metric. Numbers are said as everywhere."""

from __future__ import annotations

from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.rollout import Policy, Rollout, RolloutState, StageKind, UnitKind
from inchworm.domain.wording import bounds, counted, duration, evidence, line, listed, ordinal, points
from inchworm.domain.wording import share as percent
from inchworm.rollout.evidence import Crossing, Effect, Evidence, Harm, MetricEvidence, PairedMetric
from inchworm.rollout.transitions import IN_FLIGHT, weight_of

_MOST_CLUSTERS = 3
"""Clusters that one sentence names."""
__all__ = [
    "blamed",
    "bounds",
    "configuration",
    "count",
    "counted",
    "duration",
    "evidence",
    "interval",
    "line",
    "listed",
    "moved",
    "moved_in_cluster",
    "moved_in_pairs",
    "named",
    "ordinal",
    "percent",
    "plural",
    "points",
    "share_at",
    "standing",
    "state",
]


def count(number: int, unit: UnitKind) -> str:
    """A number of units: ``1 session``, ``1,250 sessions``."""
    return counted(number, unit.value)


def plural(unit: UnitKind) -> str:
    """The unit's plural."""
    return f"{unit.value}s"


def state(value: RolloutState) -> str:
    """A state in words."""
    return value.value.replace("_", " ")


def standing(rollout: Rollout) -> str:
    """Where it stands in words: ``exposing, stage 1 of 3 (5 %)``."""
    said = state(rollout.state)
    if rollout.state not in IN_FLIGHT or rollout.stage < 0 or rollout.state is RolloutState.BENCHMARKING:
        return said
    share = share_at(rollout.state, rollout.stage, rollout.policy)
    stages = len(rollout.policy.stages)
    at = "past the last stage" if rollout.stage >= stages else f"stage {rollout.stage + 1} of {stages}"
    return f"{said}, {at} ({share})"


def configuration(value: ConfigurationId) -> str:
    """A configuration as people read it: ``c7f1…9a``."""
    return short(value)


def interval(effect: Effect) -> str:
    """``(−34.1 … −20.9)``."""
    return bounds(effect.low, effect.high)


def share_at(state: RolloutState, stage: int, policy: Policy) -> str:
    """The share of the traffic somewhere on the ladder: ``25 %``, or ``the shadow of 30 %``."""
    if 0 <= stage < len(policy.stages) and policy.stages[stage].kind is StageKind.SHADOW:
        return f"the shadow of {percent(policy.stages[stage].weight)}"
    return percent(weight_of(state, stage, policy))


def moved(metric: MetricEvidence) -> str:
    """What became of a metric: ``answered fell by 27.4 points (−34.1 … −20.9)``."""
    effect = metric.effect
    if effect is None:
        return f"{metric.name} has no estimate yet"
    return _moved(metric.name, effect.effect, interval(effect))


def moved_in_pairs(metric: PairedMetric) -> str:
    """The same over pairs: ``helpful fell by 8.1 points (−14.0 … −2.0)``."""
    if metric.effect is None:
        return f"{metric.name} has no estimate yet"
    return _moved(metric.name, metric.effect, bounds(metric.low, metric.high))


def moved_in_cluster(evidence: Evidence, name: str, cluster: str) -> str:
    """The same within one cluster: ``… fell by 27.4 points in refunds (58.1 of 40 against 85.5 of 90)``.

    A cluster has no interval, so its means come with the number of units that they rest on.
    """
    one = evidence.cluster(cluster)
    metric = one.metric(name)
    if metric.effect is None or metric.baseline is None or metric.candidate is None:
        return f"{name} was harmed in {one.name}"
    means = (
        f"({100 * metric.candidate:.1f} of {metric.units.candidate:,} "
        f"against {100 * metric.baseline:.1f} of {metric.units.baseline:,})"
    )
    return _moved(name, metric.effect, f"in {one.name} {means}")


def _moved(name: str, effect: float, where: str) -> str:
    size = points(effect, signed=False)
    if size == "0.0":
        return f"{name} stayed where it was {where}"
    return f"{name} {'fell' if effect < 0 else 'rose'} by {size} points {where}"


def blamed(evidence: Evidence, harm: Harm) -> str:
    """Who lost, when evidence of harm passed its line: metrics, and metrics within clusters."""
    crossing = harm.crossing
    told = [_alone(evidence, harm, name) for name in crossing.culprits]
    told += [
        moved_in_cluster(evidence, one.metric, one.cluster) for one in crossing.in_clusters[:_MOST_CLUSTERS]
    ]
    if len(crossing.in_clusters) > _MOST_CLUSTERS:
        told.append(f"{len(crossing.in_clusters) - _MOST_CLUSTERS} more in other clusters")
    if told:
        return listed(told)
    if crossing.leading_cluster is not None:
        most = moved_in_cluster(evidence, crossing.leading, crossing.leading_cluster)
    else:
        most = _alone(evidence, harm, crossing.leading)
    return f"the metrics together lost (most of all {most})"


def named(crossing: Crossing) -> str:
    """Who is named, in short: ``answered, and helpful in refunds``; if nobody can be, who lost most."""
    inside = [f"{one.metric} in {one.cluster}" for one in crossing.in_clusters]
    if not crossing.culprits and not inside:
        where = "" if crossing.leading_cluster is None else f" in {crossing.leading_cluster}"
        return f"{crossing.leading}{where}"
    return listed([*crossing.culprits, *inside])


def _alone(evidence: Evidence, harm: Harm, name: str) -> str:
    if harm.paired and evidence.shadow is not None:
        return moved_in_pairs(evidence.shadow.metric(name))
    return moved(evidence.metric(name))
