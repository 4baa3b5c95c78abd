"""Consuming what has matured: from the store's last state of the monitor to the next, by compare-and-set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from inchworm.domain.metric import Clock
from inchworm.domain.rollout import Rollout
from inchworm.rollout.evidence import Pair
from inchworm.rollout.evidence.populations import clocks_of, matures_after, pairs_mature_after
from inchworm.rollout.monitor import MonitorState, consume, consume_pairs, empty
from inchworm.rollout.ports import Store, Units

BATCH: Final = 20_000
"""Units consumed between two saves of the monitor."""


def consume_matured(
    store: Store, units: Units, rollout: Rollout, now: float, *, fresh: bool = True
) -> MonitorState | None:
    """The monitor's state with every matured unit and pair in it; ``None`` if another process is at it.

    Each clock consumes the units whose outcomes are due on it. The watermark of the stored state is the sum
    of all that was consumed. Past its line harm needs no further units: they are left alone, so that a
    decision that was lost in a crash is taken anew on the same evidence.

    Args:
        store: where the state is kept.
        units: where units come from.
        rollout: whose.
        now: seconds since the epoch.
        fresh: whether anything may have matured since the state was stored; if not, none is read.
    """
    stored = store.monitor(rollout.id)
    state = empty(rollout) if stored is None else _fitted(rollout, MonitorState.from_json(stored[1]))
    if not fresh:
        return state
    expected = 0 if stored is None else stored[0]
    changes: Sequence[tuple[float, str]] | None = None
    for clock in clocks_of(rollout):
        looked = False
        while not state.harmed:
            batch = units.read(
                rollout,
                clock=clock,
                start=state.clocks[clock].consumed,
                matured_before=now - matures_after(rollout.policy, clock),
                limit=BATCH,
            )
            if len(batch) == 0:
                break
            changes = units.changes(rollout) if changes is None else changes
            later = consume(rollout, state, batch, clock=clock, changes=changes)
            later = later if looked else _with_late(units, rollout, clock, state, later)
            if not _save(store, rollout, expected, later):
                return None
            state, expected, looked = later, later.watermark, True
    while state.shadow is not None and not state.harmed:
        found = units.pairs(
            rollout,
            start=state.shadow.consumed,
            matured_before=now - pairs_mature_after(rollout),
            limit=BATCH,
        )
        if len(found) == 0:
            break
        later = consume_pairs(rollout, state, found)
        if not _save(store, rollout, expected, later):
            return None
        state, expected = later, later.watermark
    return state


def _save(store: Store, rollout: Rollout, expected: int, state: MonitorState) -> bool:
    return store.save_monitor(rollout.id, expected=expected, watermark=state.watermark, state=state.to_json())


def _fitted(rollout: Rollout, state: MonitorState) -> MonitorState:
    """The state with the clocks that run; one of format ``monitor/1`` has all of them."""
    return replace(state, clocks={clock: state.clocks[clock] for clock in clocks_of(rollout)})


def _with_late(
    units: Units, rollout: Rollout, clock: Clock, before: MonitorState, later: MonitorState
) -> MonitorState:
    """``later`` with what arrived since the last look for units that had been consumed ``before``."""
    one = before.clocks[clock]
    # The first look only finds out where to look on from.
    consumed = one.consumed if one.seen >= 0 else 0
    found = units.late(rollout, clock=clock, before=consumed, since=one.seen)
    late = one.late + Pair(baseline=found.baseline, candidate=found.candidate)
    clocks = {**later.clocks, clock: replace(later.clocks[clock], late=late, seen=found.seen)}
    return replace(later, clocks=clocks)
