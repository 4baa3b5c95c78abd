"""What waits, as the first page shows it; the page of the queue says the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop.queueing import look
from inchworm.app.web.views.queueing import range_said
from inchworm.app.web.views.words import moved
from inchworm.domain.change import diff
from inchworm.domain.errors import NotFoundError
from inchworm.domain.rollout import Lineage, Rollout
from inchworm.domain.wording import listed


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedRow:
    """A step that waits.

    Attributes:
        number: its place in the queue, from 1.
        id: ``r-58``.
        layers: the layers that move.
        change: what it changes against what is stable now.
        because: why it is wanted, and why at this place.
        author: who applied it.
        waits: why it waits.
        starts: when it is expected to start, an 80 % range in words; ``not known`` if nobody can tell.
        emergency: why the glass was broken; ``None`` unless it was.
        since: when it was applied.
    """

    number: int
    id: str
    layers: tuple[str, ...]
    change: str
    because: str
    author: str
    waits: str
    starts: str
    emergency: str | None
    since: float


def queue(
    house: House, lineage: Lineage, queued: Sequence[Rollout], flying: Sequence[Rollout]
) -> tuple[QueuedRow, ...]:
    """Steps that wait, in order; emergencies come first."""
    if not queued:
        return ()
    stable = house.control.configuration(lineage.stable)
    rows: list[QueuedRow] = []
    before = flying[0].id if flying else ""
    seen = look(house)
    for number, place in enumerate(seen.waiting, 1):
        one = place.rollout
        why = f"after {before}" if before else "next"
        if one.after:
            why = f"{why}; needs {listed([str(layer) for layer in one.after])}"
        rows.append(
            QueuedRow(
                number=number,
                id=one.id,
                layers=tuple(layer.value for layer in one.layers),
                change=moved(one.layer, diff(stable, one.moved(stable))),
                because=_because(house, one),
                author=one.author,
                waits=why,
                starts=range_said(place.starts, seen.now),
                emergency=one.emergency,
                since=one.created_at,
            )
        )
        before = one.id
    return tuple(rows)


def _because(house: House, one: Rollout) -> str:
    """Why it is wanted, and why at this place of its plan."""
    try:
        plan = house.control.plan(one.plan_id)
    except NotFoundError:
        return ""
    place = next((step.because for step in plan.steps if step.number == one.step), "")
    return "; ".join(part for part in (plan.change.reason.strip().rstrip("."), place) if part)
