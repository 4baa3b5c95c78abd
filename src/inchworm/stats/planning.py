"""How many items and repetitions a paired comparison needs.

All of it follows from Var(d̄) = (ω² + σ²/K) / n, with ω² the variance of the true per-item differences and
σ² = σ_A² + σ_B² the noise of one repetition in each arm (Miller 2411.00640, §3 and §5).
"""

from __future__ import annotations

import math

from scipy import stats

from inchworm.stats.intervals import critical_z
from inchworm.stats.paired import PairedEstimate


def minimum_detectable_effect(
    variance: float, n: float, *, power: float = 0.8, confidence: float = 0.95
) -> float:
    """Return the smallest effect found with the given power: (z + z_power)·sqrt(variance / n).

    Args:
        variance: variance of an item's difference; for binary pairs about their discordance.
        n: items (the effective number when weighted or grouped).
        power: probability of finding it.
        confidence: of the two-sided interval.

    Raises:
        ValueError: variance is negative, n is not positive, or a probability lies outside (0, 1).
    """
    if variance < 0 or n <= 0:
        msg = f"need variance >= 0 and n > 0, got {variance} and {n}"
        raise ValueError(msg)
    return _reach(power, confidence) * math.sqrt(variance / n)


def items_for_effect(
    variance: float, effect: float, *, power: float = 0.8, confidence: float = 0.95
) -> int | None:
    """Return n = (z + z_power)²·variance / effect², or None if no n finds an effect of 0.

    Raises:
        ValueError: variance is negative or a probability lies outside (0, 1).
    """
    if variance < 0:
        msg = f"a variance cannot be negative, got {variance}"
        raise ValueError(msg)
    reach = _reach(power, confidence)
    if abs(effect) < 1e-9:
        return None
    return max(2, math.ceil(reach**2 * variance / effect**2))


def items_to_settle(
    estimate: PairedEstimate,
    margin: float,
    *,
    repetitions: float | None = None,
    power: float = 0.8,
) -> int | None:
    """Return the total n at which the interval would leave the margin, if the effect is what it seems.

    Args:
        estimate: the inconclusive comparison.
        margin: the non-inferiority margin (>= 0).
        repetitions: plan with this K instead of the present one; ignored if K was never above 1, because the
            noise is then unknown.
        power: probability that a new sample of that size settles it.

    Returns:
        The total number of items, present ones included, or None if the estimate lies on the margin itself.
        The estimate is noisy: read it as an order of magnitude.
    """
    variance = estimate.variance_total
    if (
        repetitions is not None
        and estimate.variance_between is not None
        and estimate.variance_within is not None
    ):
        variance = estimate.variance_between + estimate.variance_within / repetitions
    return items_for_effect(variance, estimate.effect + margin, power=power, confidence=estimate.confidence)


def advised_repetitions(estimate: PairedEstimate, *, ceiling: int = 10) -> int | None:
    """Return the smallest K with σ²/K <= ω²; beyond it more items pay better than more repetitions.

    Returns:
        K between 1 and `ceiling`, or None if no item was repeated in both arms.
    """
    within, between = estimate.variance_within, estimate.variance_between
    if within is None or between is None:
        return None
    if within <= between:
        return 1
    return ceiling if between * ceiling <= within else math.ceil(within / between)


def _reach(power: float, confidence: float) -> float:
    if not 0 < power < 1:
        msg = f"power must lie strictly between 0 and 1, got {power}"
        raise ValueError(msg)
    return critical_z(confidence) + float(stats.norm.ppf(power))
