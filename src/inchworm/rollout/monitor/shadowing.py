"""Consuming pairs: the same input, answered by stable for the user and by the candidate for nobody.

Pairs are bet on as if each was drawn afresh: nobody tosses a coin here that would make it so. The calls of
one conversation are alike, and with ten of them that agree a harmless candidate would be rolled back in six
of ten runs. So of each unit the first call that is mirrored is evidence, and what comes after it is counted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Policy, Rollout
from inchworm.rollout.evidence import Crossing, ShadowStage
from inchworm.rollout.evidence.budget import Share, Watch, gates, shadow_shares
from inchworm.rollout.evidence.populations import paired_design, shadow_populations
from inchworm.rollout.monitor.crossing import crossed
from inchworm.rollout.monitor.parts import PairedState, ShadowState
from inchworm.rollout.monitor.state import MonitorState
from inchworm.rollout.ports import FloatArray, IntArray, PairBatch
from inchworm.stats import pairs


def consume_pairs(rollout: Rollout, state: MonitorState, batch: PairBatch) -> MonitorState:
    """Consume the next matured pairs.

    Args:
        rollout: its policy and metrics; its ladder has a shadow stage.
        state: the state so far.
        batch: the next pairs, without a gap; of them the first of each unit are evidence.

    Raises:
        ValueError: if pairs are left out or repeated, if a value is outside [0, 1], or if the rollout has no
            shadow stage.
    """
    before = state.shadow
    if before is None:
        msg = f"no stage of {rollout.id} is a shadow stage, so it has no pairs"
        raise ValueError(msg)
    if not np.array_equal(batch.order, np.arange(before.consumed, before.consumed + len(batch))):
        msg = f"the next pair of {rollout.id} is number {before.consumed}; pairs come in order, each once"
        raise ValueError(msg)
    if len(batch) == 0:
        return state
    share, fresh, had = shadow_shares(rollout.policy, rollout.metrics), batch.only(batch.first), before.pairs
    watched = [
        _watch(rollout.policy, metric, one, share[metric.name], fresh, had=had)
        for metric, one in zip(rollout.metrics, before.metrics, strict=True)
    ]
    harm = before.harm
    if harm is None and len(fresh):
        harm = _first_crossing(had, [one for one in watched if gates(one.metric)])
    later = ShadowState(
        consumed=before.consumed + len(batch),
        stages=tuple(_count(batch, stage, one) for stage, one in enumerate(before.stages)),
        metrics=tuple(one.state for one in watched),
        harm=harm,
    )
    return replace(state, shadow=later)


def _count(batch: PairBatch, stage: int, before: ShadowStage) -> ShadowStage:
    here = (batch.stage == stage) & batch.first
    return ShadowStage(
        pairs=before.pairs + int(np.count_nonzero(here)),
        silent=before.silent + int(np.count_nonzero(here & batch.silent)),
        errored=before.errored + int(np.count_nonzero(here & batch.errored)),
        again=before.again + int(np.count_nonzero((batch.stage == stage) & ~batch.first)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Watched:
    metric: Metric
    share: Share
    state: PairedState
    path: FloatArray


def _watch(
    policy: Policy, metric: Metric, before: PairedState, share: Share, batch: PairBatch, *, had: int
) -> _Watched:
    """One metric over a batch: its state after it, and log evidence of harm at each pair."""
    size = len(batch)
    present = batch.present.get(metric.name, np.zeros(size, dtype=np.bool_))
    baseline, candidate = batch.values.get(metric.name, (np.zeros(size), np.zeros(size)))
    d = np.where(present, candidate, 0.0) - np.where(present, baseline, 0.0)
    processes: list[pairs.State] = []
    paths: list[FloatArray] = []
    mirrored = shadow_populations(policy)
    for population, process in zip(mirrored, before.processes, strict=True):
        design = paired_design(policy, metric, population)
        fed = present & (batch.stage >= population.first) & (batch.stage <= population.last)
        start = np.array([pairs.log_e_harm(design, process)])
        if not fed.any():
            processes.append(process)
            paths.append(np.broadcast_to(start, (size,)))
            continue
        later, harm, _ = pairs.trajectory(design, process, d=d[fed])
        processes.append(later)
        paths.append(np.concatenate((start, harm))[np.cumsum(fed)])
    # The mean over the populations: harm in any of them is harm.
    path = np.logaddexp.reduce(np.stack(paths), axis=0) - math.log(len(mirrored))
    alone = before.alone
    if alone is None and (past := np.flatnonzero(path >= share.log_alone)).size:
        number = had + int(past[0]) + 1
        alone = Crossing(
            unit=number,
            candidate=number,
            log_e=float(path[past[0]]),
            culprits=(metric.name,),
            leading=metric.name,
        )
    state = replace(
        before,
        processes=tuple(processes),
        reported=_more(before.reported, batch.stage[present]),
        raised=_more(before.raised, batch.stage[present & ((baseline > 0.0) | (candidate > 0.0))]),
        alone=alone,
    )
    return _Watched(metric=metric, share=share, state=state, path=path)


def _more(counts: tuple[int, ...], stage: IntArray) -> tuple[int, ...]:
    return tuple(count + int(np.count_nonzero(stage == place)) for place, count in enumerate(counts))


def log_e_harm(policy: Policy, metric: Metric, state: PairedState) -> float:
    """Log evidence of harm of one metric over all pairs: the mean over the shadow populations."""
    each = [
        pairs.log_e_harm(paired_design(policy, metric, population), process)
        for population, process in zip(shadow_populations(policy), state.processes, strict=True)
    ]
    return float(np.logaddexp.reduce(np.array(each))) - math.log(len(each))


def _first_crossing(had: int, here: list[_Watched]) -> Crossing | None:
    if not here:
        return None
    alpha = here[0].share.alpha
    total = np.logaddexp.reduce(np.stack([one.path + math.log(one.share.weight) for one in here]), axis=0)
    past = np.flatnonzero(total >= -math.log(alpha))
    if not past.size:
        return None
    first = int(past[0])
    number = had + first + 1
    return crossed(
        unit=number,
        candidate=number,
        total=float(total[first]),
        log_e={Watch(one.metric.name): float(one.path[first]) for one in here},
        weights={Watch(one.metric.name): one.share.weight for one in here},
        alpha=alpha,
    )
