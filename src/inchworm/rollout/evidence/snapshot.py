"""From the monitor's state to evidence: a pure reading of it at one moment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.points import EvidencePoint, MetricPoint
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.evidence import (
    ClockEvidence,
    ClusterEvidence,
    ClusterMetric,
    Effect,
    Evidence,
    MetricEvidence,
    Pair,
    PairedMetric,
    Segment,
    SegmentMetric,
    ShadowEvidence,
    StageEvidence,
)
from inchworm.rollout.evidence.budget import (
    MAX_LOG,
    Share,
    Watch,
    cluster_weights,
    gates,
    shadow_alpha,
    shadow_shares,
    shares,
)
from inchworm.rollout.evidence.populations import (
    cluster_design,
    design_of,
    is_shadow,
    margin_at,
    paired_design,
    populations,
    shadow_populations,
)
from inchworm.rollout.monitor.clustering import arms, means
from inchworm.rollout.monitor.parts import (
    ClockState,
    ClusterMetricState,
    MetricState,
    PairedState,
    ShadowState,
)
from inchworm.rollout.monitor.shadowing import log_e_harm
from inchworm.rollout.monitor.state import MonitorState
from inchworm.rollout.transitions import UNEXPOSED
from inchworm.stats import eprocess, pairs, samples, sequences


def snapshot(rollout: Rollout, state: MonitorState) -> Evidence:
    """The evidence of ``rollout`` now, at its present stage."""
    policy = rollout.policy
    share = shares(policy, rollout.metrics, rollout.clusters)
    metrics = tuple(
        _metric(
            policy,
            metric,
            one,
            share=share[metric.name],
            stage=rollout.stage,
            clock=state.clocks[metric.clock],
            exposed=state.stages,
        )
        for metric, one in zip(rollout.metrics, state.metrics, strict=True)
    )
    clusters = _clusters(rollout, state)
    voids = [one.unknown_at for one in state.clocks.values() if one.unknown_at is not None]
    return Evidence(
        stage=max(rollout.stage, UNEXPOSED),
        consumed=state.consumed,
        candidate=state.candidate,
        expected=state.expected,
        alpha_ratio=policy.alpha_ratio,
        log_e_ratio=min(samples.log_e_ratio(state.ratio), MAX_LOG),
        ratio_void_at=state.ratio_void_at,
        alpha_expand=policy.alpha_expand,
        stages=state.stages,
        clocks=tuple(
            _clock(clock, state, [one for one in metrics if one.gates and one.clock is clock], clusters)
            for clock in Clock
            if any(gates(metric) and metric.clock is clock for metric in rollout.metrics)
        ),
        metrics=metrics,
        clusters=clusters,
        clusters_void_at=min(voids) if voids else None,
        shadow=None if state.shadow is None else _shadow(rollout, state.shadow),
        paired=is_shadow(policy, rollout.stage),
        segments=_segments(rollout, state),
    )


def point(rollout: Rollout, evidence: Evidence, now: float) -> EvidencePoint:
    """What is kept of ``evidence`` for the plots: of a shadow stage what its pairs say."""
    if evidence.paired and evidence.shadow is not None:
        metrics = tuple(_paired_point(one) for one in evidence.shadow.metrics)
    else:
        metrics = tuple(_point(one) for one in evidence.metrics)
    return EvidencePoint(
        rollout_id=rollout.id, at=now, consumed=evidence.seen, stage=evidence.stage, metrics=metrics
    )


def _point(one: MetricEvidence) -> MetricPoint:
    return MetricPoint(
        name=one.name,
        effect=None if one.effect is None else one.effect.effect,
        low=None if one.effect is None else one.effect.low,
        high=None if one.effect is None else one.effect.high,
        baseline=one.reported.baseline,
        candidate=one.reported.candidate,
        log_e_harm=one.log_e_harm,
        log_e_expand=one.log_e_expand,
    )


def _paired_point(one: PairedMetric) -> MetricPoint:
    known = one.effect is not None
    return MetricPoint(
        name=one.name,
        effect=one.effect,
        low=one.low if known else None,
        high=one.high if known else None,
        baseline=one.consumed,
        candidate=one.consumed,
        log_e_harm=one.log_e_harm,
        log_e_expand=one.log_e_expand,
    )


def _sum(pairs_: tuple[Pair, ...]) -> Pair:
    total = Pair()
    for pair in pairs_:
        total += pair
    return total


def _clock(
    clock: Clock,
    state: MonitorState,
    here: list[MetricEvidence],
    clusters: tuple[ClusterEvidence, ...],
) -> ClockEvidence:
    one = state.clocks[clock]
    sound = {metric.name: metric for metric in here if metric.void_at is None}
    parts = [metric.log_e_harm + math.log(metric.weight) for metric in sound.values()]
    if one.unknown_at is None:
        parts += [
            metric.log_e_harm + math.log(metric.weight)
            for cluster in clusters
            for metric in cluster.metrics
            if metric.name in sound
        ]
    return ClockEvidence(
        clock=clock,
        alpha=here[0].alpha_harm,
        log_e=float(np.logaddexp.reduce(np.array(parts))) if sound else None,
        crossing=one.harm,
        consumed=one.consumed,
        counted=_sum(one.counted),
        late=one.late,
    )


def _metric(
    policy: Policy,
    metric: Metric,
    state: MetricState,
    *,
    share: Share,
    stage: int,
    clock: ClockState,
    exposed: Sequence[StageEvidence],
) -> MetricEvidence:
    margin = margin_at(policy, metric, stage)
    reported = _sum(state.reported)
    return MetricEvidence(
        name=metric.name,
        role=metric.role,
        clock=metric.clock,
        absence=metric.absence,
        harm_margin=metric.harm_margin,
        margin=margin,
        final_margin=margin_at(policy, metric, len(policy.stages)),
        alpha_harm=share.alpha,
        weight=share.weight,
        log_e_harm=eprocess.log_e_harm(design_of(policy, metric), state.process),
        log_e_expand=_log_e_expand(policy, metric, state, margin, stage),
        consumed=state.process.past.consumed,
        effect=_effect(state.sequence),
        reported=reported,
        missing=_sum(clock.counted) - reported,
        reported_in_stage=state.reported[stage] if 0 <= stage < len(state.reported) else Pair(),
        log_e_coverage=samples.log_e_coverage(state.coverage),
        void_at=state.void_at,
        alone=state.alone,
        came=_came(policy, exposed, clock, stage),
        floored=_floored(state.sequence, stage),
    )


def _floored(sequence: sequences.GridState, stage: int) -> bool:
    sums = sequence.stages[stage] if 0 <= stage < len(sequence.stages) else None
    return sums is not None and min(sums.units) > 0 and max(sums.weighted_y) <= 0.0


def _came(policy: Policy, exposed: Sequence[StageEvidence], clock: ClockState, stage: int) -> int:
    """Units on a clock, counted or not, of the population of a stage; 0 where none tests a margin.

    Stages are told by the fast clock. Units come stage after stage, so the other one has come as far as its
    place in their order.
    """
    here = next((one for one in populations(policy) if max(stage, 0) in one), None)
    if here is None:
        return 0
    each = [one.units.both for one in exposed]
    before, inside = sum(each[: here.first]), sum(each[here.first : here.last + 1])
    return min(max(clock.consumed - before, 0), inside)


def _log_e_expand(policy: Policy, metric: Metric, state: MetricState, margin: float, stage: int) -> float:
    """Evidence for the margin in the population of the stage; none where no such process runs."""
    design = design_of(policy, metric)
    place = max(stage, 0)
    for tested, (first, last) in zip(design.margins, design.spans, strict=True):
        if tested == margin and first <= place <= last:
            return eprocess.log_e_expand(design, state.process, margin, place)
    return 0.0


def _effect(sequence: sequences.GridState) -> Effect | None:
    found = sequences.estimate(sequence)
    if found is None:
        return None
    interval = sequences.interval(sequence)
    return Effect(
        effect=found.effect,
        low=interval.low,
        high=interval.high,
        baseline=found.baseline,
        candidate=found.candidate,
        units=Pair(baseline=found.baseline_units, candidate=found.candidate_units),
    )


def _clusters(rollout: Rollout, state: MonitorState) -> tuple[ClusterEvidence, ...]:
    if not rollout.clusters:
        return ()
    weights = cluster_weights(rollout.policy, rollout.metrics, rollout.clusters)
    metrics = {metric.name: metric for metric in rollout.metrics}
    return tuple(
        ClusterEvidence(
            id=one.id,
            name=one.name,
            share=one.share,
            units=found.units,
            metrics=tuple(
                _in_cluster(rollout.policy, metrics[each.name], each, weights[Watch(each.name, one.id)])
                for each in found.metrics
            ),
        )
        for one, found in zip(rollout.clusters, state.clusters, strict=True)
    )


def _in_cluster(policy: Policy, metric: Metric, state: ClusterMetricState, weight: float) -> ClusterMetric:
    both = arms(state)
    return ClusterMetric(
        name=metric.name,
        weight=weight,
        log_e_harm=eprocess.log_e_harm(cluster_design(policy, metric), state.process),
        effect=None if both is None else both[1] - both[0],
        baseline=None if both is None else both[0],
        candidate=None if both is None else both[1],
        units=_sum(state.units),
    )


def _segments(rollout: Rollout, state: MonitorState) -> tuple[Segment, ...]:
    """The segments, if anything was observed to change; else all units together say as much."""
    if len(state.segments) == 1 and state.segments[0].since is None:
        return ()
    return tuple(
        Segment(
            since=one.since,
            because=one.because,
            metrics=tuple(
                _segment_metric(metric.name, units, means(total, units))
                for metric, units, total in zip(rollout.metrics, one.units, one.total, strict=True)
            ),
        )
        for one in state.segments
    )


def _segment_metric(name: str, units: Pair, both: tuple[float | None, float | None]) -> SegmentMetric:
    return SegmentMetric(name=name, units=units, baseline=both[0], candidate=both[1])


def _shadow(rollout: Rollout, state: ShadowState) -> ShadowEvidence:
    policy, share = rollout.policy, shadow_shares(rollout.policy, rollout.metrics)
    metrics = tuple(
        _paired(rollout, metric, one, share=share[metric.name], consumed=state.pairs)
        for metric, one in zip(rollout.metrics, state.metrics, strict=True)
    )
    gating = [one.log_e_harm + math.log(one.weight) for one in metrics if one.gates]
    return ShadowEvidence(
        pairs=state.pairs,
        alpha=shadow_alpha(policy),
        log_e=float(np.logaddexp.reduce(np.array(gating))) if gating else 0.0,
        crossing=state.harm,
        stages=state.stages,
        metrics=metrics,
    )


def _at(counts: tuple[int, ...], stage: int) -> int:
    return counts[stage] if 0 <= stage < len(counts) else 0


def _paired(
    rollout: Rollout,
    metric: Metric,
    state: PairedState,
    *,
    share: Share,
    consumed: int,
) -> PairedMetric:
    policy, stage, mirrored = rollout.policy, rollout.stage, shadow_populations(rollout.policy)
    # Past the last shadow stage its pairs are told as they were.
    place = max((at for at, one in enumerate(mirrored) if one.first <= stage), default=0)
    population, process = mirrored[place], state.processes[place]
    at = min(max(stage, population.first), population.last)
    design, margin = paired_design(policy, metric, population), margin_at(policy, metric, at)
    mean, count = pairs.estimate(process)
    low, high = pairs.interval(process)
    return PairedMetric(
        name=metric.name,
        role=metric.role,
        margin=margin,
        weight=share.weight,
        log_e_harm=log_e_harm(policy, metric, state),
        log_e_expand=pairs.log_e_expand(design, process, margin),
        effect=mean,
        low=low,
        high=high,
        consumed=count,
        in_stage=_at(state.reported, stage),
        floored=_at(state.reported, stage) > 0 and _at(state.raised, stage) == 0,
        missing=consumed - sum(state.reported),
        alone=state.alone,
    )
