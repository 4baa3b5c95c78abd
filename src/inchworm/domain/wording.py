"""Numbers as people read them: points, percent, evidence, durations. Every room says them alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from inchworm.domain.benchmark import Interval

_MINUS: Final = "−"
_MOST: Final = 1_000_000
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def points(value: float, *, signed: bool = True) -> str:
    """A difference of values in [0, 1] as points: ``−27.4``, ``+0.1``, and ``0.0`` without a sign."""
    text = f"{abs(value) * 100:,.1f}"
    if not signed or text == "0.0":
        return text
    return (_MINUS if value < 0 else "+") + text


def bounds(low: float, high: float) -> str:
    """Both ends of an interval, in points: ``(−34.1 … −20.9)``."""
    return f"({points(low)} … {points(high)})"


def interval(effect: Interval) -> str:
    """An effect in points with its interval: ``−1.1 points (−3.4 … +1.2)``."""
    return f"{points(effect.estimate)} points {bounds(effect.low, effect.high)}"


def margin(value: float) -> str:
    """A non-inferiority margin as the loss it allows, in points: ``−3``, ``−2.5``."""
    return f"{_MINUS}{round(value * 100, 2):g}"


def percent(value: float) -> str:
    """A share that was measured: ``93.0 %``."""
    return f"{value * 100:.1f} %"


def share(value: float) -> str:
    """A share that was chosen, without digits that say nothing: ``5 %``, ``0.5 %``."""
    return f"{round(value * 100, 2):g} %"


def usd(value: float) -> str:
    """US dollars: ``1.20 USD``, and ``0.0034 USD`` where cents say nothing."""
    return f"{value:,.2f} USD" if value == 0 or value >= 0.05 else f"{value:.2g} USD"


def counted(number: int, word: str) -> str:
    """``1 case``, ``1,410 cases``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def ordinal(number: int) -> str:
    """``1st``, ``2nd``, ``11th``, ``1,003rd``."""
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def evidence(log_e: float) -> str:
    """An e-value by its logarithm: ``0.07``, ``8.7``, ``1,914``, ``over 1,000,000``."""
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


def listed(items: Sequence[str]) -> str:
    """At least one thing: ``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
