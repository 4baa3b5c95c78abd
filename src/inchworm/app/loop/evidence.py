"""From stored interactions to the values that a rollout's metrics are judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from inchworm.app.house import House
from inchworm.app.loop.pairs import read_pairs
from inchworm.domain.assignment import is_judged, stage_salt
from inchworm.domain.ids import RolloutId
from inchworm.domain.metric import Clock, Metric
from inchworm.domain.rollout import Judging, Policy, Rollout, UnitKind, WatchedCluster
from inchworm.domain.shadow import ShadowSpent
from inchworm.rollout.evidence.clusters import choose
from inchworm.rollout.evidence.populations import (
    clocks_of,
    matures_after,
    pairs_mature_after,
    shadow_populations,
)
from inchworm.rollout.ports import Late, PairBatch, UnitBatch
from inchworm.store.traces.matured import Due
from inchworm.store.traces.pairs import Answers
from inchworm.store.traces.units import UnitRows

WEEK_S = 7 * 86_400.0
_MOST_TOLD = 1_000
Column = Literal["latency_ms", "cost_usd"]
Values = tuple[NDArray[np.float64], NDArray[np.bool_]]


class StoredUnits:
    """The monitor's port to units: reads exposures with what became of them."""

    def __init__(self, house: House) -> None:
        self._house = house

    def read(
        self, rollout: Rollout, *, clock: Clock, start: int, matured_before: float, limit: int
    ) -> UnitBatch:
        """Matured units from order ``start`` on."""
        rows = self._house.traces.units(
            rollout.id,
            start=start,
            matured_before=matured_before,
            limit=limit,
            window_s=_window_s(rollout.policy),
        )
        measured = {
            metric.name: unit_values(metric, rows) for metric in rollout.metrics if metric.clock is clock
        }
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
            cluster=np.array(rows.cluster, dtype=np.object_) if rollout.clusters else None,
            judged=judged_units(rollout, rows) if clock is Clock.JUDGED else None,
        )

    def pairs(self, rollout: Rollout, *, start: int, matured_before: float, limit: int) -> PairBatch:
        """Matured pairs from order ``start`` on."""
        return read_pairs(
            self._house, rollout, unit_values, start=start, matured_before=matured_before, limit=limit
        )

    def late(self, rollout: Rollout, *, clock: Clock, before: int, since: int) -> Late:
        """What arrived behind the watermark: interactions, and scores of the judged clock's metrics."""
        traces, window_s = self._house.traces, _window_s(rollout.policy)
        if clock is Clock.FAST:
            found = traces.arrived(rollout.id, before=before, since=since, window_s=window_s)
        else:
            judged = [metric.name for metric in rollout.metrics if metric.clock is clock]
            found = traces.scored(rollout.id, judged, before=before, since=since, window_s=window_s)
        return Late(baseline=found.baseline, candidate=found.candidate, seen=found.seen)

    def matured(self, rollouts: Sequence[Rollout], now: float) -> Mapping[RolloutId, int]:
        """How many units and pairs have matured, over all clocks, as watermarks count them."""
        asked = [
            Due(
                rollout_id=one.id,
                units_until=tuple(now - matures_after(one.policy, clock) for clock in clocks_of(one)),
                pairs_until=now - pairs_mature_after(one) if shadow_populations(one.policy) else None,
            )
            for one in rollouts
        ]
        return self._house.traces.matured(asked)

    def spent(self, rollout: Rollout) -> ShadowSpent:
        """What the calls that were mirrored at its present stage took so far."""
        return self._house.traces.shadow_spent(rollout.app, rollout.id, rollout.stage)

    def changes(self, rollout: Rollout) -> Sequence[tuple[float, str]]:
        """What was observed to change since the rollout started."""
        if rollout.started_at is None:
            return ()
        told = self._house.control.ledger(rollout.app, since=rollout.started_at, limit=_MOST_TOLD)
        return [(entry.at, entry.what) for entry in reversed(told) if entry.kind == "observed"]


def judged_units(rollout: Rollout, rows: UnitRows) -> NDArray[np.bool_] | None:
    """Which units were drawn to be judged, at the rate of their arm; ``None`` if all are."""
    rates = rollout.policy.judging
    if rates == Judging():
        return None
    version, salt = rollout.hash_version, rollout.salt
    redrawn = rollout.policy.unit is UnitKind.USER  # a user may come again at the next stage
    return np.array(
        [
            is_judged(
                version,
                stage_salt(salt, stage) if redrawn else salt,
                unit,
                rates.candidate if arm else rates.baseline,
            )
            for unit, arm, stage in zip(rows.unit, rows.candidate.tolist(), rows.stage.tolist(), strict=True)
        ],
        dtype=np.bool_,
    )


def _window_s(policy: Policy) -> float:
    return policy.user_window_s if policy.unit is UnitKind.USER else math.inf


def unit_values(metric: Metric, rows: UnitRows | Answers) -> Values:
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


def _or_failed(values: NDArray[np.float64], present: NDArray[np.bool_], rows: UnitRows | Answers) -> Values:
    """A unit all of whose calls failed was not in time, though nobody timed it."""
    failed = rows.answered & (rows.failed >= 1.0)
    return np.where(failed, 0.0, values), present | failed


def freeze(house: House, rollout: Rollout, now: float) -> tuple[Metric, ...]:
    """The rollout's metrics with thresholds from the seven days before it starts (STATISTICS §1)."""
    return _frozen(house, rollout.metrics, now)


def watch_clusters(house: House, now: float) -> tuple[WatchedCluster, ...]:
    """The clusters to watch in a rollout that starts now: by the interactions of the last seven days."""
    seen = house.traces.summary(house.app, by="cluster", metrics=(), since=now - WEEK_S, until=now)
    return choose({row.key: row.n for row in seen})


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
