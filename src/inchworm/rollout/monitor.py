"""The monitor: units in, evidence out. Pure, O(1) in the number of units, resumable bit for bit.

However the units are cut into batches, the state that follows is the same to the bit: every test looks at
every unit (the sample ratio at every 64th), never at the end of whatever batch came in. So evidence that
passed its line inside a batch counts even if it fell below the line again (P(ever E ≥ 1/α) ≤ α).

What is fed where:

- A missing outcome is 0 in both arms where absence is failure, and left out where absence is void.
- A unit on which the harness or a judge failed is left out where it has no value: an error is never a 0.
- Whatever is left out is watched: a second process bets that values arrive more often in one arm. Past its
  line the metric is void: it no longer rolls back or expands, and its harm pauses.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from inchworm.domain.codec import plain, typed
from inchworm.domain.metric import Absence, Clock, Metric
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.budget import Share, culprits, gates, shares
from inchworm.rollout.evidence import Crossing, Pair, StageEvidence
from inchworm.rollout.ports import BoolArray, FloatArray, IntArray, UnitBatch
from inchworm.stats import eprocess, samples, sequences
from inchworm.stats.stream import accumulate

FORMAT: Final = "monitor/1"
RATIO_EVERY: Final = 64
"""The sample ratio is looked at whenever so many more units are in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricState:
    """One metric's processes.

    Attributes:
        name: the metric.
        process: evidence of harm, and for each margin that the loss is within it.
        sequence: the confidence sequence and the sums of the estimate.
        coverage: evidence that values arrive more often in one arm.
        reported: units with a value, by stage.
        void_at: the unit at which coverage passed its line.
        alone: when its own harm passed its own share of the budget.
    """

    name: str
    process: eprocess.State
    sequence: sequences.GridState
    coverage: samples.Coverage
    reported: tuple[Pair, ...]
    void_at: int | None = None
    alone: Crossing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorState:
    """All that the monitor remembers of a rollout.

    Attributes:
        consumed: units consumed, both arms; also the order of the next one.
        candidate: those that got the candidate.
        expected: sum of the recorded probabilities.
        stages: who was exposed, by stage, the soak last.
        ratio: evidence that the arms are not split as recorded.
        ratio_void_at: the unit at which that was seen past its line.
        harm: when a clock's evidence of harm passed its line.
        metrics: in the order of the rollout's metrics.
    """

    consumed: int
    candidate: int
    expected: float
    stages: tuple[StageEvidence, ...]
    ratio: samples.SampleRatio
    ratio_void_at: int | None
    harm: Mapping[Clock, Crossing]
    metrics: tuple[MetricState, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON form, format ``monitor/1``; read back bit for bit."""
        return {
            "format": FORMAT,
            "consumed": self.consumed,
            "candidate": self.candidate,
            "expected": self.expected,
            "stages": [plain(stage) for stage in self.stages],
            "ratio": samples.ratio_to_json(self.ratio),
            "ratio_void_at": self.ratio_void_at,
            "harm": {clock.value: plain(self.harm[clock]) for clock in Clock if clock in self.harm},
            "metrics": [
                {
                    "name": metric.name,
                    "process": eprocess.to_json(metric.process),
                    "sequence": sequences.to_json(metric.sequence),
                    "coverage": samples.coverage_to_json(metric.coverage),
                    "reported": [plain(pair) for pair in metric.reported],
                    "void_at": metric.void_at,
                    "alone": None if metric.alone is None else plain(metric.alone),
                }
                for metric in self.metrics
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MonitorState:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: for another format, or content that does not fit.
        """
        if data.get("format") != FORMAT:
            msg = f"the monitor's state has format {data.get('format')!r}, this version reads {FORMAT}"
            raise ValueError(msg)
        return cls(
            consumed=int(data["consumed"]),
            candidate=int(data["candidate"]),
            expected=float(data["expected"]),
            stages=tuple(typed(StageEvidence, row) for row in data["stages"]),
            ratio=samples.ratio_from_json(data["ratio"]),
            ratio_void_at=data["ratio_void_at"],
            harm={Clock(clock): typed(Crossing, row) for clock, row in data["harm"].items()},
            metrics=tuple(
                MetricState(
                    name=row["name"],
                    process=eprocess.from_json(row["process"]),
                    sequence=sequences.from_json(row["sequence"]),
                    coverage=samples.coverage_from_json(row["coverage"]),
                    reported=tuple(typed(Pair, pair) for pair in row["reported"]),
                    void_at=row["void_at"],
                    alone=None if row["alone"] is None else typed(Crossing, row["alone"]),
                )
                for row in data["metrics"]
            ),
        )


def margin_at(policy: Policy, metric: Metric, stage: int) -> float:
    """The metric's margin at a stage: the last stage's in the soak, the first's before it. At most 1."""
    place = min(max(stage, 0), len(policy.stages) - 1)
    return min(metric.margin * policy.stages[place].margin_factor, 1.0)


def design_of(policy: Policy, metric: Metric) -> eprocess.Design:
    """What the metric is tested for: one process per margin, from the rollout's first unit on."""
    margins = (margin_at(policy, metric, stage) for stage in range(len(policy.stages)))
    return eprocess.Design(
        delta_harm=metric.harm_margin,
        margins=tuple(dict.fromkeys(margins)),
        stages=len(policy.stages) + 1,
    )


def empty(rollout: Rollout) -> MonitorState:
    """The state before the first unit."""
    stages = len(rollout.policy.stages) + 1
    return MonitorState(
        consumed=0,
        candidate=0,
        expected=0.0,
        stages=(StageEvidence(),) * stages,
        ratio=samples.ratio_init(),
        ratio_void_at=None,
        harm={},
        metrics=tuple(
            MetricState(
                name=metric.name,
                process=eprocess.init(design_of(rollout.policy, metric)),
                sequence=sequences.init(stages),
                coverage=samples.coverage_init(stages),
                reported=(Pair(),) * stages,
            )
            for metric in rollout.metrics
        ),
    )


def consume(rollout: Rollout, state: MonitorState, units: UnitBatch) -> MonitorState:
    """Consume the next matured units.

    Args:
        rollout: its policy and metrics; they never change while it runs.
        state: the state so far, from :func:`empty` on.
        units: the next ones, without a gap.

    Raises:
        ValueError: if units are left out or repeated, if a value is outside [0, 1], or if the state belongs
            to a rollout with other metrics.
    """
    if tuple(metric.name for metric in rollout.metrics) != tuple(metric.name for metric in state.metrics):
        msg = f"the stored evidence belongs to other metrics than those of {rollout.id}"
        raise ValueError(msg)
    if not np.array_equal(units.order, np.arange(state.consumed, state.consumed + len(units))):
        msg = f"the next unit of {rollout.id} is number {state.consumed}; units come in order, each once"
        raise ValueError(msg)
    if len(units) == 0:
        return state
    seen = state.candidate + np.cumsum(units.candidate)
    share = shares(rollout.policy, rollout.metrics)
    watched = [
        _watch(rollout.policy, metric, before, share=share[metric.name], units=units, seen=seen)
        for metric, before in zip(rollout.metrics, state.metrics, strict=True)
    ]
    harm = dict(state.harm)
    for clock in Clock:
        here = [one for one in watched if one.metric.clock is clock and gates(one.metric)]
        crossing = _first_crossing(here, state.consumed, seen) if here and clock not in harm else None
        if crossing is not None:
            harm[clock] = crossing
    ratio, void_at = _ratio(rollout.policy, state, units)
    return MonitorState(
        consumed=state.consumed + len(units),
        candidate=int(seen[-1]),
        expected=float(accumulate(state.expected, units.probability)[-1]),
        stages=tuple(
            StageEvidence(
                units=before.units + _count(units, units.stage == stage),
                silent=before.silent + _count(units, (units.stage == stage) & units.silent),
                errored=before.errored + _count(units, (units.stage == stage) & (units.errored > 0)),
            )
            for stage, before in enumerate(state.stages)
        ),
        ratio=ratio,
        ratio_void_at=void_at,
        harm=harm,
        metrics=tuple(one.state for one in watched),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    """One metric over a batch: the state after it, and log evidence of harm at each unit (-inf once void)."""

    metric: Metric
    share: Share
    state: MetricState
    path: FloatArray


def _watch(
    policy: Policy,
    metric: Metric,
    before: MetricState,
    *,
    share: Share,
    units: UnitBatch,
    seen: IntArray,
) -> _Watched:
    present = units.present.get(metric.name, np.zeros(len(units), dtype=np.bool_))
    values = units.values.get(metric.name, np.zeros(len(units)))
    fed = present if metric.absence is Absence.VOID else present | (units.errored == 0)
    y = np.where(present, values, 0.0)[fed]
    arms, pi, stage = units.candidate.astype(np.float64), units.probability, units.stage
    design = design_of(policy, metric)
    start = eprocess.log_e_harm(design, before.process)
    process, harm, _ = eprocess.trajectory(
        design, before.process, y=y, a=arms[fed], pi=pi[fed], stage=stage[fed]
    )
    # A unit that is left out repeats the evidence before it.
    path = np.concatenate((np.array([start]), harm))[np.cumsum(fed)]
    coverage, covered = _coverage(before.coverage, fed, units, design.stages)
    void_at = before.void_at
    voided = np.full(len(units), fill_value=void_at is not None)
    if void_at is None and (past := np.flatnonzero(covered >= -math.log(policy.alpha_ratio))).size:
        void_at = int(units.order[past[0]]) + 1
        voided[past[0] :] = True
    alone = before.alone
    if alone is None and (past := np.flatnonzero(path >= share.log_alone)).size:
        first = int(past[0])
        alone = Crossing(
            unit=int(units.order[first]) + 1,
            candidate=int(seen[first]),
            log_e=float(path[first]),
            culprits=(metric.name,),
            leading=metric.name,
        )
    state = replace(
        before,
        process=process,
        sequence=sequences.update(before.sequence, y=y, a=arms[fed], pi=pi[fed], stage=stage[fed]),
        coverage=coverage,
        reported=tuple(
            pair + _count(units, present & (stage == place)) for place, pair in enumerate(before.reported)
        ),
        void_at=void_at,
        alone=alone,
    )
    return _Watched(metric=metric, share=share, state=state, path=np.where(voided, -np.inf, path))


def _coverage(
    before: samples.Coverage, fed: BoolArray, units: UnitBatch, stages: int
) -> tuple[samples.Coverage, FloatArray]:
    """The coverage state after the batch, and log evidence of a difference at each unit."""
    design = eprocess.Design(delta_harm=0.0, margins=(), stages=stages)
    arrived, arms = fed.astype(np.float64), units.candidate.astype(np.float64)
    pi, stage = units.probability, units.stage
    fewer, low, _ = eprocess.trajectory(design, before.fewer, y=arrived, a=arms, pi=pi, stage=stage)
    more, high, _ = eprocess.trajectory(design, before.more, y=1.0 - arrived, a=arms, pi=pi, stage=stage)
    return samples.Coverage(fewer=fewer, more=more), np.logaddexp(low, high) - math.log(2.0)


def _first_crossing(here: list[_Watched], consumed: int, seen: IntArray) -> Crossing | None:
    """Where log Σ w_j E_j first passes the line of a clock, over metrics that are not void."""
    alpha = here[0].share.alpha
    parts = np.stack([one.path + math.log(one.share.weight) for one in here])
    total = np.logaddexp.reduce(parts, axis=0)
    past = np.flatnonzero(total >= -math.log(alpha))
    if not past.size:
        return None
    first = int(past[0])
    alive = {one.metric.name: one for one in here if math.isfinite(one.path[first])}
    log_e = {name: float(one.path[first]) for name, one in alive.items()}
    weights = {name: one.share.weight for name, one in alive.items()}
    return Crossing(
        unit=consumed + first + 1,
        candidate=int(seen[first]),
        log_e=float(total[first]),
        culprits=culprits(log_e, weights, alpha),
        leading=max(alive, key=lambda name: (log_e[name] + math.log(weights[name]), name)),
    )


def _ratio(policy: Policy, state: MonitorState, units: UnitBatch) -> tuple[samples.SampleRatio, int | None]:
    """The sample-ratio state after the batch, and the unit at which it was first seen past its line."""
    ratio, void_at, start = state.ratio, state.ratio_void_at, 0
    # An arm that had no chance needs no look: that it was recorded voids at once, and for good.
    chance = np.where(units.candidate, units.probability, 1.0 - units.probability)
    impossible = np.flatnonzero(chance <= 0.0)
    while start < len(units):
        stop = min(start + RATIO_EVERY - (state.consumed + start) % RATIO_EVERY, len(units))
        ratio = samples.ratio_update(
            ratio, a=units.candidate[start:stop].astype(np.float64), pi=units.probability[start:stop]
        )
        if void_at is None and impossible.size and impossible[0] < stop:
            void_at = state.consumed + int(impossible[0]) + 1
        looked = (state.consumed + stop) % RATIO_EVERY == 0
        if void_at is None and looked and samples.log_e_ratio(ratio) >= -math.log(policy.alpha_ratio):
            void_at = state.consumed + stop
        start = stop
    return ratio, void_at


def _count(units: UnitBatch, which: BoolArray) -> Pair:
    """How many of the marked units are in each arm."""
    candidate = int(np.count_nonzero(which & units.candidate))
    return Pair(baseline=int(np.count_nonzero(which)) - candidate, candidate=candidate)
