"""Unbundling: which of up to three changed layers moved a metric, measured in all 2^k combinations.

Every item is answered in every cell, so contrasts are taken within items and what makes an item hard cancels.
The covariance of the cell means comes from the items (from the groups, where items share a conversation or a
user), with CR1's G/(G-1). Three readings of the same cell means are given: averaged contrasts, baseline-coded
Möbius effects and Shapley values; and one answer to "who was it": the sparsest Möbius model
(`inchworm.stats.moebius.select`). Averaged contrasts spread a pure interaction over innocent main effects and
baseline-coded ones are too noisy to see it, which is why neither names anybody here.

Intervals within a table hold simultaneously: single-step max-|t| from the multivariate t distribution with
G - 1 degrees of freedom and the estimated correlations (Hothorn, Bretz & Westfall 2008, Biom. J. 50:346).
Where fewer than ten groups differ in a contrast, its interval is widened to a Bonferroni score interval,
because its standard error cannot be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from inchworm.stats.intervals import BoolArray, FloatArray, IntArray, is_sparse, sparse_mean
from inchworm.stats.moebius import (
    PENALTY,
    averaged_matrix,
    corner_matrix,
    layers_of,
    moebius_matrix,
    select,
    shapley_matrix,
    terms,
)

_DRAWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TermEffect:
    """One contrast with its interval. `layers` are the indices it concerns, ascending."""

    layers: tuple[int, ...]
    effect: float
    low: float
    high: float
    se: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedTerm:
    """A term of the chosen model, estimated anew under that model.

    The critical value is that of the whole family of terms, but the interval takes the choice of model as
    given; the Möbius table holds intervals that do not.
    """

    layers: tuple[int, ...]
    effect: float
    low: float
    high: float
    se: float
    interaction: bool
    """Declared as an interaction: several layers, the interval excludes 0, |effect| >= half of |total|."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unbundling:
    """What the cells say about the layers."""

    layers: int
    n: int
    """Items used: those observed in all cells."""
    dropped: int
    """Items left out because a cell was missing."""
    groups: int
    confidence: float
    cell_means: tuple[float, ...]
    """By cell; bit j of the index is set where layer j is new."""
    total: TermEffect
    """The whole bundle against the baseline (its interval stands alone, not in a family)."""
    averaged: tuple[TermEffect, ...]
    """Each term averaged over the other layers' levels."""
    moebius: tuple[TermEffect, ...]
    """Each term seen from the baseline; they add to the total."""
    shapley: tuple[TermEffect, ...]
    """One per layer; they add to the total."""
    named: tuple[NamedTerm, ...]
    """The sparsest model's terms; empty means that nothing is measurable."""
    unmeasured: tuple[TermEffect, ...]
    """The terms not named ("nothing measurable"), with their Möbius intervals."""
    penalty: float
    """Chi-square a term had to earn to be named."""
    lead: float
    """How much worse the second best model scored; a lead near 0 means the choice was close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BestSubset:
    """Which combination of the changes is best today.

    `best` is the corner with the highest estimate, () for the baseline itself. Its estimate is the largest of
    several and therefore optimistic; its interval is not, since all corners' intervals hold at once.
    """

    best: TermEffect
    corners: tuple[TermEffect, ...]
    """All corners but the baseline against the baseline, best first, with simultaneous intervals."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cells:
    """Group means of complete items, their weights, and the covariance of the weighted cell means."""

    k: int
    n: int
    dropped: int
    values: FloatArray
    weight: FloatArray
    mean: FloatArray
    covariance: FloatArray

    @property
    def groups(self) -> int:
        return int(self.weight.size)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draws:
    """Random numbers for critical values, made once so that all tables rest on the same."""

    normal: FloatArray
    chi: FloatArray
    df: int

    @classmethod
    def make(cls, width: int, df: int, seed: int) -> _Draws:
        rng = np.random.default_rng(seed)
        normal = rng.standard_normal((width, _DRAWS))
        return cls(normal=normal, chi=np.sqrt(rng.chisquare(df, size=_DRAWS) / df), df=df)


def unbundle(
    cells: FloatArray,
    *,
    present: BoolArray | None = None,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
    confidence: float = 0.95,
    penalty: float | None = None,
    seed: int = 0,
) -> Unbundling:
    """Attribute the effect of a bundle to its layers and their interactions.

    Args:
        cells: outcomes in [0, 1], items x 2^k, means over repetitions; bit j of the column index is set where
            layer j is new (column 0 the baseline, the last column the whole bundle).
        present: True where a cell was observed. An item that lacks a cell is left out and counted.
        weight: non-negative weight per item, any scale; None is equal weights.
        group: conversation, user or document of each item; None is no groups.
        confidence: simultaneous two-sided coverage within each table.
        penalty: what a term must earn to be named; None takes `moebius.PENALTY[k]`.
        seed: of the draws for the critical values.

    Raises:
        ValueError: k is not 1 to 3, shapes disagree, outcomes lie outside [0, 1], weights are unusable, or
            there are too few groups (2^k + 3 are needed to estimate the covariance).
    """
    data = _prepare(cells, present, weight, group)
    k = data.k
    masks = terms(k)
    draws = _Draws.make(len(masks), data.groups - 1, seed)
    averaged = _family(data, averaged_matrix(k), masks, confidence, draws)
    moebius = _family(data, moebius_matrix(k), masks, confidence, draws)
    shapley = _family(data, shapley_matrix(k), tuple(1 << j for j in range(k)), confidence, draws)
    (total,) = _family(data, corner_matrix(k)[-1:], (masks[-1],), confidence, draws)
    charge = PENALTY[k] if penalty is None else penalty
    matrix = moebius_matrix(k)
    # What one item that differs between two cells would add: keeps the covariance invertible where cells
    # agree on every item, and is about 1 % of the variance at n = 600.
    n_effective = 1 / float(np.square(data.weight).sum())
    covariance = data.covariance + np.eye(1 << k) / (2 * n_effective**2)
    selection = select(
        matrix @ data.mean,
        matrix @ covariance @ matrix.T,
        k=k,
        penalty=charge,
        shrink=(data.groups - len(masks) - 2) / (data.groups - 1),
    )
    critical = _critical(matrix @ covariance @ matrix.T, confidence, draws)
    named = []
    for i, mask in enumerate(selection.chosen):
        effect, se = float(selection.estimate[i]), float(np.sqrt(selection.covariance[i, i]))
        half = critical * se
        # A term cannot exceed the sum of its positive coefficients.
        reach = 2.0 ** (mask.bit_count() - 1)
        named.append(
            NamedTerm(
                layers=layers_of(mask),
                effect=effect,
                low=max(-reach, effect - half),
                high=min(reach, effect + half),
                se=se,
                interaction=mask.bit_count() > 1
                and abs(effect) > half
                and abs(effect) >= abs(total.effect) / 2,
            )
        )
    return Unbundling(
        layers=k,
        n=data.n,
        dropped=data.dropped,
        groups=data.groups,
        confidence=confidence,
        cell_means=tuple(float(m) for m in data.mean),
        total=total,
        averaged=averaged,
        moebius=moebius,
        shapley=shapley,
        named=tuple(sorted(named, key=lambda t: (-abs(t.effect), t.layers))),
        unmeasured=tuple(t for t, mask in zip(moebius, masks, strict=True) if mask not in selection.chosen),
        penalty=charge,
        lead=selection.lead,
    )


def best_subset(
    cells: FloatArray,
    *,
    present: BoolArray | None = None,
    weight: FloatArray | None = None,
    group: IntArray | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> BestSubset:
    """Return which corner of the design to ship today, with its interval against the baseline.

    Args:
        cells: as in `unbundle`.
        present: as in `unbundle`.
        weight: as in `unbundle`.
        group: as in `unbundle`.
        confidence: simultaneous two-sided coverage over all corners, so that it survives the choice.
        seed: of the draws for the critical value.

    Raises:
        ValueError: as `unbundle`.
    """
    data = _prepare(cells, present, weight, group)
    masks = tuple(range(1, 1 << data.k))
    draws = _Draws.make(len(masks), data.groups - 1, seed)
    effects = _family(data, corner_matrix(data.k), masks, confidence, draws)
    # Of equal estimates the one that changes less.
    corners = tuple(sorted(effects, key=lambda t: (-t.effect, len(t.layers), t.layers)))
    baseline = TermEffect(layers=(), effect=0.0, low=0.0, high=0.0, se=0.0)
    return BestSubset(best=corners[0] if corners[0].effect > 0 else baseline, corners=corners)


def _prepare(
    cells: FloatArray, present: BoolArray | None, weight: FloatArray | None, group: IntArray | None
) -> _Cells:
    values = np.asarray(cells, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < 2 or values.shape[1] & (values.shape[1] - 1):
        raise ValueError(f"cells must be items x 2^k, with k the changed layers; got {values.shape}")
    n, size = values.shape
    k = size.bit_length() - 1
    masks = terms(k)
    seen = np.ones(values.shape, dtype=np.bool_) if present is None else np.asarray(present, dtype=np.bool_)
    share = np.ones(n) if weight is None else np.asarray(weight, dtype=np.float64)
    code = np.arange(n, dtype=np.int64) if group is None else np.asarray(group, dtype=np.int64)
    if seen.shape != values.shape or share.shape != (n,) or code.shape != (n,):
        raise ValueError(f"present must match cells {values.shape}; weight and group need {n} entries")
    if not ((values[seen] >= 0) & (values[seen] <= 1)).all():
        raise ValueError("outcomes must lie in [0, 1], higher is better; rescale, or mark what is absent")
    if not np.isfinite(share).all() or (share < 0).any():
        raise ValueError("weights must be finite and not negative")
    keep = seen.all(axis=1) & (share > 0)
    _, code = np.unique(code[keep], return_inverse=True)
    groups = int(code.max()) + 1 if code.size else 0
    if groups < len(masks) + 4:
        raise ValueError(
            f"{groups} independent groups with all {size} cells observed: at least {len(masks) + 4} are "
            f"needed to estimate how the cells vary together"
        )
    per_item = share[keep] / share[keep].sum()
    weights = np.bincount(code, weights=per_item).astype(np.float64)
    sums = np.zeros((groups, size))
    np.add.at(sums, code, per_item[:, None] * values[keep])
    mean = sums.sum(axis=0)
    residual = sums - weights[:, None] * mean
    return _Cells(
        k=k,
        n=int(keep.sum()),
        dropped=int((~seen.all(axis=1)).sum()),
        values=sums / weights[:, None],
        weight=weights,
        mean=mean,
        covariance=residual.T @ residual * groups / (groups - 1),
    )


def _family(
    data: _Cells, matrix: FloatArray, masks: tuple[int, ...], confidence: float, draws: _Draws
) -> tuple[TermEffect, ...]:
    """Estimate the contrasts in the rows of `matrix`, with simultaneous intervals."""
    covariance = matrix @ data.covariance @ matrix.T
    critical = _critical(covariance, confidence, draws)
    level = 1 - (1 - confidence) / len(masks)
    found = []
    for row, mask, variance in zip(matrix, masks, np.diag(covariance), strict=True):
        effect, se = float(row @ data.mean), float(np.sqrt(max(variance, 0.0)))
        low, high = effect - critical * se, effect + critical * se
        reach = float(np.maximum(row, 0).sum())
        values = data.values @ row
        if is_sparse(values):
            score = sparse_mean(np.clip(values / reach, -1, 1), data.weight, confidence=level)
            low, high = min(low, score.low * reach), max(high, score.high * reach)
        found.append(
            TermEffect(
                layers=layers_of(mask), effect=effect, low=max(-reach, low), high=min(reach, high), se=se
            )
        )
    return tuple(found)


def _critical(covariance: FloatArray, confidence: float, draws: _Draws) -> float:
    """Return the two-sided critical value of the largest |t| of a family."""
    single = float(stats.t.ppf(0.5 + confidence / 2, draws.df))
    if covariance.shape[0] == 1:
        return single
    se = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    known = se > 0
    scale = np.where(known, se, 1.0)
    correlation = covariance / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(correlation)
    # The symmetric root: eigenvectors alone would change sign or order with rounding, and the draws too.
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    largest = np.abs(root @ draws.normal[: covariance.shape[0]]).max(axis=0) / draws.chi
    return max(single, float(np.quantile(largest, confidence)))
