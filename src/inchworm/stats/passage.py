"""When will a log e-value reach its line, if it goes on as it went? An extrapolation with its uncertainty.

The path of a log e-value is taken as a Brownian motion with drift: increments over n units have mean μn and
variance σ²n. Its first passage time over a level a is inverse Gaussian (Chhikara & Folks 1989, The Inverse
Gaussian Distribution, eq. 2.15). As μ is estimated from the path itself, the distribution is averaged over
N(μ̂, σ²/N), N units seen. It promises nothing: the effect may change, and so may the traffic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.special import log_ndtr, ndtri

FEWEST: Final = 5
"""Increments without which nothing is said."""
_NODES: Final = ndtri((np.arange(41) + 0.5) / 41)
_LONGEST: Final = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """How many more units it takes; ``None`` where the path does not get there with that probability.

    Attributes:
        low: the 10 % quantile.
        median: the 50 % quantile.
        high: the 90 % quantile.
    """

    low: float | None
    median: float | None
    high: float | None


def passage(units: Sequence[float], log_e: Sequence[float], line: float) -> Passage | None:
    """Quantiles of the units that are still needed; ``None`` while the path says too little.

    Args:
        units: seen so far at each look, growing, shape (k,).
        log_e: the log e-value at each look, shape (k,), of one process throughout.
        line: what it has to reach.

    Raises:
        ValueError: if the two differ in length, or ``units`` does not grow.
    """
    if len(units) != len(log_e):
        msg = f"a path has as many values as looks, not {len(log_e)} and {len(units)}"
        raise ValueError(msg)
    steps, gains = np.diff(np.asarray(units, dtype=np.float64)), np.diff(np.asarray(log_e, dtype=np.float64))
    if (steps <= 0).any():
        raise ValueError("units grow from look to look")
    if steps.size < FEWEST:
        return None
    level = line - float(log_e[-1])
    if level <= 0:
        return Passage(low=0.0, median=0.0, high=0.0)
    seen = float(steps.sum())
    drift = float(gains.sum()) / seen
    variance = float((np.square(gains - drift * steps) / steps).sum() / (steps.size - 1))
    if variance <= 0:
        there = level / drift if drift > 0 else None
        return Passage(low=there, median=there, high=there)
    drifts = drift + _NODES * math.sqrt(variance / seen)
    low, median, high = (_quantile(share, level, drifts, variance) for share in (0.1, 0.5, 0.9))
    return Passage(low=low, median=median, high=high)


def _quantile(share: float, level: float, drifts: np.ndarray, variance: float) -> float | None:
    """Bisection on the logarithm of the time."""
    low, high = -9.0, math.log(_LONGEST)
    if _reached(math.exp(high), level, drifts, variance) < share:
        return None
    for _ in range(60):
        middle = (low + high) / 2
        if _reached(math.exp(middle), level, drifts, variance) < share:
            low = middle
        else:
            high = middle
    return math.exp(high)


def _reached(time: float, level: float, drifts: np.ndarray, variance: float) -> float:
    """The probability that the level was reached by ``time``, averaged over the drifts."""
    spread = math.sqrt(variance * time)
    direct = log_ndtr((drifts * time - level) / spread)
    reflected = 2.0 * drifts * level / variance + log_ndtr((-drifts * time - level) / spread)
    return float(np.exp(np.logaddexp(direct, reflected)).mean())
