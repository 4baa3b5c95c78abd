"""The control loop: read the rows, look, decide, commit by compare-and-set. Level-triggered.

A tick keeps nothing in memory: whatever was not committed is decided anew by the next tick, from the rows.
So it may run twice, in two processes, and may be killed at any line; whoever loses a race reads again at
its next tick. Steps that are overdue fold into one evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Decision, DecisionKind, Rollout, RolloutState, WatchedCluster
from inchworm.domain.shadow import ShadowSpent
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import listed
from inchworm.rollout import permitting
from inchworm.rollout.consuming import consume_matured
from inchworm.rollout.decide import plan
from inchworm.rollout.effects import Started, early_work, effects, served
from inchworm.rollout.evidence.snapshot import point, snapshot
from inchworm.rollout.fleet import Looked, Memo, Standing, survey
from inchworm.rollout.observed import Asked, Gated, Stopped, Subject, Turn, Watched, recall
from inchworm.rollout.permits import Permits, over_budget
from inchworm.rollout.ports import (
    Benchmarks,
    Calendar,
    Freeze,
    GateResult,
    Store,
    Units,
    Validate,
    WatchClusters,
    land,
)
from inchworm.rollout.rules import pausing
from inchworm.rollout.transitions import IN_FLIGHT, STOPPED, Act, mirrored


def as_declared(rollout: Rollout, now: float) -> tuple[Metric, ...]:  # noqa: ARG001  # a Freeze that freezes nothing
    """The metrics as they are, for rollouts without thresholds to freeze."""
    return rollout.metrics


def no_clusters(rollout: Rollout, now: float) -> tuple[WatchedCluster, ...]:  # noqa: ARG001  # a WatchClusters
    """No clusters, where there are no topics."""
    return ()


def no_problems(rollout: Rollout, configuration: Configuration) -> Sequence[str]:  # noqa: ARG001  # a Validate
    """No problem, for configurations that were validated when they were planned."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one tick works with."""

    store: Store
    units: Units
    benchmarks: Benchmarks
    now: float
    freeze: Freeze
    validate: Validate
    watch_clusters: WatchClusters
    frozen: Calendar
    memo: Memo | None


def tick(
    store: Store,
    units: Units,
    benchmarks: Benchmarks,
    now: float,
    app: AppRef | None = None,
    *,
    freeze: Freeze = as_declared,
    validate: Validate = no_problems,
    watch_clusters: WatchClusters = no_clusters,
    frozen: Calendar = permitting.never_frozen,
    memo: Memo | None = None,
) -> list[Decision]:
    """Move every app on by at most one decision of what is in flight, and start what waits.

    Args:
        store: the control store.
        units: where units come from.
        benchmarks: where results of benchmarks come from, e.g. ``gating.WorkBenchmarks``.
        now: seconds since the epoch.
        app: only this one.
        freeze: fixes the thresholds of latency and cost at the start.
        validate: why a re-based candidate could not run.
        watch_clusters: chooses the clusters that are watched on their own, at the start.
        frozen: the freezes of an app.
        memo: what was derived in ticks before; it saves time and changes no decision.

    Returns:
        The decisions that were committed.
    """
    made: list[Decision] = []
    this = Round(
        store=store,
        units=units,
        benchmarks=benchmarks,
        now=now,
        freeze=freeze,
        validate=validate,
        watch_clusters=watch_clusters,
        frozen=frozen,
        memo=memo,
    )
    for standing in survey(store, units, now, app):
        if standing.flying is not None or standing.queued:
            made += _move(this, standing)
    return made


def _move(this: Round, standing: Standing) -> list[Decision]:
    """One app: at most one decision of what is in flight, and the start of what waits."""
    made: list[Decision] = []
    present: Standing | None = standing
    if standing.flying is not None:
        advanced = _advance(this, standing, standing.flying)
        if advanced is not None:
            made.append(advanced)
            present = _again(this, standing.app)
    # A cancelled step makes room for the next one at once.
    while (begun := _begin(this, present)) is not None:
        made.append(begun)
        present = _again(this, standing.app)
        if begun.kind is not DecisionKind.CANCEL:
            break
    _ask_early(this, present)
    return made


def _again(this: Round, app: AppRef) -> Standing | None:
    """The app as it stands after a decision."""
    found = survey(this.store, this.units, this.now, app)
    return found[0] if found else None


def verify_served(store: Store, app: AppRef) -> tuple[str, ...]:
    """Read back what is served and compare it with what is recorded; problems as sentences."""
    lineage, table = store.lineage(app), store.serving(app)
    if lineage is None or table is None:
        return (
            () if lineage is None and table is None else (f"{app} has a lineage or a serving row, not both.",)
        )
    flying = store.rollouts(app, IN_FLIGHT)
    expected = served(flying[0]) if flying else None
    found: list[str] = []
    if len(flying) > 1:
        found.append(f"{app} has {len(flying)} rollouts in flight: {', '.join(r.id for r in flying)}.")
    if lineage.in_flight != (flying[0].id if flying else None):
        found.append(f"the lock of {app} is held by {lineage.in_flight}, not by what is in flight.")
    if table.stable != lineage.stable:
        found.append(f"{app} serves {table.stable} as stable, recorded is {lineage.stable}.")
    if table.candidate != expected:
        found.append(f"{app} serves the candidate {table.candidate}, recorded is {expected}.")
    return tuple(found)


def _advance(this: Round, standing: Standing, rollout: Rollout) -> Decision | None:
    """One decision on what is in flight."""
    emergency = next((one for one in standing.queued if one.emergency is not None), None)
    if emergency is not None:
        return _make_room(this, standing, rollout, emergency)
    permits = _permits(this, standing, rollout)
    if rollout.state is RolloutState.BENCHMARKING or rollout.stage < 0:
        result = this.benchmarks.result(rollout) if rollout.policy.gate else _NO_GATE
        if result is None:
            return None
        gate = Gated(
            verdict=result.verdict,
            benchmark_id=result.benchmark_id,
            because=result.because,
            permits=permits,
        )
        decision = plan(rollout, gate, this.now)
        if decision is None:
            return None
        change = effects(
            decision, rollout, standing.lineage, standing.table, benchmark_id=result.benchmark_id
        )
        return decision if land(this.store, decision, change, standing.lineage) else None
    looked = _look(this, standing, rollout)
    if looked is None:
        return None
    watched = Watched(
        evidence=looked.evidence,
        acknowledged=looked.acknowledged,
        permits=replace(permits, shadow=_spent(this, rollout)),
    )
    decision = plan(rollout, watched, this.now)
    if decision is None:
        return None
    change = effects(decision, rollout, standing.lineage, standing.table)
    return decision if land(this.store, decision, change, standing.lineage) else None


_NO_GATE = GateResult(verdict=Verdict.PASS, benchmark_id=None, because="its policy asks for no benchmark")


def _make_room(this: Round, standing: Standing, rollout: Rollout, emergency: Rollout) -> Decision | None:
    """Somebody broke the glass: what is in flight is aborted in their name."""
    asked = Asked(
        act=Act.ABORT,
        actor=emergency.author,
        reason=f"the glass was broken for {emergency.id}",
        stable=standing.lineage.stable,
        in_flight=standing.lineage.in_flight,
    )
    decision = plan(rollout, asked, this.now)
    if decision is None:
        return None
    change = effects(decision, rollout, standing.lineage, standing.table)
    return decision if land(this.store, decision, change, standing.lineage) else None


def _permits(this: Round, standing: Standing, rollout: Rollout) -> Permits:
    found = permitting.gather(
        rollout, standing.approved(rollout), this.frozen(rollout.app, this.now), this.benchmarks
    )
    if over_budget(Subject.of(rollout), found) is None:
        return found
    return replace(found, anchor_asked=asked_about_budget(this.store.decisions(rollout.id)))


def _spent(this: Round, rollout: Rollout) -> ShadowSpent | None:
    """What its shadow stage took so far; ``None`` where nothing is mirrored."""
    return this.units.spent(rollout) if mirrored(rollout.state, rollout.stage, rollout.policy) else None


def _look(this: Round, standing: Standing, rollout: Rollout) -> Looked | None:
    """What the rollout's units say; ``None`` if another process is at it."""
    if this.memo is not None and not standing.fresh:
        known = this.memo.get(rollout.id, (rollout.generation, standing.watermark))
        if known is not None:
            return known
    state = consume_matured(this.store, this.units, rollout, this.now, fresh=standing.fresh)
    if state is None:
        return None
    evidence = snapshot(rollout, state)
    if evidence.seen and (standing.fresh or evidence.harm is not None):
        # Before the decision, so that the last point of a rollback shows why. Lost in a crash, or written
        # twice, it makes no difference to what is decided.
        this.store.save_point(point(rollout, evidence, this.now))
    # Only of what asks for a pause it matters whether somebody resumed past it.
    asks = pausing(Subject.of(rollout), Watched(evidence=evidence))
    looked = Looked(
        evidence=evidence,
        acknowledged=acknowledged(this.store.decisions(rollout.id)) if asks else (),
    )
    if this.memo is not None:
        this.memo.put(rollout.id, (rollout.generation, state.watermark), looked)
    return looked


def acknowledged(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """The metrics whose harm has paused the rollout before.

    Only a person leads out of a pause, so each of them has been seen; it does not pause a second time.
    """
    names: dict[str, None] = {}
    for decision in decisions:
        if decision.kind is not DecisionKind.PAUSE:
            continue
        subject, observed, _ = recall(decision.evidence)
        if isinstance(observed, Watched):
            names.update(dict.fromkeys(pausing(subject, observed)))
    return tuple(names)


def asked_about_budget(decisions: Sequence[Decision]) -> bool:
    """Whether it was held because the loss budget is spent: whoever led it on has seen that."""
    for decision in decisions:
        if decision.kind is not DecisionKind.HOLD:
            continue
        subject, observed, _ = recall(decision.evidence)
        if isinstance(observed, Watched | Gated) and over_budget(subject, observed.permits) is not None:
            return True
    return False


def _begin(this: Round, standing: Standing | None) -> Decision | None:
    """Start the next queued step if nothing is in flight, or cancel it."""
    if standing is None or standing.flying is not None or standing.lineage.in_flight is not None:
        return None
    if not standing.queued:
        return None
    store, rollout, lineage = this.store, standing.queued[0], standing.lineage
    permits = _permits(this, standing, rollout)
    if permits.frozen is not None and rollout.emergency is None:
        return None  # as ``plan`` would say; a freeze may last for days, and a turn takes many reads
    candidate = rollout.moved(store.configuration(lineage.stable))
    turn = Turn(
        stable=lineage.stable,
        assumed=_assumed(store, rollout),
        candidate=candidate.id,
        stopped=_stopped(rollout, store.rollouts(rollout.app)) if rollout.after else (),
        problems=tuple(this.validate(rollout, candidate)),
        permits=permits,
    )
    decision = plan(rollout, turn, this.now)
    if decision is None:
        return None
    started = None
    if decision.kind is not DecisionKind.CANCEL:
        layers = listed([str(layer) for layer in rollout.layers])
        store.put_configuration(rollout.app, candidate, note=f"{layers} of {rollout.id}", at=this.now)
        started = Started(
            base=lineage.stable,
            candidate=candidate.id,
            metrics=this.freeze(rollout, this.now),
            clusters=this.watch_clusters(rollout, this.now),
            anchor=permitting.anchor(store, rollout, this.now),
        )
    change = effects(decision, rollout, lineage, standing.table, started=started)
    return decision if land(store, decision, change, lineage) else None


def _ask_early(this: Round, standing: Standing | None) -> None:
    """Ask for the benchmark of what waits next, against stable with what is in flight (as Zuul does)."""
    if standing is None or standing.flying is None or not standing.queued:
        return
    flying, waiting = standing.flying, standing.queued[0]
    if flying.candidate is None or waiting.emergency is not None or not waiting.policy.gate:
        return
    if this.memo is not None and this.memo.asked(waiting.id, flying.candidate):
        return
    candidate = waiting.moved(this.store.configuration(flying.candidate))
    asked = early_work(waiting, flying.candidate, candidate.id)
    new = candidate.id != flying.candidate and asked.id not in this.store.work_items([asked.id])
    if new and not this.validate(waiting, candidate):
        layers = listed([str(layer) for layer in waiting.layers])
        this.store.put_configuration(waiting.app, candidate, note=f"{layers} of {waiting.id}", at=this.now)
        this.store.add_work([asked])
    if this.memo is not None:
        this.memo.ask(waiting.id, flying.candidate)


def _assumed(store: Store, rollout: Rollout) -> ConfigurationId | None:
    """What the plan expected to be stable when this step starts."""
    try:
        steps = store.plan(rollout.plan_id).steps
    except NotFoundError:
        return None
    return next((step.base for step in steps if step.number == rollout.step), None)


def _stopped(rollout: Rollout, everything: Sequence[Rollout]) -> tuple[Stopped, ...]:
    """Steps of the same plan that this one needs and that did not stay.

    A plan that is made again has the same id, so each step is looked at as it was applied last before
    this one: what an earlier application came to is over.
    """
    # By id: somebody may have moved it since it was read. Then the decision misses, and nothing is lost.
    earlier = takewhile(lambda other: other.id != rollout.id, everything)
    latest = {other.step: other for other in earlier if other.plan_id == rollout.plan_id}
    return tuple(
        Stopped(rollout_id=other.id, layer=other.layer, state=other.state)
        for step, other in sorted(latest.items())
        if step < rollout.step and other.layer in rollout.after and other.state in STOPPED
    )
