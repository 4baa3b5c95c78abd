"""One clock's units as arrays: those that count on it, with the probability that holds among these."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from inchworm.domain.assignment import served_weight
from inchworm.domain.metric import Absence, Clock, Metric
from inchworm.domain.rollout import Judging, Rollout
from inchworm.rollout.evidence import Pair
from inchworm.rollout.ports import BoolArray, FloatArray, IntArray, UnitBatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Units that count on a clock, arrays of shape (N,).

    Attributes:
        units: where values and errors come from, arrays of the whole batch.
        kept: which units of the batch these are.
        order: place in the order of assignment.
        candidate: whether the unit got the candidate.
        arm: the same as 0 and 1.
        probability: of the candidate, among those that count.
        stage: at assignment.
        at: of assignment, seconds since the epoch.
        exposed: units up to here that got the candidate, all units counted.
    """

    units: UnitBatch
    kept: BoolArray
    order: IntArray
    candidate: BoolArray
    arm: FloatArray
    probability: FloatArray
    stage: IntArray
    at: FloatArray
    exposed: IntArray

    def __len__(self) -> int:
        return int(self.order.size)

    def outcomes(self, metric: Metric) -> tuple[FloatArray, BoolArray, BoolArray]:
        """The metric's values, where there is one, and where the processes are fed one, shape (N,) each.

        A missing outcome is 0 in both arms where absence is failure. An error is never a 0.
        """
        units, size = self.units, len(self.units)
        present = units.present.get(metric.name, np.zeros(size, dtype=np.bool_))
        values = units.values.get(metric.name, np.zeros(size))
        fed = present if metric.absence is Absence.VOID else present | (units.errored == 0)
        return np.where(present, values, 0.0)[self.kept], present[self.kept], fed[self.kept]

    def clusters(self) -> NDArrayOfNames:
        """The id of each unit's cluster, ``None`` where it is not known, shape (N,)."""
        if self.units.cluster is None:
            return np.full(len(self), None, dtype=np.object_)
        names: NDArrayOfNames = self.units.cluster[self.kept]
        return names

    def count(self, which: BoolArray) -> Pair:
        """How many of the marked units are in each arm."""
        candidate = int(np.count_nonzero(which & self.candidate))
        return Pair(baseline=int(np.count_nonzero(which)) - candidate, candidate=candidate)


NDArrayOfNames = np.ndarray[tuple[int], np.dtype[np.object_]]


def stream_of(rollout: Rollout, clock: Clock, units: UnitBatch, *, candidate: int) -> Stream:
    """The units of a batch that count on ``clock``.

    Args:
        rollout: its policy says what share of either arm is judged.
        clock: which.
        units: the next ones of the clock.
        candidate: how many units before them got the candidate.
    """
    probability = units.probability
    kept = np.ones(len(units), dtype=np.bool_)
    if clock is Clock.JUDGED and units.judged is not None:
        kept, probability = units.judged, among_judged(probability, rollout.policy.judging)
    return Stream(
        units=units,
        kept=kept,
        order=units.order[kept],
        candidate=units.candidate[kept],
        arm=units.candidate[kept].astype(np.float64),
        probability=probability[kept],
        stage=units.stage[kept],
        at=units.at[kept],
        exposed=(candidate + np.cumsum(units.candidate))[kept],
    )


def among_judged(probability: FloatArray, judging: Judging) -> FloatArray:
    """The probability of the candidate among units that are judged, π′ = πq₁ / (πq₁ + (1 − π)q₀).

    Whether a unit is judged is drawn at its assignment at a rate that depends on its arm, so among the judged
    ones the arm is drawn with this probability (Bayes), whatever the past. Rates are those of whole buckets.
    """
    taken = probability * served_weight(judging.candidate)
    return taken / (taken + (1.0 - probability) * served_weight(judging.baseline))
