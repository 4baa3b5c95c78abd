"""Where the evidence of harm of a clock passes its line, and who is named then."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from inchworm.rollout.evidence import Crossing, InCluster
from inchworm.rollout.evidence.budget import Watch, culprits
from inchworm.rollout.monitor.streaming import Stream
from inchworm.rollout.ports import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidenced:
    """One metric's evidence of harm over a batch, on all units.

    Attributes:
        metric: its name.
        weight: w_j.
        path: log E_j at each unit, -inf where it is void, shape (N,).
    """

    metric: str
    weight: float
    path: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencedCluster:
    """The evidence of harm of one cluster's metrics over a batch.

    Attributes:
        cluster: its id.
        weights: w_j per metric, shape (J,).
        metrics: their names.
        paths: log E_j before the batch and at each of the cluster's units, -inf where void, (J, n + 1).
        place: how many of the cluster's units came up to each unit of the batch, shape (N,).
        void: where within the batch each metric becomes void, N if it does not, shape (J,).
    """

    cluster: str
    weights: FloatArray
    metrics: tuple[str, ...]
    paths: FloatArray
    place: IntArray
    void: IntArray

    def at(self, unit: int) -> FloatArray:
        """Log E_j at one unit of the batch, shape (J,)."""
        found: FloatArray = np.where(unit >= self.void, -np.inf, self.paths[:, self.place[unit]])
        return found

    def total(self) -> FloatArray:
        """Log Σ w_j E_j at each unit of the batch, shape (N,)."""
        weighted = self.paths + np.log(self.weights)[:, None]
        size = self.place.size
        if (self.void >= size).all():
            whole: FloatArray = np.logaddexp.reduce(weighted, axis=0)[self.place]
            return whole
        each = np.where(np.arange(size) >= self.void[:, None], -np.inf, weighted[:, self.place])
        parts: FloatArray = np.logaddexp.reduce(each, axis=0)
        return parts


def first_crossing(
    stream: Stream, together: Sequence[Evidenced], apart: Sequence[EvidencedCluster], alpha: float
) -> Crossing | None:
    """Where log Σ w_j E_j first passes log 1/α, over what is not void; ``None`` if it does not.

    Args:
        stream: the units.
        together: metrics over all units.
        apart: metrics within clusters.
        alpha: the clock's budget.
    """
    if not len(stream):
        return None
    parts = [one.path + math.log(one.weight) for one in together]
    total = np.logaddexp.reduce(np.stack([*parts, *(one.total() for one in apart)]), axis=0)
    past = np.flatnonzero(total >= -math.log(alpha))
    if not past.size:
        return None
    first = int(past[0])
    log_e = {Watch(one.metric): float(one.path[first]) for one in together}
    weights = {Watch(one.metric): one.weight for one in together}
    for cluster in apart:
        for name, weight, value in zip(
            cluster.metrics, cluster.weights.tolist(), cluster.at(first).tolist(), strict=True
        ):
            log_e[Watch(name, cluster.cluster)] = value
            weights[Watch(name, cluster.cluster)] = weight
    return crossed(
        unit=int(stream.order[first]) + 1,
        candidate=int(stream.exposed[first]),
        total=float(total[first]),
        log_e=log_e,
        weights=weights,
        alpha=alpha,
    )


def crossed(
    *,
    unit: int,
    candidate: int,
    total: float,
    log_e: dict[Watch, float],
    weights: dict[Watch, float],
    alpha: float,
) -> Crossing:
    """The crossing at ``unit``, with who is named.

    What is void then has an e-value of 0 and keeps its weight: left out, the weights of the others would
    grow at a moment that hangs on the outcomes, and innocent ones be named more often than α.
    """
    named = culprits(log_e, weights, alpha)
    leading = max(log_e, key=lambda key: (log_e[key] + math.log(weights[key]), str(key)))
    return Crossing(
        unit=unit,
        candidate=candidate,
        log_e=total,
        culprits=tuple(one.metric for one in named if one.cluster is None),
        leading=leading.metric,
        in_clusters=tuple(
            InCluster(metric=one.metric, cluster=one.cluster) for one in named if one.cluster is not None
        ),
        leading_cluster=leading.cluster,
    )
