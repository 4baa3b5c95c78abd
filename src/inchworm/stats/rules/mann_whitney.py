"""Kayenta's judge: Mann and Whitney's test on points of a time series."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from scipy.stats import norm

from inchworm.stats.rules.seen import BoolArray, FloatArray, Seen

__all__ = ["kayenta"]

_STEPS: Final = 1_000
"""Points are rounded to this many steps of [0, 1], fine enough for means of a few dozen outcomes."""


def kayenta(
    of: Seen, *, confidence: float = 0.98, tolerance: float = 0.25, size: int = 20, least: int = 8
) -> BoolArray:
    """The classifier of Spinnaker's Kayenta on means of ``size`` candidate observations each.

    Kayenta compares points of time series, not single outcomes: on zeros and ones its interval of the shift
    (Hodges and Lehmann) collapses to 0. So a point is the mean of ``size`` candidate observations, and of
    the baseline observations of the same time; it is looked at whenever a point is complete, from ``least``
    points on. Low is called where the upper end of the interval of the shift, by the normal approximation
    with the correction for continuity, lies below minus ``tolerance`` times the estimated shift
    (``MannWhitneyClassifier``, kayenta-judge, 98 % and .25).

    Args:
        of: what was seen, of shape (K,) or (R, K).
        confidence: of the interval.
        tolerance: share of the estimated shift.
        size: candidate observations per point.
        least: points before the first look.
    """
    shape = of.n1.shape
    n1, s1, n0, s0 = (np.atleast_2d(values) for values in (of.n1, of.s1, of.n0, of.s0))
    calls = np.zeros(n1.shape, dtype=np.bool_)
    ends = np.arange(size - 1, n1.shape[1], size)
    if ends.size < least:
        return calls.reshape(shape)

    def per_point(values: FloatArray) -> FloatArray:
        steps: FloatArray = np.diff(values[:, ends], axis=1, prepend=0.0)
        return steps

    there = per_point(n0)
    with np.errstate(invalid="ignore", divide="ignore"):
        canary = per_point(s1) / size
        control = np.where(there > 0, per_point(s0) / there, np.nan)
    calls[:, ends] = _low(canary, control, norm.ppf(0.5 + confidence / 2.0), tolerance, least)
    return calls.reshape(shape)


def _low(canary: FloatArray, control: FloatArray, z: float, tolerance: float, least: int) -> BoolArray:
    """Where Low is called after each pair of points, shape (R, P).

    A histogram of all pairwise differences is kept per run; a new point adds 2 k - 1 of them.
    """
    runs, points = canary.shape
    width = 2 * _STEPS + 1
    histogram = np.zeros(runs * width)
    offset = np.arange(runs)[:, None] * width + _STEPS
    low = np.zeros((runs, points), dtype=np.bool_)
    alive = ~(np.isnan(canary) | np.isnan(control))
    tops = np.rint(np.where(alive, canary, 0.0) * _STEPS).astype(np.int64)
    downs = np.rint(np.where(alive, control, 0.0) * _STEPS).astype(np.int64)
    complete = np.logical_and.accumulate(alive, axis=1)
    for k in range(points):
        new = np.concatenate((tops[:, k, None] - downs[:, : k + 1], tops[:, :k] - downs[:, k, None]), axis=1)
        histogram += np.bincount((offset + new).ravel(), minlength=histogram.size)
        if k + 1 < least:
            continue
        n = k + 1.0
        below = np.cumsum(histogram.reshape(runs, width), axis=1)
        # The shift at which the statistic is in its middle, and where it is z standard errors (and the
        # correction) further up: order statistics of the differences.
        spread = math.sqrt(n * n * (2.0 * n + 1.0) / 12.0)
        rank = n * n / 2.0 + z * spread + 0.5
        estimate = (np.argmax(below >= n * n / 2.0, axis=1) - _STEPS) / _STEPS
        upper = (np.argmax(below >= min(rank, n * n), axis=1) - _STEPS) / _STEPS
        low[:, k] = complete[:, k] & (upper < -tolerance * np.abs(estimate))
    return low
