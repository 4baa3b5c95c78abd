"""What is known of a rollout at one moment, what it is made from, and what each part of it may decide."""

from __future__ import annotations

from inchworm.rollout.evidence.counts import Crossing, InCluster, Pair
from inchworm.rollout.evidence.divided import ClusterEvidence, ClusterMetric, Segment, SegmentMetric
from inchworm.rollout.evidence.overall import (
    LEVEL,
    ClockEvidence,
    Effect,
    Evidence,
    Harm,
    MetricEvidence,
    StageEvidence,
)
from inchworm.rollout.evidence.shadowed import PairedMetric, ShadowEvidence, ShadowStage

__all__ = [
    "LEVEL",
    "ClockEvidence",
    "ClusterEvidence",
    "ClusterMetric",
    "Crossing",
    "Effect",
    "Evidence",
    "Harm",
    "InCluster",
    "MetricEvidence",
    "Pair",
    "PairedMetric",
    "Segment",
    "SegmentMetric",
    "ShadowEvidence",
    "ShadowStage",
    "StageEvidence",
]
