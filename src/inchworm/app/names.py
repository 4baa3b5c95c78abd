"""What people name things by: configurations, eval sets, rollouts, moments. For every face of Inchworm."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING

from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import short

if TYPE_CHECKING:  # these bring the stores with them, which --help must not wait for
    from inchworm.app.house import House
    from inchworm.domain.configuration import Configuration
    from inchworm.domain.evalset import EvalSet
    from inchworm.domain.rollout import Decision, Rollout

DECLARED = "declared"
"""The name of what ``inchworm.yaml`` says, among configurations."""
_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def configuration(house: House, name: str) -> Configuration:
    """A configuration by the name a person types: ``stable``, ``declared``, or an id's beginning.

    Raises:
        NotFoundError: if there is none.
        UsageError: if several go by it.
    """
    if name == DECLARED:
        return house.spec.configuration
    if name == "stable":
        return house.control.configuration(house.lineage().stable)
    # as people read it on the screen: c7f1…9a
    return house.control.find_configuration(house.app, name.partition("…")[0])


def two_configurations(house: House, base: str, candidate: str) -> tuple[Configuration, Configuration]:
    """Two configurations to compare, by the names a person types (see :func:`configuration`).

    Raises:
        NotFoundError: if one does not exist.
        UsageError: if several go by a name, or both names are of the same one.
    """
    one, other = configuration(house, base), configuration(house, candidate)
    if one == other:
        raise UsageError(f"{base} and {candidate} are the same configuration, {short(one.id)}")
    return one, other


def eval_set(house: House, name: str) -> EvalSet:
    """An eval set by ``NAME`` (its latest version) or ``NAME@VERSION``.

    Raises:
        UsageError: if the version is no number.
        NotFoundError: if there is none.
    """
    plain, at, version = name.partition("@")
    if at and not version.isdecimal():
        raise UsageError(f'"{name}" names no eval set: write NAME or NAME@VERSION, e.g. main@2')
    try:
        return house.control.eval_set(house.app, plain, int(version) if at else None)
    except NotFoundError as error:
        known = [summary.id for summary in house.control.eval_sets(house.app)]
        hint = f"there are: {', '.join(known[-5:])}" if known else "draw one: inchworm evalset build"
        raise NotFoundError(error.message, hint=hint) from error


def open_proposal(house: House, name: str) -> str:
    """The id of a proposal that is open.

    Raises:
        NotFoundError: if it is not; those that are, are named.
    """
    names = [one.id for one in house.control.proposals(house.app)]
    if name not in names:
        listed = f"open are: {', '.join(names[:5])}" if names else "none is open"
        raise NotFoundError(f'there is no open proposal "{_line(name)}"', hint=listed)
    return name


def rollout(house: House, name: str) -> Rollout:
    """A rollout of this app by its id: ``r-7``, or ``7``.

    Raises:
        NotFoundError: if there is none; the latest are named.
    """
    wanted = f"r-{name}" if name.isdecimal() else name
    everything = house.control.rollouts(house.app)
    for one in everything:
        if one.id == wanted:
            return one
    latest = ", ".join(one.id for one in everything[-3:])
    hint = f"the latest: {latest}" if latest else "start one: inchworm plan"
    raise NotFoundError(f'{house.app} has no rollout "{_line(name)}"', hint=hint)


def decisions(house: House, name: str) -> tuple[Rollout, list[Decision]]:
    """A rollout with its decisions, oldest first: all of ``r-7``, or the one that is ``r-7/3``.

    Raises:
        NotFoundError: if there is no such rollout or decision.
    """
    rollout_name, slash, number = name.partition("/")
    found = rollout(house, rollout_name)
    every = house.control.decisions(found.id)
    if not slash:
        return found, every
    wanted = [one for one in every if one.id == f"{found.id}/{number}"]
    if not wanted:
        listed = ", ".join(one.id for one in every[-5:]) or "none yet"
        raise NotFoundError(f'there is no decision "{_line(name)}"', hint=f"there are: {listed}")
    return found, wanted


def moment(text: str, now: float) -> float:
    """A time that a person typed, as seconds since the epoch: ``2h`` ago, or ISO 8601 (local without a zone).

    Raises:
        UsageError: if it is neither.
    """
    try:
        if _AGO.fullmatch(text.strip()) is not None:
            at = now - span(text)
            datetime.fromtimestamp(at, UTC)  # a time that no calendar has is none
            return at
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        today = time.strftime("%Y-%m-%d", time.localtime(now))
        raise UsageError(f'"{_line(text)}" is no time: write 2h, 7d, {today} or {today}T14:00') from error


def below(text: str) -> tuple[str, float]:
    """A metric and the value that it is below, as a person types it: ``METRIC=VALUE``.

    Raises:
        UsageError: if it is none.
    """
    metric, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not metric or not isfinite(number):
        raise UsageError(f'"below" takes METRIC=VALUE, e.g. answered=0.5, not "{_line(text)}"')
    return metric, number


def span(text: str) -> float:
    """A duration that a person typed, in seconds: ``90d``, ``2h``.

    Raises:
        UsageError: if it is none.
    """
    found = _AGO.fullmatch(text.strip())
    if found is None:
        raise UsageError(f'"{_line(text)}" is no duration: write 45min, 12h, 90d or 4w')
    return float(found[1]) * _SECONDS[found[2]]


def _line(text: str) -> str:
    """Somebody else's text on one line, cut, with what would command a terminal left out."""
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))[:80]
