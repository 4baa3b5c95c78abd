"""From the monitor's state to evidence: a pure reading of it at one moment."""

from __future__ import annotations

import math

import numpy as np

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.points import EvidencePoint, MetricPoint
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.budget import MAX_LOG, Share, gates, shares
from inchworm.rollout.evidence import LEVEL, ClockEvidence, Effect, Evidence, MetricEvidence, Pair
from inchworm.rollout.monitor import MetricState, MonitorState, design_of, margin_at
from inchworm.rollout.transitions import UNEXPOSED
from inchworm.stats import eprocess, samples, sequences


def snapshot(rollout: Rollout, state: MonitorState) -> Evidence:
    """The evidence of ``rollout`` now, at its present stage."""
    policy, share = rollout.policy, shares(rollout.policy, rollout.metrics)
    units = Pair()
    for stage in state.stages:
        units += stage.units
    metrics = tuple(
        _metric(policy, metric, one, share=share[metric.name], stage=rollout.stage, units=units)
        for metric, one in zip(rollout.metrics, state.metrics, strict=True)
    )
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
            _clock(clock, state, [one for one in metrics if one.gates and one.clock is clock])
            for clock in Clock
            if any(gates(metric) and metric.clock is clock for metric in rollout.metrics)
        ),
        metrics=metrics,
    )


def point(rollout: Rollout, evidence: Evidence, now: float) -> EvidencePoint:
    """What is kept of ``evidence`` for the plots."""
    return EvidencePoint(
        rollout_id=rollout.id,
        at=now,
        consumed=evidence.consumed,
        stage=evidence.stage,
        metrics=tuple(
            MetricPoint(
                name=one.name,
                effect=None if one.effect is None else one.effect.effect,
                low=None if one.effect is None else one.effect.low,
                high=None if one.effect is None else one.effect.high,
                baseline=one.reported.baseline,
                candidate=one.reported.candidate,
                log_e_harm=one.log_e_harm,
                log_e_expand=one.log_e_expand,
            )
            for one in evidence.metrics
        ),
    )


def _clock(clock: Clock, state: MonitorState, here: list[MetricEvidence]) -> ClockEvidence:
    sound = [one.log_e_harm + math.log(one.weight) for one in here if one.void_at is None]
    return ClockEvidence(
        clock=clock,
        alpha=here[0].alpha_harm,
        log_e=float(np.logaddexp.reduce(np.array(sound))) if sound else None,
        crossing=state.harm.get(clock),
    )


def _metric(
    policy: Policy, metric: Metric, state: MetricState, *, share: Share, stage: int, units: Pair
) -> MetricEvidence:
    design = design_of(policy, metric)
    margin = margin_at(policy, metric, stage)
    reported = Pair()
    for pair in state.reported:
        reported += pair
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
        log_e_harm=eprocess.log_e_harm(design, state.process),
        log_e_expand=eprocess.log_e_expand(design, state.process, margin),
        consumed=state.process.past.consumed,
        effect=_effect(state.sequence),
        reported=reported,
        missing=units - reported,
        reported_in_stage=state.reported[stage] if 0 <= stage < len(state.reported) else Pair(),
        log_e_coverage=samples.log_e_coverage(state.coverage),
        void_at=state.void_at,
        alone=state.alone,
    )


def _effect(sequence: sequences.GridState) -> Effect | None:
    found = sequences.estimate(sequence)
    if found is None:
        return None
    interval = sequences.interval(sequence, alpha=1.0 - LEVEL)
    return Effect(
        effect=found.effect,
        low=interval.low,
        high=interval.high,
        baseline=found.baseline,
        candidate=found.candidate,
        units=Pair(baseline=found.baseline_units, candidate=found.candidate_units),
    )
