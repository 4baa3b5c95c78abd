"""The words of a decision: units, states, and what became of a metric. Numbers are said as everywhere."""

from __future__ import annotations

from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.rollout import Rollout, RolloutState, UnitKind
from inchworm.domain.wording import bounds, counted, duration, evidence, line, listed, ordinal, points
from inchworm.domain.wording import share as percent
from inchworm.rollout.evidence import Effect, MetricEvidence
from inchworm.rollout.transitions import IN_FLIGHT, weight_of

__all__ = [
    "configuration",
    "count",
    "duration",
    "evidence",
    "interval",
    "line",
    "listed",
    "moved",
    "ordinal",
    "percent",
    "plural",
    "points",
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
    share = percent(weight_of(rollout.state, rollout.stage, rollout.policy))
    stages = len(rollout.policy.stages)
    at = "past the last stage" if rollout.stage >= stages else f"stage {rollout.stage + 1} of {stages}"
    return f"{said}, {at} ({share})"


def configuration(value: ConfigurationId) -> str:
    """A configuration as people read it: ``c7f1…9a``."""
    return short(value)


def interval(effect: Effect) -> str:
    """``(−34.1 … −20.9)``."""
    return bounds(effect.low, effect.high)


def moved(metric: MetricEvidence) -> str:
    """What became of a metric: ``answered fell by 27.4 points (−34.1 … −20.9)``."""
    effect = metric.effect
    if effect is None:
        return f"{metric.name} has no estimate yet"
    size = points(effect.effect, signed=False)
    if size == "0.0":
        return f"{metric.name} stayed where it was {interval(effect)}"
    verb = "fell" if effect.effect < 0 else "rose"
    return f"{metric.name} {verb} by {size} points {interval(effect)}"
