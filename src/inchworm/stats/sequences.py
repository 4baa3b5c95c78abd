"""Confidence sequence and point estimate of a canary's effect, tau = candidate - baseline, for display.

For each effect on a fixed grid a two-sided betting process tests "tau is this": with ``z = (a - pi)(y - m) -
q delta`` of mean zero, half the wealth bets on z, half on -z. The interval at any moment is the hull of what
is not rejected, so it holds at every look at once (inversion of E; arXiv 2010.09686, 2210.10768). Its ends
lie on rejected grid points, hence the grid costs width (at most one step a side) and never coverage.

Wealth is kept as mantissa and binary exponent: products of factors need no logarithm, and rescaling by a
power of two is exact, so a state is the same bit for bit however the units were batched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inchworm.stats.stream import (
    REFRESH,
    FloatArray,
    Past,
    Units,
    accumulate,
    advance,
    checked_units,
    log_total,
    past_from_json,
    past_to_json,
    require_version,
)

__all__ = [
    "GRID",
    "Estimate",
    "GridState",
    "Interval",
    "StageSums",
    "estimate",
    "from_json",
    "init",
    "interval",
    "log_e",
    "to_json",
    "update",
]

VERSION: Final = "cs/1"
_POSITIVE: Final = tuple(
    step / 400 for step in (*range(1, 21), *range(22, 61, 2), *range(64, 121, 4), *range(140, 401, 20))
)
GRID: Final[tuple[float, ...]] = (*(-delta for delta in reversed(_POSITIVE)), 0.0, *_POSITIVE)
"""Effects tested: steps of .0025 up to .05, .005 up to .15, .01 up to .3, .05 up to 1, on both sides."""
RATES: Final = (0.03, 0.08, 0.2, 0.5, 0.96)
WEIGHTS: Final = (0.15, 0.25, 0.25, 0.2, 0.15)
SAFETY: Final = 0.9
BOUND_FLOOR: Final = 1e-6
_SHAPE: Final = (2, len(RATES), len(GRID))
_SIZE: Final = 2 * len(RATES) * len(GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSums:
    """What one stage contributes to the point estimate. Pairs are (baseline, candidate)."""

    overlap: float = 0.0
    """Sum of pi (1 - pi)."""
    units: tuple[int, int] = (0, 0)
    weight: tuple[float, float] = (0.0, 0.0)
    """Sum of the inverse probability of the arm received."""
    weighted_y: tuple[float, float] = (0.0, 0.0)
    """The same, times y."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """Everything the sequence needs to go on. O(1) in the number of units."""

    past: Past
    skipped: int
    """Units with pi of 0 or 1."""
    mantissa: tuple[float, ...]
    """Wealth of each (direction, rate, effect), flattened in that order, in [.5, 1)."""
    exponent: tuple[int, ...]
    """Its power of two."""
    stages: tuple[StageSums, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Effects not rejected, in units of y; ``-1 <= low < high <= 1``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Point estimates, in units of y; ``effect = candidate - baseline``."""

    effect: float
    candidate: float
    baseline: float
    candidate_units: int
    baseline_units: int


def init(stages: int) -> GridState:
    """The state before the first unit.

    Raises:
        ValueError: when there is no stage.
    """
    if stages < 1:
        msg = f"A rollout has at least one stage, got {stages}."
        raise ValueError(msg)
    return GridState(
        past=Past(),
        skipped=0,
        mantissa=(0.5,) * _SIZE,
        exponent=(1,) * _SIZE,
        stages=(StageSums(),) * stages,
    )


def _factors(units: Units, rows: slice, m: FloatArray, v: FloatArray) -> FloatArray:
    """Growth of every bet at each unit of one block, shape (L, 2 * rates * effects)."""
    grid = np.array(GRID)
    y, a, pi = units.y[rows, None], units.a[rows, None], units.pi[rows, None]
    mean = m[rows, None]
    shift = pi * (1.0 - pi) * grid
    z = (a - pi) * (y - mean) - shift
    # The worst z on either side bounds the bet, so that no factor falls below 1 - SAFETY.
    down_reach = np.maximum((1.0 - pi) * mean, pi * (1.0 - mean))
    up_reach = np.maximum((1.0 - pi) * (1.0 - mean), pi * mean)
    caps = (
        SAFETY / np.maximum(down_reach + shift, BOUND_FLOOR),
        SAFETY / np.maximum(up_reach - shift, BOUND_FLOOR),
    )
    scale = 1.0 / np.sqrt(v[rows, None])
    factors = np.empty((z.shape[0], *_SHAPE))
    for side, (cap, gain) in enumerate(zip(caps, (z, -z), strict=True)):
        for k, rate in enumerate(RATES):
            target = factors[:, side, k]
            np.minimum(rate * scale, cap, out=target)
            target *= gain
    factors += 1.0
    return factors.reshape(z.shape[0], _SIZE)


def _grow(
    state: GridState, units: Units, m: FloatArray, v: FloatArray
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Mantissas and exponents after the units."""
    mantissa = np.array(state.mantissa)
    exponent = np.array(state.exponent, dtype=np.int64)
    start = 0
    while start < units.y.size:
        stop = min(start + REFRESH - (state.past.consumed + start) % REFRESH, units.y.size)
        # One row after the other: a pairwise product would round differently for another batch.
        for row in _factors(units, slice(start, stop), m, v):
            mantissa *= row
        mantissa, step = np.frexp(mantissa)
        exponent += step
        start = stop
    return mantissa, exponent


def _stage_sums(before: StageSums, units: Units, inside: NDArray[np.bool_]) -> StageSums:
    """Add the units inside to the sums of their stage."""
    counts, weights, weighted = list(before.units), list(before.weight), list(before.weighted_y)
    for arm, received in enumerate((1.0 - units.pi, units.pi)):
        mine = inside & (units.a == arm)
        counts[arm] += int(np.count_nonzero(mine))
        weights[arm] = float(accumulate(weights[arm], np.where(mine, 1.0 / received, 0.0))[-1])
        weighted[arm] = float(accumulate(weighted[arm], np.where(mine, units.y / received, 0.0))[-1])
    overlap = accumulate(before.overlap, np.where(inside, units.pi * (1.0 - units.pi), 0.0))[-1]
    return StageSums(
        overlap=float(overlap),
        units=(counts[0], counts[1]),
        weight=(weights[0], weights[1]),
        weighted_y=(weighted[0], weighted[1]),
    )


def update(state: GridState, *, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike) -> GridState:
    """Consume units in assignment order; arguments as in ``eprocess.update``.

    Raises:
        ValueError: when a unit is malformed (see ``stream.checked_units``).
    """
    units = checked_units(y=y, a=a, pi=pi, stage=stage, stages=len(state.stages))
    past, m, v = advance(state.past, units.y)
    mantissa, exponent = _grow(state, units, m, v)
    return GridState(
        past=past,
        skipped=state.skipped + int(units.kept.size - units.y.size),
        mantissa=tuple(mantissa.tolist()),
        exponent=tuple(exponent.tolist()),
        stages=tuple(_stage_sums(sums, units, units.stage == i) for i, sums in enumerate(state.stages)),
    )


def log_e(state: GridState) -> FloatArray:
    """Log E against "tau is this effect", for every effect of ``GRID`` (shape (len(GRID),))."""
    log_wealth = np.log(np.array(state.mantissa)) + np.array(state.exponent) * math.log(2.0)
    shares = np.log(0.5 * np.array(WEIGHTS))[None, :, None]
    return log_total((log_wealth.reshape(_SHAPE) + shares).reshape(-1, len(GRID)))


def interval(state: GridState, *, alpha: float) -> Interval:
    """The confidence sequence now: it covers tau at all times at once with probability at least 1 - alpha.

    Should every effect be rejected (tau between two grid points, or changing over time), the neighbourhood
    of the least rejected one is returned.

    Args:
        state: the state so far.
        alpha: level, in (0, 1).

    Raises:
        ValueError: when alpha is outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        msg = f"alpha must lie in (0, 1), got {alpha}."
        raise ValueError(msg)
    evidence = log_e(state)
    kept = np.flatnonzero(evidence < -math.log(alpha))
    first, last = (int(kept[0]), int(kept[-1])) if kept.size else (int(np.argmin(evidence)),) * 2
    return Interval(low=GRID[max(first - 1, 0)], high=GRID[min(last + 1, len(GRID) - 1)])


def estimate(state: GridState) -> Estimate | None:
    """Point estimates: Hájek means (inverse-probability weighted) per stage, averaged over stages by overlap.

    Both arms get the same stage weights, the sum of pi (1 - pi), so that a ramp during which both arms drift
    does not bias the effect. ``None`` until some stage has seen both arms; stages that saw one are left out.
    """
    usable = [sums for sums in state.stages if min(sums.units) > 0]
    if not usable:
        return None
    total = sum(sums.overlap for sums in usable)
    baseline, candidate = (
        sum(sums.overlap / total * (sums.weighted_y[arm] / sums.weight[arm]) for sums in usable)
        for arm in (0, 1)
    )
    return Estimate(
        effect=candidate - baseline,
        candidate=candidate,
        baseline=baseline,
        candidate_units=sum(sums.units[1] for sums in usable),
        baseline_units=sum(sums.units[0] for sums in usable),
    )


def to_json(state: GridState) -> dict[str, object]:
    """The state as a plain dict, read back bit for bit by ``from_json``."""
    return {
        "version": VERSION,
        "past": past_to_json(state.past),
        "skipped": state.skipped,
        "mantissa": list(state.mantissa),
        "exponent": list(state.exponent),
        "stages": [
            {
                "overlap": sums.overlap,
                "units": list(sums.units),
                "weight": list(sums.weight),
                "weighted_y": list(sums.weighted_y),
            }
            for sums in state.stages
        ],
    }


def _stage_from_json(data: Mapping[str, Any]) -> StageSums:
    units, weight, weighted = data["units"], data["weight"], data["weighted_y"]
    return StageSums(
        overlap=float(data["overlap"]),
        units=(int(units[0]), int(units[1])),
        weight=(float(weight[0]), float(weight[1])),
        weighted_y=(float(weighted[0]), float(weighted[1])),
    )


def from_json(data: Mapping[str, Any]) -> GridState:
    """Read a state written by ``to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, VERSION)
    try:
        state = GridState(
            past=past_from_json(data["past"]),
            skipped=int(data["skipped"]),
            mantissa=tuple(float(number) for number in data["mantissa"]),
            exponent=tuple(int(number) for number in data["exponent"]),
            stages=tuple(_stage_from_json(sums) for sums in data["stages"]),
        )
    except (KeyError, IndexError, TypeError) as error:
        msg = f"The stored confidence sequence is malformed: {error}."
        raise ValueError(msg) from error
    if len(state.mantissa) != _SIZE or len(state.exponent) != _SIZE:
        msg = f"The stored confidence sequence must hold {_SIZE} wealths, got {len(state.mantissa)}."
        raise ValueError(msg)
    return state
