"""Before a configured model is switched off: who names it, and how long there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Literal

from inchworm.app.house import House
from inchworm.app.loop.knowing import catalogue
from inchworm.domain.configuration import Configuration
from inchworm.domain.rollout import RolloutState
from inchworm.domain.wording import counted
from inchworm.providers.catalogue import Retirement
from inchworm.rollout.transitions import IN_FLIGHT


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring:
    """A configured model is switched off soon, or was.

    Attributes:
        level: ``note`` before that day, ``warning`` from it on.
        model: as the configuration names it.
        retires_on: the day, ISO 8601.
        days: until then; negative after it.
        where: who names it: ``stable``, ``inchworm.yaml``, or rollouts by their ids.
        text: one sentence.
        sources: pages that say so.
    """

    level: Literal["note", "warning"]
    model: str
    retires_on: str
    days: int
    where: tuple[str, ...]
    text: str
    sources: tuple[str, ...]


def today(house: House) -> date:
    """The day by the house's clock, UTC."""
    return datetime.fromtimestamp(house.now(), UTC).date()


def notices(house: House, *, on: date | None = None) -> tuple[Retiring, ...]:
    """The models of what is stable, declared, in flight and queued that are retired within 90 days, or were.

    Args:
        house: whose.
        on: counted from this day; from today if left out.
    """
    known, day = catalogue(house), today(house) if on is None else on
    found: dict[str, tuple[Retirement, list[str]]] = {}
    for where, configuration in _configurations(house):
        for one in known.retirements(configuration, day):
            places = found.setdefault(one.name, (one, []))[1]
            if where not in places:
                places.append(where)
    ordered = sorted(found.values(), key=lambda pair: (pair[0].days, pair[0].name))
    return tuple(_notice(one, tuple(places)) for one, places in ordered)


def _notice(one: Retirement, places: tuple[str, ...]) -> Retiring:
    day = "" if one.facts.retires_on is None else one.facts.retires_on.isoformat()
    return Retiring(
        level="note" if one.days > 0 else "warning",
        model=one.name,
        retires_on=day,
        days=one.days,
        where=places,
        text=sentence(one),
        sources=one.facts.sources,
    )


def sentence(one: Retirement) -> str:
    """What a retirement means, and what to do."""
    day = one.facts.retires_on
    call = f" (call {one.call})" if one.call is not None else ""
    instead = f"; its provider names {one.facts.replaced_by}" if one.facts.replaced_by else ""
    if one.days > 0:
        verb = "may be retired from" if one.facts.earliest else "is retired on"
        on = " on" if one.facts.earliest else ""
        left = counted(one.days, "day")
        return f"{one.name}{call} {verb} {day}{on} ({left}): plan the model step before{instead}."
    if one.facts.earliest:
        return f"{one.name}{call} may be retired since {day}: plan the model step now{instead}."
    return (
        f"{one.name}{call} is retired since {day}; requests to it fail, or another model answers them: "
        f"plan the model step now{instead}."
    )


def _configurations(house: House) -> Iterator[tuple[str, Configuration]]:
    lineage = house.control.lineage(house.app)
    stable = None if lineage is None else house.control.configuration(lineage.stable)
    if stable is not None:
        yield "stable", stable
    if house.spec.file.exists() or stable is None:
        yield house.spec.file.name, house.spec.configuration
    if stable is None:
        return
    for rollout in house.control.rollouts(house.app, {RolloutState.QUEUED, *IN_FLIGHT}):
        yield rollout.id, rollout.moved(stable)
