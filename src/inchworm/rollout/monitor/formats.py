"""The stored form of the monitor's parts, each read back bit for bit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from inchworm.domain.codec import plain, typed
from inchworm.rollout.evidence import LEVEL
from inchworm.rollout.evidence.counts import Crossing, Pair
from inchworm.rollout.evidence.shadowed import ShadowStage
from inchworm.rollout.monitor.parts import (
    ClockState,
    ClusterMetricState,
    ClusterState,
    MetricState,
    PairedState,
    SegmentState,
    ShadowState,
)
from inchworm.stats import eprocess, estimates, pairs, samples, sequences


def metrics_to_json(metrics: Sequence[MetricState]) -> dict[str, Any]:
    """The metrics. Coverage that several of them have in common is written once."""
    coverages = list(dict.fromkeys(metric.coverage for metric in metrics))
    return {
        "coverages": [samples.coverage_to_json(one) for one in coverages],
        "metrics": [
            {
                "name": metric.name,
                "process": eprocess.to_json(metric.process),
                "sequence": sequences.to_json(metric.sequence),
                "coverage": coverages.index(metric.coverage),
                "reported": [_counts(pair) for pair in metric.reported],
                "void_at": metric.void_at,
                "alone": _crossing(metric.alone),
            }
            for metric in metrics
        ],
    }


def metrics_from_json(data: Mapping[str, Any]) -> tuple[MetricState, ...]:
    """The inverse of :func:`metrics_to_json`."""
    coverages = [samples.coverage_from_json(one) for one in data["coverages"]]
    return tuple(
        MetricState(
            name=row["name"],
            process=eprocess.from_json(row["process"]),
            sequence=sequences.from_json(row["sequence"]),
            coverage=coverages[row["coverage"]],
            reported=tuple(_pair(pair) for pair in row["reported"]),
            void_at=row["void_at"],
            alone=_typed_crossing(row["alone"]),
        )
        for row in data["metrics"]
    )


def old_metric_from_json(row: Mapping[str, Any]) -> MetricState:
    """A metric as ``monitor/1`` kept it: its confidence sequence was of another kind, and starts anew."""
    sums = estimates.sums_from_json(row["sequence"]["stages"])
    return MetricState(
        name=row["name"],
        process=eprocess.from_json(row["process"]),
        sequence=replace(sequences.init(len(sums), alpha=1.0 - LEVEL), stages=sums),
        coverage=samples.coverage_from_json(row["coverage"]),
        reported=tuple(typed(Pair, pair) for pair in row["reported"]),
        void_at=row["void_at"],
        alone=_typed_crossing(row["alone"]),
    )


def clock_to_json(state: ClockState) -> dict[str, Any]:
    """One clock."""
    return {
        "consumed": state.consumed,
        "candidate": state.candidate,
        "counted": [_counts(pair) for pair in state.counted],
        "harm": _crossing(state.harm),
        "known": None if state.known is None else samples.coverage_to_json(state.known),
        "unknown_at": state.unknown_at,
        "late": _counts(state.late),
        "seen": state.seen,
    }


def clock_from_json(row: Mapping[str, Any]) -> ClockState:
    """The inverse of :func:`clock_to_json`."""
    return ClockState(
        consumed=int(row["consumed"]),
        candidate=int(row["candidate"]),
        counted=tuple(_pair(pair) for pair in row["counted"]),
        harm=_typed_crossing(row["harm"]),
        known=None if row["known"] is None else samples.coverage_from_json(row["known"]),
        unknown_at=row["unknown_at"],
        late=_pair(row["late"]),
        seen=int(row["seen"]),
    )


def cluster_to_json(state: ClusterState) -> dict[str, Any]:
    """One cluster."""
    return {
        "id": state.id,
        "units": _counts(state.units),
        "metrics": [
            {
                "name": one.name,
                "process": _awake(eprocess.to_json(one.process), one.process),
                "sums": [
                    [*_counts(units), *total] for units, total in zip(one.units, one.total, strict=True)
                ],
            }
            for one in state.metrics
        ],
    }


def cluster_from_json(row: Mapping[str, Any], *, stages: int) -> ClusterState:
    """The inverse of :func:`cluster_to_json`, in a rollout of so many stages, the soak counted."""
    return ClusterState(
        id=row["id"],
        units=_pair(row["units"]),
        metrics=tuple(_cluster_metric(one, stages) for one in row["metrics"]),
    )


def _asleep(stages: int) -> list[list[float]]:
    """The wealth that each stage's share starts with."""
    fresh = eprocess.init(eprocess.Design(delta_harm=0.0, margins=(), stages=stages))
    return [list(row) for row in fresh.log_harm]


def _awake(data: dict[str, Any], process: eprocess.State) -> dict[str, Any]:
    """The process without the shares of stages that nobody of the cluster has come to: there are many."""
    rows, asleep = data["log_harm"], _asleep(len(process.log_harm))
    while rows and rows[-1] == asleep[len(rows) - 1]:
        rows = rows[:-1]
    return {**data, "log_harm": rows}


def _cluster_metric(row: Mapping[str, Any], stages: int) -> ClusterMetricState:
    rows = row["process"]["log_harm"]
    whole = [*rows, *_asleep(stages)[len(rows) :]]
    return ClusterMetricState(
        name=row["name"],
        process=eprocess.from_json({**row["process"], "log_harm": whole}),
        units=tuple(_pair(one[:2]) for one in row["sums"]),
        total=tuple((float(one[2]), float(one[3])) for one in row["sums"]),
    )


def segment_to_json(state: SegmentState) -> dict[str, Any]:
    """One segment."""
    return {
        "since": state.since,
        "because": state.because,
        "metrics": [[*_counts(units), *total] for units, total in zip(state.units, state.total, strict=True)],
    }


def segment_from_json(row: Mapping[str, Any]) -> SegmentState:
    """The inverse of :func:`segment_to_json`."""
    return SegmentState(
        since=row["since"],
        because=row["because"],
        units=tuple(_pair(one[:2]) for one in row["metrics"]),
        total=tuple((float(one[2]), float(one[3])) for one in row["metrics"]),
    )


def shadow_to_json(state: ShadowState) -> dict[str, Any]:
    """The pairs."""
    return {
        "consumed": state.consumed,
        "stages": [plain(stage) for stage in state.stages],
        "metrics": [
            {
                "name": one.name,
                "processes": [pairs.to_json(process) for process in one.processes],
                "reported": list(one.reported),
                "raised": list(one.raised),
                "alone": _crossing(one.alone),
            }
            for one in state.metrics
        ],
        "harm": _crossing(state.harm),
    }


def shadow_from_json(row: Mapping[str, Any]) -> ShadowState:
    """The inverse of :func:`shadow_to_json`."""
    return ShadowState(
        consumed=int(row["consumed"]),
        stages=tuple(typed(ShadowStage, stage) for stage in row["stages"]),
        metrics=tuple(
            PairedState(
                name=one["name"],
                processes=tuple(pairs.from_json(process) for process in one["processes"]),
                reported=tuple(int(count) for count in one["reported"]),
                raised=tuple(int(count) for count in one["raised"]),
                alone=_typed_crossing(one["alone"]),
            )
            for one in row["metrics"]
        ),
        harm=_typed_crossing(row["harm"]),
    )


def _counts(pair: Pair) -> list[int]:
    return [pair.baseline, pair.candidate]


def _pair(row: Sequence[int]) -> Pair:
    return Pair(baseline=int(row[0]), candidate=int(row[1]))


def _crossing(one: Crossing | None) -> Any:
    return None if one is None else plain(one)


def _typed_crossing(row: Any) -> Crossing | None:
    return None if row is None else typed(Crossing, row)
