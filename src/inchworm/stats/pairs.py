"""The paired betting process: evidence from two answers to the same input, as a shadow stage gives them.

A pair is one input that both configurations answered; ``d = y_candidate - y_baseline`` lies in [-1, 1]. What
makes an input hard is in both answers and cancels, so far fewer pairs than units are needed. With
``E[d | past] = tau`` each factor below has mean at most 1 under its null, and ``P(ever E >= 1/alpha) <=
alpha`` at any stopping time:

- harm, null "tau >= -delta": ``1 + l (-d - delta)`` with ``l <= .95 / (1 + delta)``;
- expansion, null "tau <= -delta": ``1 + l (d + delta)`` with ``l <= .95 / (1 - delta)``.

The bets are ``l_k = rate_k / v`` with v the past mean of d squared, in a mixture (testing by betting,
Waudby-Smith and Ramdas, arXiv 2010.09686, section 4: any bet that the past decides is valid).

Everything is pure; a state is O(1), resumable, and the same bit for bit however the pairs were batched. It
cannot see how users react, conversations of several turns, or side effects.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from inchworm.stats.sequences import GRID
from inchworm.stats.stream import REFRESH, FloatArray, accumulate, check_losses, log_total, require_version

__all__ = [
    "Design",
    "State",
    "estimate",
    "from_json",
    "init",
    "interval",
    "log_e_expand",
    "log_e_harm",
    "to_json",
    "trajectory",
    "update",
]

VERSION: Final = "pairs/1"
SAFETY: Final = 0.95
"""A bet may lose at most this share of the wealth on one pair."""
BOUND_FLOOR: Final = 1e-6
RATES: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32)
WEIGHTS: Final = (0.02, 0.05, 0.2, 0.4, 0.25, 0.08)
PRIOR_PAIRS: Final = 4
PRIOR_SQUARE: Final = 0.5
"""Before the first pair the mean of d squared is this, as if of so many pairs.

With fewer, a few pairs without a difference make v tiny and the bets reckless; with more, differences that
are truly rare are bet on too timidly. Between 2 and 16 the median number of pairs moves by less than a tenth.
"""
_EARLY: Final = 8
_SHAPE: Final = (2, len(RATES), len(GRID))
_SIZE: Final = 2 * len(RATES) * len(GRID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What one metric is tested for. Fixed before the first pair; never changed inside a process.

    Raises:
        ValueError: when a number is outside its range.
    """

    delta_harm: float
    """Tolerated loss, in units of y: harm is "the effect is below -delta_harm". In [0, 1)."""
    margins: tuple[float, ...]
    """Margins of non-inferiority, in units of y, each in (0, 1], a process each. May be empty."""

    def __post_init__(self) -> None:
        """Refuse a design that cannot be tested."""
        check_losses(self.delta_harm, self.margins)
        if len(set(self.margins)) != len(self.margins):
            msg = f"Margins must differ from one another, got {self.margins}."
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything the processes need to go on. O(1) in the number of pairs."""

    pairs: int
    """Pairs consumed."""
    sum_d: float
    """Sum of d, from 0."""
    sum_sq: float
    """Sum of d squared, from ``PRIOR_PAIRS * PRIOR_SQUARE``."""
    log_harm: tuple[float, ...]
    """Log wealth against "no harm", by rate, mixture share included."""
    log_expand: tuple[tuple[float, ...], ...]
    """Log wealth against "worse than the margin", by margin and rate."""
    mantissa: tuple[float, ...]
    """Of the confidence sequence: wealth of each (direction, rate, effect), flattened, in [.5, 1)."""
    exponent: tuple[int, ...]
    """Its power of two."""
    line: float
    """Log 1/alpha of the confidence sequence."""
    alive: tuple[int, ...]
    """Places on ``sequences.GRID`` of the effects that were rejected at no look, at least one."""


def init(design: Design, *, alpha: float = 0.05) -> State:
    """The state before the first pair: wealth 1 in every process.

    Args:
        design: what is tested.
        alpha: the confidence sequence covers the mean of d with probability 1 - alpha, in (0, 1).

    Raises:
        ValueError: when alpha is outside (0, 1).
    """
    if not 0.0 < alpha < 1.0:
        msg = f"alpha must lie in (0, 1), got {alpha}."
        raise ValueError(msg)
    shares = tuple(math.log(weight) for weight in WEIGHTS)
    return State(
        pairs=0,
        sum_d=0.0,
        sum_sq=PRIOR_PAIRS * PRIOR_SQUARE,
        log_harm=shares,
        log_expand=(shares,) * len(design.margins),
        mantissa=(0.5,) * _SIZE,
        exponent=(1,) * _SIZE,
        line=-math.log(alpha),
        alive=tuple(range(len(GRID))),
    )


def _checked(d: ArrayLike) -> FloatArray:
    differences = np.asarray(d, dtype=np.float64)
    if differences.ndim != 1:
        msg = f"Pairs are a flat array of differences, got shape {differences.shape}."
        raise ValueError(msg)
    if not np.all((differences >= -1.0) & (differences <= 1.0)):
        msg = "Differences must lie in [-1, 1] and not be NaN: score what is missing first."
        raise ValueError(msg)
    return differences


def _bets(v: FloatArray, bound: float) -> FloatArray:
    """Bets by rate and pair, shape (6, N), none of which loses more than SAFETY where g >= -bound."""
    bets: FloatArray = np.minimum(np.array(RATES)[:, None] / v, SAFETY / max(bound, BOUND_FLOOR))
    return bets


def _look_after(pairs: int) -> int:
    """How many pairs there are at the next look: every 64, and every 8 of the first 64."""
    every = REFRESH if pairs >= REFRESH else _EARLY
    return pairs + every - pairs % every


def _sequence(
    state: State, d: FloatArray, v: FloatArray
) -> tuple[FloatArray, NDArray[np.int64], NDArray[np.int64]]:
    """Mantissas, exponents and what is not rejected of the confidence sequence after the pairs."""
    mantissa, exponent = np.array(state.mantissa), np.array(state.exponent, dtype=np.int64)
    alive = np.array(state.alive, dtype=np.int64)
    grid, rates = np.array(GRID), np.array(RATES)[:, None]
    caps = SAFETY / np.maximum(np.stack((1.0 + grid, 1.0 - grid)), BOUND_FLOOR)
    start = 0
    while start < d.size:
        look = _look_after(state.pairs + start) - state.pairs
        stop = min(look, d.size)
        bets = np.minimum(rates / v[start:stop, None, None], 1.0 / BOUND_FLOOR)[:, None]
        off = d[start:stop, None] - grid
        gains = np.stack((off, -off), axis=1)[:, :, None]
        factors = (1.0 + np.minimum(bets, caps[:, None]) * gains).reshape(stop - start, _SIZE)
        # Along the first axis, one row after the other, so that no batch rounds differently.
        mantissa = np.multiply.reduce(np.concatenate((mantissa[None], factors)), axis=0)
        # Scaling by powers of two is exact.
        mantissa, step = np.frexp(mantissa)
        exponent += step
        if stop == look:
            evidence = _against(mantissa, exponent)[alive]
            kept = evidence < state.line
            # Never nothing: the least rejected effect stays.
            alive = alive[kept] if kept.any() else alive[[np.argmin(evidence)]]
        start = stop
    return mantissa, exponent, alive


def _against(mantissa: FloatArray, exponent: NDArray[np.int64]) -> FloatArray:
    """Log evidence against each effect, shape (len(GRID),)."""
    log_wealth = np.log(mantissa) + exponent * math.log(2.0)
    shares = np.log(0.5 * np.array(WEIGHTS))[None, :, None]
    return log_total((log_wealth.reshape(_SHAPE) + shares).reshape(-1, len(GRID)))


def _paths(design: Design, state: State, d: FloatArray) -> tuple[State, FloatArray, tuple[FloatArray, ...]]:
    """The state after the pairs, and every log wealth before and after each of them, (6, N + 1) each."""
    if len(state.log_expand) != len(design.margins):
        msg = "The state belongs to another design: its margins differ in number."
        raise ValueError(msg)
    sum_sq = accumulate(state.sum_sq, np.square(d))
    v = sum_sq[:-1] / (PRIOR_PAIRS + state.pairs + np.arange(d.size))
    harm = accumulate(
        np.array(state.log_harm),
        np.log1p(_bets(v, 1.0 + design.delta_harm) * (-d - design.delta_harm)),
    )
    expand = tuple(
        accumulate(np.array(row), np.log1p(_bets(v, 1.0 - margin) * (d + margin)))
        for row, margin in zip(state.log_expand, design.margins, strict=True)
    )
    mantissa, exponent, alive = _sequence(state, d, v)
    later = State(
        pairs=state.pairs + int(d.size),
        sum_d=float(accumulate(state.sum_d, d)[-1]),
        sum_sq=float(sum_sq[-1]),
        log_harm=tuple(harm[:, -1].tolist()),
        log_expand=tuple(tuple(path[:, -1].tolist()) for path in expand),
        mantissa=tuple(mantissa.tolist()),
        exponent=tuple(exponent.tolist()),
        line=state.line,
        alive=tuple(alive.tolist()),
    )
    return later, harm, expand


def update(design: Design, state: State, *, d: ArrayLike) -> State:
    """Consume pairs in the order in which they were mirrored.

    Args:
        design: what is tested.
        state: the state so far.
        d: candidate minus baseline, each in [-1, 1], shape (N,).

    Raises:
        ValueError: when a difference is outside its range, or the state belongs to another design.
    """
    return _paths(design, state, _checked(d))[0]


def trajectory(design: Design, state: State, *, d: ArrayLike) -> tuple[State, FloatArray, FloatArray]:
    """Like ``update``, and tell the evidence after every pair.

    Returns:
        The state; log E against "no harm" after each pair, shape (N,); log E for expansion, shape
        (margins, N).

    Raises:
        ValueError: as ``update``.
    """
    later, harm, expand = _paths(design, state, _checked(d))
    expand_paths = np.empty((len(expand), harm.shape[1] - 1))
    for row, path in zip(expand_paths, expand, strict=True):
        row[:] = log_total(path)[1:]
    return later, log_total(harm)[1:], expand_paths


def log_e_harm(design: Design, state: State) -> float:
    """Log E against "the effect is at least -delta_harm".

    Raises:
        ValueError: when the state belongs to another design.
    """
    if len(state.log_expand) != len(design.margins):
        msg = f"The state holds {len(state.log_expand)} margins, the design {len(design.margins)}."
        raise ValueError(msg)
    return float(log_total(np.array(state.log_harm)[:, None])[0])


def log_e_expand(design: Design, state: State, margin: float) -> float:
    """Log E against "the effect is at most -margin"; the margin is met at log(1/alpha).

    Raises:
        ValueError: when the margin is not one of the design's, or the state belongs to another design.
    """
    if margin not in design.margins or len(state.log_expand) != len(design.margins):
        msg = f"No process runs at margin {margin}; the design declares {design.margins}."
        raise ValueError(msg)
    return float(log_total(np.array(state.log_expand[design.margins.index(margin)])[:, None])[0])


def estimate(state: State) -> tuple[float | None, int]:
    """The mean of d, and over how many pairs; ``None`` before the first."""
    return (state.sum_d / state.pairs if state.pairs else None), state.pairs


def interval(state: State) -> tuple[float, float]:
    """The confidence sequence: it covers the mean of d at all times at once with probability 1 - alpha.

    The hull of the effects on ``sequences.GRID`` that were rejected at no look; its ends lie on rejected
    effects, so the grid costs width and never coverage. What is rejected is so for good: it never widens.

    Returns:
        Lower and upper end, in units of y.
    """
    return GRID[max(state.alive[0] - 1, 0)], GRID[min(state.alive[-1] + 1, len(GRID) - 1)]


def to_json(state: State) -> dict[str, object]:
    """The state as a plain dict; ``from_json(json.loads(json.dumps(...)))`` gives it back bit for bit."""
    return {
        "version": VERSION,
        "pairs": state.pairs,
        "sum_d": state.sum_d,
        "sum_sq": state.sum_sq,
        "log_harm": list(state.log_harm),
        "log_expand": [list(row) for row in state.log_expand],
        "mantissa": list(state.mantissa),
        "exponent": list(state.exponent),
        "line": state.line,
        "alive": list(state.alive),
    }


def from_json(data: Mapping[str, Any]) -> State:
    """Read a state written by ``to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, VERSION)
    try:
        state = State(
            pairs=int(data["pairs"]),
            sum_d=float(data["sum_d"]),
            sum_sq=float(data["sum_sq"]),
            log_harm=tuple(float(number) for number in data["log_harm"]),
            log_expand=tuple(tuple(float(number) for number in row) for row in data["log_expand"]),
            mantissa=tuple(float(number) for number in data["mantissa"]),
            exponent=tuple(int(number) for number in data["exponent"]),
            line=float(data["line"]),
            alive=tuple(int(place) for place in data["alive"]),
        )
    except (KeyError, TypeError) as error:
        msg = f"The stored state of pairs is malformed: {error}."
        raise ValueError(msg) from error
    rows = (state.log_harm, *state.log_expand)
    if any(len(row) != len(RATES) or not all(map(math.isfinite, row)) for row in rows):
        msg = f"A stored wealth row must hold {len(RATES)} finite numbers."
        raise ValueError(msg)
    if len(state.mantissa) != _SIZE or len(state.exponent) != _SIZE:
        msg = f"The stored confidence sequence must hold {_SIZE} wealths, got {len(state.mantissa)}."
        raise ValueError(msg)
    if not state.alive or not all(0 <= place < len(GRID) for place in state.alive):
        msg = f"The stored confidence sequence must keep effects of its {len(GRID)}, got {state.alive}."
        raise ValueError(msg)
    return state
