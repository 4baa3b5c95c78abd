"""The control loop: read the rows, look, decide, commit by compare-and-set. Level-triggered.

A tick keeps nothing in memory: whatever was not committed is decided anew by the next tick, from the rows.
So it may run twice, in two processes, and may be killed at any line; whoever loses a race reads again at
its next tick. Steps that are overdue fold into one evaluation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.metric import Metric
from inchworm.domain.rollout import Decision, DecisionKind, Rollout, RolloutState
from inchworm.domain.verdict import Verdict
from inchworm.domain.work import WorkState
from inchworm.rollout.decide import plan
from inchworm.rollout.effects import Started, benchmark_work, effects, served
from inchworm.rollout.monitor import MonitorState, consume, empty
from inchworm.rollout.observed import Gated, Stopped, Turn, Watched, recall
from inchworm.rollout.ports import Benchmarks, Freeze, GateResult, Store, Units, Validate, land
from inchworm.rollout.rules import pausing
from inchworm.rollout.snapshot import point, snapshot
from inchworm.rollout.transitions import IN_FLIGHT, STOPPED

BATCH: Final = 20_000
"""Units consumed between two saves of the monitor."""


def as_declared(rollout: Rollout, now: float) -> tuple[Metric, ...]:  # noqa: ARG001  # a Freeze that freezes nothing
    """The metrics as they are, for rollouts without thresholds to freeze."""
    return rollout.metrics


def no_problems(rollout: Rollout, configuration: Configuration) -> Sequence[str]:  # noqa: ARG001  # a Validate
    """No problem, for configurations that were validated when they were planned."""
    return ()


class WorkBenchmarks:
    """Reads a rollout's benchmark from the work item that the controller asked for.

    The handler of ``benchmark`` items finishes them with ``{"verdict", "benchmark_id", "because"}``.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def result(self, rollout: Rollout) -> GateResult | None:
        """What came of it: ``errored`` if the work failed for good, ``None`` while it is not done."""
        wanted = benchmark_work(rollout).id
        for item in self._store.work(rollout.app, {WorkState.DONE, WorkState.FAILED}):
            if item.id != wanted:
                continue
            if item.state is WorkState.FAILED or item.result is None:
                why = item.error or "the work item ended without a result"
                return GateResult(verdict=Verdict.ERRORED, benchmark_id=None, because=why)
            return GateResult(
                verdict=Verdict(item.result["verdict"]),
                benchmark_id=item.result.get("benchmark_id"),
                because=item.result["because"],
            )
        return None


def tick(
    store: Store,
    units: Units,
    benchmarks: Benchmarks,
    now: float,
    app: AppRef | None = None,
    *,
    freeze: Freeze = as_declared,
    validate: Validate = no_problems,
) -> list[Decision]:
    """Move every app on by at most one decision of what is in flight, and start what waits.

    Args:
        store: the control store.
        units: where units come from.
        benchmarks: where results of benchmarks come from, e.g. :class:`WorkBenchmarks`.
        now: seconds since the epoch.
        app: only this one.
        freeze: fixes the thresholds of latency and cost at the start.
        validate: why a re-based candidate could not run.

    Returns:
        The decisions that were committed.
    """
    made: list[Decision] = []
    for one in store.apps() if app is None else (app,):
        advanced = _advance(store, units, benchmarks, one, now)
        made += [] if advanced is None else [advanced]
        # A cancelled step makes room for the next one at once.
        while (begun := _begin(store, one, now, freeze, validate)) is not None:
            made.append(begun)
            if begun.kind is not DecisionKind.CANCEL:
                break
    return made


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


def _advance(store: Store, units: Units, benchmarks: Benchmarks, app: AppRef, now: float) -> Decision | None:
    """One decision on what is in flight."""
    lineage, table = store.lineage(app), store.serving(app)
    flying = store.rollouts(app, IN_FLIGHT)
    if lineage is None or table is None or not flying:
        return None
    rollout = flying[0]
    if rollout.state is RolloutState.BENCHMARKING:
        result = benchmarks.result(rollout)
        if result is None:
            return None
        gate = Gated(verdict=result.verdict, benchmark_id=result.benchmark_id, because=result.because)
        decision = plan(rollout, gate, now)
        if decision is None:
            return None
        change = effects(decision, rollout, lineage, table, benchmark_id=result.benchmark_id)
        return decision if land(store, decision, change, lineage) else None
    state = _consume(store, units, rollout, now)
    if state is None:
        return None
    evidence = snapshot(rollout, state)
    if evidence.consumed:
        # Before the decision, so that the last point of a rollback shows why. Lost in a crash, or written
        # twice, it makes no difference to what is decided.
        store.save_point(point(rollout, evidence, now))
    watched = Watched(evidence=evidence, acknowledged=acknowledged(store.decisions(rollout.id)))
    decision = plan(rollout, watched, now)
    if decision is None:
        return None
    return decision if land(store, decision, effects(decision, rollout, lineage, table), lineage) else None


def acknowledged(decisions: Sequence[Decision]) -> tuple[str, ...]:
    """The metrics whose harm has paused the rollout before.

    Only a person leads out of a pause, so each of them has been seen; it does not pause a second time.
    """
    names: dict[str, None] = {}
    for decision in decisions:
        if decision.kind is not DecisionKind.PAUSE:
            continue
        _, observed, _ = recall(decision.evidence)
        if isinstance(observed, Watched):
            names.update(dict.fromkeys(pausing(observed)))
    return tuple(names)


def _consume(store: Store, units: Units, rollout: Rollout, now: float) -> MonitorState | None:
    """The monitor's state with every matured unit in it; ``None`` if another process is at it.

    Past its line harm needs no further units: they are left alone, so that a decision that was lost in a
    crash is taken anew on the same evidence.
    """
    stored = store.monitor(rollout.id)
    state = empty(rollout) if stored is None else MonitorState.from_json(stored[1])
    matured_before = now - rollout.policy.maturation_s
    while not state.harm:
        batch = units.read(rollout, start=state.consumed, matured_before=matured_before, limit=BATCH)
        if len(batch) == 0:
            break
        later = consume(rollout, state, batch)
        if not store.save_monitor(
            rollout.id, expected=state.consumed, watermark=later.consumed, state=later.to_json()
        ):
            return None
        state = later
    return state


def _begin(store: Store, app: AppRef, now: float, freeze: Freeze, validate: Validate) -> Decision | None:
    """Start the next queued step if nothing is in flight, or cancel it."""
    lineage, table = store.lineage(app), store.serving(app)
    if lineage is None or table is None or lineage.in_flight is not None:
        return None
    everything = store.rollouts(app)
    queued = [rollout for rollout in everything if rollout.state is RolloutState.QUEUED]
    if not queued or any(rollout.state in IN_FLIGHT for rollout in everything):
        return None
    rollout = queued[0]
    candidate = store.configuration(lineage.stable).with_layer(rollout.layer, rollout.values)
    turn = Turn(
        stable=lineage.stable,
        assumed=_assumed(store, rollout),
        candidate=candidate.id,
        stopped=_stopped(rollout, everything),
        problems=tuple(validate(rollout, candidate)),
    )
    decision = plan(rollout, turn, now)
    if decision is None:
        return None
    started = None
    if decision.kind is not DecisionKind.CANCEL:
        metrics = freeze(rollout, now)
        store.put_configuration(app, candidate, note=f"{rollout.layer} of {rollout.id}", at=now)
        started = Started(base=lineage.stable, candidate=candidate.id, metrics=metrics)
    change = effects(decision, rollout, lineage, table, started=started)
    return decision if land(store, decision, change, lineage) else None


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
    place = everything.index(rollout)
    latest = {other.step: other for other in everything[:place] if other.plan_id == rollout.plan_id}
    return tuple(
        Stopped(rollout_id=other.id, layer=other.layer, state=other.state)
        for step, other in sorted(latest.items())
        if step < rollout.step and other.layer in rollout.after and other.state in STOPPED
    )
