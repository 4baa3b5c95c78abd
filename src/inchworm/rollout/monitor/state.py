"""All that the monitor remembers of a rollout, and its stored form ``monitor/2``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from inchworm.domain.codec import plain, typed
from inchworm.domain.metric import Clock
from inchworm.domain.rollout import Rollout
from inchworm.rollout.evidence import LEVEL, StageEvidence
from inchworm.rollout.evidence.budget import gates
from inchworm.rollout.evidence.counts import NOBODY, Crossing
from inchworm.rollout.evidence.populations import (
    clocks_of,
    cluster_design,
    design_of,
    paired_design,
    shadow_populations,
)
from inchworm.rollout.evidence.shadowed import ShadowStage
from inchworm.rollout.monitor import formats
from inchworm.rollout.monitor.parts import (
    ClockState,
    ClusterMetricState,
    ClusterState,
    MetricState,
    PairedState,
    SegmentState,
    ShadowState,
    segment,
)
from inchworm.stats import eprocess, pairs, samples, sequences

FORMAT: Final = "monitor/2"
OLD: Final = "monitor/1"
"""One watermark for all clocks, and a confidence sequence of another kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorState:
    """All that the monitor remembers of a rollout.

    Attributes:
        clocks: how far each clock has come; the fast one is always there.
        expected: sum of the recorded probabilities, on the fast clock as all that follows.
        stages: who was exposed, by stage, the soak last.
        ratio: evidence that the arms are not split as recorded.
        ratio_void_at: the unit at which that was seen past its line.
        metrics: in the order of the rollout's metrics.
        clusters: in the order of the rollout's clusters.
        segments: between observed changes, oldest first, at least one.
        shadow: the pairs; ``None`` if the ladder has no shadow stage.
    """

    clocks: Mapping[Clock, ClockState]
    expected: float
    stages: tuple[StageEvidence, ...]
    ratio: samples.SampleRatio
    ratio_void_at: int | None
    metrics: tuple[MetricState, ...]
    clusters: tuple[ClusterState, ...]
    segments: tuple[SegmentState, ...]
    shadow: ShadowState | None

    @property
    def consumed(self) -> int:
        """Units consumed on the fast clock, both arms."""
        return self.clocks[Clock.FAST].consumed

    @property
    def candidate(self) -> int:
        """Those that got the candidate."""
        return self.clocks[Clock.FAST].candidate

    @property
    def watermark(self) -> int:
        """How far all clocks and the pairs have come together; it only grows."""
        units = sum(clock.consumed for clock in self.clocks.values())
        return units + (0 if self.shadow is None else self.shadow.consumed)

    @property
    def harm(self) -> dict[Clock, Crossing]:
        """The clocks whose evidence of harm has passed its line."""
        return {clock: one.harm for clock, one in self.clocks.items() if one.harm is not None}

    @property
    def harmed(self) -> bool:
        """Whether evidence of harm has passed its line, on a clock or in pairs: no more is consumed."""
        return bool(self.harm) or (self.shadow is not None and self.shadow.harm is not None)

    def to_json(self) -> dict[str, Any]:
        """The JSON form, format ``monitor/2``; read back bit for bit."""
        return {
            "format": FORMAT,
            "clocks": {
                clock.value: formats.clock_to_json(self.clocks[clock])
                for clock in Clock
                if clock in self.clocks
            },
            "expected": self.expected,
            "stages": [plain(stage) for stage in self.stages],
            "ratio": samples.ratio_to_json(self.ratio),
            "ratio_void_at": self.ratio_void_at,
            **formats.metrics_to_json(self.metrics),
            "clusters": [formats.cluster_to_json(one) for one in self.clusters],
            "segments": [formats.segment_to_json(one) for one in self.segments],
            "shadow": None if self.shadow is None else formats.shadow_to_json(self.shadow),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MonitorState:
        """The inverse of :meth:`to_json`; ``monitor/1`` is read as well.

        Raises:
            ValueError: for another format, or content that does not fit.
        """
        if data.get("format") == OLD:
            return _from_old(data)
        if data.get("format") != FORMAT:
            known = f"{FORMAT} and {OLD}"
            msg = f"the monitor's state has format {data.get('format')!r}, this version reads {known}"
            raise ValueError(msg)
        stages = tuple(typed(StageEvidence, row) for row in data["stages"])
        return cls(
            clocks={Clock(name): formats.clock_from_json(row) for name, row in data["clocks"].items()},
            expected=float(data["expected"]),
            stages=stages,
            ratio=samples.ratio_from_json(data["ratio"]),
            ratio_void_at=data["ratio_void_at"],
            metrics=formats.metrics_from_json(data),
            clusters=tuple(formats.cluster_from_json(row, stages=len(stages)) for row in data["clusters"]),
            segments=tuple(formats.segment_from_json(row) for row in data["segments"]),
            shadow=None if data["shadow"] is None else formats.shadow_from_json(data["shadow"]),
        )


def _from_old(data: Mapping[str, Any]) -> MonitorState:
    """A rollout that ran before clocks had watermarks of their own: both stand where the one stood.

    Its confidence sequences start anew, with the units that come from now on; estimates and evidence go on.
    """
    stages = tuple(typed(StageEvidence, row) for row in data["stages"])
    harm = {Clock(clock): typed(Crossing, row) for clock, row in data["harm"].items()}
    metrics = tuple(formats.old_metric_from_json(row) for row in data["metrics"])
    return MonitorState(
        clocks={
            clock: ClockState(
                consumed=int(data["consumed"]),
                candidate=int(data["candidate"]),
                counted=tuple(stage.units for stage in stages),
                harm=harm.get(clock),
            )
            for clock in Clock
        },
        expected=float(data["expected"]),
        stages=stages,
        ratio=samples.ratio_from_json(data["ratio"]),
        ratio_void_at=data["ratio_void_at"],
        metrics=metrics,
        clusters=(),
        segments=(segment(len(metrics), None, ""),),
        shadow=None,
    )


def empty(rollout: Rollout) -> MonitorState:
    """The state before the first unit."""
    stages = len(rollout.policy.stages) + 1
    known = samples.coverage_init(stages) if rollout.clusters else None
    return MonitorState(
        clocks={
            clock: ClockState(consumed=0, candidate=0, counted=(NOBODY,) * stages, known=known)
            for clock in clocks_of(rollout)
        },
        expected=0.0,
        stages=(StageEvidence(),) * stages,
        ratio=samples.ratio_init(),
        ratio_void_at=None,
        metrics=tuple(
            MetricState(
                name=metric.name,
                process=eprocess.init(design_of(rollout.policy, metric)),
                sequence=sequences.init(stages, alpha=1.0 - LEVEL),
                coverage=samples.coverage_init(stages),
                reported=(NOBODY,) * stages,
            )
            for metric in rollout.metrics
        ),
        clusters=tuple(
            ClusterState(
                id=cluster.id,
                units=NOBODY,
                metrics=tuple(
                    ClusterMetricState(
                        name=metric.name,
                        process=eprocess.init(cluster_design(rollout.policy, metric)),
                        units=(NOBODY,) * stages,
                        total=((0.0, 0.0),) * stages,
                    )
                    for metric in rollout.metrics
                    if gates(metric)
                ),
            )
            for cluster in rollout.clusters
        ),
        segments=(segment(len(rollout.metrics), None, ""),),
        shadow=_shadow(rollout, stages),
    )


def _shadow(rollout: Rollout, stages: int) -> ShadowState | None:
    mirrored = shadow_populations(rollout.policy)
    if not mirrored:
        return None
    return ShadowState(
        consumed=0,
        stages=(ShadowStage(),) * stages,
        metrics=tuple(
            PairedState(
                name=metric.name,
                processes=tuple(
                    pairs.init(paired_design(rollout.policy, metric, one), alpha=1.0 - LEVEL)
                    for one in mirrored
                ),
                reported=(0,) * stages,
                raised=(0,) * stages,
            )
            for metric in rollout.metrics
        ),
    )
