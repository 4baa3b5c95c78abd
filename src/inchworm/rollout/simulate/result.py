"""What came of a simulation: rates, and quantiles that count what was never found as infinite."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from inchworm.rollout.simulate.question import Question

__all__ = ["EXPANDED", "HELD", "ROLLED_BACK", "Ends", "Simulated", "summary"]

FloatArray = NDArray[np.float64]
HELD: Final = 0
EXPANDED: Final = 1
ROLLED_BACK: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ends:
    """How each run ended, all of shape (R,).

    Attributes:
        kind: ``HELD``, ``EXPANDED`` or ``ROLLED_BACK``.
        units: units of both arms until then, or pairs.
        candidates: how many of them the candidate answered for somebody.
        stage: the 0-based stage at which it ended.
    """

    kind: NDArray[np.int64]
    units: FloatArray
    candidates: FloatArray
    stage: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """One method's result.

    Medians and 90th percentiles count runs that were not rolled back as infinite, unless the name says
    otherwise; what is infinite is ``None``.

    Attributes:
        method: which.
        runs: how many.
        rollback_rate: share of the runs that were rolled back.
        rollback_standard_error: its Monte Carlo error.
        expand_rate: share that passed the last stage.
        hold_rate: share that did neither.
        median_units: units until the rollback.
        p90_units: the same.
        median_candidate_units: of these, those that got the candidate.
        p90_candidate_units: the same.
        median_expand_units: units until it passed the last stage; other runs count as infinite.
        p90_expand_units: the same.
        exposure: mean number of units that got the candidate, however the run ended.
        mean_units: mean number of units until the end, however it ended.
        expected_hours: mean hours until the end; ``None`` without traffic.
        median_hours: hours until the rollback; ``None`` without traffic, or if it is infinite.
        reached: share of the runs that came to each stage.
    """

    method: str
    runs: int
    rollback_rate: float
    rollback_standard_error: float
    expand_rate: float
    hold_rate: float
    median_units: int | None
    p90_units: int | None
    median_candidate_units: int | None
    p90_candidate_units: int | None
    median_expand_units: int | None
    p90_expand_units: int | None
    exposure: float
    mean_units: float
    expected_hours: float | None
    median_hours: float | None
    reached: tuple[float, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


def _quantile(times: FloatArray, level: float) -> int | None:
    """The smallest time by which this share of the runs has come; ``None`` if it never does."""
    value = np.sort(times)[math.ceil(level * times.size) - 1]
    return int(value) if math.isfinite(value) else None


def summary(method: str, question: Question, ends: Ends) -> Simulated:
    """Rates and quantiles; outcomes that come late let more units in before a decision."""
    waited = np.minimum(ends.units + question.delay_units, question.max_units)
    weight = np.array([stage.weight for stage in question.stages])[ends.stage]
    seen = 0.0 if question.shadow is not None else 1.0
    exposed = ends.candidates + seen * np.rint(weight * (waited - ends.units))
    back, out = ends.kind == ROLLED_BACK, ends.kind == EXPANDED
    until = np.where(back, waited, np.inf)
    candidates = np.where(back, exposed, np.inf)
    passed = np.where(out, waited, np.inf)
    rate, hours = float(back.mean()), question.units_per_hour
    median = _quantile(until, 0.5)
    return Simulated(
        method=method,
        runs=question.runs,
        rollback_rate=rate,
        rollback_standard_error=math.sqrt(rate * (1.0 - rate) / question.runs),
        expand_rate=float(out.mean()),
        hold_rate=float((ends.kind == HELD).mean()),
        median_units=median,
        p90_units=_quantile(until, 0.9),
        median_candidate_units=_quantile(candidates, 0.5),
        p90_candidate_units=_quantile(candidates, 0.9),
        median_expand_units=_quantile(passed, 0.5),
        p90_expand_units=_quantile(passed, 0.9),
        exposure=float(exposed.mean()),
        mean_units=float(waited.mean()),
        expected_hours=None if hours is None else float(waited.mean()) / hours,
        median_hours=None if hours is None or median is None else median / hours,
        reached=tuple(float((ends.stage >= stage).mean()) for stage in range(len(question.stages))),
    )
