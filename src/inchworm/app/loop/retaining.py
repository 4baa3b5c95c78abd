"""Retention: what is too old by what ``inchworm.yaml`` says, and its deletion, some at a time.

What decides on a rollout is not deleted: interactions of rollouts that are open, or whose outcomes may still
come in, and every exposure. Cases of eval sets were chosen to be kept, and stay.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from inchworm.app.house import House
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import discard, quarantined
from inchworm.domain.ids import RolloutId
from inchworm.domain.rollout import Rollout
from inchworm.store.traces import Retired

STATE: Final = "retention/1"
"""The name under which is kept how much was deleted since the file was last written anew: JSON."""
_ROUNDS: Final = 500
"""Rounds of one call at most: 10 million interactions."""
_DEAD: Final = 0.2
"""Share of what is stored from which on its file is written anew."""
_LATEST_S: Final = 7 * 86_400.0
"""After so long it is written anew however little was deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlived:
    """What is too old, or was deleted for it.

    Attributes:
        payloads: interactions whose content is.
        traces: interactions that are as a whole.
        needed: interactions that are old enough, and stay because a rollout needs them.
        quarantined: what lies in quarantine for too long.
        unnamed: exposures of rollouts that ended, which lost the ids of their units.
        rebuilt: whether the file was written anew, so that no byte of it is left.
    """

    payloads: int = 0
    traces: int = 0
    needed: int = 0
    quarantined: int = 0
    unnamed: int = 0
    rebuilt: bool = False


def look(house: House) -> Outlived:
    """What would go now."""
    found = house.traces.retirable(
        house.app,
        payloads_before=_before(house, house.spec.retention.payloads_s),
        traces_before=_before(house, house.spec.retention.traces_s),
        needed=_needed(house),
    )
    old = 0 if (age := house.spec.retention.quarantine_s) is None else len(_too_long(house, age))
    return Outlived(payloads=found.payloads, traces=found.traces, needed=found.needed, quarantined=old)


def run(house: House, *, enough: Callable[[], bool] = lambda: False, compact: bool = False) -> Outlived:
    """Delete what is too old.

    Args:
        house: whose.
        enough: asked between parts; the rest waits for the next time if it says so.
        compact: whether the file is written anew in any case.

    Raises:
        StoreError: if a store or the quarantine cannot be written.
    """
    retention, removed = house.spec.retention, 0
    if retention.quarantine_s is not None:
        for one in _too_long(house, retention.quarantine_s):
            discard(one)
            removed += 1
    whole, content = 0, 0
    needed = _needed(house)
    for _ in range(_ROUNDS):
        made: Retired = house.traces.retire(
            house.app,
            payloads_before=_before(house, retention.payloads_s),
            traces_before=_before(house, retention.traces_s),
            needed=needed,
        )
        whole, content = whole + made.traces, content + made.payloads
        if not made.total or enough():
            break
    unnamed, rebuilt = _rebuild(house, whole + content, now_at_all=compact)
    return Outlived(payloads=content, traces=whole, quarantined=removed, unnamed=unnamed, rebuilt=rebuilt)


def _rebuild(house: House, gone: int, *, now_at_all: bool) -> tuple[int, bool]:
    """Write the file anew once enough of it is dead, or for a week; how many exposures lost their names."""
    control, now = house.control, house.now()
    known = control.blob(house.app, STATE)
    dead, since = json.loads(known) if known else (0, now)
    if not dead:
        since = now
    dead += gone
    due = dead > _DEAD * (house.traces.count(house.app) + dead) or now - since > _LATEST_S
    if now_at_all or (dead and due):
        before = _before(house, house.spec.retention.traces_s)
        ended = set() if before is None else _known(house) - set(_needed(house))
        unnamed = house.traces.compact(ended=sorted(ended), before=before or 0.0)
        control.put_blob(house.app, STATE, json.dumps([0, now]).encode(), at=now)
        return unnamed, True
    if gone:
        control.put_blob(house.app, STATE, json.dumps([dead, since]).encode(), at=now)
    return 0, False


def _before(house: House, age_s: float | None) -> float | None:
    return None if age_s is None else house.now() - age_s


def _known(house: House) -> set[RolloutId]:
    return {one.id for one in house.control.rollouts(house.app)}


def _needed(house: House) -> list[RolloutId]:
    """Rollouts that are open, or whose outcomes may still come in."""
    now = house.now()
    return [one.id for one in house.control.rollouts(house.app) if _is_needed(one, now)]


def _is_needed(one: Rollout, now: float) -> bool:
    if one.ended_at is None:
        return True
    policy = one.policy
    return now < one.ended_at + max(policy.maturation_s, policy.maturation_judged_s, policy.user_window_s)


def _too_long(house: House, age_s: float) -> list[Path]:
    before = house.now() - age_s
    return [one.path for one in quarantined(house.spec.data / SPOOL) if one.at < before]
