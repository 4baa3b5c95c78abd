"""From stored interactions to the values that a rollout's metrics are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inchworm.app.house import House
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Rollout
from inchworm.rollout.ports import UnitBatch
from inchworm.store.traces.units import UnitRows

WEEK_S = 7 * 86_400.0
Column = Literal["latency_ms", "cost_usd"]
Values = tuple[NDArray[np.float64], NDArray[np.bool_]]


class StoredUnits:
    """The monitor's port to units: reads exposures with what became of them."""

    def __init__(self, house: House) -> None:
        self._house = house

    def read(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> UnitBatch:
        """Matured units from order ``start`` on."""
        rows = self._house.traces.units(rollout.id, start=start, matured_before=matured_before, limit=limit)
        measured = {metric.name: unit_values(metric, rows) for metric in rollout.metrics}
        return UnitBatch(
            order=rows.order,
            stage=rows.stage,
            candidate=rows.candidate,
            probability=rows.probability,
            at=rows.at,
            silent=rows.traces == 0,
            errored=rows.errored,
            values={name: values for name, (values, _) in measured.items()},
            present={name: present for name, (_, present) in measured.items()},
        )


def unit_values(metric: Metric, rows: UnitRows) -> Values:
    """One metric's value per unit, and where there is one. Builtins as ``docs/metrics.md`` defines them."""
    match metric.source:
        case {"builtin": "success"}:
            return 1.0 - rows.failed, rows.answered
        case {"builtin": "latency_p95", "threshold_ms": int() | float() as limit}:
            in_time = (rows.latency_ms.values <= limit).astype(np.float64)
            return _or_failed(in_time, rows.latency_ms.present, rows)
        case {"builtin": "cost", "cap_usd": int() | float() as cap}:
            # The cap is per call: against it the sum of a long session would be 0 in both arms, whatever
            # the candidate costs, and 0 in both arms is "not worse".
            each = rows.cost_usd.values / np.maximum(rows.traces - rows.errored, 1)
            spared = 1.0 - np.minimum(each, cap) / cap
            return spared, rows.cost_usd.present
        case {"builtin": _}:
            return np.zeros(len(rows)), np.zeros(len(rows), dtype=np.bool_)
    scored = rows.scores.get(metric.name)
    if scored is None:
        return np.zeros(len(rows)), np.zeros(len(rows), dtype=np.bool_)
    return scored.values, scored.present


def _or_failed(values: NDArray[np.float64], present: NDArray[np.bool_], rows: UnitRows) -> Values:
    """A unit all of whose calls failed was not in time, though nobody timed it."""
    failed = rows.answered & (rows.failed >= 1.0)
    return np.where(failed, 0.0, values), present | failed


def freeze(house: House, rollout: Rollout, now: float) -> tuple[Metric, ...]:
    """The rollout's metrics with thresholds from the seven days before it starts (STATISTICS §1)."""
    return _frozen(house, rollout.metrics, now)


def freeze_now(house: House) -> tuple[Metric, ...]:
    """The declared metrics with thresholds as of now, for benchmarks."""
    return _frozen(house, house.spec.metrics, house.now())


_THRESHOLDS: dict[str, tuple[str, Column, float]] = {
    "latency_p95": ("threshold_ms", "latency_ms", 0.95),
    "cost": ("cap_usd", "cost_usd", 0.999),
}
"""Per builtin: the key of its threshold, what it is a quantile of, and which."""


def _frozen(house: House, metrics: Sequence[Metric], now: float) -> tuple[Metric, ...]:
    frozen: list[Metric] = []
    for metric in metrics:
        key, column, share = _THRESHOLDS.get(str(metric.source.get("builtin")), ("", "latency_ms", 0.0))
        limit = _quantile(house, column, share, now) if key and key not in metric.source else None
        # nothing to compare with: the metric stays without a threshold, which is no data, never a pass
        frozen.append(replace(metric, source={**metric.source, key: limit}) if limit else metric)
    return tuple(frozen)


def _quantile(house: House, column: Column, share: float, now: float) -> float | None:
    lineage = house.control.lineage(house.app)
    for configuration in (None if lineage is None else lineage.stable, None):
        found = house.traces.quantile(
            house.app, column, share, since=now - WEEK_S, until=now, configuration=configuration
        )
        if found is not None:
            return found
    return None
