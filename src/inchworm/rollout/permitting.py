"""Gathering what permits are made of: approvals, the freeze that is on, the loss budget and its anchor."""

from __future__ import annotations

from collections.abc import Sequence

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.rollout import Approval, Rollout
from inchworm.rollout.effects import budget_work
from inchworm.rollout.permits import Budget, Permits
from inchworm.rollout.ports import Benchmarks, Store


def never_frozen(app: AppRef, now: float) -> tuple[str, float] | None:  # noqa: ARG001  # a Calendar
    """No freezes."""
    return None


def gather(
    rollout: Rollout,
    approvals: Sequence[Approval],
    frozen: tuple[str, float] | None,
    benchmarks: Benchmarks,
) -> Permits:
    """What is in order for ``rollout`` now."""
    clause, until = (None, None) if frozen is None else frozen
    return Permits(
        frozen=clause, frozen_until=until, approvals=tuple(approvals), anchor=budget(rollout, benchmarks)
    )


def budget(rollout: Rollout, benchmarks: Benchmarks) -> Budget | None:
    """Where its loss budget stands; ``None`` if nobody counts, or nothing was lost before."""
    limits = rollout.policy.loss_budget
    if limits is None or rollout.anchor is None or budget_work(rollout) is None:
        return None
    since = (rollout.created_at if rollout.started_at is None else rollout.started_at) - limits.per_s
    result = benchmarks.budget(rollout)
    if result is None:
        return Budget(anchor=rollout.anchor, since=since)
    return Budget(
        anchor=rollout.anchor,
        since=since,
        verdict=result.verdict,
        benchmark_id=result.benchmark_id,
        because=result.because,
    )


def anchor(store: Store, rollout: Rollout, now: float) -> ConfigurationId | None:
    """What its loss budget is counted from: what was stable then, the first stable if it is younger."""
    limits = rollout.policy.loss_budget
    if limits is None or rollout.emergency is not None:
        return None
    return store.stable_at(rollout.app, now - limits.per_s)
