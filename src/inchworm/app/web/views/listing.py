"""All rollouts, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inchworm.app.house import House
from inchworm.app.web.views.words import moved, sentence
from inchworm.domain.change import diff
from inchworm.domain.metric import Clock
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.wording import counted
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.rollout.wording import count, standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rollout.

    Attributes:
        id: ``r-57``.
        layers: the layers that move.
        change: what it changes.
        state: ``rolled_back``.
        standing: where it stands, in words.
        harmed: whether it was rolled back or rejected.
        asks: whether a person is needed.
        flying: whether it is in flight.
        exposed: ``823 of 7,330 sessions``; ``nobody``.
        because: the last decision's sentence.
        author: who applied it.
        at: when it entered its present state.
    """

    id: str
    layers: tuple[str, ...]
    change: str
    state: str
    standing: str
    harmed: bool
    asks: bool
    flying: bool
    exposed: str
    because: str
    author: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """All rollouts of an app.

    Attributes:
        app: ``app/environment``.
        rows: the newest first.
        now: seconds since the epoch.
    """

    app: str
    rows: tuple[Row, ...]
    now: float


def listing(house: House) -> Listing:
    """Read them all."""
    return Listing(
        app=str(house.app),
        rows=tuple(_row(house, one) for one in house.control.rollouts(house.app)[::-1]),
        now=house.now(),
    )


def _row(house: House, one: Rollout) -> Row:
    base = house.control.configuration(one.base if one.base is not None else house.lineage().stable)
    stored = house.control.monitor(one.id)
    exposed = "nobody"
    if stored is not None and stored[0]:
        exposed = _exposed(stored[1], one)
    return Row(
        id=one.id,
        layers=tuple(layer.value for layer in one.layers),
        change=moved(one.layer, diff(base, one.moved(base))),
        state=one.state.value,
        standing=standing(one),
        harmed=one.state in {RolloutState.ROLLED_BACK, RolloutState.REJECTED},
        asks=one.state in {RolloutState.HOLDING, RolloutState.PAUSED},
        flying=one.state in IN_FLIGHT,
        exposed=exposed,
        because=sentence(one.because),
        author=one.author,
        at=one.entered_at,
    )


def _exposed(state: dict[str, Any], one: Rollout) -> str:
    """Who saw it, by the monitor's stored state: read as it lies, since a list reads many."""
    fast = state.get("clocks", {}).get(Clock.FAST.value, state)
    if fast["consumed"]:
        return f"{int(fast['candidate']):,} of {count(int(fast['consumed']), one.policy.unit)}"
    pairs = int((state.get("shadow") or {}).get("consumed", 0))
    return f"nobody, {counted(pairs, 'pair')}" if pairs else "nobody"
