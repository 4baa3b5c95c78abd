"""Confidence sequence and point estimate of a canary's effect, tau = candidate - baseline, for display.

For each effect on a fixed grid a two-sided betting process tests "tau is this": with ``z = (a - pi)(y - m) -
q delta`` of mean zero, half the wealth bets on z, half on -z. An effect is rejected for good when its wealth
passes 1/alpha, so that what is left covers tau at all times at once and never grows (inversion of E and the
running intersection; arXiv 2010.09686, section 4; 2210.10768). The ends lie on rejected grid points, hence
the grid costs width (at most one step a side) and never coverage.

Units are bet on in blocks: pi, m and v stay the same in a block, and the wealth is looked at when it is full.
So units of equal y and a count together, and up to a block of them waits in the state. A y strictly between 0
and 1 enters by three sums, with a lower bound of its growth (Fan, Grama and Liu, Electronic Journal of
Probability 20, 2015, arXiv 1311.6273, Lemma 4.1: ``log(1 + x) >= x + x^2 (log(1 - u) + u) / u^2`` for ``x >=
-u``). Wealth is kept in whole steps of 1/4096 nat, rounded down per block: sums of integers do not depend on
batches, and a process that is rounded down is a supermartingale still.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inchworm.stats.blocks import Block, Blocks, blocks_of
from inchworm.stats.estimates import (
    Estimate,
    StageSums,
    add_sums,
    estimate_of,
    sums_from_json,
    sums_to_json,
)
from inchworm.stats.stream import (
    V_FLOOR,
    FloatArray,
    accumulate,
    checked_units,
    log_total,
    require_version,
)

__all__ = [
    "GRID",
    "Estimate",
    "GridState",
    "Interval",
    "estimate",
    "from_json",
    "init",
    "interval",
    "log_e",
    "to_json",
    "update",
]

VERSION: Final = "cs/2"
_POSITIVE: Final = tuple(
    step / 400 for step in (*range(1, 21), *range(22, 61, 2), *range(64, 121, 4), *range(140, 401, 20))
)
GRID: Final[tuple[float, ...]] = (*(-delta for delta in reversed(_POSITIVE)), 0.0, *_POSITIVE)
"""Effects tested: steps of .0025 up to .05, .005 up to .15, .01 up to .3, .05 up to 1, on both sides."""
RATES: Final = (0.03, 0.08, 0.2, 0.5, 0.96)
WEIGHTS: Final = (0.15, 0.25, 0.25, 0.2, 0.15)
SAFETY: Final = 0.9
BOUND_FLOOR: Final = 1e-6
STEP: Final = 4096.0
_BETS: Final = 2 * len(RATES)
_SHARES: Final = np.log(0.5 * np.tile(np.array(WEIGHTS), 2))[:, None]
_AT_ONCE: Final = 16
"""Blocks that are looked at together, before what is rejected is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridState:
    """Everything the sequence needs to go on. O(1) in the number of units."""

    line: float
    """Log 1/alpha."""
    units: int
    """Units consumed, skipped ones not counted."""
    skipped: int
    """Units with pi of 0 or 1."""
    sum_y: float
    """Sum of y, from 1, as if of two units."""
    sum_sq: float
    """Sum of squared distances of y to the mean of its own past, from .5."""
    block: Block
    alive: tuple[int, ...]
    """Places on ``GRID`` of the effects that are not rejected, at least one."""
    wealth: tuple[int, ...]
    """Log wealth of each (direction, rate, effect alive) without its share, flattened, in 1/4096 nat."""
    stages: tuple[StageSums, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """Effects not rejected, in units of y; ``-1 <= low < high <= 1``."""

    low: float
    high: float


def init(stages: int, *, alpha: float = 0.05) -> GridState:
    """The state before the first unit.

    Args:
        stages: how many stages the rollout has, at least 1.
        alpha: the sequence covers tau with probability 1 - alpha, in (0, 1).

    Raises:
        ValueError: when there is no stage, or alpha is outside (0, 1).
    """
    if stages < 1:
        msg = f"A rollout has at least one stage, got {stages}."
        raise ValueError(msg)
    if not 0.0 < alpha < 1.0:
        msg = f"alpha must lie in (0, 1), got {alpha}."
        raise ValueError(msg)
    return GridState(
        line=-math.log(alpha),
        units=0,
        skipped=0,
        sum_y=1.0,
        sum_sq=0.5,
        block=Block(),
        alive=tuple(range(len(GRID))),
        wealth=(0,) * (_BETS * len(GRID)),
        stages=(StageSums(),) * stages,
    )


def update(state: GridState, *, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike) -> GridState:
    """Consume units in assignment order; arguments as in ``eprocess.update``.

    Raises:
        ValueError: when a unit is malformed (see ``stream.checked_units``).
    """
    units = checked_units(y=y, a=a, pi=pi, stage=stage, stages=len(state.stages))
    skipped = state.skipped + int(units.kept.size - units.y.size)
    if units.y.size == 0:
        return replace(state, skipped=skipped)
    n = 2.0 + state.units + np.arange(units.y.size)
    sum_y = accumulate(state.sum_y, units.y)
    mean = sum_y[:-1] / n
    sum_sq = accumulate(state.sum_sq, np.square(units.y - mean))
    blocks = blocks_of(state.block, state.units, units, mean, np.maximum(sum_sq[:-1] / n, V_FLOOR))
    done = blocks.full.size - int(blocks.units[-1] < blocks.full[-1])
    alive, wealth = np.array(state.alive), np.array(state.wealth, dtype=np.int64)
    wealth = wealth.reshape(_BETS, alive.size)
    for start in range(0, done, _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, done))
        alive, wealth = _look(alive, wealth, blocks, part, state.line)
    return GridState(
        line=state.line,
        units=state.units + int(units.y.size),
        skipped=skipped,
        sum_y=float(sum_y[-1]),
        sum_sq=float(sum_sq[-1]),
        block=blocks.last() if done < blocks.full.size else Block(),
        alive=tuple(alive.tolist()),
        wealth=tuple(wealth.ravel().tolist()),
        stages=add_sums(state.stages, units),
    )


def _growth(blocks: Blocks, part: slice, effects: FloatArray) -> NDArray[np.int64]:
    """Growth of every bet over some of the blocks, shape (L, 2 * rates, effects), in whole steps."""
    pi, m, v, x, xx = (one[part, None] for one in (blocks.pi, blocks.m, blocks.v, blocks.x, blocks.xx))
    cells, between = blocks.cells[part, :4], blocks.cells[part, 4]
    shift = pi * (1.0 - pi) * effects
    # The worst z on either side bounds the bet, so that no factor falls below 1 - SAFETY.
    down = np.maximum((1.0 - pi) * m, pi * (1.0 - m)) + shift
    up = np.maximum((1.0 - pi) * (1.0 - m), pi * m) - shift
    reach = np.maximum(np.stack((down, up), axis=1), BOUND_FLOOR)[:, :, None]
    bets = np.minimum((np.array(RATES) / np.sqrt(v))[:, None, :, None], SAFETY / reach)
    bets[:, 1] *= -1.0
    grown = np.zeros_like(bets)
    for cell, (outcome, arm) in enumerate(((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))):
        count = cells[:, cell]
        if count.any():
            steps = bets * ((arm - pi) * (outcome - m) - shift)[:, None, None]
            np.log1p(steps, out=steps)
            steps *= count[:, None, None, None]
            grown += steps
    some = np.flatnonzero(between)
    if some.size:
        n, one, bet = between[some, None], shift[some], bets[some]
        lost = np.abs(bet) * reach[some]
        linear = x[some] - n * one
        square = np.maximum(xx[some] - 2.0 * one * x[some] + n * np.square(one), 0.0)
        # The terms of the lower bound, summed over the units that lie between.
        curve = (np.log1p(-lost) + lost) / np.square(reach[some])
        grown[some] += bet * linear[:, None, None] + curve * square[:, None, None]
    np.multiply(grown, STEP, out=grown)
    whole: NDArray[np.int64] = np.floor(grown, out=grown).astype(np.int64)
    return whole.reshape(-1, _BETS, effects.size)


def _look(
    alive: NDArray[np.int64], wealth: NDArray[np.int64], blocks: Blocks, part: slice, line: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """What is alive after the blocks, with its wealth; never nothing: the least rejected effect stays."""
    paths = wealth + np.cumsum(_growth(blocks, part, np.array(GRID)[alive]), axis=0)
    evidence = log_total(np.moveaxis(paths / STEP + _SHARES, 1, 0))
    kept = ~(evidence >= line).any(axis=0)
    if not kept.any():
        kept = np.ones(alive.size, dtype=np.bool_)
        for now in evidence:
            left = kept & (now < line)
            if not left.any():
                left[np.argmin(np.where(kept, now, np.inf))] = True
            kept = left
    return alive[kept], paths[-1][:, kept]


def log_e(state: GridState) -> FloatArray:
    """Log E against "tau is this effect" at the last look, shape (len(GRID),); infinite once rejected."""
    found = np.full(len(GRID), np.inf)
    wealth = np.array(state.wealth, dtype=np.float64).reshape(_BETS, len(state.alive)) / STEP
    found[list(state.alive)] = log_total(wealth + _SHARES)
    return found


def interval(state: GridState) -> Interval:
    """The confidence sequence at the last look: it covers tau at all times at once, and never widens.

    Should every effect be rejected (tau between two grid points, or changing over time), the neighbourhood
    of the least rejected one is returned.
    """
    return Interval(low=GRID[max(state.alive[0] - 1, 0)], high=GRID[min(state.alive[-1] + 1, len(GRID) - 1)])


def estimate(state: GridState) -> Estimate | None:
    """The point estimate of all units so far (:func:`inchworm.stats.estimates.estimate_of`)."""
    return estimate_of(state.stages)


def to_json(state: GridState) -> dict[str, object]:
    """The state as a plain dict, read back bit for bit by ``from_json``."""
    block = state.block
    return {
        "version": VERSION,
        "line": state.line,
        "units": state.units,
        "skipped": state.skipped,
        "sum_y": state.sum_y,
        "sum_sq": state.sum_sq,
        "block": [
            block.pi,
            block.m,
            block.v,
            block.full,
            list(block.cells),
            block.between,
            block.x,
            block.xx,
        ],
        "alive": list(state.alive),
        "wealth": list(state.wealth),
        "stages": sums_to_json(state.stages),
    }


def from_json(data: Mapping[str, Any]) -> GridState:
    """Read a state written by ``to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, VERSION)
    try:
        pi, m, v, full, cells, between, x, xx = data["block"]
        state = GridState(
            line=float(data["line"]),
            units=int(data["units"]),
            skipped=int(data["skipped"]),
            sum_y=float(data["sum_y"]),
            sum_sq=float(data["sum_sq"]),
            block=Block(
                pi=float(pi),
                m=float(m),
                v=float(v),
                full=int(full),
                cells=(int(cells[0]), int(cells[1]), int(cells[2]), int(cells[3])),
                between=int(between),
                x=float(x),
                xx=float(xx),
            ),
            alive=tuple(int(place) for place in data["alive"]),
            wealth=tuple(int(number) for number in data["wealth"]),
            stages=sums_from_json(data["stages"]),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        msg = f"The stored confidence sequence is malformed: {error}."
        raise ValueError(msg) from error
    if not state.alive or len(state.wealth) != _BETS * len(state.alive):
        wanted = _BETS * max(len(state.alive), 1)
        msg = f"The stored confidence sequence must hold {wanted} wealths, got {len(state.wealth)}."
        raise ValueError(msg)
    return state
