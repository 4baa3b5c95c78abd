"""What a decision changes: rollout, lineage, serving row, ledger and work, ready to be committed together.

Pure and without choices. Route first: the serving row changes in the same transaction as the state, and
whenever it changes so does the lineage, whose generation guards both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from inchworm.domain.ids import BenchmarkId, ConfigurationId, WorkId
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import (
    Decision,
    DecisionKind,
    LedgerEntry,
    Lineage,
    Rollout,
    RolloutState,
    UnitKind,
    WatchedCluster,
)
from inchworm.domain.serving import Candidate, ServingTable
from inchworm.domain.work import WorkItem
from inchworm.rollout import wording
from inchworm.rollout.transitions import IN_FLIGHT, TERMINAL, mirrored, weight_of

BENCHMARK = "benchmark"
"""Kind of the work items that ask for a rollout's benchmark."""
EARLY = "benchmark_early"
"""Kind of those that ask for it before the rollout's turn: they come after all that is waited for."""
_DIGITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """What is fixed when a rollout starts."""

    base: ConfigurationId
    candidate: ConfigurationId
    metrics: tuple[Metric, ...]
    clusters: tuple[WatchedCluster, ...] = ()
    anchor: ConfigurationId | None = None


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
        work=_work(after) if started is not None else (),
    )


def served(rollout: Rollout) -> Candidate | None:
    """What the serving row says of ``rollout``; ``None`` when it exposes nobody and mirrors nothing."""
    policy = rollout.policy
    weight = weight_of(rollout.state, rollout.stage, policy)
    shadow = mirrored(rollout.state, rollout.stage, policy)
    if rollout.state not in IN_FLIGHT or weight + shadow <= 0 or rollout.candidate is None:
        return None
    here = policy.stages[rollout.stage] if rollout.stage < len(policy.stages) else None
    return Candidate(
        rollout_id=rollout.id,
        configuration_id=rollout.candidate,
        stage=rollout.stage,
        weight=weight,
        salt=rollout.salt,
        hash_version=rollout.hash_version,
        per_stage=policy.unit is UnitKind.USER,
        audience=() if here is None else here.audience,
        holdout=policy.holdout,
        shadow=shadow,
        shadow_calls=here.max_calls if here is not None and shadow > 0 else None,
    )


def benchmark_work(rollout: Rollout) -> WorkItem:
    """The work item that asks for the rollout's benchmark; the same for the same two configurations.

    Asked for early it has the same id, so that what was measured then is used when the rollout starts on
    exactly that base.
    """
    return _asks(rollout, rollout.base, "")


def early_work(rollout: Rollout, base: ConfigurationId, candidate: ConfigurationId) -> WorkItem:
    """The same for one that still waits, on the base that it will start on if what is in flight completes."""
    wanted = benchmark_work(replace(rollout, base=base, candidate=candidate))
    return replace(wanted, kind=EARLY)


def budget_work(rollout: Rollout) -> WorkItem | None:
    """The work item that asks what was lost against the anchor; ``None`` if there is nothing to ask.

    Where the anchor is the base, nothing was lost before, and the gate says what is lost now.
    """
    limits = rollout.policy.loss_budget
    if limits is None or rollout.anchor in {None, rollout.base} or rollout.emergency is not None:
        return None
    asked = _asks(rollout, rollout.anchor, "anchor:")
    return replace(asked, payload={**asked.payload, "margin_factor": 1.0, "margin": limits.margin})


def old_benchmark_work(rollout: Rollout) -> WorkId:
    """The id under which versions before 0.4 asked for a rollout's benchmark."""
    return WorkId(f"{BENCHMARK}:{rollout.id}")


def _asks(rollout: Rollout, base: ConfigurationId | None, what: str) -> WorkItem:
    candidate = rollout.candidate
    return WorkItem(
        id=WorkId(f"{BENCHMARK}:{rollout.id}:{what}{(base or '')[:_DIGITS]}-{(candidate or '')[:_DIGITS]}"),
        kind=BENCHMARK,
        app=rollout.app,
        payload={
            "rollout": rollout.id,
            "base": base,
            "candidate": candidate,
            "margin_factor": rollout.policy.gate_margin_factor,
        },
    )


def _work(rollout: Rollout) -> tuple[WorkItem, ...]:
    """What a rollout that starts asks for."""
    asked = [benchmark_work(rollout)] if rollout.state is RolloutState.BENCHMARKING else []
    budget = budget_work(rollout) if rollout.state in IN_FLIGHT else None
    return tuple(asked if budget is None else [*asked, budget])


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
        clusters=started.clusters,
        anchor=started.anchor,
        started_at=decision.at,
    )


def _stable(decision: Decision, after: Rollout, lineage: Lineage) -> ConfigurationId:
    target = {RolloutState.COMPLETED: after.candidate, RolloutState.UNDONE: after.base}.get(decision.state)
    return lineage.stable if target is None else target


def _note(decision: Decision, after: Rollout) -> str:
    layers = wording.listed([str(layer) for layer in after.layers])
    undone = decision.kind is DecisionKind.UNDO
    return f"{layers} of {after.id} undone" if undone else f"{layers}: {after.id} of {after.plan_id}"


def _ledger(
    decision: Decision, after: Rollout, lineage: Lineage, stable: ConfigurationId
) -> tuple[LedgerEntry, ...]:
    layers = wording.listed([str(layer) for layer in after.layers])
    told = LedgerEntry(
        app=after.app,
        at=decision.at,
        kind="emergency" if decision.kind is DecisionKind.EMERGENCY else "rollout",
        actor=decision.actor,
        what=f"{after.id} {layers}: {decision.because}",
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
            what=f"stable moved from {old} to {new} ({layers}, {after.id}).",
            data={"rollout": after.id, "from": lineage.stable, "to": stable}
            | ({"layers": [str(layer) for layer in after.layers]} if len(after.layers) > 1 else {}),
        ),
    )
