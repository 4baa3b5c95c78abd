"""All rollouts, the newest first."""

from __future__ import annotations

from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.web.views.words import moved, sentence
from inchworm.domain.change import diff
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.rollout.wording import count, standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One rollout.

    Attributes:
        id: ``r-57``.
        layer: the layer that moves.
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
    layer: str
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
        exposed = f"{int(stored[1]['candidate']):,} of {count(stored[0], one.policy.unit)}"
    return Row(
        id=one.id,
        layer=one.layer.value,
        change=moved(one.layer, diff(base, base.with_layer(one.layer, one.values))),
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
