"""Benchmarks that rollouts ask for: what is waited for first, then what is asked for early."""

from __future__ import annotations

from dataclasses import replace

from inchworm.app.house import House
from inchworm.app.loop.evidence import freeze
from inchworm.app.loop.measuring import Watch, because, compare
from inchworm.app.loop.sampling import MAIN
from inchworm.benchmark.replay import Progress
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.effects import BENCHMARK, EARLY, budget_work
from inchworm.rollout.transitions import IN_FLIGHT

_LEASE_S = 600.0
_LOOK_S = 2.0
"""How often early work looks whether something that is waited for has come."""


class _GiveWayError(Exception):
    """Something is waited for, or nobody needs this any more: what is asked for early can wait."""


def work_off(house: House, *, owner: str, watch: Watch | None = None) -> int:
    """Do the benchmarks that this app's rollouts ask for; how many were done.

    What rollouts wait for comes first, then what was asked for early, which gives way at its next answer: its
    answers are kept, so that nothing is asked twice. What ``watch`` raises ends the work; the item stays
    leased.
    """
    done = 0
    while (item := _lease(house, BENCHMARK, owner) or _lease(house, EARLY, owner)) is not None:
        done += _work(house, item, owner, watch)
    return done


def _lease(house: House, kind: str, owner: str) -> WorkItem | None:
    leased = house.control.lease_work([kind], owner=owner, now=house.now(), lease_s=_LEASE_S, app=house.app)
    return leased[0] if leased else None


def _work(house: House, item: WorkItem, owner: str, watch: Watch | None) -> bool:
    """Whether it was done, or ended for good."""
    try:
        rollout = house.control.rollout(RolloutId(item.payload["rollout"]))
        nobody = _unwanted(house, item, rollout)
        if nobody is not None:
            # Nobody waits for it any more, and every call costs money.
            house.control.fail_work(item.id, owner=owner, error=nobody, retry=False)
            return True
        benchmark = compare(
            house,
            house.control.configuration(ConfigurationId(item.payload["base"])),
            house.control.configuration(ConfigurationId(item.payload["candidate"])),
            eval_set=house.control.eval_set(house.app, MAIN),
            # As it was applied and started, whatever inchworm.yaml says by now.
            metrics=_metrics(house, item, rollout),
            margin_factor=float(item.payload["margin_factor"]),
            watch=_Polite(house, item, watch) if item.kind == EARLY else watch,
        )
    except _GiveWayError:
        house.control.fail_work(item.id, owner=owner, error="it gave way", retry=True)
        return False
    except InchwormError as error:
        house.control.fail_work(item.id, owner=owner, error=_said(error), retry=False)
        return True
    house.control.finish_work(
        item.id,
        owner=owner,
        result={
            "verdict": benchmark.verdict.value,
            "benchmark_id": benchmark.id,
            "because": because(benchmark),
        },
    )
    return True


def _unwanted(house: House, item: WorkItem, rollout: Rollout) -> str | None:
    """Why nobody needs the result; ``None`` if somebody does."""
    base, state = item.payload["base"], rollout.state
    ended = f"{rollout.id} was {state.value} before its benchmark was made"
    budget = budget_work(rollout)
    if budget is not None and item.id == budget.id:
        return None if state in IN_FLIGHT else ended
    if state is RolloutState.BENCHMARKING:
        return None if base == rollout.base else f"{rollout.id} was re-based before its benchmark was made"
    if item.kind != EARLY or state is not RolloutState.QUEUED:
        return ended
    lineage = house.control.lineage(house.app)
    flying = (
        None if lineage is None or lineage.in_flight is None else house.control.rollout(lineage.in_flight)
    )
    # Stable may have reached what was in flight by now: then it is its turn, on exactly that base.
    bases = {None if lineage is None else lineage.stable, None if flying is None else flying.candidate}
    return None if base in bases else f"{rollout.id} will start on something else than was in flight"


def _metrics(house: House, item: WorkItem, rollout: Rollout) -> tuple[Metric, ...]:
    """What decides; against the anchor every metric has the loss budget's margin."""
    metrics = freeze(house, rollout, house.now())
    margin = item.payload.get("margin")
    if margin is None:
        return metrics
    return tuple(
        replace(metric, margin=float(margin), harm_margin=min(metric.harm_margin, float(margin)))
        for metric in metrics
    )


class _Polite:
    """Called after every answer of early work: gives way when something is waited for."""

    def __init__(self, house: House, item: WorkItem, watch: Watch | None) -> None:
        self._house, self._item, self._watch = house, item, watch
        self._looked_at = house.now()

    def __call__(self, progress: Progress) -> None:
        if self._watch is not None:
            self._watch(progress)
        if self._house.now() - self._looked_at < _LOOK_S:
            return
        self._looked_at = self._house.now()
        control = self._house.control
        ready = control.work(self._house.app, {WorkState.READY})
        if any(one.kind == BENCHMARK for one in ready):
            raise _GiveWayError
        rollout = control.rollout(RolloutId(self._item.payload["rollout"]))
        if _unwanted(self._house, self._item, rollout) is not None:
            raise _GiveWayError


def _said(error: InchwormError) -> str:
    return error.message if error.hint is None else f"{error.message}: {error.hint}"
