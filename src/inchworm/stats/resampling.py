"""Weighted means over strata with groups: linearised standard errors and the stratified group bootstrap-t.

One table of sums per group serves the estimate, its cluster-robust variance (CR1) and every resample, so the
bootstrap is a few matrix products. Groups nested in strata are redrawn within their stratum; when a group
spans strata (one user, several topics) groups are redrawn from one pool and the strata act as post-strata.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from inchworm.stats.intervals import FloatArray, IntArray, is_sparse

_CELLS_PER_CHUNK = 250_000
_FEW_CATEGORIES = 40
# Outcomes are in [0, 1] and equal differences leave about 1e-16 of rounding.
_ROUNDING = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupTable:
    """Per-group sums of item differences, by stratum.

    `sums[g, h]` is Σ w·d and `sizes[g, h]` is Σ w over the items of group g in stratum h; `share[h]` is the
    stratum's share W_h (adds to 1); `pool[g]` names the pool that group g is redrawn from: its
    stratum if all groups are `nested` in strata, otherwise one for all.
    """

    sums: FloatArray
    sizes: FloatArray
    share: FloatArray
    pool: IntArray
    nested: bool

    @property
    def groups(self) -> int:
        """The number of groups."""
        return int(self.pool.size)

    @property
    def stratified(self) -> bool:
        """Whether more than one stratum remains."""
        return self.share.size > 1

    def scale(self) -> FloatArray:
        """Return what one unit of Σ w weighs in the estimate, per stratum (W_h / N_h)."""
        return np.asarray(self.share / self.sizes.sum(axis=0), dtype=np.float64)

    def effect(self) -> float:
        """Return θ = Σ W_h d̄_h."""
        return float(self.sums.sum(axis=0) @ self.scale())

    def standard_error(self) -> float:
        """Return the CR1 linearised standard error; ungrouped, SE² = Σ W_h² s_h² / n_h."""
        means = self.sums.sum(axis=0) / self.sizes.sum(axis=0)
        residual = (self.sums - self.sizes * means) @ self.scale()
        return float(np.sqrt((_small_sample(self.pool) * residual**2).sum()))

    def weight(self) -> FloatArray:
        """Return each group's weight in the estimate; they add to 1."""
        return np.asarray(self.sizes @ self.scale(), dtype=np.float64)

    def means(self) -> FloatArray:
        """Return each group's weighted mean difference, in [-1, 1]."""
        return np.asarray((self.sums @ self.scale()) / self.weight(), dtype=np.float64)

    def sparse(self) -> bool:
        """Say whether too few groups differ for a standard error to be trusted."""
        return is_sparse(self.means(), self.pool) or self.standard_error() < _ROUNDING


def group_table(
    difference: FloatArray, *, stratum: IntArray, share: FloatArray, group: IntArray
) -> GroupTable:
    """Sum item differences by group and stratum.

    A stratum that holds a single group has no variance of its own. Such strata are collapsed into one
    (Cochran 1977, Sampling Techniques, §5A.12), together with the smallest other if there is only one; items
    in it keep their weight, so the estimate does not move.

    Args:
        difference: new - old, one per item.
        stratum: index into `share`, one per item; each stratum with a share has an item.
        share: W_h per stratum, any positive scale.
        group: any integers, one per item.

    Raises:
        ValueError: fewer than two groups.
    """
    _, code = np.unique(group, return_inverse=True)
    used, cell = np.unique(stratum, return_inverse=True)
    groups = int(code.max()) + 1
    if groups < 2:
        msg = "a comparison needs at least two independent groups (or items); one has no spread to measure"
        raise ValueError(msg)
    weight = share[used] / share[used].sum()
    per_item = np.ones(difference.size)
    touched = np.zeros((groups, used.size), dtype=bool)
    touched[code, cell] = True
    held = touched.sum(axis=0)
    lone = held < 2
    if lone.sum() == 1:
        lone[np.argmin(np.where(lone, np.iinfo(np.int64).max, held))] = True
    if lone.any():
        size = np.bincount(cell)
        inside = lone[cell]
        per_item[inside] = (weight / size)[cell][inside]
        target = np.where(lone, 0, np.cumsum(~lone))
        weight = np.bincount(target, weights=weight)
        cell = target[cell]
    shape = (groups, weight.size)
    sizes = np.zeros(shape)
    sums = np.zeros(shape)
    np.add.at(sizes, (code, cell), per_item)
    np.add.at(sums, (code, cell), per_item * difference)
    nested = bool(((sizes > 0).sum(axis=1) == 1).all())
    pool = np.argmax(sizes > 0, axis=1) if nested else np.zeros(groups, dtype=np.int64)
    return GroupTable(sums=sums, sizes=sizes, share=weight, pool=pool.astype(np.int64), nested=nested)


def bootstrap_t(table: GroupTable, *, resamples: int, seed: int) -> FloatArray:
    """Return `resamples` sorted studentised resamples t* = (θ* - θ) / se* (Efron & Tibshirani 1993, §12.5).

    Groups are put in a canonical order and sign first, so that the order of items does not matter and
    exchanging the arms mirrors the result exactly. A resample without spread gives ±inf (0 if θ* = θ).
    """
    rows, counts, sign = _canonical(table)
    strata = table.share.size
    pool = rows[:, 0].astype(np.int64)
    sizes, sums = rows[:, 1 : 1 + strata], rows[:, 1 + strata :]
    theta = sign * table.effect()
    rng = np.random.default_rng(seed)
    if table.nested:
        moved, variance = _nested(
            rng, resamples, pool=pool, counts=counts, sizes=sizes, sums=sums, share=table.share
        )
    else:
        moved, variance = _crossing(rng, resamples, counts=counts, sizes=sizes, sums=sums, share=table.share)
    shift, se = moved - theta, np.sqrt(np.maximum(variance, 0.0))
    flat, still = se < _ROUNDING, np.abs(shift) < _ROUNDING
    ratio = shift / np.where(flat, 1.0, se)
    return np.sort(sign * np.where(flat, np.where(still, 0.0, np.copysign(np.inf, shift)), ratio))


def _nested(
    rng: np.random.Generator,
    resamples: int,
    *,
    pool: IntArray,
    counts: FloatArray,
    sizes: FloatArray,
    sums: FloatArray,
    share: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Resample inside each stratum from its moments; return θ* and SE*² per resample."""
    theta, variance = np.zeros(resamples), np.zeros(resamples)
    for h in range(share.size):
        rows = np.flatnonzero(pool == h)
        held, n, total = counts[rows], sizes[rows, h], sums[rows, h]
        groups = held.sum()
        centre = (held @ total) / (held @ n)
        # Centred, so that the squares below do not cancel.
        s = total - n * centre
        moments = np.column_stack([n, s, s * s, s * n, n * n])
        for part, drawn in _draws(rng, resamples, held):
            weight, gain, ss, sn, nn = (drawn @ moments).T
            mean = gain / weight
            theta[part] += share[h] * (centre + mean)
            spread = ss - 2 * mean * sn + mean * mean * nn
            variance[part] += (share[h] / weight) ** 2 * spread * (groups / (groups - 1))
    return theta, variance


def _crossing(
    rng: np.random.Generator,
    resamples: int,
    *,
    counts: FloatArray,
    sizes: FloatArray,
    sums: FloatArray,
    share: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Resample groups that span strata from one pool; return θ* and SE*² per resample."""
    theta, variance = np.zeros(resamples), np.zeros(resamples)
    groups = counts.sum()
    for part, drawn in _draws(rng, resamples, counts):
        total = drawn @ sizes
        here = total > 0
        # A stratum that a resample misses leaves its share to the others.
        present = np.where(here, share, 0.0)
        present /= present.sum(axis=1, keepdims=True)
        mean = (drawn @ sums) / np.where(here, total, 1.0)
        scale = present / np.where(here, total, 1.0)
        residual = scale @ sums.T - (scale * mean) @ sizes.T
        theta[part] = (present * mean).sum(axis=1)
        variance[part] = (drawn * residual**2).sum(axis=1) * (groups / (groups - 1))
    return theta, variance


def _canonical(table: GroupTable) -> tuple[FloatArray, FloatArray, float]:
    """Return distinct rows (pool, sizes, sums) in order, how many groups have each, and the sign taken."""

    def distinct(sign: float) -> tuple[FloatArray, FloatArray]:
        # Rounding makes sums of the same items equal whatever their order; + 0.0 turns -0.0 into 0.0.
        columns = np.column_stack([table.pool, table.sizes, sign * table.sums])
        rows, counts = np.unique(np.round(columns, 12) + 0.0, axis=0, return_counts=True)
        return rows, counts.astype(np.float64)

    plain, flipped = distinct(1.0), distinct(-1.0)
    as_is = [*plain[0].ravel().tolist(), *plain[1].tolist()]
    mirrored = [*flipped[0].ravel().tolist(), *flipped[1].tolist()]
    return (*plain, 1.0) if as_is >= mirrored else (*flipped, -1.0)


def _draws(
    rng: np.random.Generator, resamples: int, counts: FloatArray
) -> Iterator[tuple[slice, FloatArray]]:
    """Draw groups with replacement; yield, chunk by chunk, how often each distinct row came per resample."""
    held = counts.astype(np.int64)
    n = int(held.sum())
    of_group = np.repeat(np.arange(held.size, dtype=np.int64), held)
    chunk = max(1, _CELLS_PER_CHUNK // n)
    for start in range(0, resamples, chunk):
        size = min(chunk, resamples - start)
        if held.size <= _FEW_CATEGORIES:
            drawn = rng.multinomial(n, held / n, size=size)
        else:
            picks = of_group[rng.integers(0, n, size=(size, n))]
            picks += np.arange(size)[:, None] * held.size
            drawn = np.bincount(picks.ravel(), minlength=size * held.size).reshape(size, held.size)
        yield slice(start, start + size), drawn.astype(np.float64)


def _small_sample(pool: IntArray) -> FloatArray:
    """Return CR1's G/(G-1), per group, for the pool of each."""
    held = np.bincount(pool).astype(np.float64)
    return np.asarray((held / np.maximum(held - 1, 1))[pool], dtype=np.float64)
