"""Group sequential testing with O'Brien and Fleming's boundary."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from inchworm.stats.rules.seen import BoolArray, FloatArray, Seen, difference

__all__ = ["boundary", "obrien_fleming", "obrien_fleming_peeked"]

_GRID: Final = 600
_DEPTH: Final = -6.0


@lru_cache(maxsize=32)
def boundary(looks: int, alpha: float) -> float:
    """The constant C: crossing ``z_k >= C sqrt(looks / k)`` at some of the equal looks has probability alpha.

    One-sided, by the recursion of Armitage, McPherson and Rowe (J. R. Stat. Soc. A 132, 1969) on a grid;
    O'Brien and Fleming, Biometrics 35, 1979. For example, ``boundary(5, .025)`` is 2.040.

    Raises:
        ValueError: when there is no look, or alpha is outside (0, .5).
    """
    if looks < 1 or not 0.0 < alpha < 0.5:
        msg = f"At least one look and alpha in (0, .5), got {looks} and {alpha}."
        raise ValueError(msg)

    def excess(constant: float) -> float:
        # On the scale of the score the boundary is flat; a step has variance 1 / looks.
        points, width = np.linspace(_DEPTH, constant, _GRID, retstep=True)
        spread = 1.0 / math.sqrt(looks)
        weights = np.full(_GRID, width)
        weights[[0, -1]] *= 0.5
        kernel = norm.pdf(points[:, None] - points[None, :], scale=spread) * weights
        density: FloatArray = norm.pdf(points, scale=spread)
        crossed = float(norm.sf(constant, scale=spread))
        for _ in range(looks - 1):
            crossed += float((norm.sf(constant - points, scale=spread) * density * weights).sum())
            density = kernel @ density
        return crossed - alpha

    return float(brentq(excess, 0.3, 5.0, xtol=1e-6))


def obrien_fleming(of: Seen, *, alpha: float = 0.05, most: int = 300, looks: int = 10) -> BoolArray:
    """Looked at ``looks`` times, evenly, until ``most`` candidate observations; then never again.

    What is not found by then is never found: ``most`` has to be planned, for an effect that one must guess.
    """
    times = np.ceil(np.arange(1, looks + 1) * most / looks)
    needed = np.full(of.n1.shape, np.inf)
    for time in times:
        needed = np.where(of.n1 == time, boundary(looks, alpha) * math.sqrt(most / time), needed)
    gap, error = difference(of)
    low: BoolArray = -gap / error >= needed
    return low


def obrien_fleming_peeked(of: Seen, *, alpha: float = 0.05, most: int = 300, looks: int = 10) -> BoolArray:
    """The same boundary, looked at with every candidate observation: what it was not made for.

    For a Brownian motion it is crossed with probability 2 (1 - Phi(C)), .072 at 10 looks and alpha = .05.
    """
    needed = np.where(of.n1 <= most, boundary(looks, alpha) * np.sqrt(most / of.n1), np.inf)
    gap, error = difference(of)
    low: BoolArray = -gap / error >= needed
    return low
