"""Rules that rest on the normal approximation, and the rule that rests on nothing."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.stats import norm

from inchworm.stats.rules.seen import BoolArray, Seen, difference, moments

__all__ = ["fixed_z", "growthbook", "growthbook_one_sided", "msprt", "threshold"]

BURN_IN: Final = 20
"""Observations of either arm before the fixed z test is looked at."""
_TINY: Final = 1e-12


def fixed_z(of: Seen, *, alpha: float = 0.05) -> BoolArray:
    """The one-sided pooled z test of two means, made for one look, looked at all the time.

    Speaks once both arms have ``BURN_IN`` observations.
    """
    now = moments(of)
    error = np.sqrt(np.maximum(now.pooled, _TINY) * (1.0 / now.n1 + 1.0 / now.n0))
    ready = (of.n1 >= BURN_IN) & (of.n0 >= BURN_IN)
    low: BoolArray = ready & ((now.mean1 - now.mean0) / error < norm.ppf(alpha))
    return low


def msprt(of: Seen, *, alpha: float = 0.05, tau: float = 0.05) -> BoolArray:
    """The mixture sequential probability ratio test, two-sided, with a normal mixture of variance tau².

    Johari, Koomen, Pekelis and Walsh, "Always valid inference", Operations Research 70(3), 2022 (arXiv
    1512.04922), equation 8, with the estimated variance of the difference, an own one per arm.
    """
    gap, error = difference(of)
    variance = np.square(error)
    log_ratio = 0.5 * np.log(variance / (variance + tau**2)) + np.square(tau * gap) / (
        2.0 * variance * (variance + tau**2)
    )
    low: BoolArray = (gap < 0.0) & (log_ratio >= -math.log(alpha))
    return low


def growthbook(of: Seen, *, alpha: float = 0.05, tuning: float = 5_000.0) -> BoolArray:
    """GrowthBook's sequential test as shipped: the upper end of its two-sided sequence is below 0.

    An asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, arXiv 2103.06476v7,
    equation 9), tuned by its equation 161 for ``tuning`` observations of both arms together. On the absolute
    difference, as gbstats 0.8 computes it without ``difference_type: relative``.
    """
    (gap, error), n = difference(of), of.n1 + of.n0
    rho2 = (-2.0 * math.log(alpha) + math.log(-2.0 * math.log(alpha) + 1.0)) / tuning
    grown = n * rho2 + 1.0
    # Over all n: sqrt(s² n) times the half-width of a unit variance, s² n / n² = error².
    width = error * np.sqrt(2.0 * grown * np.log(np.sqrt(grown) / alpha) / (n * rho2))
    low: BoolArray = gap + width < 0.0
    return low


def growthbook_one_sided(of: Seen, *, alpha: float = 0.05, tuning: float = 5_000.0) -> BoolArray:
    """The one-sided sequence of the same paper (equation 134), which GrowthBook does not offer."""
    (gap, error), n = difference(of), of.n1 + of.n0
    twice = 2.0 * alpha
    rho2 = (-2.0 * math.log(twice) + math.log(-2.0 * math.log(twice) + 1.0)) / tuning
    grown = n * rho2 + 1.0
    width = error * np.sqrt(2.0 * grown * np.log1p(np.sqrt(grown) / twice) / (n * rho2))
    low: BoolArray = gap + width < 0.0
    return low


def threshold(of: Seen, *, points: float = 0.02, least: int = 100) -> BoolArray:
    """Point estimates alone: the candidate's mean is lower by more than ``points``.

    Speaks once the candidate has ``least`` observations, as alerting rules commonly ask.
    """
    now = moments(of)
    low: BoolArray = (of.n1 >= least) & (now.mean1 - now.mean0 < -points)
    return low
