"""Consuming units that were exposed, on one clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from inchworm.domain.metric import Clock, Metric
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.evidence import Crossing, StageEvidence
from inchworm.rollout.evidence.budget import Share, gates, shares
from inchworm.rollout.evidence.populations import clocks_of, design_of
from inchworm.rollout.monitor import clustering, segmenting
from inchworm.rollout.monitor.crossing import Evidenced, first_crossing
from inchworm.rollout.monitor.parts import ClockState, MetricState
from inchworm.rollout.monitor.state import MonitorState
from inchworm.rollout.monitor.streaming import Stream, stream_of
from inchworm.rollout.ports import BoolArray, FloatArray, UnitBatch
from inchworm.stats import eprocess, samples, sequences
from inchworm.stats.stream import accumulate

RATIO_EVERY: Final = 64
"""The sample ratio is looked at whenever so many more units are in."""


def consume(
    rollout: Rollout,
    state: MonitorState,
    units: UnitBatch,
    *,
    clock: Clock | None = None,
    changes: Sequence[tuple[float, str]] = (),
) -> MonitorState:
    """Consume the next matured units.

    Args:
        rollout: its policy, metrics and clusters; they never change while it runs.
        state: the state so far, from ``empty`` on.
        units: the next ones of the clock, without a gap.
        clock: whose outcomes have matured; all clocks, one after the other, if ``None``.
        changes: when something was observed to change, and its sentence; they segment the evidence.

    Raises:
        ValueError: if units are left out or repeated, if a value is outside [0, 1], or if the state belongs
            to a rollout with other metrics or clusters.
    """
    _check(rollout, state)
    for one in clocks_of(rollout) if clock is None else (clock,):
        state = _consume(rollout, state, units, one, changes)
    return state


def _check(rollout: Rollout, state: MonitorState) -> None:
    if tuple(metric.name for metric in rollout.metrics) != tuple(metric.name for metric in state.metrics):
        msg = f"the stored evidence belongs to other metrics than those of {rollout.id}"
        raise ValueError(msg)
    if tuple(one.id for one in rollout.clusters) != tuple(one.id for one in state.clusters):
        msg = f"the stored evidence belongs to other clusters than those of {rollout.id}"
        raise ValueError(msg)


def _consume(
    rollout: Rollout,
    state: MonitorState,
    units: UnitBatch,
    clock: Clock,
    changes: Sequence[tuple[float, str]],
) -> MonitorState:
    before = state.clocks[clock]
    if not np.array_equal(units.order, np.arange(before.consumed, before.consumed + len(units))):
        msg = f"the next unit of {rollout.id} is number {before.consumed}; units come in order, each once"
        raise ValueError(msg)
    if len(units) == 0:
        return state
    stream = stream_of(rollout, clock, units, candidate=before.candidate)
    here = [place for place, metric in enumerate(rollout.metrics) if metric.clock is clock]
    watched = _watch_all(rollout, state, stream, here)
    apart = clustering.watch(rollout, state, stream, clock, {one.metric.name: one for one in watched})
    harm = before.harm
    if harm is None and any(gates(one.metric) for one in watched):
        alpha = next(one.share.alpha for one in watched if gates(one.metric))
        together = [one.evidenced for one in watched if gates(one.metric)]
        harm = first_crossing(stream, together, apart.evidenced, alpha)
    metrics = list(state.metrics)
    for place, one in zip(here, watched, strict=True):
        metrics[place] = one.state
    later = ClockState(
        consumed=before.consumed + len(units),
        candidate=before.candidate + int(np.count_nonzero(units.candidate)),
        counted=tuple(
            pair + stream.count(stream.stage == stage) for stage, pair in enumerate(before.counted)
        ),
        harm=harm,
        known=apart.known,
        unknown_at=apart.unknown_at,
        late=before.late,
        seen=before.seen,
    )
    state = replace(
        state,
        clocks={**state.clocks, clock: later},
        metrics=tuple(metrics),
        clusters=apart.clusters,
        segments=segmenting.add(rollout, state.segments, stream, clock, changes),
    )
    return _exposed(rollout.policy, state, units) if clock is Clock.FAST else state


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """One metric over a batch.

    Attributes:
        metric: which.
        share: of its clock's budget.
        state: after the batch.
        path: log evidence of harm at each unit, -inf once it is void, shape (N,).
        voided: where it is void.
    """

    metric: Metric
    share: Share
    state: MetricState
    path: FloatArray
    voided: BoolArray

    @property
    def evidenced(self) -> Evidenced:
        """Its evidence, with its weight."""
        return Evidenced(metric=self.metric.name, weight=self.share.weight, path=self.path)


def _watch_all(rollout: Rollout, state: MonitorState, stream: Stream, here: Sequence[int]) -> list[Watched]:
    share = shares(rollout.policy, rollout.metrics, rollout.clusters)
    # Metrics that were always fed the same units share their coverage.
    known: dict[tuple[samples.Coverage, bytes], tuple[samples.Coverage, FloatArray]] = {}
    watched: list[Watched] = []
    for place in here:
        metric, before = rollout.metrics[place], state.metrics[place]
        fed = stream.outcomes(metric)[2]
        key = (before.coverage, fed.tobytes())
        if key not in known:
            known[key] = _covered(before.coverage, stream, fed)
        watched.append(
            _watch(rollout.policy, metric, before, stream, share=share[metric.name], coverage=known[key])
        )
    return watched


def _covered(before: samples.Coverage, stream: Stream, fed: BoolArray) -> tuple[samples.Coverage, FloatArray]:
    return samples.coverage_watch(
        before, labelled=fed, a=stream.arm, pi=stream.probability, stage=stream.stage
    )


def _watch(
    policy: Policy,
    metric: Metric,
    before: MetricState,
    stream: Stream,
    *,
    share: Share,
    coverage: tuple[samples.Coverage, FloatArray],
) -> Watched:
    values, present, fed = stream.outcomes(metric)
    given = {
        "y": values[fed],
        "a": stream.arm[fed],
        "pi": stream.probability[fed],
        "stage": stream.stage[fed],
    }
    design = design_of(policy, metric)
    start = eprocess.log_e_harm(design, before.process)
    process, harm = eprocess.watch(design, before.process, **given)
    # A unit that is left out repeats the evidence before it.
    path = np.concatenate((np.array([start]), harm))[np.cumsum(fed)]
    covered, evidence = coverage
    void_at = before.void_at
    voided = np.full(len(stream), fill_value=void_at is not None)
    if void_at is None and (past := np.flatnonzero(evidence >= -math.log(policy.alpha_ratio))).size:
        void_at = int(stream.order[past[0]]) + 1
        voided[past[0] :] = True
    alone = before.alone
    if alone is None and (past := np.flatnonzero(path >= share.log_alone)).size:
        first = int(past[0])
        alone = Crossing(
            unit=int(stream.order[first]) + 1,
            candidate=int(stream.exposed[first]),
            log_e=float(path[first]),
            culprits=(metric.name,),
            leading=metric.name,
        )
    state = replace(
        before,
        process=process,
        sequence=sequences.update(before.sequence, **given),
        coverage=covered,
        reported=tuple(
            pair + stream.count(present & (stream.stage == place))
            for place, pair in enumerate(before.reported)
        ),
        void_at=void_at,
        alone=alone,
    )
    path = np.where(voided, -np.inf, path)
    return Watched(metric=metric, share=share, state=state, path=path, voided=voided)


def _exposed(policy: Policy, state: MonitorState, units: UnitBatch) -> MonitorState:
    """Who was exposed, and whether the arms are split as recorded."""
    before = state.consumed - len(units)
    ratio, looks = samples.ratio_watch(
        state.ratio, a=units.candidate.astype(np.float64), pi=units.probability, every=RATIO_EVERY
    )
    void_at = state.ratio_void_at
    if void_at is None:
        void_at = _ratio_void_at(policy, before, units, looks)
    stages = list(state.stages)
    for stage in np.unique(units.stage).tolist():
        here = units.stage == stage
        stages[stage] = StageEvidence(
            units=stages[stage].units + units.count(here),
            silent=stages[stage].silent + units.count(here & units.silent),
            errored=stages[stage].errored + units.count(here & (units.errored > 0)),
        )
    return replace(
        state,
        expected=float(accumulate(state.expected, units.probability)[-1]),
        stages=tuple(stages),
        ratio=ratio,
        ratio_void_at=void_at,
    )


def _ratio_void_at(policy: Policy, before: int, units: UnitBatch, looks: FloatArray) -> int | None:
    """The unit at which the sample ratio was first seen past its line."""
    # An arm that had no chance needs no look: that it was recorded voids at once, and for good.
    chance = np.where(units.candidate, units.probability, 1.0 - units.probability)
    impossible = np.flatnonzero(chance <= 0.0)[:1]
    past = np.flatnonzero(looks >= -math.log(policy.alpha_ratio))[:1]
    first_look = before - before % RATIO_EVERY + RATIO_EVERY
    found = [*(before + impossible + 1).tolist(), *(first_look + past * RATIO_EVERY).tolist()]
    return min(found) if found else None
