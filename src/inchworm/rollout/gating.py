"""Reading what came of the benchmarks that rollouts asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.domain.rollout import Rollout
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout.effects import benchmark_work, budget_work, old_benchmark_work
from inchworm.rollout.ports import GateResult, Store


class WorkBenchmarks:
    """Reads a rollout's benchmarks from the work items that the controller asked for.

    The handler of ``benchmark`` items finishes them with ``{"verdict", "benchmark_id", "because"}``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def result(self, rollout: Rollout) -> GateResult | None:
        """What came of its gate: ``errored`` if the work failed for good, ``None`` while it is not done."""
        wanted, old = benchmark_work(rollout), old_benchmark_work(rollout)
        found = self._store.work_items([wanted.id, old])
        item = found.get(wanted.id)
        if item is None and (before := found.get(old)) is not None and _same(before.payload, wanted.payload):
            item = before
        return None if item is None else outcome(item)

    def budget(self, rollout: Rollout) -> GateResult | None:
        """What came of its comparison with the anchor; ``None`` while it is not done, or not asked for."""
        wanted = budget_work(rollout)
        item = None if wanted is None else self._store.work_items([wanted.id]).get(wanted.id)
        return None if item is None else outcome(item)


def outcome(item: WorkItem) -> GateResult | None:
    """What came of one item; ``None`` while it is not done."""
    if item.state not in {WorkState.DONE, WorkState.FAILED}:
        return None
    if item.state is WorkState.FAILED or item.result is None:
        why = item.error or "the work item ended without a result"
        return GateResult(verdict=Verdict.ERRORED, benchmark_id=None, because=why)
    return GateResult(
        verdict=Verdict(item.result["verdict"]),
        benchmark_id=item.result.get("benchmark_id"),
        because=item.result["because"],
    )


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(key) == other.get(key) for key in ("base", "candidate"))
