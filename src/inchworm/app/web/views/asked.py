"""What the address of the Traces page asks for: facets, words, a period, a place in the list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from urllib.parse import quote, urlencode

from inchworm.app.filters import OUTCOMES, attribute, between, slower
from inchworm.app.names import moment
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Arm
from inchworm.store.traces import TraceFilter

PATH = "/traces"
_SAID = re.compile(r'(?P<name>[a-z]+):(?:"(?P<quoted>[^"]*)"|(?P<plain>\S+))')
PERIODS = {"1h": "last hour", "24h": "last 24 h", "7d": "last 7 days"}
"""Periods that are one press away, and what they are called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One address of the page. Every member is text as it stands there; ``None`` if it does not.

    Attributes:
        outcome: ``ok``, ``failed`` or ``errored``.
        arm: ``baseline`` or ``candidate``.
        rollout: id of a rollout.
        configuration: id of a configuration.
        topic: name of a cluster.
        finish: the provider's word for why it ended.
        model: the model that answered.
        call: name of one of the app's calls.
        source: the way that it came by.
        unit: a session, user or request.
        slower: ``2s``: it took so long or longer.
        scored: ``yes`` for any score, ``no`` for none.
        incomplete: ``yes`` where spans are missing, ``no`` where none is.
        kind: it has a span of this kind.
        step: it has a span of this name.
        attribute: ``NAME=VALUE``.
        between: ``METRIC=LOW..HIGH``: the latest score on the metric lies there.
        below: ``METRIC=VALUE``: the latest score on the metric is below the value.
        q: words that inputs, answer or reference contain.
        since: ``24h``, or a moment in ISO 8601; from then.
        until: a moment in ISO 8601; before then.
        shadow: ``1`` for answers to mirrored calls, which nobody saw, in place of all that somebody saw.
        after: where the page before ended.
        peek: the trace that is looked at beside the list.
        span: which of its spans is open.
    """

    outcome: str | None = None
    arm: str | None = None
    rollout: str | None = None
    configuration: str | None = None
    topic: str | None = None
    finish: str | None = None
    model: str | None = None
    call: str | None = None
    source: str | None = None
    unit: str | None = None
    slower: str | None = None
    scored: str | None = None
    incomplete: str | None = None
    kind: str | None = None
    step: str | None = None
    attribute: str | None = None
    between: str | None = None
    below: str | None = None
    q: str | None = None
    since: str | None = None
    until: str | None = None
    shadow: str | None = None
    after: str | None = None
    peek: str | None = None
    span: str | None = None

    @classmethod
    def of(cls, query: Mapping[str, str]) -> Asked:
        """From the query of an address; what it does not know is left out, and so is what is empty."""
        return cls(**{name: value for name, value in query.items() if name in cls.__slots__ and value})

    @property
    def filtered(self) -> bool:
        """Whether it asks for less than everything."""
        return self.only_filters() != Asked()

    def only_filters(self) -> Asked:
        """The same traces from the first page on, without one beside the list."""
        return replace(self, after=None, peek=None, span=None)

    def href(self, path: str = PATH) -> str:
        """The address."""
        said = {name: value for name, value in asdict(self).items() if value is not None}
        return f"{path}?{urlencode(said, quote_via=quote)}" if said else path

    def with_facet(self, name: str, value: str | None) -> Asked:
        """With this value of a facet; without the facet, if it has the value already."""
        return replace(self.only_filters(), **{name: None if getattr(self, name) == value else value})

    def without(self, name: str) -> Asked:
        """Without a facet."""
        return replace(self.only_filters(), **{name: None})

    def spread(self) -> Asked:
        """With ``name:value`` in the words taken as facets: ``refund outcome:failed topic:"size advice"``."""
        if self.q is None:
            return self
        found = {
            said["name"]: said["quoted"] if said["plain"] is None else said["plain"]
            for said in _SAID.finditer(self.q)
            if said["name"] in _WRITTEN
        }
        rest = _SAID.sub(lambda said: "" if said["name"] in _WRITTEN else said.group(), self.q)
        return replace(self, **found, q=" ".join(rest.split()) or None) if found else self

    def written(self) -> Iterator[tuple[str, str]]:
        """Its facets by name, as far as they may be written among the words."""
        for name in _WRITTEN:
            value = getattr(self, name)
            if value is not None:
                yield name, value

    def looking_at(self, trace: str | None, span: str | None = None) -> Asked:
        """With a trace beside the list, and one of its spans open."""
        return replace(self, peek=trace, span=span)


_WRITTEN = (
    *("outcome", "arm", "rollout", "configuration", "topic", "model", "call", "source", "finish", "unit"),
    *("slower", "scored", "incomplete", "kind", "step", "attribute", "below", "between", "since", "until"),
    "shadow",
)


def filters(asked: Asked, now: float) -> TraceFilter:
    """What the store is asked.

    Args:
        asked: the address.
        now: seconds since the epoch.

    Raises:
        UsageError: if a value is none that the facet has; it says which there are.
    """
    _one_of("outcome", asked.outcome, OUTCOMES)
    _one_of("arm", asked.arm, list(Arm))
    _one_of("kind", asked.kind, list(SpanKind))
    if asked.shadow not in {None, "1"}:
        raise UsageError(f'shadow is 1, or left out, not "{asked.shadow}"')
    return TraceFilter(
        configuration=None if asked.configuration is None else ConfigurationId(asked.configuration),
        arm=None if asked.arm is None else Arm(asked.arm),
        rollout=None if asked.rollout is None else RolloutId(asked.rollout),
        cluster=asked.topic,
        outcome=asked.outcome,
        finish_reason=asked.finish,
        model=asked.model,
        call=asked.call,
        source=asked.source,
        unit=None if asked.unit is None else UnitId(asked.unit),
        min_latency_ms=None if asked.slower is None else slower(asked.slower),
        scored=_yes("scored", asked.scored),
        incomplete=_yes("incomplete", asked.incomplete),
        span_kind=asked.kind,
        span_name=asked.step,
        attribute=None if asked.attribute is None else attribute(asked.attribute),
        metric_below=None if asked.below is None else below(asked.below),
        metric_between=None if asked.between is None else between(asked.between),
        text=asked.q,
        since=None if asked.since is None else moment(asked.since, now),
        until=None if asked.until is None else moment(asked.until, now),
        shadow=asked.shadow == "1",
    )


def _one_of(name: str, value: str | None, values: Sequence[str]) -> None:
    if value is not None and value not in values:
        raise UsageError(f'{name} is {", ".join(values[:-1])} or {values[-1]}, not "{value}"')


def _yes(name: str, value: str | None) -> bool | None:
    _one_of(name, value, ("yes", "no"))
    return None if value is None else value == "yes"


def below(text: str) -> tuple[str, float]:
    """``METRIC=VALUE`` taken apart.

    Raises:
        UsageError: if it is not that.
    """
    metric, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not metric or not 0 <= number <= 1:
        raise UsageError(f'below is METRIC=VALUE with a value in [0, 1], e.g. answered=0.5, not "{text}"')
    return metric, number
