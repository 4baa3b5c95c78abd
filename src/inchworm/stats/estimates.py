"""Point estimates of a canary's effect from sums per stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inchworm.stats.stream import FloatArray, Units, accumulate

__all__ = ["Estimate", "StageSums", "add_sums", "estimate_of", "sums_from_json", "sums_to_json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSums:
    """What one stage contributes to the point estimate. Pairs are (baseline, candidate)."""

    overlap: float = 0.0
    """Sum of pi (1 - pi)."""
    units: tuple[int, int] = (0, 0)
    weight: tuple[float, float] = (0.0, 0.0)
    """Sum of the inverse probability of the arm received."""
    weighted_y: tuple[float, float] = (0.0, 0.0)
    """The same, times y."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Point estimates, in units of y; ``effect = candidate - baseline``."""

    effect: float
    candidate: float
    baseline: float
    candidate_units: int
    baseline_units: int


def add_sums(before: tuple[StageSums, ...], units: Units) -> tuple[StageSums, ...]:
    """The sums of every stage after some more units."""
    later = list(before)
    for stage in np.unique(units.stage).tolist():
        inside = units.stage == stage
        later[stage] = _stage_sums(before[stage], units.y[inside], units.a[inside], units.pi[inside])
    return tuple(later)


def _stage_sums(before: StageSums, y: FloatArray, a: FloatArray, pi: FloatArray) -> StageSums:
    """Add the units of one stage to its sums."""
    counts, weights, weighted = list(before.units), list(before.weight), list(before.weighted_y)
    for arm, received in enumerate((1.0 - pi, pi)):
        mine = a == arm
        each = 1.0 / received[mine]
        counts[arm] += int(each.size)
        both = accumulate(np.array([weights[arm], weighted[arm]]), np.stack((each, each * y[mine])))
        weights[arm], weighted[arm] = both[:, -1].tolist()
    return StageSums(
        overlap=float(accumulate(before.overlap, pi * (1.0 - pi))[-1]),
        units=(counts[0], counts[1]),
        weight=(weights[0], weights[1]),
        weighted_y=(weighted[0], weighted[1]),
    )


def estimate_of(stages: Sequence[StageSums]) -> Estimate | None:
    """Point estimates: Hájek means (inverse-probability weighted) per stage, averaged over stages by overlap.

    Both arms get the same stage weights, the sum of pi (1 - pi), so that a ramp during which both arms drift
    does not bias the effect. ``None`` until some stage has seen both arms; stages that saw one are left out.
    """
    usable = [sums for sums in stages if min(sums.units) > 0]
    if not usable:
        return None
    total = sum(sums.overlap for sums in usable)
    baseline, candidate = (
        sum(sums.overlap / total * (sums.weighted_y[arm] / sums.weight[arm]) for sums in usable)
        for arm in (0, 1)
    )
    return Estimate(
        effect=candidate - baseline,
        candidate=candidate,
        baseline=baseline,
        candidate_units=sum(sums.units[1] for sums in usable),
        baseline_units=sum(sums.units[0] for sums in usable),
    )


def sums_to_json(stages: Sequence[StageSums]) -> list[list[object]]:
    """The sums as plain lists, read back bit for bit."""
    return [[sums.overlap, list(sums.units), list(sums.weight), list(sums.weighted_y)] for sums in stages]


def _pair(values: Sequence[Any]) -> tuple[float, float]:
    return float(values[0]), float(values[1])


def sums_from_json(rows: Sequence[Any]) -> tuple[StageSums, ...]:
    """The sums of every stage, as this version or ``cs/1`` wrote them.

    Raises:
        KeyError, IndexError, TypeError, ValueError: when they are malformed.
    """
    names = ("overlap", "units", "weight", "weighted_y")
    lists = [[row[name] for name in names] if isinstance(row, Mapping) else row for row in rows]
    return tuple(
        StageSums(
            overlap=float(overlap),
            units=(int(units[0]), int(units[1])),
            weight=_pair(weight),
            weighted_y=_pair(weighted),
        )
        for overlap, units, weight, weighted in lists
    )
