"""An interval for a difference of two means that holds however often one looks, from counts and means alone.

For clusters, of which no unit is remembered and no grid of effects is kept. The asymptotic confidence
sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (arXiv 2103.06476, section 2): at information
t = Σ n₀n₁ / (n₀ + n₁), over stages, the estimate is off by more than

    sd · √((1 + 1/(t ρ²)) · log((t ρ² + 1) / α²))

at any time with probability about α, for large t. The variance of values in [0, 1] with mean m is at most
m (1 − m) (Bhatia and Davis 2000); m is moved by two successes and two failures (Agresti and Coull 1998),
so that nothing observed is not nothing uncertain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from inchworm.stats.intervals import Interval

ALPHA: Final = 0.05
_AT: Final = 100.0
"""The information at which the interval is tightest: about a hundred units of the smaller arm."""


def variance(mean: float, units: int) -> float:
    """At most what values in [0, 1] vary by, whose mean over ``units`` is ``mean``."""
    moved = (mean * units + 2.0) / (units + 4.0)
    return moved * (1.0 - moved)


def information(arms: Sequence[tuple[int, int]]) -> float:
    """What a difference is known to: Σ n₀n₁ / (n₀ + n₁) over stages of (baseline, candidate) units."""
    return sum(
        baseline * candidate / (baseline + candidate) for baseline, candidate in arms if baseline * candidate
    )


def squared_error(means: tuple[float, float], arms: Sequence[tuple[int, int]]) -> float:
    """The variance of a difference whose stages are weighted by their information.

    Args:
        means: of baseline and candidate.
        arms: units (baseline, candidate) of each stage.

    Raises:
        ZeroDivisionError: unless some stage has units in both arms.
    """
    whole = information(arms)
    totals = sum(one for one, _ in arms), sum(other for _, other in arms)
    spread = [variance(mean, units) for mean, units in zip(means, totals, strict=True)]
    return sum(
        (information([(one, other)]) / whole) ** 2 * (spread[0] / one + spread[1] / other)
        for one, other in arms
        if one * other
    )


def anytime(effect: float, squared: float, known: float, *, alpha: float = ALPHA) -> Interval:
    """The interval, inside −1 … 1.

    Args:
        effect: the estimated difference.
        squared: its variance.
        known: its information.
        alpha: how often it may miss at any time.
    """
    scale = known * _scale(alpha)
    wide = math.sqrt(squared * (1.0 + 1.0 / scale) * math.log((scale + 1.0) / alpha**2))
    return Interval(low=max(effect - wide, -1.0), high=min(effect + wide, 1.0))


def _scale(alpha: float) -> float:
    """ρ² for which the sequence is tightest at the information ``_AT`` (appendix on the choice of ρ)."""
    log = -2.0 * math.log(alpha)
    return (log + math.log(log + 1.0)) / _AT
