"""Where simulated units come from: arms and outcomes of many runs at once, block by block."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inchworm.rollout.simulate.question import Question, Rates, Tables

__all__ = ["Drawn", "Source"]

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
_PLACES = np.float32


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The next units of every run.

    Attributes:
        a: whether the candidate answered, shape (R, B).
        y: outcomes by metric, shape (metrics, R, B).
    """

    a: BoolArray
    y: FloatArray


class Source:
    """Draws units of R runs in step.

    Two outcomes of one user are correlated by ``icc``: with probability sqrt(icc) each an outcome is read off
    at the user's own quantile instead of a fresh one, whatever arm the unit got (arms are drawn per unit).

    Args:
        question: what is simulated.
        rng: where chance comes from.
        runs: how many.
    """

    def __init__(self, question: Question, rng: np.random.Generator, runs: int) -> None:
        self._question = question
        self._rng = rng
        self._share = math.sqrt(question.icc)
        self._clustered = question.icc > 0.0 and question.units_per_user > 1
        self._user = rng.random((len(question.metrics), runs)) if self._clustered else np.empty((0, runs))

    def keep(self, which: BoolArray) -> None:
        """Go on with these runs only."""
        self._user = self._user[:, which]

    def draw(self, start: int, size: int, pi: FloatArray) -> Drawn:
        """The next ``size`` units from number ``start`` on; ``pi`` has shape (R,) or (R, size)."""
        runs = pi.shape[0]
        chance = pi if pi.ndim > 1 else pi[:, None]
        a = self._rng.random((runs, size), dtype=_PLACES) < chance.astype(_PLACES)
        y = np.empty((len(self._question.metrics), runs, size))
        for place, metric in enumerate(self._question.metrics):
            level = self._levels(place, runs, start, size)
            match metric.outcomes:
                case Rates(baseline=baseline, candidate=candidate):
                    drift = self._question.drift * (start + np.arange(size)) / self._question.max_units
                    y[place] = level < np.where(a, candidate, baseline) + drift
                case Tables(baseline=before, candidate=after):
                    y[place] = np.where(
                        a,
                        after[(level * after.size).astype(np.int64)],
                        before[(level * before.size).astype(np.int64)],
                    )
        lost = self._question.missing
        if any(lost):
            y[:, self._rng.random((runs, size), dtype=_PLACES) < np.where(a, lost[1], lost[0])] = 0.0
        return Drawn(a=a, y=y)

    def _levels(self, place: int, runs: int, start: int, size: int) -> NDArray[np.floating]:
        """At which quantile each outcome is read off, in [0, 1)."""
        if not self._clustered:
            # A float32 in [0, 1) times the length of a table stays below it in 64 bits.
            return self._rng.random((runs, size), dtype=_PLACES).astype(np.float64)
        users = (start + np.arange(size)) // self._question.units_per_user
        new = users - (start - 1) // self._question.units_per_user if start else users
        fresh = self._rng.random((runs, int(new[-1]) + 1))
        if start:
            fresh[:, 0] = self._user[place]
        self._user[place] = fresh[:, -1]
        level: FloatArray = np.where(
            self._rng.random((runs, size)) < self._share, fresh[:, new], self._rng.random((runs, size))
        )
        return level
