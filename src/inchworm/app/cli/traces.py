"""``inchworm traces``: stored interactions, listed by filters, counted by facets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Unpack

import click

from inchworm.app import asjson, filters
from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, heading, note, say, table, when, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.cli.traces_filters import filter_options
from inchworm.app.filters import Said
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import short
from inchworm.domain.outcome import Errored, Result, Scored, Unscored, word

if TYPE_CHECKING:
    from inchworm.domain.trace import Trace

group = LazyGroup(
    name="traces",
    default="list",
    lazy={
        "list": Lazy(
            "inchworm.app.cli.traces:list_",
            "List interactions, newest first (what you get without a command).",
        ),
        "facets": Lazy("inchworm.app.cli.traces:facets", "Count interactions by their values."),
        "show": Lazy("inchworm.app.cli.traces_show:show", "Show one interaction with its spans."),
        "export": Lazy("inchworm.app.cli.traces_export:export", "Write interactions as a file."),
    },
    help="Look at stored interactions: all of them sanitized.",
)
"""``inchworm traces``."""


@click.command("list")
@filter_options
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most."
)
@click.option("--after", metavar="CURSOR", help="Go on after a page; its last line says how.")
@click.option("--follow", "-f", is_flag=True, help="Wait for new ones, and show them as they arrive.")
@json_option
@pass_session
def list_(
    session: Session, /, *, limit: int, after: str | None, follow: bool, as_json: bool, **said: Unpack[Said]
) -> None:
    """List interactions, newest first.

    With --follow nothing is listed that is stored already: new ones are, in the order in which they arrive,
    until Ctrl-C. With --json too, each is a JSON object on a line of its own.
    """
    if follow:
        from inchworm.app.cli.traces_follow import follow as followed

        if after is not None:
            raise UsageError("--follow begins now, --after goes on after a page: take one of them")
        followed(session, said, as_json=as_json)
    with session.house() as house:
        wanted = filters.made(house, **said)
        page = house.traces.traces(house.app, filters=wanted, after=after, limit=limit)
        clusters = house.traces.clusters(house.app, [trace.id for trace in page.traces])
    if as_json:
        rows = [asjson.trace(trace, clusters.get(trace.id)) for trace in page.traces]
        emit({"total": page.total, "searched": page.searched, "traces": rows, "after": page.next_cursor})
        return
    if page.searched is not None:
        note(f"looked at the newest {page.searched:,} that pass the rest; name a time for older ones")
    if not page.traces:
        say("No interaction passes these filters." if page.total == 0 else "That was the last page.")
        return
    say(
        *table(
            [line(trace, clusters.get(trace.id)) for trace in page.traces],
            heads=["id", "at", "outcome", "topic", "asked", *(["scores"] if width() >= 100 else [])],
            indent=0,
        )
    )
    say("", f"{len(page.traces):,} of {page.total:,}")
    if page.next_cursor is not None:
        note(f"more: --after {page.next_cursor}")


@click.command("facets")
@filter_options
@click.option(
    "--most",
    type=click.IntRange(1, 100),
    default=10,
    show_default=True,
    help="Values of each facet, at most.",
)
@json_option
@pass_session
def facets(session: Session, /, *, most: int, as_json: bool, **said: Unpack[Said]) -> None:
    """Count interactions by their values, with the filters of the list.

    Under metric: how many have a score on it.
    """
    with session.house() as house:
        wanted = filters.made(house, **said)
        found = house.traces.facets(house.app, wanted)
        total = house.traces.count(house.app, wanted)
    if as_json:
        rows = {name: [{"value": value, "n": n} for value, n in values] for name, values in found.items()}
        emit({"total": total, "facets": rows})
        return
    if not total:
        say("No interaction passes these filters.")
        return
    for name, values in found.items():
        if values:
            rows_ = [[_value(name, value), f"{n:,}"] for value, n in values[:most]]
            say(heading(name.replace("_", " ")), *table(rows_, right={1}))
            if len(values) > most:
                say(f"  and {len(values) - most} more: --most {len(values)}")
            say("")
    say(f"{total:,} interactions")


def _value(name: str, value: str) -> str:
    return short(value) if name == "configuration" else one_line(value, 40)


def line(trace: Trace, cluster: str | None) -> list[str]:
    """One interaction as a row of the list: id, time, outcome, topic, what was asked, and scores if roomy."""
    roomy = width() >= 100
    room = width() // 4 if roomy else width() - 60
    return [
        trace.id[:12],
        when(trace.at),
        word(trace.outcome),
        one_line(cluster or "no topic", 24 if roomy else 16),
        one_line(_asked(trace), room),
        *([_scores(trace)] if roomy else []),
    ]


def _asked(trace: Trace) -> str:
    if trace.is_expired:
        return "(no longer kept)"
    question = trace.inputs.get("question")
    if isinstance(question, str):
        return question
    messages = trace.inputs.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        users = [one for one in messages if isinstance(one, dict) and one.get("role") == "user"]
        return str((users or messages)[-1].get("content"))
    return json.dumps(trace.inputs, ensure_ascii=False) if trace.inputs else "(no content)"


def _scores(trace: Trace) -> str:
    latest = {score.metric: score.result for score in trace.scores}
    return " ".join(f"{one_line(metric)} {_result(result)}" for metric, result in sorted(latest.items()))


def _result(result: Result) -> str:
    match result:
        case Scored(value=value):
            return f"{value:.3g}"
        case Unscored():
            return "unscored"
        case Errored():
            return "errored"
