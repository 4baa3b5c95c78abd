"""What a rule sees: running counts and sums of both arms at every candidate observation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["BoolArray", "FloatArray", "Moments", "Seen", "blocked", "difference", "first", "moments", "seen"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Both arms at the moment of the i-th candidate observation; all arrays of one shape (..., K).

    Where a run has fewer than K candidate observations the rest is filled with NaN, and no rule speaks there.
    """

    n1: FloatArray
    """Candidate observations, this one included."""
    s1: FloatArray
    """Sum of their outcomes."""
    q1: FloatArray
    """Sum of their squares; the same as ``s1`` for outcomes that are 0 or 1."""
    n0: FloatArray
    """Baseline observations before it."""
    s0: FloatArray
    q0: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Means and variances by arm; where an arm is empty, NaN."""

    n1: FloatArray
    n0: FloatArray
    mean1: FloatArray
    mean0: FloatArray
    var1: FloatArray
    var0: FloatArray
    pooled: FloatArray
    """Variance of the outcome over both arms together."""


def seen(y: ArrayLike, a: ArrayLike) -> Seen:
    """What is seen at each candidate observation of one stream.

    Args:
        y: outcomes in [0, 1], shape (N,).
        a: arms, true or 1 for the candidate, shape (N,).

    Raises:
        ValueError: when the lengths differ.
    """
    outcomes, arms = np.asarray(y, dtype=np.float64), np.asarray(a, dtype=np.bool_)
    if outcomes.ndim != 1 or outcomes.shape != arms.shape:
        msg = f"A stream is two flat arrays of one length; got {outcomes.shape} (y) and {arms.shape} (a)."
        raise ValueError(msg)

    ones, squares = np.ones(outcomes.size), np.square(outcomes)
    n1, s1, q1 = (np.cumsum(np.where(arms, each, 0.0))[arms] for each in (ones, outcomes, squares))
    n0, s0, q0 = (np.cumsum(np.where(arms, 0.0, each))[arms] for each in (ones, outcomes, squares))
    return Seen(n1=n1, s1=s1, q1=q1, n0=n0, s0=s0, q0=q0)


def blocked(y: ArrayLike, a: ArrayLike, ratio: int) -> Seen:
    """One stream cut into blocks of one candidate observation and ``ratio`` of the baseline.

    The i-th block takes the i-th of the one and the next ``ratio`` of the other, whichever came first: as if
    the traffic were split evenly and not at random, which waits for nothing.

    Args:
        y: outcomes in [0, 1], shape (N,).
        a: arms, shape (N,).
        ratio: baseline observations per candidate observation, at least 1.

    Raises:
        ValueError: when the lengths differ or the ratio is not positive.
    """
    outcomes, arms = np.asarray(y, dtype=np.float64), np.asarray(a, dtype=np.bool_)
    if outcomes.shape != arms.shape or ratio < 1:
        msg = f"A stream is two arrays of one length and a ratio of at least 1; got {ratio}."
        raise ValueError(msg)
    ours, theirs = outcomes[arms], outcomes[~arms]
    blocks = min(ours.size, theirs.size // ratio)
    ours, theirs = ours[:blocks], theirs[: blocks * ratio].reshape(blocks, ratio)
    count = np.arange(1.0, blocks + 1.0)
    return Seen(
        n1=count,
        s1=np.cumsum(ours),
        q1=np.cumsum(np.square(ours)),
        n0=ratio * count,
        s0=np.cumsum(theirs.sum(axis=1)),
        q0=np.cumsum(np.square(theirs).sum(axis=1)),
    )


def moments(of: Seen) -> Moments:
    """Means and variances from the sums."""
    n1, n0 = np.where(of.n1 > 0, of.n1, np.nan), np.where(of.n0 > 0, of.n0, np.nan)
    mean1, mean0, both = of.s1 / n1, of.s0 / n0, n1 + n0
    return Moments(
        n1=n1,
        n0=n0,
        mean1=mean1,
        mean0=mean0,
        var1=np.maximum(of.q1 / n1 - np.square(mean1), 0.0),
        var0=np.maximum(of.q0 / n0 - np.square(mean0), 0.0),
        pooled=np.maximum((of.q1 + of.q0) / both - np.square((of.s1 + of.s0) / both), 0.0),
    )


def difference(of: Seen) -> tuple[FloatArray, FloatArray]:
    """Candidate minus baseline, and its standard error with a variance per arm.

    Where either arm's variance is 0 the error is NaN, so that nothing is concluded (as gbstats does).
    """
    now = moments(of)
    known = (now.var1 > 0.0) & (now.var0 > 0.0)
    variance = np.where(known, now.var1 / now.n1 + now.var0 / now.n0, np.nan)
    return now.mean1 - now.mean0, np.sqrt(variance)


def first(calls: BoolArray, of: Seen) -> FloatArray:
    """The number of candidate observations at the first call along the last axis; infinite without one."""
    where = calls.argmax(axis=-1)
    count = np.take_along_axis(of.n1, where[..., None], axis=-1)[..., 0]
    times: FloatArray = np.where(calls.any(axis=-1), count, np.inf)
    return times
