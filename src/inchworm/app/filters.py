"""Which interactions are meant, as a person or a program says it. For every face of Inchworm."""

from __future__ import annotations

import re
from math import isfinite
from typing import TYPE_CHECKING, TypedDict, Unpack

from inchworm.app import names
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Arm

if TYPE_CHECKING:  # these bring the stores with them, which --help must not wait for
    from inchworm.app.house import House
    from inchworm.store.traces import TraceFilter

OUTCOMES = ("ok", "failed", "errored")
_TOOK = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min)?")
_MILLISECONDS = {"ms": 1.0, "s": 1_000.0, "min": 60_000.0, None: 1.0}


class Said(TypedDict, total=False):
    """Filters as they are typed; ``None`` and what is left out filters nothing.

    The members are those of :class:`~inchworm.store.traces.TraceFilter`, but for these: ``configuration`` may
    also be ``stable``, ``declared`` or the beginning of an id; ``unit`` is an id as callers send it, or as it
    is shown; ``below``, ``between``, ``slower``, ``attribute``, ``since`` and ``until`` are texts as
    :func:`inchworm.app.names.below`, :func:`between`, :func:`slower`, :func:`attribute` and
    :func:`inchworm.app.names.moment` read them.
    """

    configuration: str | None
    arm: str | None
    rollout: str | None
    cluster: str | None
    outcome: str | None
    not_ok: bool
    finish: str | None
    below: str | None
    between: str | None
    scored: bool | None
    unit: str | None
    call: str | None
    model: str | None
    source: str | None
    attribute: str | None
    slower: str | None
    incomplete: bool | None
    kind: str | None
    span: str | None
    text: str | None
    since: str | None
    until: str | None
    shadow: bool


def made(house: House, **said: Unpack[Said]) -> TraceFilter:
    """What the store is asked.

    Args:
        house: the app.
        said: what was typed.

    Raises:
        UsageError: if something typed is not what it should be; it says what it may be.
        NotFoundError: if the configuration is none that is stored.
    """
    from inchworm.store.traces import TraceFilter

    now, configured, unit = house.now(), said.get("configuration"), said.get("unit")
    arm, rollout = said.get("arm"), said.get("rollout")
    since, until, slow = said.get("since"), said.get("until"), said.get("slower")
    below, range_, marked = said.get("below"), said.get("between"), said.get("attribute")
    return TraceFilter(
        configuration=None if configured is None else names.configuration(house, configured).id,
        arm=None if arm is None else Arm(arm),
        rollout=None if rollout is None else RolloutId(rollout),
        cluster=said.get("cluster"),
        outcome=said.get("outcome"),
        not_ok=bool(said.get("not_ok")),
        finish_reason=said.get("finish"),
        metric_below=None if below is None else names.below(below),
        metric_between=None if range_ is None else between(range_),
        scored=said.get("scored"),
        unit=None if unit is None else house.pseudonym(UnitId(unit)),
        call=said.get("call"),
        model=said.get("model"),
        source=said.get("source"),
        attribute=None if marked is None else attribute(marked),
        min_latency_ms=None if slow is None else slower(slow),
        incomplete=said.get("incomplete"),
        span_kind=said.get("kind"),
        span_name=said.get("span"),
        text=said.get("text"),
        since=None if since is None else names.moment(since, now),
        until=None if until is None else names.moment(until, now),
        shadow=bool(said.get("shadow")),
    )


def between(text: str) -> tuple[str, float, float]:
    """A metric and the range that its latest score lies in, both ends included: ``METRIC=LOW..HIGH``.

    Raises:
        UsageError: if it is none.
    """
    metric, _, range_ = text.rpartition("=")
    low, _, high = range_.partition("..")
    try:
        ends = float(low), float(high)
    except ValueError:
        ends = (float("nan"), float("nan"))
    if not metric or not all(map(isfinite, ends)) or ends[0] > ends[1]:
        raise UsageError(f'"between" takes METRIC=LOW..HIGH, e.g. helpful=0.4..0.7, not "{_line(text)}"')
    return metric, *ends


def slower(text: str) -> float:
    """How long it took at least, in milliseconds: ``2s``, ``800ms``, ``1.5min``; a number alone is that.

    Raises:
        UsageError: if it is none.
    """
    found = _TOOK.fullmatch(text.strip())
    took = float(found[1]) * _MILLISECONDS[found[2]] if found is not None else float("inf")
    if not isfinite(took):
        raise UsageError(f'"slower" takes a duration, e.g. 2s or 800ms, not "{_line(text)}"')
    return took


def attribute(text: str) -> tuple[str, str]:
    """The name of an attribute and its value: ``NAME=VALUE``.

    Raises:
        UsageError: if it is none.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageError(f'"attribute" takes NAME=VALUE, not "{_line(text)}"')
    return name, value


def _line(text: str) -> str:
    return "".join(char if char.isprintable() else "�" for char in " ".join(text.split()))[:80]
