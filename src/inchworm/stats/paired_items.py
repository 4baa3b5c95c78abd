"""The items of a paired comparison: checked, masked, and reduced to one row each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inchworm.stats.intervals import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """Usable items, one row each: those observed in both arms."""

    new: FloatArray
    """Mean over the repetitions of the new arm."""
    old: FloatArray
    """Mean over the repetitions of the old arm."""
    binary: bool
    """Every outcome is 0 or 1 and was observed once per arm."""
    noise: FloatArray | None
    """Sampling variance of the difference; None if an arm was never repeated."""
    within: FloatArray | None
    """σ_A² + σ_B², the variance of one repetition in each arm; None as above."""
    stratum: IntArray
    """Index into `share`."""
    group: IntArray
    """Label of the group."""
    share: FloatArray
    """W_h on any scale, 0 where a stratum has no usable item."""
    dropped: int
    """Items that were left out."""

    @property
    def difference(self) -> FloatArray:
        """New minus old; rounded so that equal means give exactly 0."""
        return np.asarray(np.round(self.new - self.old, 12), dtype=np.float64)

    def weight(self) -> FloatArray:
        """Return each item's weight in the estimate, W_h / n_h; they add to 1."""
        held = np.bincount(self.stratum, minlength=self.share.size).clip(1)
        per_item = (self.share / self.share.sum() / held)[self.stratum]
        return np.asarray(per_item, dtype=np.float64)


def matrix(values: FloatArray) -> FloatArray:
    """Return outcomes as items x repetitions; a vector is one repetition."""
    array = np.asarray(values, dtype=np.float64)
    return array[:, None] if array.ndim == 1 else array


def _mask(present: BoolArray | None, shape: tuple[int, ...]) -> BoolArray:
    if present is None:
        return np.ones(shape, dtype=np.bool_)
    mask = np.asarray(present, dtype=np.bool_)
    mask = mask[:, None] if mask.ndim == 1 else mask
    if mask.shape != shape:
        msg = f"a presence mask must have the shape of its outcomes, got {mask.shape} for {shape}"
        raise ValueError(msg)
    return mask


def usable_items(
    new: FloatArray, old: FloatArray, new_present: BoolArray | None, old_present: BoolArray | None
) -> BoolArray:
    """Say which items have an observation in both arms."""
    both = _mask(new_present, new.shape).any(axis=1) & _mask(old_present, old.shape).any(axis=1)
    return np.asarray(both, dtype=np.bool_)


def prepare(
    new: FloatArray,
    old: FloatArray,
    *,
    new_present: BoolArray | None,
    old_present: BoolArray | None,
    stratum: IntArray | None,
    weight: FloatArray | None,
    group: IntArray | None,
) -> Items:
    """Check the arguments of `compare` and reduce them to the usable items.

    Raises:
        ValueError: shapes disagree, an outcome lies outside [0, 1], a stratum has no weight, or no item is
            usable.
    """
    a, b = matrix(new), matrix(old)
    n = a.shape[0]
    if a.ndim != 2 or b.ndim != 2 or b.shape[0] != n or 0 in (*a.shape, *b.shape):
        msg = f"new and old must be items x repetitions over the same items, got {a.shape} and {b.shape}"
        raise ValueError(msg)
    labels = np.zeros(n, dtype=np.int64) if stratum is None else np.asarray(stratum, dtype=np.int64)
    code = np.arange(n, dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    if labels.shape != (n,) or code.shape != (n,):
        msg = f"stratum and group need one entry for each of the {n} items"
        raise ValueError(msg)
    a_mask, b_mask = _mask(new_present, a.shape), _mask(old_present, b.shape)
    seen = np.concatenate([a[a_mask], b[b_mask]])
    if not ((seen >= 0) & (seen <= 1)).all():
        msg = "outcomes must lie in [0, 1], higher is better; rescale the metric, or mark what is absent"
        raise ValueError(msg)
    usable = usable_items(a, b, new_present, old_present)
    if not usable.any():
        msg = "no item was observed in both arms, so there is nothing to compare"
        raise ValueError(msg)
    a, b, a_mask, b_mask = a[usable], b[usable], a_mask[usable], b_mask[usable]
    noise, within = _noise(a, a_mask, b, b_mask)
    once = bool((a_mask.sum(axis=1) == 1).all() and (b_mask.sum(axis=1) == 1).all())
    labels = labels[usable]
    return Items(
        new=_row_means(a, a_mask),
        old=_row_means(b, b_mask),
        binary=once and bool(np.isin(seen, (0.0, 1.0)).all()),
        noise=noise,
        within=within,
        stratum=labels,
        group=code[usable],
        share=_shares(labels, weight),
        dropped=int(n - usable.sum()),
    )


def _shares(labels: IntArray, weight: FloatArray | None) -> FloatArray:
    """Return W_h, 0 where a stratum has no usable item."""
    if labels.min() < 0:
        msg = "stratum is an index into weight and cannot be negative"
        raise ValueError(msg)
    counts = np.bincount(labels).astype(np.float64)
    if weight is None:
        return counts
    given = np.asarray(weight, dtype=np.float64)
    if given.ndim != 1 or given.size < counts.size or not np.isfinite(given).all() or (given < 0).any():
        msg = f"weight needs a finite share >= 0 for each of the {counts.size} strata"
        raise ValueError(msg)
    counts = np.bincount(labels, minlength=given.size).astype(np.float64)
    if (given[counts > 0] <= 0).any():
        msg = "a stratum that holds items has weight 0; give it a share or leave its items out"
        raise ValueError(msg)
    return np.where(counts > 0, given, 0.0)


def _row_means(values: FloatArray, mask: BoolArray) -> FloatArray:
    means = np.where(mask, values, 0.0).sum(axis=1) / mask.sum(axis=1)
    return np.asarray(means, dtype=np.float64)


def _noise(
    new: FloatArray, new_mask: BoolArray, old: FloatArray, old_mask: BoolArray
) -> tuple[FloatArray | None, FloatArray | None]:
    """Return per item the sampling variance of d, and σ_A² + σ_B²; None if an arm was never repeated."""
    per_mean = np.zeros(new.shape[0])
    per_draw = np.zeros(new.shape[0])
    for values, mask in ((new, new_mask), (old, old_mask)):
        k = mask.sum(axis=1)
        repeated = k > 1
        if not repeated.any():
            return None, None
        residual = np.where(mask, values - _row_means(values, mask)[:, None], 0.0)
        squares = (residual**2).sum(axis=1)
        pooled = squares[repeated].sum() / (k[repeated] - 1).sum()
        variance = np.where(repeated, squares / np.maximum(k - 1, 1), pooled)
        per_draw += variance
        per_mean += variance / k
    return per_mean, per_draw


def components(
    items: Items, per_item: FloatArray, total: float
) -> tuple[float | None, float | None, float | None]:
    """Split n·SE² into ω² and noise: Var(d̄) = (ω² + σ_A²/K_A + σ_B²/K_B) / n (Miller 2411.00640, §3.2)."""
    if items.noise is None or items.within is None:
        return None, None, None
    square = per_item.size * per_item**2
    noise, within = float(square @ items.noise), float(square @ items.within)
    repetitions = within / noise if noise > 0 else None
    return within, max(0.0, total - noise), repetitions
