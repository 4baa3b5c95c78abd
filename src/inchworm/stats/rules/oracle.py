"""The bet of somebody who knows both rates: how quick one could be."""

from __future__ import annotations

import math

from inchworm.stats.rules.seen import BoolArray, Seen

__all__ = ["oracle"]


def oracle(of: Seen, *, baseline: float, candidate: float, pi: float, alpha: float = 0.05) -> BoolArray:
    """The growth-rate-optimal e-process for outcomes 0 or 1, of rates that are known in (0, 1).

    Grünwald, de Heide and Koolen, "Safe testing" (arXiv 1906.07801), theorem 1, with randomisation known:
    the likelihood over that of the mean rate that the split makes.

    Args:
        of: what was seen.
        baseline: success rate of the baseline.
        candidate: success rate of the candidate.
        pi: probability of the candidate, the same for all units.
        alpha: level.
    """
    good = pi * candidate + (1.0 - pi) * baseline
    log_e = (
        of.s1 * math.log(candidate / good)
        + (of.n1 - of.s1) * math.log((1.0 - candidate) / (1.0 - good))
        + of.s0 * math.log(baseline / good)
        + (of.n0 - of.s0) * math.log((1.0 - baseline) / (1.0 - good))
    )
    low: BoolArray = log_e >= -math.log(alpha)
    return low
