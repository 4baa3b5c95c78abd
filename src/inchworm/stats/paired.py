"""The offline gate: a paired comparison of two configurations on one evaluation set.

Both configurations answer the same items, K times each. An item's difference d_i is the mean of new minus
the mean of old, higher is better, outcomes in [0, 1]. The estimate is θ = Σ W_h d̄_h with W_h the strata's
shares in production (Miller 2411.00640). How the interval is made depends on the data:

- binary, one repetition, one stratum, no groups, n < 300 (or hardly any discordant item): exact McNemar p and
  Tango's score interval, because the normal approximation is too narrow there (Bowyer et al. 2503.01747);
- hardly any differing item otherwise: two Wilson intervals joined, exact sign test (`intervals.sparse_mean`);
- groups, one stratum: CR1 with t on G - 1 degrees of freedom;
- everything else: stratified group bootstrap-t.

Planning (how many items, how many repetitions) is in `inchworm.stats.planning`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

import numpy as np
from scipy import stats

from inchworm.stats.intervals import (
    BoolArray,
    FloatArray,
    IntArray,
    Interval,
    critical_z,
    sparse_mean,
    tango,
)
from inchworm.stats.paired_items import Items, components, matrix, prepare, usable_items
from inchworm.stats.resampling import GroupTable, bootstrap_t, group_table

Method: TypeAlias = Literal["mcnemar-tango", "sparse-score", "cluster-t", "bootstrap-t"]

EXACT_BELOW = 300
"""Binary, unweighted, ungrouped, single-repetition comparisons below this many items use exact methods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedEstimate:
    """The difference new - old of one metric, and what is known about it."""

    effect: float
    """θ = Σ W_h d̄_h, in the metric's unit."""
    low: float
    """Lower end of the two-sided interval."""
    high: float
    """Upper end of the two-sided interval."""
    confidence: float
    """Two-sided coverage aimed at."""
    se: float
    """Standard error of `effect`; where hardly any item differs, at least half the interval over z."""
    p_value: float
    """Two-sided p of "no difference"; an exact p may disagree with a score interval at the edge."""
    method: Method
    """How interval and p were made."""
    new_mean: float
    """Weighted mean of the new arm."""
    old_mean: float
    """Weighted mean of the old arm."""
    n: int
    """Items used: those with at least one observation in each arm."""
    groups: int
    """Independent groups among them (n when ungrouped)."""
    dropped: int
    """Items left out for want of an observation in an arm."""
    covered: float
    """Share of production weight whose strata hold a used item; the estimate speaks for this share."""
    discordance: float
    """Weighted share of items whose difference is not 0."""
    wins: int
    """Items where new is better."""
    losses: int
    """Items where old is better."""
    variance_total: float
    """n·SE²: what an item contributes, weights and groups included."""
    variance_within: float | None
    """σ² = σ_A² + σ_B², the noise of one repetition in each arm; None where an arm has no repetitions."""
    variance_between: float | None
    """ω², what is left of `variance_total` without the noise; None as above."""
    repetitions: float | None
    """K that the data are worth (σ² over the noise in d); None as above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NonInferiority:
    """What the interval says against a non-inferiority margin."""

    outcome: Literal["pass", "fail", "inconclusive"]
    worse_with_confidence: bool
    """The interval lies below 0: worse, though perhaps within the margin."""
    better_with_confidence: bool
    """The interval lies above 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumEffect:
    """One stratum's difference, with an interval that holds for all strata at once (Bonferroni)."""

    stratum: int
    share: float
    estimate: PairedEstimate


@dataclass(frozen=True, slots=True, kw_only=True)
class StratumTooSmall:
    """A stratum with fewer than two groups: it has a share but no interval."""

    stratum: int
    share: float
    n: int


def compare(
    new: FloatArray,
    old: FloatArray,
    *,
    new_present: BoolArray | None = None,
    old_present: BoolArray | None = None,
    stratum: IntArray | None = None,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> PairedEstimate:
    """Compare two configurations on the same items.

    Args:
        new: outcomes in [0, 1], items x K_new (or one column as a vector); higher is better.
        old: the same for the baseline, items x K_old.
        new_present: True where `new` was observed; absent values are ignored whatever they hold.
        old_present: the same for `old`.
        stratum: index into `weight`, one per item; None is one stratum.
        weight: share in production per stratum, any positive scale; None takes the shares of the sample.
        group: which conversation, user or document an item belongs to; None is no groups.
        confidence: two-sided coverage.
        resamples: draws of the bootstrap.
        seed: of the bootstrap; the same data and seed give the same interval, in any order of items.

    Raises:
        ValueError: shapes disagree, an outcome lies outside [0, 1], a stratum has no weight, or fewer than
            two independent groups remain.
    """
    z = critical_z(confidence)
    items = prepare(
        new,
        old,
        new_present=new_present,
        old_present=old_present,
        stratum=stratum,
        weight=weight,
        group=group,
    )
    d = items.difference
    table = group_table(d, stratum=items.stratum, share=items.share, group=items.group)
    effect, se = table.effect(), table.standard_error()
    n = int(d.size)
    method = _method(items, table, d)
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    match method:
        case "mcnemar-tango":
            interval = tango(wins, losses, n, confidence=confidence)
            p = _sign_test(wins, losses)
        case "sparse-score":
            means = table.means()
            interval = sparse_mean(means, table.weight(), confidence=confidence)
            p = _sign_test(int((means > 0).sum()), int((means < 0).sum()))
        case "cluster-t":
            df = table.groups - 1
            half = float(stats.t.ppf(0.5 + confidence / 2, df)) * se
            interval = Interval(low=effect - half, high=effect + half)
            p = 2 * float(stats.t.sf(abs(effect) / se, df))
        case "bootstrap-t":
            interval, p = _studentised(
                table, effect=effect, se=se, confidence=confidence, resamples=resamples, seed=seed
            )
        case _:
            assert_never(method)
    if table.sparse():
        se = max(se, (interval.high - interval.low) / (2 * z))
    per_item = items.weight()
    total = n * se * se
    within, between, repetitions = components(items, per_item, total)
    return PairedEstimate(
        effect=effect,
        low=max(-1.0, interval.low),
        high=min(1.0, interval.high),
        confidence=confidence,
        se=se,
        p_value=p,
        method=method,
        new_mean=float(per_item @ items.new),
        old_mean=float(per_item @ items.old),
        n=n,
        groups=table.groups,
        dropped=items.dropped,
        covered=1.0 if weight is None else float(items.share.sum() / np.sum(weight)),
        discordance=float(per_item @ (d != 0)),
        wins=wins,
        losses=losses,
        variance_total=total,
        variance_within=within,
        variance_between=between,
        repetitions=repetitions,
    )


def verdict(estimate: PairedEstimate, margin: float) -> NonInferiority:
    """Judge non-inferiority: pass if low > -margin, fail if high < -margin, otherwise inconclusive.

    Args:
        estimate: a comparison where higher is better.
        margin: the largest loss that is acceptable, in the metric's unit; 0 demands an improvement.

    Raises:
        ValueError: the margin is negative or not finite.
    """
    if not (math.isfinite(margin) and margin >= 0):
        msg = f"a non-inferiority margin is a loss one can accept: it must be >= 0, got {margin}"
        raise ValueError(msg)
    outcome: Literal["pass", "fail", "inconclusive"]
    if estimate.low > -margin:
        outcome = "pass"
    elif estimate.high < -margin:
        outcome = "fail"
    else:
        outcome = "inconclusive"
    return NonInferiority(
        outcome=outcome,
        worse_with_confidence=estimate.high < 0,
        better_with_confidence=estimate.low > 0,
    )


def stratum_effects(
    new: FloatArray,
    old: FloatArray,
    *,
    stratum: IntArray,
    new_present: BoolArray | None = None,
    old_present: BoolArray | None = None,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> tuple[StratumEffect | StratumTooSmall, ...]:
    """Compare within each stratum, worst first, with intervals that hold for all strata at once.

    "No stratum is worse with confidence" is read off these: none has `high < 0`. Bonferroni is used because
    groups may span strata, so that the strata need not be independent.

    Args:
        new: as in `compare`.
        old: as in `compare`.
        stratum: as in `compare`; strata without a usable item are left out.
        new_present: as in `compare`.
        old_present: as in `compare`.
        weight: as in `compare`; only reported.
        group: as in `compare`.
        confidence: simultaneous two-sided coverage.
        resamples: at least this many draws; more are made where a tail would rest on fewer than ten.
        seed: as in `compare`.

    Raises:
        ValueError: as `compare`, except that a stratum with fewer than two groups becomes `StratumTooSmall`.
    """
    items = prepare(
        new,
        old,
        new_present=new_present,
        old_present=old_present,
        stratum=stratum,
        weight=weight,
        group=group,
    )
    usable = usable_items(matrix(new), matrix(old), new_present, old_present)
    rows = np.flatnonzero(usable)
    used = np.unique(items.stratum)
    share = items.share / items.share.sum()
    measured: list[StratumEffect] = []
    small: list[StratumTooSmall] = []
    sizes = [np.unique(items.group[items.stratum == h]).size for h in used]
    family = max(1, sum(size > 1 for size in sizes))
    level = 1 - (1 - confidence) / family
    draws = max(resamples, math.ceil(20 / (1 - level)))
    for h, size in zip(used, sizes, strict=True):
        inside = items.stratum == h
        if size < 2:
            small.append(StratumTooSmall(stratum=int(h), share=float(share[h]), n=int(inside.sum())))
            continue
        keep = rows[inside]
        estimate = compare(
            new[keep],
            old[keep],
            new_present=None if new_present is None else new_present[keep],
            old_present=None if old_present is None else old_present[keep],
            group=items.group[inside],
            confidence=level,
            resamples=draws,
            seed=seed,
        )
        measured.append(StratumEffect(stratum=int(h), share=float(share[h]), estimate=estimate))
    measured.sort(key=lambda s: (s.estimate.effect, s.estimate.high, s.stratum))
    return (*measured, *small)


def _method(items: Items, table: GroupTable, d: FloatArray) -> Method:
    grouped = table.groups < d.size
    sparse = table.sparse()
    # Tango's interval counts pairs, so it holds only where every pair counts alike.
    alike = bool(np.ptp(items.weight()) <= 1e-12)
    plain = items.binary and not grouped and not table.stratified and alike
    if plain and (d.size < EXACT_BELOW or sparse):
        return "mcnemar-tango"
    if sparse:
        return "sparse-score"
    return "cluster-t" if grouped and not table.stratified else "bootstrap-t"


def _sign_test(wins: int, losses: int) -> float:
    """Return the exact two-sided sign test, which on binary pairs is McNemar's exact test."""
    if wins + losses == 0:
        return 1.0
    return float(stats.binomtest(wins, wins + losses, 0.5).pvalue)


def _studentised(
    table: GroupTable, *, effect: float, se: float, confidence: float, resamples: int, seed: int
) -> tuple[Interval, float]:
    """Return the equal-tailed bootstrap-t interval and the p-value that inverts it."""
    t = bootstrap_t(table, resamples=resamples, seed=seed)
    rank = max(1, math.floor((resamples + 1) * (1 - confidence) / 2))
    interval = Interval(low=effect - float(t[-rank]) * se, high=effect - float(t[rank - 1]) * se)
    observed = effect / se
    above, below = int((t >= observed).sum()), int((t <= observed).sum())
    return interval, min(1.0, 2 * (1 + min(above, below)) / (resamples + 1))
