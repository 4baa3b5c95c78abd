"""Numbers as people read them: points, percent, evidence, durations. Used in every sentence of a decision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.rollout import RolloutState, UnitKind
from inchworm.rollout.evidence import Effect, MetricEvidence

_MINUS: Final = "−"
_MOST: Final = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def points(value: float, *, signed: bool = True) -> str:
    """A difference of values in [0, 1] as points, one decimal: ``−27.4``, ``+0.1``, ``0.0``."""
    text = f"{abs(value) * 100:,.1f}"
    if not signed or text == "0.0":
        return text
    return (_MINUS if value < 0 else "+") + text


def count(number: int, unit: UnitKind) -> str:
    """A number of units: ``1 session``, ``1,250 sessions``."""
    return f"{number:,} {unit.value}{'' if number == 1 else 's'}"


def plural(unit: UnitKind) -> str:
    """The unit's plural."""
    return f"{unit.value}s"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``11th``, ``1,003rd``."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def percent(share: float) -> str:
    """A share of the traffic: ``5 %``, ``0.5 %``."""
    return f"{round(share * 100, 2):g} %"


def evidence(log_e: float) -> str:
    """An e-value: ``0.07``, ``8.7``, ``1,914``, ``over 1,000,000``."""
    if log_e > math.log(_MOST):
        return f"over {_MOST:,}"
    value = math.exp(log_e)
    if value >= 10:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}" if value >= 0.001 else "under 0.001"


def line(alpha: float) -> str:
    """The line 1/α that evidence has to pass: ``20``, ``100``."""
    return f"{round(1 / alpha, 1):,g}"


def duration(seconds: float) -> str:
    """``45 s``, ``30 min``, ``24 h``, ``7 days``."""
    if seconds >= 2 * _DAY:
        return f"{round(seconds / _DAY, 1):g} days"
    if seconds >= _HOUR:
        return f"{round(seconds / _HOUR, 1):g} h"
    return f"{round(seconds / _MINUTE, 1):g} min" if seconds >= _MINUTE else f"{round(seconds, 1):g} s"


def state(value: RolloutState) -> str:
    """A state in words."""
    return value.value.replace("_", " ")


def configuration(value: ConfigurationId) -> str:
    """A configuration as people read it: ``c7f1…9a``."""
    return short(value)


def interval(effect: Effect) -> str:
    """``(−34.1 … −20.9)``."""
    return f"({points(effect.low)} … {points(effect.high)})"


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


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
