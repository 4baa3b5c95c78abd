"""The queue as its page shows it: what runs, what waits and until when, freezes, and plans not applied."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.queueing import AHEAD_S, Early, Place, Queue, Range, look
from inchworm.app.loop.seeing import base_of
from inchworm.app.serve.state import ServerState
from inchworm.app.texts import DAYS, MONTHS
from inchworm.app.web.views.words import at, moved, sentence
from inchworm.domain.change import Plan, diff
from inchworm.domain.rollout import Rollout
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import counted, listed
from inchworm.domain.work import WorkState
from inchworm.rollout.transitions import TERMINAL
from inchworm.rollout.wording import standing

_BEHIND_S = 2 * 86_400.0
"""How much of the past the calendar shows at most."""
_PLANS = 5
_SOON_S, _NEAR_S = 60.0, 36 * 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A rollout in flight, or one that waits.

    Attributes:
        id: ``r-57``.
        number: its place in the queue, from 1; 0 for what is in flight.
        layers: the layers that move.
        change: what they change.
        step: its place in its plan, as ``step 1 of 3``.
        plan: the plan.
        author: who applied it.
        because: the last decision's sentence.
        standing: where it stands in words.
        since: when it was applied, or entered its state, seconds since the epoch.
        began: when it took the lock; ``None`` if it has not.
        waits: why it does not go on, as clauses.
        early: what came of its benchmark ahead of its turn, as a sentence; empty if there is none.
        early_failed: whether that benchmark failed.
        clashes: queued changes that move a layer that it moves, as clauses.
        emergency: why it went past everything, if the glass was broken.
        starts: when it is expected to start, both ends of an 80 % range.
        ends: when it is expected to be stable, likewise.
        starts_said: the same in words; empty if it has started, ``not known`` if nobody can tell.
        ends_said: likewise.
    """

    id: str
    number: int
    layers: tuple[str, ...]
    change: str
    step: str
    plan: str
    author: str
    because: str
    standing: str
    since: float
    began: float | None
    waits: tuple[str, ...]
    early: str
    early_failed: bool
    clashes: tuple[str, ...]
    emergency: str | None
    starts: tuple[float, float] | None
    ends: tuple[float, float] | None
    starts_said: str
    ends_said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Freeze:
    """A time in which nothing starts and nothing grows.

    Attributes:
        start: seconds since the epoch.
        end: likewise.
        said: as it is declared.
        reason: why; may be empty.
        now: whether it is on.
    """

    start: float
    end: float
    said: str
    reason: str
    now: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan on the present stable that nobody has applied.

    Attributes:
        id: ``plan-8c2e``.
        layers: what it would move.
        author: who made it.
        reason: why, in their words; may be empty.
        command: how to apply it.
    """

    id: str
    layers: tuple[str, ...]
    author: str
    reason: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePage:
    """What the page of the queue says, and its JSON twin.

    Attributes:
        app: ``app/environment``.
        title: the state in a line.
        say: it as a sentence with a because.
        then: what happens next; may be empty.
        frozen: the freeze that is on, as a clause; ``None`` if none is.
        rows: what is in flight first, then what waits, in its order.
        freezes: until the end of the calendar.
        planned: plans that were not applied.
        since: where the calendar begins, seconds since the epoch.
        until: where it ends.
        now: when it was looked at.
    """

    app: str
    title: str
    say: str
    then: str
    frozen: str | None
    rows: tuple[Row, ...]
    freezes: tuple[Freeze, ...]
    planned: tuple[Planned, ...]
    since: float
    until: float
    now: float


def queue_page(state: ServerState) -> QueuePage:
    """The page of the queue.

    Raises:
        StoreError: if a store cannot be read.
    """
    house = state.house
    seen = look(house)
    running = () if seen.running is None else (_row(house, seen.running, 0, (), seen.now),)
    waiting = tuple(
        _row(house, place, number, [one.rollout for one in _others(seen, place)], seen.now)
        for number, place in enumerate(seen.waiting, 1)
    )
    began = [row.began for row in running if row.began is not None]
    return QueuePage(
        app=seen.app,
        title=_title(seen),
        say=_say(seen),
        then=_then(waiting),
        frozen=seen.frozen,
        rows=(*running, *waiting),
        freezes=tuple(
            Freeze(
                start=span.start,
                end=span.end,
                said=span.window.text,
                reason=span.window.reason,
                now=span.start <= seen.now < span.end,
            )
            for span in seen.freezes
        ),
        planned=_planned(house, seen),
        since=max([seen.now - _BEHIND_S, min(began)]) if began else seen.now - _BEHIND_S / 4,
        until=seen.now + AHEAD_S,
        now=seen.now,
    )


def _others(seen: Queue, place: Place) -> list[Place]:
    """What is in flight or before it in the queue."""
    running = [] if seen.running is None else [seen.running]
    return [*running, *seen.waiting[: seen.waiting.index(place)]]


def _row(house: House, place: Place, number: int, before: Sequence[Rollout], now: float) -> Row:
    one = place.rollout
    base = base_of(house, one)
    layers = tuple(layer.value for layer in one.layers)
    diffs = diff(base, one.moved(base))
    started = number == 0
    return Row(
        id=one.id,
        number=number,
        layers=layers,
        change=moved(one.layer, diffs),
        step=f"step {one.step} of {one.steps}",
        plan=one.plan_id,
        author=one.author,
        because=sentence(one.because),
        standing=standing(one),
        since=one.entered_at if started else one.created_at,
        began=one.started_at if one.state not in TERMINAL else None,
        waits=place.waits,
        early="" if place.early is None else _early(place.early),
        early_failed=place.early is not None
        and place.early.result is not None
        and place.early.result.verdict is Verdict.FAIL,
        clashes=_clashes(one, before),
        emergency=one.emergency,
        starts=None if place.starts is None else (place.starts.low, place.starts.high),
        ends=None if place.ends is None else (place.ends.low, place.ends.high),
        starts_said="" if started else range_said(place.starts, now),
        ends_said=range_said(place.ends, now),
    )


def range_said(range_: Range | None, now: float) -> str:
    """Both ends of when something is expected, as exactly as it is worth: an hour, or a day."""
    if range_ is None:
        return "not known"
    first, last = (time.localtime(end) for end in (range_.low, range_.high))
    soon = [end <= now + _SOON_S for end in (range_.low, range_.high)]
    far = range_.low - now >= _NEAR_S
    if far and first[:2] == last[:2] and first.tm_mday != last.tm_mday:
        return f"{first.tm_mday} … {last.tm_mday} {MONTHS[last.tm_mon - 1]}"
    said = [
        "now" if at_once else _when(end, now)
        for at_once, end in zip(soon, (range_.low, range_.high), strict=True)
    ]
    return said[0] if said[0] == said[1] else " … ".join(said)


def _when(moment: float, now: float) -> str:
    then = time.localtime(moment)
    if moment - now < _NEAR_S:
        return f"{DAYS[then.tm_wday]} {then.tm_hour:02}:{then.tm_min:02}"
    return f"{then.tm_mday} {MONTHS[then.tm_mon - 1]}"


def _clashes(one: Rollout, before: Sequence[Rollout]) -> tuple[str, ...]:
    found: list[str] = []
    for other in before:
        shared = [layer.value for layer in one.layers if layer in other.layers]
        if shared and other.plan_id != one.plan_id:
            found.append(
                f"{other.id} moves {listed(shared)}, too: it is compared anew with what stays of that"
            )
    return tuple(found)


def _early(early: Early) -> str:
    if early.state in {WorkState.READY, WorkState.LEASED}:
        return "its benchmark is being made ahead of its turn"
    result = early.result
    if result is None:
        return ""
    because = result.because.strip().rstrip(".")
    match result.verdict:
        case Verdict.PASS:
            return f"its benchmark passed ahead of its turn: {because}"
        case Verdict.FAIL:
            return f"its benchmark failed ahead of its turn, and decides at its turn: {because}"
        case _:
            return f"its benchmark ahead of its turn is {result.verdict.value.replace('_', ' ')}: {because}"


def _title(seen: Queue) -> str:
    flying = "Nothing in flight" if seen.running is None else f"{seen.running.rollout.id} in flight"
    waiting = "nothing waits" if not seen.waiting else f"{len(seen.waiting)} waiting"
    return f"{flying}, {waiting}" + (", frozen" if seen.frozen is not None else "")


def _say(seen: Queue) -> str:
    if seen.frozen is not None:
        return sentence(f"nothing starts and nothing grows because of {seen.frozen}")
    if seen.running is None:
        if not seen.waiting:
            return "Whatever is applied next starts at once."
        first = seen.waiting[0]
        why = listed(list(first.waits)) if first.waits else "its turn has come"
        return f"{first.rollout.id} is next because {why}."
    running = seen.running
    if running.waits:
        return f"{running.rollout.id} does not grow because {listed(list(running.waits))}."
    return f"{running.rollout.id} is {standing(running.rollout)}: {running.rollout.because}"


def _then(waiting: Sequence[Row]) -> str:
    known = [row for row in waiting if row.starts is not None]
    if not waiting:
        return ""
    if not known:
        return "When the next one starts cannot be told at this traffic."
    first = known[0]
    return f"{first.id} is expected to start {first.starts_said} (80 %)."


def _planned(house: House, seen: Queue) -> tuple[Planned, ...]:
    if seen.lineage is None:
        return ()
    stable = seen.lineage.stable
    applied = {one.plan_id for one in house.control.rollouts(house.app)}
    plans: list[Plan] = [
        plan
        for plan in house.control.plans(house.app)
        if plan.change.base.id == stable and plan.id not in applied
    ]
    return tuple(
        Planned(
            id=plan.id,
            layers=tuple(layer.value for layer in plan.change.layers),
            author=plan.change.author,
            reason=plan.change.reason,
            command=f"inchworm apply {plan.id}",
        )
        for plan in plans[:_PLANS]
    )


def summary(page: QueuePage) -> str:
    """The calendar in a sentence, for those who do not see it."""
    said = [
        f"{row.id} {listed(list(row.layers))} {row.standing}"
        + (f", starts {row.starts_said}" if row.starts_said else "")
        + f", stable {row.ends_said}"
        for row in page.rows
    ]
    frozen = [f"frozen {at(one.start, page.now)} to {at(one.end, page.now)}" for one in page.freezes]
    what = "; ".join([*said, *frozen]) or "nothing runs, nothing waits, nothing is frozen"
    return f"Calendar of {counted(int((page.until - page.now) / 86_400), 'day')}: {what}."
