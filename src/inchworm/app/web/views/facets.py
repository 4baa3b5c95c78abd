"""The facets of the Traces page: values, how many have each, and where a press on one leads.

Everything that the rollups know is counted. What they do not know (words, how long it took, a span's kind) is
not counted once more for each facet: such values stand without a number, and a facet that is in use keeps to
the value that was chosen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from inchworm.app.filters import slower
from inchworm.app.house import House
from inchworm.app.web.formats import latency
from inchworm.app.web.views.asked import PERIODS, Asked, below, filters
from inchworm.capture.telemetry import DIALECTS
from inchworm.domain.ids import short
from inchworm.domain.span import SpanKind
from inchworm.domain.trace import Arm
from inchworm.store.traces import TraceFilter

_STORED = {
    # of the address: of the store
    "outcome": "outcome",
    "topic": "cluster",
    "arm": "arm",
    "rollout": "rollout",
    "model": "model",
    "call": "call",
    "configuration": "configuration",
    "finish": "finish_reason",
    "source": "source",
}
_SHOWN = 8
_HALF = 0.5
_TOOK = {"1s": "1 s or longer", "5s": "5 s or longer", "20s": "20 s or longer"}
_KINDS = tuple(
    kind.value
    for kind in (SpanKind.LLM, SpanKind.TOOL, SpanKind.RETRIEVER, SpanKind.AGENT, SpanKind.GUARDRAIL)
)

_TELL_SPANS = frozenset({*DIALECTS, "client"})
"""Ways by which interactions come with spans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value of a facet: how it is shown, how many have it, where it leads, and whether it is chosen."""

    label: str
    title: str
    count: int | None
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facet:
    """A facet with its values, the most frequent first; ``more`` is how many are not shown."""

    name: str
    values: tuple[Value, ...]
    more: int = 0

    @property
    def counted(self) -> bool:
        """Whether its values come with their numbers."""
        return any(value.count is not None for value in self.values)


def facets(
    house: House,
    asked: Asked,
    wanted: TraceFilter,
    here: Mapping[str, Sequence[tuple[str, int]]],
    total: int,
) -> Iterator[Facet]:
    """What can be chosen.

    Args:
        house: the app.
        asked: the address.
        wanted: what it means.
        here: the store's facets of what passes.
        total: how many pass.
    """
    lineage = house.control.lineage(house.app)
    stable = None if lineage is None else lineage.stable
    known = replace(wanted, metric_below=None).counted
    for name, stored in _STORED.items():
        chosen = getattr(asked, name)
        values = dict(here[stored]) if chosen is None else _around(house, asked, name, total)
        shown = sorted(values, key=lambda value: value != chosen)[:_SHOWN]
        shown = list(values) if len(values) <= _SHOWN else shown
        if shown:
            yield Facet(
                name=name,
                values=tuple(
                    _value(asked, name, value, _label(name, value, stable), values[value]) for value in shown
                ),
                more=len(values) - len(shown),
            )
    yield from _scores(house, asked, wanted, total, known=known)
    yield from _flags(house, asked, wanted, total, known=known)
    took = {} if asked.slower is None else {asked.slower: f"{latency(slower(asked.slower))} or longer"}
    yield _choices(asked, "took", "slower", took | _TOOK)
    if asked.kind is not None or any(source in _TELL_SPANS for source, _ in here["source"]):
        yield _choices(asked, "span", "kind", {kind: kind for kind in _KINDS})
    yield _choices(asked, "time", "since", PERIODS)


def _around(house: House, asked: Asked, name: str, total: int) -> dict[str, int]:
    """The values of a facet that is in use: of what the others leave, so that one can change over."""
    chosen = getattr(asked, name)
    if asked.q is not None or asked.attribute is not None:  # what is sought is not sought once more
        return {chosen: total}
    found = dict(house.traces.facets(house.app, filters(asked.without(name), house.now()))[_STORED[name]])
    found.setdefault(chosen, 0)
    return found


def _value(asked: Asked, name: str, value: str, label: str, count: int | None) -> Value:
    return Value(
        label=label,
        title=value,
        count=count,
        href=asked.with_facet(name, value).href(),
        chosen=value == getattr(asked, name),
    )


def _scores(house: House, asked: Asked, wanted: TraceFilter, total: int, *, known: bool) -> Iterator[Facet]:
    """For every metric that is scored by trace: how many have less than one half."""
    texts = [f"{one.name}={_HALF:g}" for one in house.spec.metrics if "builtin" not in one.source]
    if asked.below is not None and asked.below not in texts:
        texts.append(asked.below)
    values = []
    for text in texts:
        count = None
        if known:
            count = house.traces.count(house.app, replace(wanted, metric_below=below(text)))
        if (count != 0 and total) or text == asked.below:
            values.append(_value(asked, "below", text, "{} below {:g}".format(*below(text)), count))
    if values:
        yield Facet(name="score", values=tuple(values))


def _flags(house: House, asked: Asked, wanted: TraceFilter, total: int, *, known: bool) -> Iterator[Facet]:
    """What a trace has or lacks, where some do and some do not."""
    known = known and asked.below is None
    for name, title, yes, no in (
        ("scored", "scored", "by anything", "by nothing"),
        ("incomplete", "complete", "spans are missing", "all of it came"),
    ):
        chosen = getattr(asked, name)
        if not known:
            if chosen is not None:
                label = yes if chosen == "yes" else no
                yield Facet(name=title, values=(_value(asked, name, chosen, label, total),))
            continue
        without = replace(wanted, scored=None) if name == "scored" else replace(wanted, incomplete=None)
        every = total if chosen is None else house.traces.count(house.app, without)
        having = replace(without, scored=True) if name == "scored" else replace(without, incomplete=True)
        have = house.traces.count(house.app, having)
        if chosen is not None or 0 < have < every:
            yield Facet(
                name=title,
                values=(
                    _value(asked, name, "yes", yes, have),
                    _value(asked, name, "no", no, every - have),
                ),
            )


def _choices(asked: Asked, title: str, name: str, labels: Mapping[str, str]) -> Facet:
    """Values that are not counted."""
    chosen = getattr(asked, name)
    shown = dict(labels) if chosen is None or chosen in labels else {**labels, chosen: chosen}
    return Facet(
        name=title, values=tuple(_value(asked, name, value, label, None) for value, label in shown.items())
    )


def _label(name: str, value: str, stable: str | None) -> str:
    if name == "arm":
        return f"{'◆' if value == Arm.CANDIDATE else '●'} {value}"
    if name == "configuration":
        return f"{short(value)} stable" if value == stable else short(value)
    return value
