"""Score intervals for rates and for paired differences of rates.

Score intervals keep their coverage where the normal approximation fails: at rates near 0 or 1, at small n,
and where not one item differs between two arms (Bowyer et al. 2503.01747 show how far the normal
approximation is off on evaluation sets of a few hundred items). Everything here is a pure function of
counts or weights.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]

# The score equation of a paired difference has a spurious root at the estimate when nothing is discordant.
_STEP_OFF = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A closed interval with `low <= high`, in the unit of the estimate it belongs to."""

    low: float
    high: float

    def contains(self, value: float) -> bool:
        """Say whether `value` lies inside, ends included."""
        return self.low <= value <= self.high

    def mirrored(self) -> Interval:
        """Return the interval of the negated quantity."""
        return Interval(low=-self.high, high=-self.low)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateEstimate:
    """A rate in [0, 1] with its interval and the number of equally weighted items it is worth."""

    rate: float
    low: float
    high: float
    n_effective: float


def critical_z(confidence: float) -> float:
    """Return the two-sided standard normal critical value, e.g. 1.96 at .95.

    Raises:
        ValueError: `confidence` is not strictly between 0 and 1.
    """
    if not 0 < confidence < 1:
        msg = f"confidence must lie strictly between 0 and 1, got {confidence}"
        raise ValueError(msg)
    return float(stats.norm.ppf(0.5 + confidence / 2))


def effective_n(weight: FloatArray) -> float:
    """Return Kish's effective sample size (Σw)²/Σw² (Kish 1965, Survey Sampling, §11.7).

    Raises:
        ValueError: a weight is negative or not finite, or none is positive.
    """
    if weight.size == 0 or not np.isfinite(weight).all() or (weight < 0).any() or weight.sum() <= 0:
        msg = "weights must be finite, not negative and not all zero"
        raise ValueError(msg)
    return float(weight.sum() ** 2 / np.square(weight).sum())


def wilson(successes: float, n: float, *, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of a rate (Wilson 1927; Brown, Cai & DasGupta 2001, eq. 4).

    Args:
        successes: the number of successes, fractional when the rate is weighted or the outcome lies in [0, 1]
            (the interval is then conservative, because Var(Y) <= p(1-p)).
        n: the number of items, or the effective number.
        confidence: two-sided coverage.

    Raises:
        ValueError: not 0 <= successes <= n, or n is not positive.
    """
    if not (n > 0 and -1e-9 <= successes <= n + 1e-9):
        msg = f"a rate needs n > 0 and 0 <= successes <= n, got {successes} of {n}"
        raise ValueError(msg)
    z2 = critical_z(confidence) ** 2
    p = min(max(successes / n, 0.0), 1.0)
    centre = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2) / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # The algebra gives exactly 0 and 1 at the ends; rounding does not.
    low = 0.0 if p == 0 else max(0.0, centre - half)
    high = 1.0 if p == 1 else min(1.0, centre + half)
    return Interval(low=low, high=high)


def weighted_rate(values: FloatArray, weight: FloatArray, *, confidence: float = 0.95) -> RateEstimate:
    """Return the weighted mean of outcomes in [0, 1] with Wilson's interval at Kish's effective n.

    Args:
        values: outcomes in [0, 1], one per item.
        weight: non-negative weight per item, any scale.
        confidence: two-sided coverage.

    Raises:
        ValueError: shapes differ, an outcome lies outside [0, 1], or the weights are unusable.
    """
    if values.shape != weight.shape:
        msg = f"values and weight must have one shape, got {values.shape} and {weight.shape}"
        raise ValueError(msg)
    n = effective_n(weight)
    if not ((values >= 0) & (values <= 1)).all():
        msg = "outcomes of a rate must lie in [0, 1]"
        raise ValueError(msg)
    rate = min(max(float(values @ weight / weight.sum()), 0.0), 1.0)
    interval = wilson(rate * n, n, confidence=confidence)
    return RateEstimate(rate=rate, low=interval.low, high=interval.high, n_effective=n)


def tango(gained: int, lost: int, n: int, *, confidence: float = 0.95) -> Interval:
    """Return Tango's score interval of a paired difference of rates (Tango 1998, Stat. Med. 17:891, eq. 8).

    Args:
        gained: items right with the new arm only.
        lost: items right with the old arm only.
        n: all items, concordant ones included.
        confidence: two-sided coverage.

    Returns:
        The interval of P(new right) - P(old right). It has positive length even when gained = lost = 0, where
        it ends at ±z²/(n+z²).

    Raises:
        ValueError: a count is negative or gained + lost > n or n = 0.
    """
    if min(gained, lost) < 0 or n < 1 or gained + lost > n:
        msg = f"need n >= 1 and gained + lost <= n, got gained={gained}, lost={lost}, n={n}"
        raise ValueError(msg)
    z = critical_z(confidence)
    return Interval(low=_tango_low(gained, lost, n, z), high=-_tango_low(lost, gained, n, z))


def _tango_low(b: int, c: int, n: int, z: float) -> float:
    """Solve Tango's score equation for the lower end; the upper end is minus this with b and c swapped."""

    def excess(delta: float) -> float:
        # Maximum likelihood of the "lost" probability when the difference is held at delta.
        linear = -b - c + (2 * n - b + c) * delta
        constant = -c * delta * (1 - delta)
        lost = (math.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
        variance = n * (2 * lost + delta * (1 - delta))
        return b - c - n * delta - z * math.sqrt(max(variance, 0.0))

    start = (b - c) / n - _STEP_OFF
    if start <= -1 or excess(-1.0) <= 0 or excess(start) >= 0:
        return max((b - c) / n, -1.0) if start > -1 and excess(start) >= 0 else -1.0
    return float(optimize.brentq(excess, -1.0, start, xtol=1e-12))


def sparse_mean(values: FloatArray, weight: FloatArray, *, confidence: float = 0.95) -> Interval:
    """Return an interval of a weighted mean of values in [-1, 1] that stays honest when hardly any differ.

    The mean is the difference of two rates, of positive and of negative parts. Each gets Wilson's interval at
    the effective n, and the two are joined by square-and-add (Newcombe 1998, Stat. Med. 17:2635, method 10,
    with the correlation taken as 0, which holds to first order when both rates are small). With all values 0
    it ends at ±z²/(n+z²), as Tango's does.

    Args:
        values: independent values in [-1, 1] (one per item, or one mean per group).
        weight: non-negative weight of each, any scale.
        confidence: two-sided coverage.

    Raises:
        ValueError: shapes differ, a value lies outside [-1, 1], or the weights are unusable.
    """
    if values.shape != weight.shape or not (np.abs(values) <= 1 + 1e-9).all():
        msg = "values must lie in [-1, 1], one weight each"
        raise ValueError(msg)
    gain = weighted_rate(np.clip(values, 0, 1), weight, confidence=confidence)
    loss = weighted_rate(np.clip(-values, 0, 1), weight, confidence=confidence)
    mean = gain.rate - loss.rate
    return Interval(
        low=max(-1.0, mean - math.hypot(gain.rate - gain.low, loss.high - loss.rate)),
        high=min(1.0, mean + math.hypot(gain.high - gain.rate, loss.rate - loss.low)),
    )


def is_sparse(values: FloatArray, stratum: IntArray | None = None, *, fewest: int = 10) -> bool:
    """Say whether fewer than `fewest` values differ from the most common one of their stratum.

    A standard error resting on so few values is unstable, and a bootstrap redraws samples without any. Where
    most values differ, they are not sparse, however few there are.
    """
    where = np.zeros(values.size, dtype=np.int64) if stratum is None else stratum
    strata = np.unique(where)
    modal = sum(int(np.unique(np.round(values[where == h], 9), return_counts=True)[1].max()) for h in strata)
    return bool(values.size - modal < max(1, min(fewest, values.size / 2)))
