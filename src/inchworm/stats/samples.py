"""Is the sample what it claims to be? Sample ratio, and coverage of labels by arm.

Past 1/alpha the evidence of the canary is void: the assignment, or the arrival of labels, is not what it
should be.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from inchworm.stats import eprocess
from inchworm.stats.stream import FloatArray, accumulate, checked_assignment, log_total, require_version

__all__ = [
    "Coverage",
    "SampleRatio",
    "coverage_from_json",
    "coverage_init",
    "coverage_to_json",
    "coverage_update",
    "coverage_watch",
    "log_e_coverage",
    "log_e_ratio",
    "ratio_from_json",
    "ratio_init",
    "ratio_to_json",
    "ratio_update",
    "ratio_watch",
]

RATIO_VERSION: Final = "srm/1"
COVERAGE_VERSION: Final = "coverage/1"
_ODDS: Final = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
TILTS: Final = (*(-tilt for tilt in reversed(_ODDS)), *_ODDS)
"""Alternatives: the log-odds of the candidate are off by this much, in equal shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleRatio:
    """Evidence that the arms do not follow the recorded probabilities. O(1) in the number of units."""

    units: int
    """Units seen, those with pi of 0 or 1 included."""
    impossible: int
    """Units recorded in an arm whose recorded probability was 0."""
    log_wealth: tuple[float, ...]
    """By tilt, mixture share included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Evidence that one arm's outcomes arrive more often than the other's, in either direction."""

    fewer: eprocess.State
    """Against "candidate units are labelled at least as often"."""
    more: eprocess.State
    """Against "candidate units are labelled at most as often"."""


def ratio_init() -> SampleRatio:
    """The state before the first unit: wealth 1."""
    return SampleRatio(units=0, impossible=0, log_wealth=(-math.log(len(TILTS)),) * len(TILTS))


def ratio_update(state: SampleRatio, *, a: ArrayLike, pi: ArrayLike) -> SampleRatio:
    """Consume assignments in order.

    Under the null, arm 1 has probability pi given the past; under a tilt t its odds are multiplied by
    exp(t). The factor is the likelihood ratio ``exp(t a) / (1 + pi (exp(t) - 1))``, of mean exactly 1
    whatever pi is, so that pi may change at every unit (the two-armed case of the sequential multinomial
    test of Lindon and Malek, arXiv 2011.03567, with a mixture over tilts in place of the Dirichlet prior,
    which needs a constant pi).

    Args:
        state: the state so far.
        a: arms, 0 or 1, shape (N,).
        pi: recorded probability of arm 1, shape (N,).

    Raises:
        ValueError: when arms or probabilities are malformed, or the lengths differ.
    """
    return ratio_watch(state, a=a, pi=pi, every=1)[0]


def ratio_watch(
    state: SampleRatio, *, a: ArrayLike, pi: ArrayLike, every: int
) -> tuple[SampleRatio, FloatArray]:
    """Like ``ratio_update``, and tell the evidence whenever the number of units is a multiple of ``every``.

    Returns:
        The state; log E at each of these looks, shape (looks,), as if no arm had been impossible.

    Raises:
        ValueError: as ``ratio_update``.
    """
    arms, probabilities = checked_assignment(a, pi)
    tilts = np.array(TILTS)[:, None]
    certain = (probabilities == 0.0) | (probabilities == 1.0)
    steps = np.where(certain, 0.0, tilts * arms - np.log1p(probabilities * np.expm1(tilts)))
    path = accumulate(np.array(state.log_wealth), steps)
    later = SampleRatio(
        units=state.units + arms.size,
        impossible=state.impossible + int(np.count_nonzero(certain & (arms != probabilities))),
        log_wealth=tuple(path[:, -1].tolist()),
    )
    return later, log_total(path[:, every - state.units % every :: every])


def log_e_ratio(state: SampleRatio) -> float:
    """Log E against "the arms follow the recorded probabilities"; infinite after an impossible arm."""
    if state.impossible:
        return math.inf
    return float(log_total(np.array(state.log_wealth)[:, None])[0])


def ratio_to_json(state: SampleRatio) -> dict[str, object]:
    """The state as a plain dict, read back bit for bit by ``ratio_from_json``."""
    return {
        "version": RATIO_VERSION,
        "units": state.units,
        "impossible": state.impossible,
        "log_wealth": list(state.log_wealth),
    }


def ratio_from_json(data: Mapping[str, Any]) -> SampleRatio:
    """Read a state written by ``ratio_to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, RATIO_VERSION)
    try:
        state = SampleRatio(
            units=int(data["units"]),
            impossible=int(data["impossible"]),
            log_wealth=tuple(float(number) for number in data["log_wealth"]),
        )
    except (KeyError, TypeError) as error:
        msg = f"The stored sample-ratio state is malformed: {error}."
        raise ValueError(msg) from error
    if len(state.log_wealth) != len(TILTS):
        msg = f"The stored sample-ratio state must hold {len(TILTS)} wealths, got {len(state.log_wealth)}."
        raise ValueError(msg)
    return state


def _coverage_design(stages: int) -> eprocess.Design:
    """No difference in coverage is tolerated, and none is ever declared absent."""
    return eprocess.Design(delta_harm=0.0, margins=(), stages=stages)


def coverage_init(stages: int) -> Coverage:
    """The state before the first unit.

    Raises:
        ValueError: when there is no stage.
    """
    state = eprocess.init(_coverage_design(stages))
    return Coverage(fewer=state, more=state)


def coverage_update(
    state: Coverage, *, labelled: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike
) -> Coverage:
    """Consume matured units in assignment order.

    Args:
        state: the state so far.
        labelled: 1 where the outcome arrived within the maturation window, else 0, shape (N,).
        a: arms, shape (N,).
        pi: probability of arm 1, shape (N,).
        stage: stage index, shape (N,).

    Raises:
        ValueError: when a unit is malformed (see ``stream.checked_units``).
    """
    return coverage_watch(state, labelled=labelled, a=a, pi=pi, stage=stage)[0]


def coverage_watch(
    state: Coverage, *, labelled: ArrayLike, a: ArrayLike, pi: ArrayLike, stage: ArrayLike
) -> tuple[Coverage, FloatArray]:
    """Like ``coverage_update``, and tell the log evidence of a difference after each unit, shape (N,).

    Raises:
        ValueError: as ``coverage_update``.
    """
    design = _coverage_design(len(state.fewer.log_harm))
    arrived = np.asarray(labelled, dtype=np.float64)
    fewer, low = eprocess.watch(design, state.fewer, y=arrived, a=a, pi=pi, stage=stage)
    more, high = eprocess.watch(design, state.more, y=1.0 - arrived, a=a, pi=pi, stage=stage)
    return Coverage(fewer=fewer, more=more), np.logaddexp(low, high) - math.log(2.0)


def log_e_coverage(state: Coverage) -> float:
    """Log E against "both arms are labelled equally often": the average of both directions."""
    design = _coverage_design(len(state.fewer.log_harm))
    both = (eprocess.log_e_harm(design, state.fewer), eprocess.log_e_harm(design, state.more))
    return float(np.logaddexp(*both)) - math.log(2.0)


def coverage_to_json(state: Coverage) -> dict[str, object]:
    """The state as a plain dict, read back bit for bit by ``coverage_from_json``."""
    return {
        "version": COVERAGE_VERSION,
        "fewer": eprocess.to_json(state.fewer),
        "more": eprocess.to_json(state.more),
    }


def coverage_from_json(data: Mapping[str, Any]) -> Coverage:
    """Read a state written by ``coverage_to_json``.

    Raises:
        ValueError: when the version is unknown or the content is malformed.
    """
    require_version(data, COVERAGE_VERSION)
    try:
        return Coverage(fewer=eprocess.from_json(data["fewer"]), more=eprocess.from_json(data["more"]))
    except (KeyError, AttributeError) as error:
        msg = f"The stored coverage state is malformed: {error}."
        raise ValueError(msg) from error
