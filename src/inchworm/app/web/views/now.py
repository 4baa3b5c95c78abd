"""The first page: what is in flight, what waits for a person, what changed, and how good the answers are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.loop import standing
from inchworm.app.loop.retiring import notices
from inchworm.app.serve.state import ServerState
from inchworm.app.texts import span
from inchworm.app.web.views.quality import Quality
from inchworm.app.web.views.quality import read as read_quality
from inchworm.app.web.views.queued import QueuedRow, queue
from inchworm.app.web.views.rollout import RolloutPage, build
from inchworm.app.web.views.seen import look
from inchworm.app.web.views.stages import StageStart
from inchworm.app.web.views.tile import Tile
from inchworm.app.web.views.waiting import Waits, waits
from inchworm.app.web.views.words import at, sentence, sentence_end
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import quarantined
from inchworm.domain.configuration import Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId, short
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.metric import Role
from inchworm.domain.notice import NoticeState
from inchworm.domain.rollout import LedgerEntry, Lineage, Rollout, RolloutState
from inchworm.domain.wording import counted, listed
from inchworm.domain.work import WorkState
from inchworm.rollout.transitions import IN_FLIGHT
from inchworm.store.traces import SeenConfiguration

DAY_S = 86_400.0
SHOWN = 8
_NUMBERS = "no one two three four five six seven eight nine ten eleven twelve".split()
_TOLD = re.compile(r"(?P<id>r-\d+) (?P<layers>\w+(?:(?:, | and )\w+)*): (?P<said>.+)", re.DOTALL)
_OF_ROLLOUTS = frozenset({"rollout", "emergency"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A rollout in flight, as a row.

    Attributes:
        id: ``r-57``.
        layers: the layers that move.
        change: what it changes.
        emergency: why the glass was broken; ``None`` unless it was.
        stage: ``25 %``, ``benchmark``.
        lasted: how long it has been there.
        exposed: ``823 of 7,330``.
        split: the sample ratio, in words.
        goal: the tile of the first goal; ``None`` before there is evidence.
        stages: when each stage began.
        until: where the time axis ends.
        say: its state, with a because.
        then: what happens next.
    """

    id: str
    layers: tuple[str, ...]
    change: str
    emergency: str | None
    stage: str
    lasted: str
    exposed: str
    split: str
    goal: Tile | None
    stages: tuple[StageStart, ...]
    until: float
    say: str
    then: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A ledger entry as a sentence.

    Attributes:
        at: seconds since the epoch.
        rollout: id of the rollout that it is about; empty if of none.
        verb: what was done; empty if the sentence stands alone.
        rest: the rest.
        actor: who, unless it was Inchworm.
    """

    at: float
    rollout: str
    verb: str
    rest: str
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRow:
    """A configuration that traffic shows.

    Attributes:
        id: which; empty if nobody knows.
        model: its model, if known.
        layers: which layers differ from the one before it, in words.
        n: traces.
        first: seconds since the epoch.
        last: likewise.
    """

    id: str
    model: str
    layers: str
    n: int
    first: float
    last: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NowPage:
    """What the first page says, and its JSON twin.

    Attributes:
        app: ``app/environment``.
        observing: whether nothing is declared yet and the app is only watched.
        title: what is the matter, in a line.
        say: the state as a sentence.
        then: what to do next; empty if nothing.
        command: the command for it; empty if none.
        in_flight: rollouts in flight.
        waits: what waits for a person.
        told: what changed in the last day, newest first.
        more: how many entries more.
        quality: quality and changes over time; ``None`` without traffic.
        queue: steps that wait.
        seen: configurations that traffic shows; only while observing.
        now: seconds since the epoch.
    """

    app: str
    observing: bool
    title: str
    say: str
    then: str
    command: str
    in_flight: tuple[Flight, ...]
    waits: tuple[Waits, ...]
    told: tuple[Told, ...]
    more: int
    quality: Quality | None
    queue: tuple[QueuedRow, ...]
    seen: tuple[SeenRow, ...]
    now: float


def now_page(state: ServerState) -> NowPage:
    """Read everything, and say it."""
    house = state.house
    control, moment = house.control, house.now()
    lineage = control.lineage(house.app)
    rollouts = control.rollouts(house.app)
    flying = [one for one in rollouts if one.state in IN_FLIGHT]
    queued = [one for one in rollouts if one.state is RolloutState.QUEUED]
    pages = [] if lineage is None else [build(look(house, state.publisher, one), lineage) for one in flying]
    traces = house.traces.count(house.app)
    waiting = waits(
        flying=flying,
        queued=queued,
        lineage=lineage,
        declared=house.spec.configuration.id,
        traces=traces,
        proposals=control.proposals(house.app),
        failed=control.work(house.app, {WorkState.FAILED}),
        quarantine=quarantined(house.spec.data / SPOOL),
        health=state.health(),
        approvals=control.approvals([one.id for one in (*flying, *queued)]),
        untold=control.notices(house.app, {NoticeState.FAILED}),
        retiring=notices(house),
    )
    entries = control.ledger(house.app, since=moment - DAY_S, limit=1000)
    seen = seen_rows(house) if lineage is None else ()
    say, then, command = _say(state, lineage, pages, traces=traces, seen=seen)
    return NowPage(
        app=str(house.app),
        observing=lineage is None,
        title=title(str(house.app), len(flying), len(waiting), observing=lineage is None),
        say=say,
        then=then,
        command=command,
        in_flight=tuple(flight(page, one) for page, one in zip(pages, flying, strict=True)),
        waits=waiting,
        told=tuple(told(one) for one in entries[:SHOWN]),
        more=max(len(entries) - SHOWN, 0),
        quality=read_quality(house, rollouts, declared=lineage is not None),
        queue=() if lineage is None else queue(house, lineage, queued, flying),
        seen=seen,
        now=moment,
    )


def title(app: str, flying: int, waiting: int, *, observing: bool) -> str:
    """``Two changes in flight, four things wait for a person``."""
    if observing:
        return f"Observing {app}"
    first = (
        "Nothing is in flight" if not flying else f"{_number(flying)} {_plural(flying, 'change')} in flight"
    )
    if not waiting:
        return f"{first}, nothing waits for a person"
    waits_ = "waits" if waiting == 1 else "wait"
    return f"{first}, {_number(waiting).lower()} {_plural(waiting, 'thing')} {waits_} for a person"


def _number(number: int) -> str:
    return _NUMBERS[number].capitalize() if number < len(_NUMBERS) else f"{number:,}"


def _plural(number: int, word: str) -> str:
    return word if number == 1 else f"{word}s"


def _say(
    state: ServerState,
    lineage: Lineage | None,
    pages: Sequence[RolloutPage],
    *,
    traces: int,
    seen: Sequence[SeenRow],
) -> tuple[str, str, str]:
    """The state, what comes next, and the command for it."""
    house = state.house
    if lineage is None:
        if not traces:
            where = f"Point your client’s base_url at {state.gateway_url}/v1." if state.gateway_url else ""
            return f"No request was seen yet. {where}".strip(), "", ""
        known = [one for one in seen if one.id]
        what = f", {counted(len(known), 'configuration')} told apart" if known else ""
        return (
            f"{counted(traces, 'request')} seen{what}. Nothing is changed, and nothing is declared yet.",
            "Next: lift what runs today into inchworm.yaml, and declare it stable.",
            "inchworm adopt",
        )
    stable = f"Stable is {short(lineage.stable)} since {at(lineage.since, house.now())}, {lineage.note}."
    if pages:
        harmed = [page.id for page in pages if any(tile.harmed for tile in page.tiles)]
        first = f"{listed(harmed)} does harm." if harmed else "Nothing is being harmed."
        return first, stable, ""
    following = standing.following(standing.look(house))
    then, _, command = following.partition("Next: ")
    return stable, f"{then}Next:" if command else then, command


def flight(page: RolloutPage, rollout: Rollout) -> Flight:
    """A row of what is in flight."""
    exposed = [row for row in page.exposures.rows if not row.paired]
    pairs = sum(row.units for row in page.exposures.rows if row.paired)
    total = page.exposures.total or next(iter(exposed), None)
    nobody = f"nobody, {counted(pairs, 'pair')}" if pairs else "nobody"
    here = next((rung.name for rung in page.ladder.rungs if rung.place == "here"), rollout.state.value)
    goals = [metric.name for metric in rollout.metrics if metric.role is Role.GOAL]
    tile = next((one for one in page.tiles if one.name in goals), page.tiles[0] if page.tiles else None)
    return Flight(
        id=page.id,
        layers=page.layers,
        change=page.change,
        emergency=page.emergency,
        stage=here,
        lasted=span(page.now - rollout.entered_at),
        exposed=nobody if total is None else f"{total.candidate:,} of {total.units:,}",
        split=page.exposures.split,
        goal=tile,
        stages=page.stages,
        until=page.until,
        say=page.say,
        then=page.then[0] if page.then else "",
    )


def told(entry: LedgerEntry) -> Told:
    """A ledger entry: of a rollout, its verb is taken apart, so that it can be said loud."""
    match = _TOLD.fullmatch(entry.what)
    actor = "" if entry.actor == "inchworm" else entry.actor
    if match is None or entry.kind not in _OF_ROLLOUTS:
        return Told(at=entry.at, rollout="", verb="", rest=sentence(entry.what), actor=actor)
    said = sentence(match["said"])
    verb = "rolled back" if said.lower().startswith("rolled back") else said.partition(" ")[0].lower()
    # The page of the rollout says the rest: here the first clause is enough.
    rest = said[len(verb) :].partition(";")[0].partition(" (at the pace")[0]
    return Told(at=entry.at, rollout=match["id"], verb=verb, rest=sentence_end(rest), actor=actor)


def seen_rows(house: House) -> tuple[SeenRow, ...]:
    """Configurations that traffic shows, the most recent first."""
    found = house.traces.seen(house.app, limit=12)
    known = {one.id: _known(house, one.id) for one in found if one.id is not None}
    ordered = sorted((one for one in found if one.id is not None), key=lambda one: one.first)
    before: dict[ConfigurationId, Configuration | None] = {}
    last: Configuration | None = None
    for one in ordered:
        if one.id is not None:
            before[one.id] = last
            last = known[one.id] or last
    return tuple(_seen_row(one, known, before) for one in found)


def _known(house: House, id_: ConfigurationId) -> Configuration | None:
    try:
        return house.control.configuration(id_)
    except NotFoundError:
        return None


def _seen_row(
    one: SeenConfiguration,
    known: dict[ConfigurationId, Configuration | None],
    before: dict[ConfigurationId, Configuration | None],
) -> SeenRow:
    here = None if one.id is None else known[one.id]
    earlier = None if one.id is None else before[one.id]
    layers = ""
    if here is not None and earlier is not None:
        layers = listed(
            [layer.value for layer in LAYERS if here.digest(layer) != earlier.digest(layer)] or ["nothing"]
        )
    return SeenRow(
        id="" if one.id is None else one.id,
        model="" if here is None else str(here.layer(Layer.MODEL).get("name", "")),
        layers=layers,
        n=one.n,
        first=one.first,
        last=one.last,
    )
