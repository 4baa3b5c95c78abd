"""How the error budget is shared: over clocks, over metrics, and who is to blame when it is spent.

Evidence for harm is collected per metric as an e-value E_j. On each clock a rollout is rolled back when
Σ w_j E_j ≥ 1/α: a weighted mean of e-values is an e-value under any dependence (Vovk and Wang, Annals of
Statistics 49(3), 2021, arXiv 1912.06116, section 3), so "nothing is harmed" is falsely rejected with
probability at most α, whenever one looks. The clocks' α add up (union bound).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inchworm.domain.metric import Clock, Metric, Role
from inchworm.domain.rollout import Policy

GOAL_SHARE: Final = 0.5
"""What the goals of a clock share when it also has guardrails, which share the rest."""
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


def alphas(policy: Policy, clocks: Collection[Clock]) -> dict[Clock, float]:
    """What each clock may spend on false rollbacks; a clock without metrics gives its share away."""
    own = {Clock.FAST: policy.alpha_harm_fast, Clock.JUDGED: policy.alpha_harm_judged}
    present = [clock for clock in Clock if clock in clocks]
    return {present[0]: sum(own.values())} if len(present) == 1 else {clock: own[clock] for clock in present}


def shares(policy: Policy, metrics: Sequence[Metric]) -> dict[str, Share]:
    """The share of every metric.

    Goals of a clock share half of it and guardrails the rest; if there is only one kind it gets all.
    Signals have a budget of their own, since they only pause, and share it equally.
    """
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
                shared[metric.name] = Share(alpha=alpha, weight=part / roles[metric.role])
    return shared


def culprits(log_e: Mapping[str, float], weights: Mapping[str, float], alpha: float) -> tuple[str, ...]:
    """The metrics that are harmed, each named falsely with probability at most α in all.

    j is named iff w_j (E_j - 1/α) ≥ Σ_{i≠j} w_i (1/α - E_i)⁺: closed testing with the weighted mean, whose
    worst coalition for j is everybody below the line. O(m).

    Args:
        log_e: log E_j per metric at the stopping time.
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
    return tuple(sorted(named, key=lambda name: (-log_e[name], name)))


def _ratio(log_e: float, alpha: float) -> float:
    """E / (1/α), without overflow."""
    return math.exp(min(log_e + math.log(alpha), MAX_LOG))
