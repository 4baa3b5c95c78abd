"""Evidence of harm within clusters, so that a mean cannot hide a broken tail.

A unit belongs to the cluster of its first interaction, which no arm has answered yet. Of a unit that nobody
heard of no cluster is known; should that happen more often in one arm, the clusters are compared on units
that were chosen by their arm, so a second process watches it, and past its line no cluster rolls back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.evidence import Pair
from inchworm.rollout.evidence.budget import Watch, cluster_weights, gates
from inchworm.rollout.evidence.populations import cluster_design
from inchworm.rollout.monitor.crossing import EvidencedCluster
from inchworm.rollout.monitor.parts import ClusterMetricState, ClusterState
from inchworm.rollout.monitor.state import MonitorState
from inchworm.rollout.monitor.streaming import Stream
from inchworm.rollout.ports import BoolArray, FloatArray
from inchworm.stats import eprocess, samples
from inchworm.stats.stream import accumulate

if TYPE_CHECKING:
    from inchworm.rollout.monitor.splitting import Watched


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """The clusters over a batch.

    Attributes:
        clusters: their states after it.
        known: evidence that clusters are known more often in one arm, after it.
        unknown_at: the unit at which that passed its line.
        evidenced: their evidence of harm, of those that may still roll back.
    """

    clusters: tuple[ClusterState, ...]
    known: samples.Coverage | None
    unknown_at: int | None
    evidenced: tuple[EvidencedCluster, ...]


def watch(
    rollout: Rollout, state: MonitorState, stream: Stream, clock: Clock, watched: Mapping[str, Watched]
) -> Apart:
    """The clusters after the units of ``stream``, for the metrics of ``clock``."""
    before = state.clocks[clock]
    if before.known is None or not len(stream):
        return Apart(clusters=state.clusters, known=before.known, unknown_at=before.unknown_at, evidenced=())
    names = stream.clusters()
    known, evidence = samples.coverage_watch(
        before.known,
        labelled=names != np.array(None),
        a=stream.arm,
        pi=stream.probability,
        stage=stream.stage,
    )
    unknown_at, stop = before.unknown_at, 0 if before.unknown_at is not None else len(stream)
    line = -math.log(rollout.policy.alpha_ratio)
    if unknown_at is None and (past := np.flatnonzero(evidence >= line)).size:
        stop = int(past[0])
        unknown_at = int(stream.order[stop]) + 1
    weights = cluster_weights(rollout.policy, rollout.metrics, rollout.clusters)
    here = [metric for metric in rollout.metrics if metric.clock is clock and gates(metric)]
    fed = {metric.name: stream.outcomes(metric) for metric in here}
    void = np.array([_void_from(watched[metric.name], stop) for metric in here], dtype=np.int64)
    clusters: list[ClusterState] = []
    evidenced: list[EvidencedCluster] = []
    for cluster in state.clusters:
        mine = names == cluster.id
        paths: list[FloatArray] = []
        metrics = {one.name: one for one in cluster.metrics}
        for metric in here:
            values, _, given = fed[metric.name]
            metrics[metric.name], path = _watch(
                rollout.policy, metric, metrics[metric.name], stream, which=mine & given, values=values
            )
            # At each of the cluster's units, whether the metric was fed it or not.
            paths.append(path[np.concatenate(([0], np.cumsum(given[mine])))])
        units = cluster.units + stream.count(mine) if clock is Clock.FAST else cluster.units
        clusters.append(ClusterState(id=cluster.id, units=units, metrics=tuple(metrics.values())))
        if here:
            evidenced.append(
                EvidencedCluster(
                    cluster=cluster.id,
                    weights=np.array([weights[Watch(metric.name, cluster.id)] for metric in here]),
                    metrics=tuple(metric.name for metric in here),
                    paths=np.stack(paths),
                    place=np.cumsum(mine),
                    void=void,
                )
            )
    return Apart(clusters=tuple(clusters), known=known, unknown_at=unknown_at, evidenced=tuple(evidenced))


def _void_from(watched: Watched, stop: int) -> int:
    """The first unit of the batch at which a metric's clusters count no more; the batch's length if none."""
    voided = np.flatnonzero(watched.voided)
    return min(int(voided[0]), stop) if voided.size else stop


def _watch(
    policy: Policy,
    metric: Metric,
    before: ClusterMetricState,
    stream: Stream,
    *,
    which: BoolArray,
    values: FloatArray,
) -> tuple[ClusterMetricState, FloatArray]:
    """The state after the marked units, and log E before the first and at each of them."""
    y, a, pi = values[which], stream.arm[which], stream.probability[which]
    design = cluster_design(policy, metric)
    start = np.array([eprocess.log_e_harm(design, before.process)])
    if not y.size:
        return before, start
    process, path = eprocess.watch(design, before.process, y=y, a=a, pi=pi, stage=stream.stage[which])
    units, total = list(before.units), list(before.total)
    stage = stream.stage[which]
    for place in np.unique(stage).tolist():
        here = stage == place
        units[place] += stream.count(which & (stream.stage == place))
        baseline, candidate = total[place]
        total[place] = (
            _sum(baseline, y[here & (a == 0.0)]),
            _sum(candidate, y[here & (a == 1.0)]),
        )
    later = ClusterMetricState(name=before.name, process=process, units=tuple(units), total=tuple(total))
    return later, np.concatenate((start, path))


def _sum(start: float, values: FloatArray) -> float:
    return float(accumulate(start, values)[-1])


def arms(state: ClusterMetricState) -> tuple[float, float] | None:
    """Means of baseline and candidate, stages weighted alike in both arms; ``None`` until one saw both.

    Within a stage the arms are drawn alike from what comes at its time, so neither a ramp nor a drift biases
    the difference. A stage weighs n₀n₁ / (n₀ + n₁): what its difference is known to.
    """
    weights = [units.baseline * units.candidate / units.both if units.both else 0.0 for units in state.units]
    whole = sum(weights)
    if whole == 0.0:
        return None
    usable = [place for place, weight in enumerate(weights) if weight]
    baseline = sum(
        weights[place] / whole * state.total[place][0] / state.units[place].baseline for place in usable
    )
    candidate = sum(
        weights[place] / whole * state.total[place][1] / state.units[place].candidate for place in usable
    )
    return baseline, candidate


def means(total: Sequence[float], units: Pair) -> tuple[float | None, float | None]:
    """Plain means of baseline and candidate; ``None`` where there is no unit."""
    counts = (units.baseline, units.candidate)
    baseline, candidate = (sum_ / count if count else None for sum_, count in zip(total, counts, strict=True))
    return baseline, candidate
