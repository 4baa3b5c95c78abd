"""Many simulated shadow stages in step: when does the process of ``pairs`` decide?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from inchworm.stats.pairs import (
    BOUND_FLOOR,
    PRIOR_PAIRS,
    PRIOR_SQUARE,
    RATES,
    SAFETY,
    WEIGHTS,
    Design,
)
from inchworm.stats.stream import FloatArray

__all__ = ["Decided", "decisions", "ternary"]

_CHUNK: Final = 64
Draw = Callable[[int, int], FloatArray]
"""The next pairs of so many runs: ``draw(runs, pairs)`` gives differences of shape (runs, pairs)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """Pairs at which each run passed its line, infinite where it did not; both shape (R,).

    A run is followed until it has passed one of the two.
    """

    harm: FloatArray
    expand: FloatArray


def ternary(rng: np.random.Generator, *, discordance: float, effect: float) -> Draw:
    """Differences of yes/no outcomes: ``discordance`` of the pairs differ, and the mean is ``effect``.

    Raises:
        ValueError: when the effect is larger than the discordance, or it is outside [0, 1].
    """
    if not abs(effect) <= discordance <= 1.0:
        msg = f"The discordance lies between the effect and 1, got {discordance} for {effect}."
        raise ValueError(msg)
    up = (discordance + effect) / 2.0

    def draw(runs: int, pairs: int) -> FloatArray:
        u = rng.random((runs, pairs))
        return (u < up).astype(np.float64) - ((u >= up) & (u < discordance))

    return draw


def _path(
    log_wealth: FloatArray, d: FloatArray, v: FloatArray, bound: float
) -> tuple[FloatArray, FloatArray]:
    """Log wealth by rate after the chunk (6, R), and E after every pair (R, L); ``d`` is what is bet on."""
    bets = np.minimum(np.array(RATES)[:, None, None] / v, SAFETY / max(bound, BOUND_FLOOR))
    growth = np.multiply.accumulate(1.0 + bets * d, axis=2)
    path: FloatArray = np.einsum("kr,krl->rl", np.exp(log_wealth), growth)
    return log_wealth + np.log(growth[:, :, -1]), path


def decisions(
    design: Design, draw: Draw, *, runs: int, max_pairs: int, alpha_harm: float, alpha_expand: float
) -> Decided:
    """When each run decides, looked at after every pair, as ``pairs.trajectory`` would tell.

    Args:
        design: the tolerated loss, and no margin (nothing expands) or one.
        draw: where differences come from.
        runs: how many.
        max_pairs: where a run ends undecided.
        alpha_harm: level of harm.
        alpha_expand: level of the expansion.

    Raises:
        ValueError: when the design has several margins.
    """
    if len(design.margins) > 1:
        msg = f"At most one margin decides a shadow stage, got {design.margins}."
        raise ValueError(msg)
    decided = Decided(harm=np.full(runs, math.inf), expand=np.full(runs, math.inf))
    going = np.arange(runs)
    harm = np.repeat(np.log(WEIGHTS)[:, None], runs, axis=1)
    expand = harm.copy()
    squares = np.full(runs, PRIOR_PAIRS * PRIOR_SQUARE)
    done = 0
    while done < max_pairs and going.size:
        size = min(_CHUNK, max_pairs - done)
        d = draw(going.size, size)
        sums = np.cumsum(np.concatenate((squares[:, None], np.square(d)), axis=1), axis=1)
        v = sums[:, :-1] / (PRIOR_PAIRS + done + np.arange(size))
        squares = sums[:, -1]
        harm, path = _path(harm, -d - design.delta_harm, v, 1.0 + design.delta_harm)
        decided.harm[going] = _passed(path, alpha_harm, done)
        for margin in design.margins:
            expand, path = _path(expand, d + margin, v, 1.0 - margin)
            decided.expand[going] = _passed(path, alpha_expand, done)
        open_still = np.isinf(decided.harm[going]) & np.isinf(decided.expand[going])
        going, squares = going[open_still], squares[open_still]
        harm, expand = harm[:, open_still], expand[:, open_still]
        done += size
    # Whoever passed one line first is not asked about the other.
    both = decided.harm <= decided.expand
    return Decided(
        harm=np.where(both, decided.harm, math.inf), expand=np.where(both, math.inf, decided.expand)
    )


def _passed(path: FloatArray, alpha: float, done: int) -> FloatArray:
    """The pair at which E passes 1/alpha in this chunk, by run; infinite where it does not."""
    passed = path >= 1.0 / alpha
    times: FloatArray = np.where(passed.any(axis=1), done + 1.0 + passed.argmax(axis=1), math.inf)
    return times
