"""Contrasts of a 2^k design, and the choice of the sparsest model that explains its cell means.

A cell is a bit mask: bit j is set where layer j is new, so cell 0 is the baseline and cell 2^k - 1 the
whole bundle. A term is a mask too: one bit is a main effect, several bits an interaction. Pure linear algebra
on the vector of cell means; what the covariance is made of is the business of `inchworm.stats.factorial`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from inchworm.stats.intervals import FloatArray

MAX_LAYERS: Final = 3

PENALTY: Final[dict[int, float]] = {1: 4.5, 2: 6.5, 3: 9.0}
"""What a term must lower the chi-square by to be named, by number of layers.

A bundle whose parts do nothing must name nobody in at least 95 % of runs. With many items and equally noisy,
independent cells that takes 3.84, 5.53 and 6.88 for one, two and three layers (40,000 draws). These are set
higher, because what is blamed is reverted: somebody innocent is then named in 3.5, 3.0 and 1.7 % of runs.
`benchmarks/attribution.py` measures the same on binary answers at n = 100 and 600.
"""


def terms(k: int) -> tuple[int, ...]:
    """Return the masks of the 2^k - 1 terms: main effects first, then pairs, then the triple.

    Raises:
        ValueError: k is not 1, 2 or 3.
    """
    _check_layers(k)
    return tuple(sorted(range(1, 1 << k), key=lambda mask: (mask.bit_count(), mask)))


def layers_of(mask: int) -> tuple[int, ...]:
    """Return the indices of the layers in a mask, ascending."""
    return tuple(j for j in range(mask.bit_length()) if mask >> j & 1)


@cache
def moebius_matrix(k: int) -> FloatArray:
    """Return the rows β_S = Σ_{T⊆S} (-1)^{|S|-|T|} μ_T over `terms(k)`: effects seen from the baseline."""
    rows = [
        [(-1.0) ** (s.bit_count() - t.bit_count()) if t & s == t else 0.0 for t in range(1 << k)]
        for s in terms(k)
    ]
    return _frozen(rows)


@cache
def averaged_matrix(k: int) -> FloatArray:
    """Return the rows of the classical contrasts: each term averaged over the levels of the other layers.

    With residual cell variance σ² and n items per cell, a main effect has variance 4σ²/(n·2^k) and a two-way
    difference in differences 16σ²/(n·2^k).
    """
    rows = [
        [(-1.0) ** (s & ~t).bit_count() * 2.0 ** (s.bit_count() - k) for t in range(1 << k)] for s in terms(k)
    ]
    return _frozen(rows)


@cache
def shapley_matrix(k: int) -> FloatArray:
    """Return the rows φ_j = Σ_{S∋j} β_S / |S| (Shapley 1953; Harsanyi's dividends), one per layer.

    They add to the total effect; for k = 2 they equal the averaged main effects.
    """
    moebius = moebius_matrix(k)
    shares = [[(s >> j & 1) / s.bit_count() for s in terms(k)] for j in range(k)]
    return _frozen(np.array(shares) @ moebius)


@cache
def corner_matrix(k: int) -> FloatArray:
    """Return the rows μ_T - μ_0 for the cells T = 1 ... 2^k - 1."""
    _check_layers(k)
    size = 1 << k
    return _frozen(np.hstack([-np.ones((size - 1, 1)), np.eye(size - 1)]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The chosen model, in the order of `terms(k)` where it speaks of terms."""

    chosen: tuple[int, ...]
    """Masks of the terms in the model; empty if nothing is measurable."""
    estimate: FloatArray
    """Generalized least squares estimate of each chosen term."""
    covariance: FloatArray
    """Its covariance, as if the model had been known beforehand."""
    misfit: float
    """Chi-square of what the model leaves out."""
    lead: float
    """How much worse (misfit + penalty) the second best model is; small means the choice was close."""


def select(effect: FloatArray, covariance: FloatArray, *, k: int, penalty: float, shrink: float) -> Selection:
    """Choose the subset of Möbius terms with the least `misfit + penalty · size`.

    The misfit of a model is the generalized least squares residual of the cell means under it. Because the
    full model fits exactly, that is the Wald statistic of the terms left out, β_N' (Σ_NN)⁻¹ β_N, and the
    estimates of the terms kept are β_M - Σ_MN (Σ_NN)⁻¹ β_N. All 2^(2^k - 1) subsets are tried, hierarchical
    or not (a pure interaction is a common failure: two layers each fine alone). Ties go to the smaller model,
    then to lower-order terms.

    Args:
        effect: β̂ over `terms(k)`.
        covariance: its covariance, positive definite.
        k: layers, 1 to 3.
        penalty: chi-square a term must earn; `PENALTY[k]` keeps the rate of runs that name somebody in a
            bundle without any effect below 5 %.
        shrink: factor on the misfit for an estimated covariance, (G - p - 2) / (G - 1) with G groups and p
            terms, which gives Hotelling's T² the mean of its chi-square.

    Raises:
        ValueError: k is not 1, 2 or 3, or shapes do not fit.
    """
    masks = terms(k)
    p = len(masks)
    if effect.shape != (p,) or covariance.shape != (p, p):
        msg = f"k={k} has {p} terms, got effects {effect.shape} and covariance {covariance.shape}"
        raise ValueError(msg)
    precision = np.linalg.inv(covariance)
    best: tuple[float, int, int] | None = None
    misfits: dict[int, float] = {}
    second = math.inf
    for model in range(1 << p):
        misfit = shrink * _misfit(effect, covariance, model, p)
        misfits[model] = misfit
        key = (misfit + penalty * model.bit_count(), model.bit_count(), model)
        if best is None or key < best:
            second = second if best is None else best[0]
            best = key
        else:
            second = min(second, key[0])
    if best is None:
        msg = "a design has at least one model"
        raise AssertionError(msg)
    cost, _, model = best
    kept, _ = _split(model, p)
    # Conditioning on the rest being 0 is inverting the kept block of the precision matrix.
    block = np.linalg.inv(precision[np.ix_(kept, kept)]) if kept else np.zeros((0, 0))
    estimate = block @ (precision[kept] @ effect) if kept else np.zeros(0)
    return Selection(
        chosen=tuple(masks[i] for i in kept),
        estimate=np.asarray(estimate, dtype=np.float64),
        covariance=block,
        misfit=misfits[model],
        lead=second - cost,
    )


def _misfit(effect: FloatArray, covariance: FloatArray, model: int, p: int) -> float:
    _, left = _split(model, p)
    if not left:
        return 0.0
    return float(effect[left] @ np.linalg.solve(covariance[np.ix_(left, left)], effect[left]))


@cache
def _split(model: int, p: int) -> tuple[list[int], list[int]]:
    return [i for i in range(p) if model >> i & 1], [i for i in range(p) if not model >> i & 1]


def _check_layers(k: int) -> None:
    if not 1 <= k <= MAX_LAYERS:
        msg = (
            f"{k} changed layers: a full factorial is measured for 1 to {MAX_LAYERS} layers. "
            f"Split the change into steps of at most {MAX_LAYERS} layers and attribute each step"
        )
        raise ValueError(msg)


def _frozen(rows: object) -> FloatArray:
    matrix = np.array(rows, dtype=np.float64)
    matrix.setflags(write=False)
    return matrix
