"""How the error budget is shared: over shadow and split, clocks, metrics and clusters; and who is to blame.

Evidence for harm is collected per metric as an e-value E_j. On each clock a rollout is rolled back when
Σ w_j E_j ≥ 1/α: a weighted mean of e-values is an e-value under any dependence (Vovk and Wang, Annals of
Statistics 49(3), 2021, arXiv 1912.06116, section 3), so "nothing is harmed" is falsely rejected with
probability at most α, whenever one looks. The α of the clocks and of the shadow stages add up (union bound).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy, StageKind, WatchedCluster

GOAL_SHARE: Final = 0.5
"""What the goals of a clock share when it also has guardrails, which share the rest."""
CLUSTER_SHARE: Final = 0.2
"""What the clusters of a rollout share of each clock's budget; its metrics as a whole share the rest."""
SHADOW_SHARE: Final = 0.5
"""What the shadow stages of a rollout may spend of the whole budget; without them the split has all of it."""
MAX_LOG: Final = 700.0
"""Beyond it e-values are not told apart: exp(700) is about 10**304."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One metric's part of the error budget.

    Attributes:
        alpha: what its clock may spend (gates), or all signals of its clock (signals).
        weight: w_j, its share of that.
    """

    alpha: float
    weight: float

    @property
    def log_alone(self) -> float:
        """The log evidence at which this metric alone spends its share: log(1 / (α w))."""
        return -math.log(self.alpha * self.weight)


def gates(metric: Metric) -> bool:
    """Whether harm of it rolls back and expansion waits for it."""
    return metric.role is not Role.SIGNAL


class Watch(NamedTuple):
    """Whose evidence of harm: a metric's, over all units or over those of one cluster."""

    metric: str
    cluster: str | None = None


def alphas(policy: Policy, clocks: Collection[Clock]) -> dict[Clock, float]:
    """What each clock may spend on false rollbacks of exposed units.

    A clock without metrics gives its share away. What shadow stages may spend is taken off each alike.
    """
    part = 1.0 - SHADOW_SHARE if _has_shadow(policy) else 1.0
    own = {Clock.FAST: part * policy.alpha_harm_fast, Clock.JUDGED: part * policy.alpha_harm_judged}
    present = [clock for clock in Clock if clock in clocks]
    return {present[0]: sum(own.values())} if len(present) == 1 else {clock: own[clock] for clock in present}


def _has_shadow(policy: Policy) -> bool:
    return any(stage.kind is StageKind.SHADOW for stage in policy.stages)


def shares(
    policy: Policy, metrics: Sequence[Metric], clusters: Sequence[WatchedCluster] = ()
) -> dict[str, Share]:
    """The share of every metric, over all units.

    Goals of a clock share half of it and guardrails the rest; if there is only one kind it gets all. Where
    clusters are watched, they have their part first (:func:`cluster_weights`). Signals have a budget of their
    own, since they only pause, and share it equally.
    """
    whole = 1.0 - CLUSTER_SHARE if clusters else 1.0
    shared: dict[str, Share] = {}
    for group in (
        [metric for metric in metrics if gates(metric)],
        [metric for metric in metrics if not gates(metric)],
    ):
        for clock, alpha in alphas(policy, {metric.clock for metric in group}).items():
            here = [metric for metric in group if metric.clock is clock]
            roles = {role: sum(metric.role is role for metric in here) for role in {m.role for m in here}}
            for metric in here:
                part = GOAL_SHARE if len(roles) > 1 else 1.0
                weight = part / roles[metric.role] * (whole if gates(metric) else 1.0)
                shared[metric.name] = Share(alpha=alpha, weight=weight)
    return shared


def cluster_weights(
    policy: Policy, metrics: Sequence[Metric], clusters: Sequence[WatchedCluster]
) -> dict[Watch, float]:
    """The weight of each gating metric in each cluster, in the budget of the metric's clock.

    A cluster's part grows with the root of its traffic, and falls to the metrics as the whole clock does.
    """
    total = sum(math.sqrt(one.share) for one in clusters)
    own = shares(policy, metrics)
    return {
        Watch(metric.name, one.id): CLUSTER_SHARE * math.sqrt(one.share) / total * own[metric.name].weight
        for metric in metrics
        if gates(metric)
        for one in clusters
    }


def shadow_alpha(policy: Policy) -> float:
    """What the shadow stages may spend on rolling back what is not harmed."""
    return SHADOW_SHARE * (policy.alpha_harm_fast + policy.alpha_harm_judged)


def shadow_shares(policy: Policy, metrics: Sequence[Metric]) -> dict[str, Share]:
    """The share of every metric in the evidence of pairs.

    Pairs are counted when all of their outcomes are due, so there is one clock, with one budget. Signals have
    one of their own.
    """
    alpha = shadow_alpha(policy)
    gating = [metric for metric in metrics if gates(metric)]
    signals = [metric for metric in metrics if not gates(metric)]
    shared = {metric.name: Share(alpha=alpha, weight=1.0 / len(signals)) for metric in signals}
    roles = {role: sum(metric.role is role for metric in gating) for role in {m.role for m in gating}}
    for metric in gating:
        part = GOAL_SHARE if len(roles) > 1 else 1.0
        shared[metric.name] = Share(alpha=alpha, weight=part / roles[metric.role])
    return shared


Key = TypeVar("Key", bound=Hashable)


def culprits(log_e: Mapping[Key, float], weights: Mapping[Key, float], alpha: float) -> tuple[Key, ...]:
    """What is harmed, with probability at most α that anything is named falsely.

    j is named iff w_j (E_j - 1/α) ≥ Σ_{i≠j} w_i (1/α - E_i)⁺: closed testing with the weighted mean, whose
    worst coalition for j is everybody below the line. O(m).

    Args:
        log_e: log E_j per metric, or per metric and cluster, at the stopping time.
        weights: w_j.
        alpha: the level of the clock.
    """
    excess = {name: _ratio(value, alpha) - 1.0 for name, value in log_e.items()}
    lacking = sum(weights[name] * max(-over, 0.0) for name, over in excess.items())
    named = [
        name
        for name, over in excess.items()
        # One that is below the line itself is never named.
        if over >= 0.0 and weights[name] * over >= lacking
    ]
    return tuple(sorted(named, key=lambda name: (-log_e[name], str(name))))


def _ratio(log_e: float, alpha: float) -> float:
    """E / (1/α), without overflow."""
    return math.exp(min(log_e + math.log(alpha), MAX_LOG))
