"""Units in blocks in which all that bets know stays the same, so that units of equal outcome count together.

A block is full with a tenth of the units before it, so that looks keep pace with what is known. Where blocks
begin depends on the units only, never on how they were batched.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from inchworm.stats.stream import FloatArray, Units, accumulate

__all__ = ["LONGEST", "PART", "Block", "Blocks", "blocks_of"]

PART: Final = 10
"""A block is full with this part of the units before it."""
LONGEST: Final = 1024
"""And with so many units in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The units that wait for the next look. What the bets know was known before the first of them."""

    pi: float = 0.0
    m: float = 0.5
    v: float = 0.25
    full: int = 0
    """How many units it takes; 0 while no unit waits."""
    cells: tuple[int, int, int, int] = (0, 0, 0, 0)
    """Units with (y, a) = (0, 0), (0, 1), (1, 0), (1, 1)."""
    between: int = 0
    """Units whose y is neither 0 nor 1."""
    x: float = 0.0
    """Sum of (a - pi)(y - m) over these."""
    xx: float = 0.0
    """Sum of its square."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """Blocks in order, each array with one entry, or row, per block; only the last may not be full."""

    pi: FloatArray
    m: FloatArray
    v: FloatArray
    full: NDArray[np.int64]
    cells: NDArray[np.int64]
    """By cell, and what is between in the fifth column."""
    x: FloatArray
    xx: FloatArray

    @property
    def units(self) -> NDArray[np.int64]:
        """How many each has."""
        total: NDArray[np.int64] = self.cells.sum(axis=1)
        return total

    def last(self) -> Block:
        """The last one."""
        no, unlucky, yes, lucky, between = self.cells[-1].tolist()
        return Block(
            pi=float(self.pi[-1]),
            m=float(self.m[-1]),
            v=float(self.v[-1]),
            full=int(self.full[-1]),
            cells=(no, unlucky, yes, lucky),
            between=between,
            x=float(self.x[-1]),
            xx=float(self.xx[-1]),
        )


def _cuts(waits: Block, before: int, units: Units) -> tuple[list[int], list[int]]:
    """Where in the batch blocks begin, and how many units each takes.

    A block that waited begins at -1 if a change of pi closes it before the first unit, at 0 if it goes on. A
    change of pi closes a block: how many units it takes is then what it has.
    """
    size = units.y.size
    turns = [*(np.flatnonzero(np.diff(units.pi)) + 1).tolist(), size]
    have = sum(waits.cells) + waits.between
    begins: list[int] = []
    takes: list[int] = []
    start, turn = 0, 0
    if have and units.pi[0] != waits.pi:
        begins, takes, have = [-1], [have], 0
    while start < size:
        while turns[turn] <= start:
            turn += 1
        full = waits.full if have else min(max((before + start) // PART, 1), LONGEST)
        stop = min(start + full - have, turns[turn])
        begins.append(start)
        takes.append(full if stop == size else have + stop - start)
        start, have = stop, 0
    return begins, takes


def blocks_of(waits: Block, before: int, units: Units, mean: FloatArray, variance: FloatArray) -> Blocks:
    """The blocks that the units fall into, the one that waited first."""
    begins, takes = _cuts(waits, before, units)
    size = units.y.size
    starts = np.maximum(np.array(begins), 0)
    went_on = bool(sum(waits.cells) + waits.between)
    pi, m, v = units.pi[starts], mean[starts], variance[starts]
    if went_on:
        pi[0], m[0], v[0] = waits.pi, waits.m, waits.v
    lengths = np.diff(np.append(starts, size))
    which = np.repeat(np.arange(starts.size), lengths)
    whole = (units.y == 0.0) | (units.y == 1.0)
    code = np.where(whole, 2.0 * units.y + units.a, 4.0).astype(np.intp)
    cells = np.bincount(5 * which + code, minlength=5 * starts.size).reshape(-1, 5)
    x, xx = np.zeros(starts.size), np.zeros(starts.size)
    if went_on:
        cells[0] += np.array((*waits.cells, waits.between))
        x[0], xx[0] = waits.x, waits.xx
    if not whole.all():
        inside = ~whole
        steps = (units.a - pi[which])[inside] * (units.y - m[which])[inside]
        both, ends = (
            np.stack((steps, np.square(steps))),
            np.cumsum(np.bincount(which[inside], minlength=x.size)),
        )
        for place, (first, last) in enumerate(zip((0, *ends[:-1].tolist()), ends.tolist(), strict=True)):
            if last > first:
                sums = accumulate(np.array((x[place], xx[place])), both[:, first:last])
                x[place], xx[place] = sums[:, -1]
    return Blocks(pi=pi, m=m, v=v, full=np.array(takes), cells=cells, x=x, xx=xx)
