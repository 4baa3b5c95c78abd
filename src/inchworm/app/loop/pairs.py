"""From mirrored calls to pairs: what both configurations made of the same input, metric by metric."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from inchworm.app.house import House
from inchworm.domain.calls import call_names, merged
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import Layer
from inchworm.domain.metric import Absence, Metric
from inchworm.domain.rollout import Rollout
from inchworm.evaluators.score import computed
from inchworm.rollout.ports import PairBatch
from inchworm.store.traces.pairs import Answers

_DEADLINE_S = 600.0
"""What the gateway gives an answer whose configuration states no deadline."""
_ON_THE_WAY_S = 60.0
"""From an answer to the store, at most, as long as nothing is broken."""

Flags = NDArray[np.bool_]
ValuesOf = Callable[[Metric, Answers], tuple[NDArray[np.float64], Flags]]
"""One metric's value per answer, and where there is one: the rules by which units are valued."""


def read_pairs(
    house: House, rollout: Rollout, values_of: ValuesOf, *, start: int, matured_before: float, limit: int
) -> PairBatch:
    """Matured pairs from order ``start`` on.

    A pair is due when both answers are there, or when the later one would have come too late: stable's
    deadline and then the candidate's have passed. An answer that never came counts as a failure, on either
    side, where absence is one. A pair on which the harness failed, on either side, has no value.
    """
    rows = house.traces.pairs(
        house.app,
        rollout.id,
        start=start,
        matured_before=matured_before,
        waited_before=matured_before - patience_s(house, rollout),
        limit=limit,
    )
    sides = (rows.baseline, rows.candidate)
    errored = (rows.baseline.errored > 0) | (rows.candidate.errored > 0)
    values: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]] = {}
    present: dict[str, Flags] = {}
    for metric in rollout.metrics:
        (baseline, has_baseline), (candidate, has_candidate) = (
            _or_failure(metric, side, *values_of(metric, side)) for side in sides
        )
        values[metric.name] = baseline, candidate
        present[metric.name] = has_baseline & has_candidate & ~errored
    return PairBatch(
        order=rows.order,
        stage=rows.stage,
        at=rows.at,
        again=rows.again,
        silent=rows.candidate.traces == 0,
        errored=errored,
        values=values,
        present=present,
    )


def patience_s(house: House, rollout: Rollout) -> float:
    """Seconds from a call after which both of its answers would have come, or never will."""
    return _ON_THE_WAY_S + sum(_deadline_s(house, one) for one in (rollout.base, rollout.candidate))


def _deadline_s(house: House, id_: ConfigurationId | None) -> float:
    """The longest that any of its calls may take."""
    if id_ is None:
        return _DEADLINE_S
    configuration = house.control.configuration(id_)
    infrastructure = configuration.layer(Layer.INFRASTRUCTURE)
    stated = [merged(infrastructure, call).get("timeout_s") for call in (None, *call_names(configuration))]
    return max(float(one) if isinstance(one, int | float) else _DEADLINE_S for one in stated)


def _or_failure(
    metric: Metric, side: Answers, values: NDArray[np.float64], present: Flags
) -> tuple[NDArray[np.float64], Flags]:
    """The values with a 0 where no answer came, or a failed one without a value, if absence is failure.

    An answer that is there and has no value is no failure: one side may say what it cost, and the other not.
    Nor is a score that nobody can give to what nobody saw.
    """
    if metric.absence is not Absence.FAILURE or not computed(metric):
        return values, present
    zero = ~present & (side.errored == 0) & ((side.traces == 0) | (side.failed > 0))
    return np.where(zero, 0.0, values), present | zero
