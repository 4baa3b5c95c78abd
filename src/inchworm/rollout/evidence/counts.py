"""Counts per arm, and the moment at which evidence of harm passed its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One count per arm."""

    baseline: int = 0
    candidate: int = 0

    @property
    def both(self) -> int:
        """Their sum."""
        return self.baseline + self.candidate

    def __add__(self, other: Pair) -> Pair:
        return Pair(baseline=self.baseline + other.baseline, candidate=self.candidate + other.candidate)

    def __sub__(self, other: Pair) -> Pair:
        return Pair(baseline=self.baseline - other.baseline, candidate=self.candidate - other.candidate)


NOBODY: Final = Pair()
"""No unit in either arm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InCluster:
    """A metric within one cluster."""

    metric: str
    cluster: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """Evidence of harm passed its line, once and for good.

    Attributes:
        unit: at which unit of the rollout, both arms, from 1; of pairs at which pair.
        candidate: how many of these had got the candidate; all of the pairs.
        log_e: log of the evidence then.
        culprits: the metrics named by closed testing then, strongest first; may be empty.
        leading: the metric that contributed most.
        in_clusters: the metrics named within single clusters, likewise.
        leading_cluster: the cluster in which it contributed most; ``None`` for all units together.
    """

    unit: int
    candidate: int
    log_e: float
    culprits: tuple[str, ...]
    leading: str
    in_clusters: tuple[InCluster, ...] = ()
    leading_cluster: str | None = None
