"""The stream of canary units: validation, running moments, and sums that do not depend on batching.

Shared by the e-processes of this package. All sums are strict left-to-right accumulations that start at the
stored value, and which units share a refreshed mean depends on their position in the stream only, so that
the same units give the same state bit for bit however they were batched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "REFRESH",
    "V_FLOOR",
    "FloatArray",
    "Past",
    "Units",
    "accumulate",
    "advance",
    "check_losses",
    "checked_assignment",
    "checked_units",
    "log_total",
    "past_from_json",
    "past_to_json",
    "require_version",
]

FloatArray = NDArray[np.float64]
"""An array of 64-bit floats."""

REFRESH: Final = 64
"""Mean, variance and bets are refreshed every so many units, and at each of the first so many."""
V_FLOOR: Final = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What the bets may know: running moments of the consumed outcomes, and the mean and variance in force.

    The starting values act as two earlier units, one success and one failure.
    """

    consumed: int = 0
    """Units consumed, skipped ones not counted. The pseudo-code's n is ``consumed + 2``."""
    sum_y: float = 1.0
    """Sum of y, from 1."""
    sum_sq: float = 0.5
    """Sum of squared distances of y to the mean of its own past, from .5."""
    m: float = 0.5
    """The mean in force since the last refresh."""
    v: float = 0.25
    """The variance in force since the last refresh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Validated units in assignment order; ``kept`` marks those with pi strictly inside (0, 1)."""

    y: FloatArray
    a: FloatArray
    pi: FloatArray
    stage: NDArray[np.int64]
    kept: NDArray[np.bool_]
    """Over the units as given; the other arrays hold the kept ones only."""

    def part(self, start: int, stop: int) -> Units:
        """Some of the kept units, as if no others had been given."""
        y = self.y[start:stop]
        return Units(
            y=y,
            a=self.a[start:stop],
            pi=self.pi[start:stop],
            stage=self.stage[start:stop],
            kept=np.ones(y.size, dtype=np.bool_),
        )


def check_losses(delta_harm: float, margins: Sequence[float]) -> None:
    """Refuse losses that cannot be tested.

    Args:
        delta_harm: the tolerated loss, in units of y; in [0, 1).
        margins: margins of non-inferiority, each in (0, 1].

    Raises:
        ValueError: when one is outside its range.
    """
    if not 0.0 <= delta_harm < 1.0:
        msg = f"delta_harm must lie in [0, 1), got {delta_harm}."
        raise ValueError(msg)
    for margin in margins:
        if not 0.0 < margin <= 1.0:
            msg = f"Every margin must be positive and at most 1, got {margin}."
            raise ValueError(msg)


def accumulate(start: float | FloatArray, steps: FloatArray) -> FloatArray:
    """Running sums along the last axis, strictly left to right, the start included as first column.

    ``numpy.sum`` adds pairwise, so its rounding depends on the length of the batch; ``add.accumulate`` does
    not.
    """
    sums: FloatArray = np.empty((*steps.shape[:-1], steps.shape[-1] + 1))
    sums[..., 0] = start
    sums[..., 1:] = steps
    np.add.accumulate(sums, axis=-1, out=sums)
    return sums


def checked_assignment(a: ArrayLike, pi: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return arms and probabilities as float arrays.

    Raises:
        ValueError: when they are not flat arrays of one length, an arm is not 0 or 1, or a probability is
            outside [0, 1].
    """
    arms = np.asarray(a, dtype=np.float64)
    probabilities = np.asarray(pi, dtype=np.float64)
    if arms.ndim != 1 or arms.shape != probabilities.shape:
        msg = f"Units are flat arrays of one length; got {arms.shape} (a) and {probabilities.shape} (pi)."
        raise ValueError(msg)
    if not np.all((arms == 0.0) | (arms == 1.0)):
        msg = "Arms must be 0 (baseline) or 1 (candidate)."
        raise ValueError(msg)
    if not np.all((probabilities >= 0.0) & (probabilities <= 1.0)):
        msg = "Assignment probabilities must lie in [0, 1] and not be NaN."
        raise ValueError(msg)
    return arms, probabilities


def checked_units(*, y: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike, stages: int) -> Units:
    """Validate units and drop those that carry no comparison (pi of 0 or 1).

    Args:
        y: outcomes in [0, 1], shape (N,).
        a: arms, 0 or 1, shape (N,).
        pi: probability of arm 1 that the gateway used, shape (N,).
        stage: stage index of each unit, integers in [0, stages), shape (N,).
        stages: how many stages there are.

    Raises:
        ValueError: when a value is outside its range, is NaN, or the lengths differ.
    """
    arms, probabilities = checked_assignment(a, pi)
    outcomes = np.asarray(y, dtype=np.float64)
    indices = np.asarray(stage)
    if outcomes.shape != arms.shape or indices.shape != arms.shape:
        shapes = f"{outcomes.shape} (y), {arms.shape} (a), {indices.shape} (stage)"
        msg = f"Units are flat arrays of one length; got {shapes}."
        raise ValueError(msg)
    if not np.all((outcomes >= 0.0) & (outcomes <= 1.0)):
        msg = "Outcomes must lie in [0, 1] and not be NaN: scale the metric and score what is missing first."
        raise ValueError(msg)
    if indices.size and not np.issubdtype(indices.dtype, np.integer):
        msg = f"Stages must be integers, got {indices.dtype}."
        raise ValueError(msg)
    if not np.all((indices >= 0) & (indices < stages)):
        msg = f"Stages must lie in 0..{stages - 1}."
        raise ValueError(msg)
    kept = (probabilities > 0.0) & (probabilities < 1.0)
    return Units(
        y=outcomes[kept],
        a=arms[kept],
        pi=probabilities[kept],
        stage=indices[kept].astype(np.int64),
        kept=kept,
    )


def advance(past: Past, y: FloatArray) -> tuple[Past, FloatArray, FloatArray]:
    """Move the running moments over new outcomes.

    Returns:
        The new past, and for each unit the mean and variance in force when it is bet on (both shape (N,)),
        which depend on earlier units only.
    """
    if y.size == 0:
        return past, y, y
    index = past.consumed + np.arange(y.size)
    n = 2.0 + index
    sum_y = accumulate(past.sum_y, y)
    mean = sum_y[:-1] / n
    sum_sq = accumulate(past.sum_sq, np.square(y - mean))
    variance = np.maximum(sum_sq[:-1] / n, V_FLOOR)
    # Position in this batch of the refresh that governs each unit; negative when it happened in an earlier
    # batch.
    refreshed = np.where(index < REFRESH, index, index - index % REFRESH) - past.consumed
    source = np.maximum(refreshed, 0)
    m = np.where(refreshed < 0, past.m, mean[source])
    v = np.where(refreshed < 0, past.v, variance[source])
    later = Past(
        consumed=past.consumed + y.size,
        sum_y=float(sum_y[-1]),
        sum_sq=float(sum_sq[-1]),
        m=float(m[-1]),
        v=float(v[-1]),
    )
    return later, m, v


def log_total(log_wealth: FloatArray) -> FloatArray:
    """Log of the total wealth over the first axis, whose rows carry their mixture weights already.

    Args:
        log_wealth: shape (bets, N).

    Returns:
        Shape (N,).
    """
    top: FloatArray = np.max(log_wealth, axis=0)
    total = np.zeros_like(top)
    # Row by row: the order of addition, hence the rounding, is the same for one unit as for ten thousand.
    for row in np.exp(log_wealth - top):
        total += row
    logs: FloatArray = top + np.log(total)
    return logs


def past_to_json(past: Past) -> dict[str, object]:
    """The past as a plain dict of numbers."""
    return {
        "consumed": past.consumed,
        "sum_y": past.sum_y,
        "sum_sq": past.sum_sq,
        "m": past.m,
        "v": past.v,
    }


def past_from_json(data: Mapping[str, Any]) -> Past:
    """Read a past written by ``past_to_json``.

    Raises:
        ValueError: when a field is missing or no number.
    """
    try:
        return Past(
            consumed=int(data["consumed"]),
            sum_y=float(data["sum_y"]),
            sum_sq=float(data["sum_sq"]),
            m=float(data["m"]),
            v=float(data["v"]),
        )
    except (KeyError, TypeError) as error:
        msg = f"The stored running moments are incomplete: {error}."
        raise ValueError(msg) from error


def require_version(data: Mapping[str, Any], version: str) -> None:
    """Refuse a stored state of another format.

    Raises:
        ValueError: when the version is not the one asked for.
    """
    if data.get("version") != version:
        msg = f"The stored state has version {data.get('version')!r}, this code reads {version!r}."
        raise ValueError(msg)
