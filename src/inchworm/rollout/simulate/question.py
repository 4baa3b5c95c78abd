"""What is asked of a simulation: outcomes of both arms, how they are exposed, how much may be computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from inchworm.domain.errors import InputError
from inchworm.domain.metric import Clock

__all__ = ["Judged", "Question", "Rates", "Shadow", "Span", "Tables", "bounded"]

FloatArray = NDArray[np.float64]
MOST_RUNS: Final = 100_000
MOST_UNITS: Final = 10_000_000
MOST_WORK: Final = 2_000_000_000
"""Runs times units times metrics: some minutes of one core."""
MOST_SESSIONS: Final = 64
QUANTILES: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Outcomes that are 0 or 1.

    Attributes:
        baseline: share of ones, in [0, 1].
        candidate: the same.
    """

    baseline: float
    candidate: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tables:
    """Outcomes drawn from sorted values, each as likely as the next.

    Attributes:
        baseline: in [0, 1], ascending.
        candidate: the same, of a length of its own.
    """

    baseline: FloatArray
    candidate: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One metric.

    Attributes:
        name: as the user calls it.
        outcomes: of both arms.
        harm_margin: harm is a loss beyond this.
        margins: what each stage tests, in its order; ``None`` where a stage does not wait for it.
        clock: its evidence of harm is averaged with that of the other metrics of its clock.
        weight: its share of that mean.
    """

    name: str
    outcomes: Rates | Tables
    harm_margin: float = 0.0
    margins: tuple[float | None, ...] = (None,)
    clock: Clock = Clock.FAST
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One stage.

    Attributes:
        weight: the candidate's share, in (0, 1).
        min_units: units (both arms) before it may expand.
        max_units: units after which it holds; ``None`` without a deadline.
    """

    weight: float
    min_units: int = 0
    max_units: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """Both arms answer the same input, and nobody sees the candidate's answer.

    Attributes:
        discordance: share of the inputs on which outcomes of 0 or 1 differ; ``None`` if the two answers are
            independent.
        together: whether the i-th value of both tables belongs to the same input.
    """

    discordance: float | None = None
    together: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A simulation.

    Attributes:
        metrics: what is judged; at least one.
        stages: at least one. Where no metric has a margin at a stage, it lasts as long as the next.
        max_units: where a run ends undecided.
        runs: simulated rollouts.
        seed: of the generator.
        alphas: false-rollback budget of each clock that a metric has.
        alpha_expand: error of an expansion beyond a margin.
        units_per_hour: traffic; without it nothing is said in hours.
        icc: correlation of two outcomes of one user, in [0, 1].
        units_per_user: how many units one user brings, one after the other.
        delay_units: how many more units are exposed until an outcome is in.
        missing: share of the outcomes that never come, baseline and candidate; they count as 0.
        drift: by how much both arms' rates have changed at ``max_units``, linearly.
        planned: candidate observations that O'Brien and Fleming's boundary is planned for.
        shadow: if it is one.
        populations: the number of each stage's population; margins are tested on one from its first unit
            on. All stages are one population if empty.
        later: stages that follow these, a soak among them, for which wealth against harm is kept.
    """

    metrics: tuple[Judged, ...]
    stages: tuple[Span, ...]
    max_units: int
    runs: int
    seed: int
    alphas: tuple[tuple[Clock, float], ...]
    alpha_expand: float = 0.05
    units_per_hour: float | None = None
    icc: float = 0.0
    units_per_user: int = 1
    delay_units: int = 0
    missing: tuple[float, float] = (0.0, 0.0)
    drift: float = 0.0
    planned: int = 300
    shadow: Shadow | None = None
    populations: tuple[int, ...] = ()
    later: int = 0

    @property
    def alpha(self) -> float:
        """The whole budget of false rollbacks."""
        return sum(alpha for _, alpha in self.alphas)

    def __post_init__(self) -> None:
        """Refuse what cannot be simulated, or not in reasonable time.

        Raises:
            InputError: saying what, and what can be asked instead.
        """
        _within("--runs", self.runs, 1, MOST_RUNS)
        _within("--max-units", self.max_units, 1, MOST_UNITS)
        work = self.runs * self.max_units * max(len(self.metrics), 1)
        if work > MOST_WORK:
            msg = f"{self.runs:,} runs of up to {self.max_units:,} units are more than is simulated at once"
            fit = max(MOST_WORK // (self.max_units * max(len(self.metrics), 1)), 1)
            raise InputError(msg, hint=f"ask for fewer: at most {fit:,} runs of that length")
        if not self.metrics or not self.stages:
            raise InputError("a simulation needs a metric and a stage")
        for stage in self.stages:
            if not 0.0 < stage.weight < 1.0:
                raise InputError(f"the candidate's share lies between 0 and 1, not {stage.weight:g}")
        for name, value in (("--icc", self.icc), *(("--missing", share) for share in self.missing)):
            _within(name, value, 0.0, 1.0)
        _within("--units-per-user", self.units_per_user, 1, MOST_SESSIONS)
        _within("--planned", self.planned, 1, MOST_UNITS)
        for alpha in (self.alpha, self.alpha_expand):
            if not 0.0 < alpha < 1.0:
                raise InputError(f"alpha lies between 0 and 1, not {alpha:g}")
        if self.units_per_hour is not None and not 0.0 < self.units_per_hour < math.inf:
            raise InputError(f"--units-per-hour is positive, not {self.units_per_hour:g}")
        if self.populations and len(self.populations) != len(self.stages):
            raise InputError("every stage has a population, or none has")
        for metric in self.metrics:
            self._check(metric)

    def _check(self, metric: Judged) -> None:
        _within(f"the harm margin of {metric.name}", metric.harm_margin, 0.0, 0.999)
        if len(metric.margins) != len(self.stages):
            raise InputError(f"{metric.name} has {len(metric.margins)} margins for {len(self.stages)} stages")
        for margin in metric.margins:
            if margin is not None and not 0.0 < margin <= 1.0:
                raise InputError(f"the margin of {metric.name} lies in (0, 1], not {margin:g}")
        if isinstance(metric.outcomes, Rates):
            for rate in (metric.outcomes.baseline, metric.outcomes.candidate):
                _within(f"a rate of {metric.name}", rate, 0.0, 1.0)
                _within(f"a rate of {metric.name} after the drift", rate + self.drift, 0.0, 1.0)
        elif self.drift:
            raise InputError("--drift needs rates: a drawn value cannot be shifted without leaving [0, 1]")


def _within(what: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InputError(f"{what} lies between {low:,g} and {high:,g}, not {value:g}")


def bounded(mean: float, sd: float) -> FloatArray:
    """Values in [0, 1] of this mean and standard deviation: quantiles of a Beta distribution, ascending.

    Raises:
        InputError: if there is no such distribution.
    """
    if not 0.0 < mean < 1.0 or not 0.0 < sd * sd < mean * (1.0 - mean):
        raise InputError(
            f"no outcome in [0, 1] has mean {mean:g} and standard deviation {sd:g}",
            hint="the mean lies between 0 and 1, and sd² below mean × (1 − mean); yes/no outcomes have "
            "--baseline-rate and --candidate-rate",
        )
    size = mean * (1.0 - mean) / (sd * sd) - 1.0
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    values: FloatArray = np.clip(beta.ppf(levels, mean * size, (1.0 - mean) * size), 0.0, 1.0)
    return values
