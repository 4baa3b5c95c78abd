"""The list of the Traces page: facets with their counts, rows, and the sentences over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inchworm.app.house import House
from inchworm.app.names import moment
from inchworm.app.web.formats import listed, plural
from inchworm.app.web.formats import moment as written
from inchworm.app.web.views.asked import PERIODS, Asked, below, filters
from inchworm.app.web.views.trace import asked as asked_for
from inchworm.app.web.views.trace import messages, result
from inchworm.domain.ids import TraceId, short
from inchworm.domain.outcome import word
from inchworm.domain.trace import Arm, Trace
from inchworm.store.traces import Page

ROWS = 50
"""Traces on a page."""
_FACETS = {
    # of the address: of the store
    "outcome": "outcome",
    "arm": "arm",
    "rollout": "rollout",
    "topic": "cluster",
    "configuration": "configuration",
    "finish": "finish_reason",
}
_SHOWN = 8
_HALF = 0.5


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trace in the list.

    Attributes:
        id: its id.
        at: when it started, seconds since the epoch.
        asked: what was asked; ``None`` if it came without content.
        topic: its cluster, if it has one.
        arm: its arm, if it was part of a rollout.
        outcome: ``ok``, ``failed`` or ``errored``.
        score: name and value of one metric, the first that is declared and scored.
        turns: messages but for the system's; 0 without content.
        latency_ms: how long it took, if known.
        href: the page with it beside the list.
        chosen: whether it is beside the list.
    """

    id: TraceId
    at: float
    asked: str | None
    topic: str | None
    arm: Arm | None
    outcome: str
    score: tuple[str, str] | None
    turns: int
    latency_ms: float | None
    href: str
    chosen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The page's list.

    Attributes:
        title: what the list is of.
        said: the counts behind it, and from when they are.
        total: how many traces pass.
        recorded: how many there are at all.
        page: the traces as stored, for the JSON twin.
        clusters: their topics.
        facets: what can be chosen.
        rows: what is shown.
        newest: the address of the first page, if this is a later one.
        older: the address of the next page.
        box: what stands in the search box.
        counts: traces by outcome.
    """

    title: str
    said: str
    total: int
    recorded: int
    page: Page
    clusters: dict[TraceId, str]
    facets: tuple[Facet, ...]
    rows: tuple[Row, ...]
    newest: str | None
    older: str | None
    box: str
    counts: dict[str, int]


def listing(house: House, asked: Asked) -> Listing:
    """What passes what was asked.

    Raises:
        UsageError: if a value that was asked for is none.
        InputError: if the place in the list is none, or the words cannot be stored text.
    """
    now = house.now()
    wanted = filters(asked, now)
    page = house.traces.traces(house.app, filters=wanted, after=asked.after, limit=ROWS)
    clusters = house.traces.clusters(house.app, [one.id for one in page.traces])
    metrics = [metric.name for metric in house.spec.metrics]
    here = house.traces.facets(house.app, wanted)
    counts = dict(here["outcome"])
    return Listing(
        title=_title(asked, page.total),
        said=_said(page, counts, asked, now),
        total=page.total,
        recorded=house.traces.count(house.app),
        page=page,
        clusters=clusters,
        facets=tuple(_facets(house, asked, here, now)),
        rows=tuple(_row(one, clusters.get(one.id), asked, metrics) for one in page.traces),
        newest=replace(asked, after=None).href() if asked.after else None,
        older=replace(asked, after=page.next_cursor, peek=None).href() if page.next_cursor else None,
        box=" ".join(
            [*(f"{name}:{_quoted(value)}" for name, value in asked.written()), asked.q or ""]
        ).strip(),
        counts=counts,
    )


def _title(asked: Asked, total: int) -> str:
    parts = [plural(total, "trace")]
    parts += ["that nobody saw"] if asked.shadow else []
    parts += [f"of the {asked.arm}"] if asked.arm else []
    parts += [f"in {asked.rollout}"] if asked.rollout else []
    parts += [f"about {asked.topic}"] if asked.topic else []
    parts += [f"answered by {short(asked.configuration)}"] if asked.configuration else []
    parts += [f"containing “{asked.q}”"] if asked.q else []
    ends = {"ok": "were answered", "failed": "failed", "errored": "errored"}
    became = [ends[asked.outcome]] if asked.outcome else []
    became += [f"ended with {asked.finish}"] if asked.finish else []
    if asked.below:
        metric, value = below(asked.below)
        became.append(f"scored below {value:g} on {metric}")
    return " ".join(parts + ([f"that {listed(became)}"] if became else []))


def _said(page: Page, counts: dict[str, int], asked: Asked, now: float) -> str:
    if page.total == 0:
        return "Nothing recorded passes all of this."
    parts = []
    if asked.outcome is None:
        bad = [f"{counts[name]:,} {name}" for name in ("failed", "errored") if counts.get(name)]
        parts.append(f"{', '.join(bad) or 'None failed'} of {page.total:,}.")
    if page.traces and asked.after is None:
        parts.append(f"The newest is of {written(page.traces[0].at, now)}.")
    if asked.since or asked.until:
        edges = [
            f"{preposition} {written(moment(text, now), now)}"
            for preposition, text in (("from", asked.since), ("until", asked.until))
            if text
        ]
        parts.append(f"Only {' '.join(edges)}.")
    return " ".join(parts)


def _facets(house: House, asked: Asked, here: dict[str, list[tuple[str, int]]], now: float) -> list[Facet]:
    stable = house.control.lineage(house.app)
    found: list[Facet] = []
    for name, stored in _FACETS.items():
        chosen = getattr(asked, name)
        # Counts of a facet that is in use are of what the others leave, so that one can change over.
        values = (
            here[stored]
            if chosen is None
            else house.traces.facets(house.app, filters(asked.without(name), now))[stored]
        )
        named = dict(values)
        if chosen is not None:
            named.setdefault(chosen, 0)
        shown = (
            sorted(named, key=lambda value: value != chosen)[:_SHOWN] if len(named) > _SHOWN else list(named)
        )
        if not named:
            continue
        found.append(
            Facet(
                name=name,
                values=tuple(
                    Value(
                        label=_label(name, value, None if stable is None else stable.stable),
                        title=value,
                        count=named[value],
                        href=asked.with_facet(name, value).href(),
                        chosen=value == chosen,
                    )
                    for value in shown
                ),
                more=len(named) - len(shown),
            )
        )
    return [*found, *_scores(house, asked, now), _times(asked)]


def _scores(house: House, asked: Asked, now: float) -> list[Facet]:
    """For every metric that is scored by trace: how many have less than one half."""
    chosen = asked.below
    texts = [f"{one.name}={_HALF:g}" for one in house.spec.metrics if "builtin" not in one.source]
    if chosen is not None and chosen not in texts:
        texts.append(chosen)
    counted = []
    for text in texts:
        wanted = filters(asked.with_facet("below", None if chosen is None else chosen), now)
        wanted = replace(wanted, metric_below=below(text))
        counted.append((text, house.traces.traces(house.app, filters=wanted, limit=1).total))
    values = tuple(
        Value(
            label="{} below {:g}".format(*below(text)),
            title=text,
            count=count,
            href=asked.with_facet("below", text).href(),
            chosen=text == chosen,
        )
        for text, count in counted
        if count or text == chosen
    )
    return [Facet(name="score", values=values)] if values else []


def _times(asked: Asked) -> Facet:
    shown = (
        PERIODS if asked.since is None or asked.since in PERIODS else {**PERIODS, asked.since: asked.since}
    )
    return Facet(
        name="time",
        values=tuple(
            Value(
                label=label,
                title=since,
                count=None,
                href=asked.with_facet("since", since).href(),
                chosen=since == asked.since,
            )
            for since, label in shown.items()
        ),
    )


def _label(name: str, value: str, stable: str | None) -> str:
    if name == "arm":
        return f"{'◆' if value == Arm.CANDIDATE else '●'} {value}"
    if name == "configuration":
        return f"{short(value)} stable" if value == stable else short(value)
    return value


def _row(trace: Trace, cluster: str | None, asked: Asked, metrics: Sequence[str]) -> Row:
    latest = {one.metric: one for one in sorted(trace.scores, key=lambda one: one.at)}
    shown = [*(name for name in metrics if name in latest), *sorted(latest)]
    spoken = [one for one in messages(trace) if one.get("role") != "system"]
    return Row(
        id=trace.id,
        at=trace.at,
        asked=asked_for(trace),
        topic=cluster,
        arm=None if trace.assignment is None else trace.assignment.arm,
        outcome=word(trace.outcome),
        score=(shown[0], result(latest[shown[0]].result)) if shown else None,
        turns=len(spoken) + (trace.output is not None) if spoken else 0,
        latency_ms=trace.latency_ms,
        href=replace(asked, peek=trace.id).href(),
        chosen=trace.id == asked.peek,
    )


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value
