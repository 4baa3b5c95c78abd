"""The safe test of two proportions, as the R package safestats makes it."""

from __future__ import annotations

import math

import numpy as np

from inchworm.stats.rules.seen import BoolArray, FloatArray, Seen

__all__ = ["safestats"]


def safestats(of: Seen, *, alpha: float = 0.05, prior: float = 0.18) -> BoolArray:
    """The e-process of a 2x2 table with Beta(prior, prior) estimates in both arms, for outcomes 0 or 1.

    Turner, Ly and Grünwald, "Generic E-variables for exact sequential k-sample tests" (arXiv 2106.02693),
    section 2: per block the likelihood under each arm's estimate from earlier blocks, over that under their
    mean weighted by the block's sizes. The blocks are the steps of ``of``, which ``seen.blocked`` makes even.
    The test is two-sided; harm is a rejection with the candidate's mean below.

    The package is in R and not run here. Its default prior is .18.
    """

    # NaN beyond a run's end stays NaN, and calls nothing.
    def before(values: FloatArray) -> FloatArray:
        zero: FloatArray = np.zeros_like(values[..., :1])
        return np.concatenate((zero, values[..., :-1]), axis=-1)

    n1, s1, n0, s0 = (before(values) for values in (of.n1, of.s1, of.n0, of.s0))
    rate1 = (prior + s1) / (2.0 * prior + n1)
    rate0 = (prior + s0) / (2.0 * prior + n0)
    good1, size0, good0 = of.s1 - s1, of.n0 - n0, of.s0 - s0
    pooled = (rate1 + size0 * rate0) / (1.0 + size0)
    bad1, bad0 = 1.0 - good1, size0 - good0
    steps = (
        good1 * np.log(rate1 / pooled)
        + bad1 * np.log((1.0 - rate1) / (1.0 - pooled))
        + good0 * np.log(rate0 / pooled)
        + bad0 * np.log((1.0 - rate0) / (1.0 - pooled))
    )
    log_e = np.cumsum(steps, axis=-1)
    worse = of.s1 / of.n1 < of.s0 / np.maximum(of.n0, 1.0)
    low: BoolArray = worse & (log_e >= -math.log(alpha))
    return low
