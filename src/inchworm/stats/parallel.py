"""Many simulated rollouts in step: the e-process of ``eprocess``, unit by unit, over an axis of runs.

The same bets on the same refreshed means as ``eprocess.trajectory``, so that on the same units the wealth
agrees up to rounding; tests hold that. What is faster: all runs move together, and of outcomes that are 0 or
1 only the runs whose evidence *could* reach a line within a block are followed unit by unit. The others need
four counts, since wealth at the end of a block does not depend on the order within it.

A block never crosses a refresh: the first has up to 64 units, with bets of their own each; later ones begin
and end at multiples of 64, except that the last may be cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inchworm.stats.eprocess import (
    BOUND_FLOOR,
    EXPAND_RATES,
    EXPAND_WEIGHTS,
    HARM_RATES,
    HARM_WEIGHTS,
    RESERVE,
    SAFETY,
    Design,
)
from inchworm.stats.stream import REFRESH, V_FLOOR, FloatArray

__all__ = ["Block", "Runs", "Step", "block_length", "expand_path", "harm_path", "kept", "start", "step"]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
_HARM: Final = np.array(HARM_RATES)
_EXPAND: Final = np.array(EXPAND_RATES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """One metric's process in R runs, all of which have consumed as many units."""

    consumed: int
    sum_y: FloatArray
    """Shape (R,), as in ``stream.Past``."""
    sum_sq: FloatArray
    log_harm: FloatArray
    """Log wealth by stage of entry and rate, shape (stages, 6, R)."""
    log_expand: FloatArray
    """Log wealth by margin and rate, shape (margins, 3, R)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The next units of every run."""

    y: FloatArray
    """Outcomes in [0, 1], shape (R, B)."""
    a: BoolArray
    """Whether the candidate answered, shape (R, B)."""
    pi: FloatArray
    """Probability of the candidate, shape (R,)."""
    stage: IntArray
    """Shape (R,)."""
    binary: bool
    """Whether every outcome is 0 or 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A block played."""

    before: Runs
    block: Block
    after: Runs
    m: FloatArray
    """Means in force, shape (R, 1) or (R, B)."""
    v: FloatArray
    reach_harm: FloatArray
    """The most that log E of harm can have been at any unit of the block, shape (R,)."""
    reach_expand: FloatArray
    """The same by margin, shape (margins, R)."""


def start(design: Design, runs: int) -> Runs:
    """Before the first unit; wealth 1 in every process, as ``eprocess.init``."""
    later = design.stages - 1
    shares = np.array([1.0] if later == 0 else [1.0 - RESERVE, *[RESERVE / later] * later])
    harm = np.log(shares[:, None, None] * np.array(HARM_WEIGHTS)[None, :, None])
    expand = np.log(np.array(EXPAND_WEIGHTS))[None, :, None]
    return Runs(
        consumed=0,
        sum_y=np.ones(runs),
        sum_sq=np.full(runs, 0.5),
        log_harm=np.broadcast_to(harm, (design.stages, len(HARM_RATES), runs)).copy(),
        log_expand=np.broadcast_to(expand, (len(design.margins), len(EXPAND_RATES), runs)).copy(),
    )


def kept(runs: Runs, which: BoolArray) -> Runs:
    """Only the runs that go on."""
    return Runs(
        consumed=runs.consumed,
        sum_y=runs.sum_y[which],
        sum_sq=runs.sum_sq[which],
        log_harm=runs.log_harm[:, :, which],
        log_expand=runs.log_expand[:, :, which],
    )


def block_length(consumed: int, limit: int) -> int:
    """How many units the next block may have, at most ``limit``."""
    return min(REFRESH - consumed % REFRESH, limit)


def _moments(runs: Runs, y: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean and variance in force, (R, 1) or (R, B), and the sums after the block, (R,)."""
    n = 2.0 + runs.consumed + np.arange(y.shape[1])
    sums = np.add.accumulate(np.concatenate((runs.sum_y[:, None], y), axis=1), axis=1)
    mean = sums[:, :-1] / n
    squares = np.add.accumulate(np.concatenate((runs.sum_sq[:, None], np.square(y - mean)), axis=1), axis=1)
    seen = slice(None) if runs.consumed < REFRESH else slice(0, 1)
    variance = np.maximum(squares[:, :-1][:, seen] / n[seen], V_FLOOR)
    return mean[:, seen], variance, sums[:, -1], squares[:, -1]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bets:
    """What is bet on ``sign * (x + q * drift)`` at each unit; ``at`` has shape (rates, R, 1 or B)."""

    at: FloatArray
    drift: float
    sign: float


def _harm_bets(design: Design, pi: FloatArray, m: FloatArray, v: FloatArray) -> _Bets:
    """Bets against "no harm"."""
    bound = np.maximum((1.0 - pi) * (1.0 - m), pi * m) + pi * (1.0 - pi) * design.delta_harm
    at = np.minimum(_HARM[:, None, None] / np.sqrt(v), SAFETY / bound)
    return _Bets(at=at, drift=design.delta_harm, sign=-1.0)


def _expand_bets(margin: float, pi: FloatArray, m: FloatArray, v: FloatArray) -> _Bets:
    """Bets against "worse than the margin"."""
    cap = np.maximum((1.0 - pi) * m, pi * (1.0 - m)) - pi * (1.0 - pi) * margin
    at = np.minimum(_EXPAND[:, None, None] * margin / v, SAFETY / np.maximum(cap, BOUND_FLOOR))
    return _Bets(at=at, drift=margin, sign=1.0)


def _factors(bets: _Bets, block: Block, m: FloatArray, rows: slice | IntArray) -> FloatArray:
    """Growth of each bet at each unit of the chosen runs, shape (rates, rows, B)."""
    pi = block.pi[rows, None]
    x = (block.a[rows] - pi) * (block.y[rows] - m[rows])
    grown: FloatArray = bets.at[:, rows] * (bets.sign * (x + pi * (1.0 - pi) * bets.drift))
    grown += 1.0
    return grown


def _counts(block: Block) -> FloatArray:
    """Units by (candidate good, candidate bad, baseline good, baseline bad), shape (4, R)."""
    good = block.y > 0.5  # of outcomes that are 0 or 1
    candidates = np.count_nonzero(block.a, axis=1)
    goods = np.count_nonzero(good, axis=1)
    both = np.count_nonzero(block.a & good, axis=1)
    size = block.y.shape[1]
    return np.stack((both, candidates - both, goods - both, size - candidates - goods + both)).astype(float)


def _counted(bets: _Bets, block: Block, m: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Log growth over the block, and the most that it can have been within it, both (rates, R)."""
    pi, mean = block.pi, m[:, 0]
    q = pi * (1.0 - pi)
    x = np.stack(((1.0 - pi) * (1.0 - mean), -(1.0 - pi) * mean, -pi * (1.0 - mean), pi * mean))
    logs = np.log1p(bets.at[:, None, :, 0] * (bets.sign * (x + q * bets.drift)))
    growth: FloatArray = (counts * logs).sum(axis=1)
    most: FloatArray = (counts * np.maximum(logs, 0.0)).sum(axis=1)
    return growth, most


def _total(log_wealth: FloatArray) -> FloatArray:
    """Log of the sum over the first axis."""
    top: FloatArray = log_wealth.max(axis=0)
    total: FloatArray = top + np.log(np.exp(log_wealth - top).sum(axis=0))
    return total


def step(design: Design, runs: Runs, block: Block) -> Step:
    """Play the next block in all runs.

    Args:
        design: what is tested; margins in its order.
        runs: the state so far.
        block: the next units, at most ``block_length`` of them.
    """
    m, v, sum_y, sum_sq = _moments(runs, block.y)
    pi = block.pi[:, None]
    counts = _counts(block) if block.binary and m.shape[1] == 1 else None

    def grown(bets: _Bets) -> tuple[FloatArray, FloatArray]:
        if counts is not None:
            return _counted(bets, block, m, counts)
        logs = np.log(_factors(bets, block, m, slice(None)))
        return logs.sum(axis=2), np.maximum(logs, 0.0).sum(axis=2)

    growth, most = grown(_harm_bets(design, pi, m, v))
    awake = np.arange(design.stages)[:, None, None] <= block.stage
    log_harm = runs.log_harm + np.where(awake, growth, 0.0)
    highest = runs.log_harm + np.where(awake, most, 0.0)
    log_expand = runs.log_expand.copy()
    reach_expand = np.empty((len(design.margins), block.pi.size))
    for place, margin in enumerate(design.margins):
        more, at_most = grown(_expand_bets(margin, pi, m, v))
        if design.spans:
            # Units of another population are not bet on.
            first, last = design.spans[place]
            inside = (first <= block.stage) & (block.stage <= last)
            more, at_most = np.where(inside, more, 0.0), np.where(inside, at_most, 0.0)
        reach_expand[place] = _total(log_expand[place] + at_most)
        log_expand[place] += more
    return Step(
        before=runs,
        block=block,
        after=Runs(
            consumed=runs.consumed + block.y.shape[1],
            sum_y=sum_y,
            sum_sq=sum_sq,
            log_harm=log_harm,
            log_expand=log_expand,
        ),
        m=m,
        v=v,
        reach_harm=_total(highest.reshape(-1, block.pi.size)),
        reach_expand=reach_expand,
    )


def harm_path(design: Design, played: Step, rows: IntArray) -> FloatArray:
    """E against "no harm" after every unit of the block in the chosen runs, shape (rows, B)."""
    block = played.block
    bets = _harm_bets(design, block.pi[:, None], played.m, played.v)
    factors = _factors(bets, block, played.m, rows)
    growth = np.multiply.accumulate(factors, axis=2)
    wealth = np.exp(played.before.log_harm[:, :, rows])
    awake = np.arange(design.stages)[:, None, None] <= block.stage[rows]
    betting = np.where(awake, wealth, 0.0).sum(axis=0)
    asleep = np.where(awake, 0.0, wealth).sum(axis=(0, 1))
    path: FloatArray = np.einsum("kr,krb->rb", betting, growth) + asleep[:, None]
    return path


def expand_path(design: Design, played: Step, place: int, rows: IntArray) -> FloatArray:
    """E for expansion at a margin, by its place in the design, in the chosen runs, shape (rows, B).

    Of runs whose stage lies in the margin's span.
    """
    block, margin = played.block, design.margins[place]
    bets = _expand_bets(margin, block.pi[:, None], played.m, played.v)
    factors = _factors(bets, block, played.m, rows)
    growth = np.multiply.accumulate(factors, axis=2)
    path: FloatArray = np.einsum("kr,krb->rb", np.exp(played.before.log_expand[place][:, rows]), growth)
    return path
