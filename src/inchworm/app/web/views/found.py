"""The list of the Traces page: facets with their counts, rows, and the sentences over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from inchworm.app.filters import slower
from inchworm.app.house import House
from inchworm.app.names import moment
from inchworm.app.web.formats import latency, listed, plural
from inchworm.app.web.formats import moment as written
from inchworm.app.web.views.asked import Asked, below, filters
from inchworm.app.web.views.conversation import asked as asked_for
from inchworm.app.web.views.conversation import messages
from inchworm.app.web.views.facets import Facet, facets
from inchworm.app.web.views.trace import result
from inchworm.capture.telemetry.folding import INCOMPLETE, SPANS
from inchworm.domain.ids import TraceId, short
from inchworm.domain.outcome import word
from inchworm.domain.trace import Arm, Trace
from inchworm.store.traces import Page, TraceFilter
from inchworm.store.traces.search import cursor, place

ROWS = 50
"""Traces on a page."""
_AFTER_ALL = "\U0010ffff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Where the list that somebody reads begins, so that what arrives does not push it away.

    Attributes:
        place: a cursor just before its first row.
        href: the address of the list, by which one of other filters is told from it.
    """

    place: str
    href: str

    @classmethod
    def of(cls, text: str | None) -> Held | None:
        """As :meth:`text` wrote it; ``None`` for anything else."""
        at, _, href = (text or "").partition(" ")
        return cls(place=at, href=href) if at and href else None

    def text(self) -> str:
        """Fit for a header: ASCII on one line."""
        return f"{self.place} {self.href}"

    def holds(self, asked: Asked) -> bool:
        """Whether it is of the first page of these filters."""
        return asked.after is None and asked.only_filters().href() == self.href


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A trace in the list.

    Attributes:
        id: its id.
        at: when it started, seconds since the epoch.
        asked: what was asked; ``None`` if it came without content.
        expired: whether its content was deleted for its age.
        topic: its cluster, if it has one.
        arm: its arm, if it was part of a rollout.
        outcome: ``ok``, ``failed`` or ``errored``.
        score: name and value of one metric, the first that is declared and scored.
        turns: messages but for the system's; 0 without content.
        spans: how many spans are known of it; 0 if it came without.
        incomplete: whether spans of it are missing.
        latency_ms: how long it took, if known.
        href: the page with it beside the list.
        chosen: whether it is beside the list.
    """

    id: TraceId
    at: float
    asked: str | None
    expired: bool
    topic: str | None
    arm: Arm | None
    outcome: str
    score: tuple[str, str] | None
    turns: int
    spans: int
    incomplete: bool
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
        newer: how many came that are newer than the first row.
        held: where the list begins; ``None`` on later pages, and if it is empty.
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
    newer: int = 0
    held: Held | None = None


def listing(house: House, asked: Asked, held: Held | None = None) -> Listing:
    """What passes what was asked.

    Args:
        house: the app.
        asked: the address.
        held: where the list begins that is shown already, if one is: it stays, and what is newer is counted.

    Raises:
        UsageError: if a value that was asked for is none.
        InputError: if the place in the list is none, or the words cannot be stored text.
    """
    now = house.now()
    wanted = filters(asked, now)
    kept = held if held is not None and held.holds(asked) else None
    after = asked.after if kept is None else kept.place
    page = house.traces.traces(house.app, filters=wanted, after=after, limit=ROWS)
    clusters = house.traces.clusters(house.app, [one.id for one in page.traces])
    metrics = [metric.name for metric in house.spec.metrics]
    here = house.traces.facets(house.app, wanted)
    counts = dict(here["outcome"])
    newer = 0 if kept is None else _newer(house, wanted, kept, page)
    if kept is None and asked.after is None and page.traces:
        first = page.traces[0]
        kept = Held(place=cursor(first.at, first.id + _AFTER_ALL), href=asked.only_filters().href())
    return Listing(
        title=_title(asked, page.total),
        said=_said(page, counts, asked, now, newer=newer),
        total=page.total,
        recorded=page.total if not asked.filtered else house.traces.count(house.app),
        page=page,
        clusters=clusters,
        facets=tuple(facets(house, asked, wanted, here, page.total)),
        rows=tuple(_row(one, clusters.get(one.id), asked, metrics) for one in page.traces),
        newest=replace(asked, after=None).href() if asked.after else None,
        older=replace(asked, after=page.next_cursor, peek=None, span=None).href()
        if page.next_cursor
        else None,
        box=" ".join(
            [*(f"{name}:{_quoted(value)}" for name, value in asked.written()), asked.q or ""]
        ).strip(),
        counts=counts,
        newer=newer,
        held=kept,
    )


def _newer(house: House, wanted: TraceFilter, held: Held, page: Page) -> int:
    """How many are newer than the place where the list begins."""
    at, _ = place(held.place)
    since = at if wanted.since is None else max(at, wanted.since)
    n = house.traces.count(house.app, replace(wanted, since=since))
    return max(n - sum(one.at == at for one in page.traces), 0)


def _title(asked: Asked, total: int) -> str:
    parts = [plural(total, "trace")]
    parts += ["that nobody saw"] if asked.shadow else []
    parts += [f"of the {asked.arm}"] if asked.arm else []
    parts += [f"in {asked.rollout}"] if asked.rollout else []
    parts += [f"of the call {asked.call}"] if asked.call else []
    parts += [f"of {asked.unit}"] if asked.unit else []
    parts += [f"by {asked.source}"] if asked.source else []
    parts += [f"about {asked.topic}"] if asked.topic else []
    parts += [f"answered by {short(asked.configuration)}"] if asked.configuration else []
    parts += [f"answered by {asked.model}"] if asked.model else []
    parts += [f"with a span of kind {asked.kind}"] if asked.kind else []
    parts += [f"with a span named {asked.step}"] if asked.step else []
    parts += [f"with {asked.attribute}"] if asked.attribute else []
    parts += [f"containing “{asked.q}”"] if asked.q else []
    became = _became(asked)
    return " ".join(parts + ([f"that {listed(became)}"] if became else []))


def _became(asked: Asked) -> list[str]:
    ends = {"ok": "were answered", "failed": "failed", "errored": "errored"}
    found = [ends[asked.outcome]] if asked.outcome else []
    found += [f"ended with {asked.finish}"] if asked.finish else []
    found += [f"took {latency(slower(asked.slower))} or longer"] if asked.slower else []
    if asked.below:
        metric, value = below(asked.below)
        found.append(f"scored below {value:g} on {metric}")
    found += [f"scored {asked.between.replace('..', ' to ')}"] if asked.between else []
    if asked.scored:
        found.append("were scored" if asked.scored == "yes" else "nothing scored")
    if asked.incomplete:
        found.append("lack spans" if asked.incomplete == "yes" else "are complete")
    return found


def _said(page: Page, counts: dict[str, int], asked: Asked, now: float, *, newer: int) -> str:
    if page.total == 0:
        return "Nothing recorded passes all of this."
    parts = []
    if asked.outcome is None:
        bad = [f"{counts[name]:,} {name}" for name in ("failed", "errored") if counts.get(name)]
        parts.append(f"{', '.join(bad) or 'None failed'} of {page.total:,}.")
    if page.traces and asked.after is None and not newer:
        parts.append(f"The newest is of {written(page.traces[0].at, now)}.")
    if asked.since or asked.until:
        edges = [
            f"{preposition} {written(moment(text, now), now)}"
            for preposition, text in (("from", asked.since), ("until", asked.until))
            if text
        ]
        parts.append(f"Only {' '.join(edges)}.")
    if page.searched is not None:
        parts.append(
            f"Looked at the newest {page.searched:,} that pass the rest; name a time for older ones."
        )
    return " ".join(parts)


def _row(trace: Trace, cluster: str | None, asked: Asked, metrics: Sequence[str]) -> Row:
    latest = {one.metric: one for one in sorted(trace.scores, key=lambda one: one.at)}
    shown = [*(name for name in metrics if name in latest), *sorted(latest)]
    spoken = [one for one in messages(trace) if one.get("role") != "system"]
    return Row(
        id=trace.id,
        at=trace.at,
        asked=asked_for(trace),
        expired=trace.is_expired,
        topic=cluster,
        arm=None if trace.assignment is None else trace.assignment.arm,
        outcome=word(trace.outcome),
        score=(shown[0], result(latest[shown[0]].result)) if shown else None,
        turns=len(spoken) + (trace.output is not None) if spoken else 0,
        spans=n if isinstance(n := trace.attributes.get(SPANS), int) else 0,
        incomplete=trace.attributes.get(INCOMPLETE) is True,
        latency_ms=trace.latency_ms,
        href=asked.looking_at(trace.id).href(),
        chosen=trace.id == asked.peek,
    )


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value
