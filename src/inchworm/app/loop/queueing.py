"""The queue: what is in flight, what waits and why, and the freezes ahead."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.expecting import situation
from inchworm.domain.rollout import Approval, Lineage, Policy, Rollout, RolloutState
from inchworm.domain.wording import listed
from inchworm.domain.work import WorkItem, WorkState
from inchworm.rollout import calendar, wording
from inchworm.rollout.calendar import Span
from inchworm.rollout.effects import early_work
from inchworm.rollout.gating import outcome
from inchworm.rollout.observed import Subject
from inchworm.rollout.permits import needed, unapproved
from inchworm.rollout.ports import GateResult
from inchworm.rollout.sequencing.forecast import StageTime, forecast
from inchworm.rollout.transitions import IN_FLIGHT, UNEXPOSED, Rung

AHEAD_S = 14 * 86_400.0
"""How far ahead freezes are shown."""
_DAY_S = 86_400.0
_LATEST = 200
_SPREAD = 0.7
"""Spread of the logarithm of the time that evidence takes (as the forecast of a plan has it)."""
_Z80 = 1.2816


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """When something is expected: four times in five between these moments, seconds since the epoch."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """The benchmark of what waits, made before its turn.

    Attributes:
        state: ``ready``, ``leased``, ``done`` or ``failed``.
        result: what came of it, once it is over. It decides only when its turn comes.
    """

    state: WorkState
    result: GateResult | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One rollout in the queue, or the one that is in flight.

    Attributes:
        rollout: as it stands.
        waits: why it does not go on, as clauses; of what is in flight only what people or the calendar owe.
        early: its benchmark ahead of its turn, if one was asked for.
        starts: when it is expected to start; ``None`` if it has, or nobody knows.
        ends: when it is expected to be stable, if nothing stops it; ``None`` if nobody knows.
    """

    rollout: Rollout
    waits: tuple[str, ...] = ()
    early: Early | None = None
    starts: Range | None = None
    ends: Range | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What one app has before it.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        lineage: what is stable; ``None`` if nothing is yet.
        now: seconds since the epoch.
        running: what is in flight.
        waiting: what is queued, in its order; emergencies come first.
        frozen: the freeze that is on, as a clause.
        freezes: those of the next 14 days.
    """

    app: str
    lineage: Lineage | None
    now: float
    running: Place | None
    waiting: tuple[Place, ...]
    frozen: str | None
    freezes: tuple[Span, ...]


def look(house: House, *, expected: bool = True) -> Queue:
    """The queue as it is.

    Args:
        house: whose.
        expected: whether to forecast when things start and end, which reads traffic.
    """
    now, control, windows = house.now(), house.control, house.spec.freeze
    still = control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT})
    flying = next((one for one in still if one.state in IN_FLIGHT), None)
    queued = [one for one in still if one.state is RolloutState.QUEUED]
    queued.sort(key=lambda one: one.emergency is None)
    approvals = control.approvals([one.id for one in still]) if still else []
    found = calendar.said(windows, now)
    frozen = None if found is None else found[0]
    lineage = control.lineage(house.app)
    times = _times(house, lineage) if expected and still else ()
    running = None if flying is None else _running(house, flying, approvals, frozen, times)
    free = None if running is None else running.ends
    known = running is None or free is not None
    places: list[Place] = []
    for number, one in enumerate(queued):
        starts = _starts(house, free, now) if known and times else None
        ends = None if starts is None else _ends(house, one.policy, times, UNEXPOSED, starts)
        places.append(
            Place(
                rollout=one,
                waits=_waits(one, flying, queued[:number], approvals, frozen),
                early=_early(house, one, flying) if number == 0 else None,
                starts=starts,
                ends=ends,
            )
        )
        free, known = ends, ends is not None
    return Queue(
        app=str(house.app),
        lineage=lineage,
        now=now,
        running=running,
        waiting=tuple(places),
        frozen=frozen,
        freezes=tuple(calendar.between(windows, now, now + AHEAD_S)),
    )


def _running(
    house: House,
    flying: Rollout,
    approvals: Sequence[Approval],
    frozen: str | None,
    times: Sequence[StageTime],
) -> Place:
    subject = Subject.of(flying)
    stage = UNEXPOSED if subject.rung is Rung.UNEXPOSED else flying.stage
    waits = _missing(flying, subject, approvals, stage + 1)
    if frozen is not None and flying.emergency is None:
        waits.append(f"nothing grows in {frozen}")
    now = house.now()
    ends = None
    if times and flying.state in {RolloutState.BENCHMARKING, RolloutState.EXPOSING, RolloutState.SOAKING}:
        ends = _ends(house, flying.policy, times, stage, Range(low=now, high=now), since=flying.entered_at)
    return Place(rollout=flying, waits=tuple(waits), ends=ends)


def _waits(
    one: Rollout,
    flying: Rollout | None,
    before: Sequence[Rollout],
    approvals: Sequence[Approval],
    frozen: str | None,
) -> tuple[str, ...]:
    found: list[str] = []
    if flying is not None:
        found.append(f"{_named(flying)}, {wording.standing(flying)}, is in flight: one change at a time")
    found += [f"{_named(other)} is before it" for other in before]
    if frozen is not None and one.emergency is None:
        found.append(f"nothing starts in {frozen}")
    found += _missing(one, Subject.of(one), approvals, 0)
    return tuple(found)


def _missing(one: Rollout, subject: Subject, approvals: Sequence[Approval], stage: int) -> list[str]:
    if one.emergency is not None or needed(one.policy, one.joint) is None:
        return []
    mine = [approval for approval in approvals if approval.rollout_id == one.id]
    return unapproved(subject, mine, stage)


def _named(one: Rollout) -> str:
    return f"{one.id} ({listed([str(layer) for layer in one.layers])})"


def _early(house: House, one: Rollout, flying: Rollout | None) -> Early | None:
    lineage = house.control.lineage(house.app)
    base = flying.candidate if flying is not None else None if lineage is None else lineage.stable
    if base is None:
        return None
    candidate = one.moved(house.control.configuration(base))
    wanted = early_work(one, base, candidate.id).id
    item: WorkItem | None = house.control.work_items([wanted]).get(wanted)
    return None if item is None else Early(state=item.state, result=outcome(item))


def _times(house: House, lineage: Lineage | None) -> tuple[StageTime, ...]:
    """What each stage takes at the present traffic; nothing if there is none."""
    if lineage is None:
        return ()
    latest = house.traces.traces(house.app, limit=_LATEST).traces
    stable = house.control.configuration(lineage.stable)
    seen = situation(house, lineage.stable, stable, latest)
    if seen is None:
        return ()
    return forecast(
        seen.policy,
        seen.metrics,
        seen.rates,
        units_per_day=seen.traffic.units_per_day,
        traffic=seen.traffic,
    )


def _starts(house: House, free: Range | None, now: float) -> Range:
    when = Range(low=now, high=now) if free is None else free
    return Range(low=_thawed(house, when.low), high=_thawed(house, when.high))


def _ends(
    house: House,
    policy: Policy,
    times: Sequence[StageTime],
    stage: int,
    start: Range,
    *,
    since: float | None = None,
) -> Range | None:
    """When it is stable, from ``stage`` on: each stage's time, and whatever freezes add at its end."""
    low, high = start.low, start.high
    if len(times) != len(policy.stages):
        return None
    for place in range(max(stage, 0), len(policy.stages)):
        days, here = times[place].days, policy.stages[place]
        if days is None:
            return None
        gone = low - since if since is not None and place == stage else 0.0
        factor = math.exp(_SPREAD * _Z80)
        quick, slow = max(days * _DAY_S / factor, here.min_bake_s), days * _DAY_S * factor
        low = _thawed(house, low + max(quick - gone, 0.0))
        high = _thawed(house, high + max(min(slow, max(here.max_bake_s, days * _DAY_S)) - gone, 0.0))
    soaked = low - since if since is not None and stage >= len(policy.stages) else 0.0
    rest = max(policy.soak_s - soaked, 0.0)
    return Range(low=_thawed(house, low + rest), high=_thawed(house, high + rest))


def _thawed(house: House, at: float) -> float:
    end = calendar.thaw(house.spec.freeze, at)
    return at if end is None else end
