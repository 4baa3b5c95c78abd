"""What a decision changes: rollout, lineage, serving row, ledger and work, ready to be committed together.

Pure and without choices. Route first: the serving row changes in the same transaction as the state, and
whenever it changes so does the lineage, whose generation guards both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inchworm.domain.ids import BenchmarkId, ConfigurationId, WorkId
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Decision, DecisionKind, LedgerEntry, Lineage, Rollout, RolloutState
from inchworm.domain.serving import Candidate, ServingTable
from inchworm.domain.work import WorkItem
from inchworm.rollout import wording
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL, weight_of

BENCHMARK = "benchmark"
"""Kind of the work items that ask for a rollout's benchmark."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is fixed when a rollout starts."""

    base: ConfigurationId
    candidate: ConfigurationId
    metrics: tuple[Metric, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What is committed beside the decision.

    Attributes:
        rollout: the row that follows.
        lineage: the row that follows; ``None`` if it stays.
        serving: the row that follows; ``None`` if it stays.
        ledger: what is told.
        work: what is asked for.
    """

    rollout: Rollout
    lineage: Lineage | None
    serving: ServingTable | None
    ledger: tuple[LedgerEntry, ...]
    work: tuple[WorkItem, ...]


def effects(
    decision: Decision,
    rollout: Rollout,
    lineage: Lineage,
    serving: ServingTable,
    *,
    started: Started | None = None,
    benchmark_id: BenchmarkId | None = None,
) -> Effects:
    """What ``decision`` changes.

    Args:
        decision: taken on ``rollout`` as it stands.
        rollout: the row before it.
        lineage: the app's row before it.
        serving: the app's row before it.
        started: what is fixed, if the decision starts the rollout.
        benchmark_id: the benchmark, if the decision follows from one.
    """
    after = _rollout(decision, rollout, started, benchmark_id)
    stable, in_flight, table = lineage.stable, lineage.in_flight, serving
    # One that leaves the queue by being cancelled touches nothing: another one may be in flight.
    if after.state is not RolloutState.CANCELLED:
        stable = _stable(decision, after, lineage)
        in_flight = after.id if after.state in IN_FLIGHT else None
        table = replace(serving, stable=stable, candidate=served(after))
    moved = stable != lineage.stable
    touched = moved or in_flight != lineage.in_flight or table != serving
    return Effects(
        rollout=after,
        lineage=replace(
            lineage,
            stable=stable,
            generation=lineage.generation + 1,
            in_flight=in_flight,
            since=decision.at if moved else lineage.since,
            note=_note(decision, after) if moved else lineage.note,
        )
        if touched
        else None,
        serving=replace(table, generation=serving.generation + 1) if table != serving else None,
        ledger=_ledger(decision, after, lineage, stable),
        work=(benchmark_work(after),) if after.state is RolloutState.BENCHMARKING else (),
    )


def served(rollout: Rollout) -> Candidate | None:
    """What the serving row says of ``rollout``; ``None`` when it exposes nobody."""
    weight = weight_of(rollout.state, rollout.stage, rollout.policy)
    if rollout.state not in IN_FLIGHT or weight <= 0 or rollout.candidate is None:
        return None
    return Candidate(
        rollout_id=rollout.id,
        configuration_id=rollout.candidate,
        stage=rollout.stage,
        weight=weight,
        salt=rollout.salt,
        hash_version=rollout.hash_version,
    )


def benchmark_work(rollout: Rollout) -> WorkItem:
    """The work item that asks for the rollout's benchmark; the same for the same rollout."""
    return WorkItem(
        id=WorkId(f"{BENCHMARK}:{rollout.id}"),
        kind=BENCHMARK,
        app=rollout.app,
        payload={
            "rollout": rollout.id,
            "base": rollout.base,
            "candidate": rollout.candidate,
            "margin_factor": rollout.policy.gate_margin_factor,
        },
    )


def _rollout(
    decision: Decision, rollout: Rollout, started: Started | None, benchmark_id: BenchmarkId | None
) -> Rollout:
    after = replace(
        rollout,
        state=decision.state,
        stage=decision.stage,
        generation=decision.parent + 1,
        because=decision.because,
        entered_at=decision.at,
        benchmark_id=benchmark_id if benchmark_id is not None else rollout.benchmark_id,
        ended_at=decision.at if decision.state in TERMINAL else None,
    )
    if started is None:
        return after
    return replace(
        after,
        base=started.base,
        candidate=started.candidate,
        metrics=started.metrics,
        started_at=decision.at,
    )


def _stable(decision: Decision, after: Rollout, lineage: Lineage) -> ConfigurationId:
    target = {RolloutState.COMPLETED: after.candidate, RolloutState.UNDONE: after.base}.get(decision.state)
    return lineage.stable if target is None else target


def _note(decision: Decision, after: Rollout) -> str:
    undone = decision.kind is DecisionKind.UNDO
    return (
        f"{after.layer} of {after.id} undone" if undone else f"{after.layer}: {after.id} of {after.plan_id}"
    )


def _ledger(
    decision: Decision, after: Rollout, lineage: Lineage, stable: ConfigurationId
) -> tuple[LedgerEntry, ...]:
    told = LedgerEntry(
        app=after.app,
        at=decision.at,
        kind="rollout",
        actor=decision.actor,
        what=f"{after.id} {after.layer}: {decision.because}",
        data={
            "rollout": after.id,
            "decision": decision.id,
            "kind": decision.kind.value,
            "state": decision.state.value,
            "stage": decision.stage,
            "weight": decision.weight,
            "base": after.base,
            "candidate": after.candidate,
        },
    )
    if stable == lineage.stable:
        return (told,)
    old, new = wording.configuration(lineage.stable), wording.configuration(stable)
    return (
        told,
        LedgerEntry(
            app=after.app,
            at=decision.at,
            kind="configuration",
            actor=decision.actor,
            what=f"stable moved from {old} to {new} ({after.layer}, {after.id}).",
            data={"rollout": after.id, "from": lineage.stable, "to": stable},
        ),
    )
