"""``inchworm status`` and ``ledger``: where the app stands, and how it came there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, heading, paragraph, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.names import moment
from inchworm.app.texts import one_line
from inchworm.domain.ids import short
from inchworm.domain.rollout import Rollout
from inchworm.domain.wording import counted, share

if TYPE_CHECKING:
    from inchworm.app.loop.observing import Observed
    from inchworm.app.loop.standing import Standing


@click.command("status")
@json_option
@pass_session
def status(session: Session, *, as_json: bool) -> None:
    """Say where the app stands, and what to do next."""
    from inchworm.app.loop.observing import look as observed
    from inchworm.app.loop.standing import following, look

    with session.house() as house:
        standing = look(house)
        seen = observed(house) if standing.lineage is None else None
    then = following(standing)
    if seen is not None and not session.file.exists() and any(call.configuration for call in seen.calls):
        then = "Next: inchworm adopt"
    if as_json:
        emit(asjson.standing(standing, then) | {"observed": None if seen is None else _observed_json(seen)})
        return
    lines = _lines(standing) if seen is None or not seen.calls else _observed(standing, seen)
    told = [line for one in standing.notices for line in ("", *paragraph(one.text))]
    say(*lines, *told, *([""] if then else []), *paragraph(then))


@click.command("ledger")
@click.option("--since", metavar="WHEN", help="At that time or later: 2h, 7d, or 2026-11-09T14:00.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most."
)
@json_option
@pass_session
def ledger(session: Session, *, since: str | None, limit: int, as_json: bool) -> None:
    """List what changed, and when, newest first."""
    with session.house() as house:
        start = None if since is None else moment(since, house.now())
        entries = house.control.ledger(house.app, since=start, limit=limit)
    if as_json:
        emit({"entries": [asjson.ledger_entry(entry) for entry in entries]})
    elif not entries:
        say("Nothing has changed yet." if since is None else f"Nothing has changed since {one_line(since)}.")
    else:
        rows = [[when(one.at), one.kind, one_line(one.actor), one_line(one.what)] for one in entries]
        say(*table(rows, heads=["at", "kind", "who", "what"], indent=0))


def _observed(standing: Standing, seen: Observed) -> list[str]:
    """What traffic alone shows, before anything is declared."""
    rows = [["traces", _traces(standing)]]
    for call in seen.calls:
        name = f"call {one_line(call.name)}" if call.name else "call"
        if call.configuration is None:
            what = "not told from its traffic yet"
        else:
            also = f", and {counted(call.others, 'other')} beside it" if call.others else ""
            what = f"{short(call.configuration)} answers{also}"
        rows.append([name, f"{what} ({counted(call.requests, 'request')} seen)"])
    last = seen.last
    said = "nothing yet" if last is None else f"{when(last.at)}: {one_line(last.what)}"
    rows.append(["last change", said])
    return [heading(f"{standing.app}   observed, nothing is declared as stable"), "", *table(rows)]


def _observed_json(seen: Observed) -> dict[str, Any]:
    return {
        "calls": [
            {
                "name": call.name or None,
                "requests": call.requests,
                "configuration": call.configuration,
                "others": call.others,
            }
            for call in seen.calls
        ],
        "last": None if seen.last is None else asjson.ledger_entry(seen.last),
    }


def _lines(standing: Standing) -> list[str]:
    lineage = standing.lineage
    if lineage is None:
        first = f"{standing.app}   nothing is stable yet"
    else:
        note = f'since {when(lineage.since)}, "{one_line(lineage.note)}"'
        first = f"{standing.app}   stable {short(lineage.stable)} ({note})"
    rows = [
        ["in flight", "nothing" if standing.in_flight is None else _said(standing.in_flight)],
        ["queued", ", ".join(f"{one.id} ({one.layer})" for one in standing.queued) or "nothing"],
        [
            "eval sets",
            ", ".join(f"{name} ({counted(n, 'case')})" for name, n in standing.eval_sets[-3:]) or "none",
        ],
        ["traces", _traces(standing)],
        ["proposals", f"{standing.proposals:,} open" if standing.proposals else "none open"],
        *([["untold", f"{standing.untold:,} given up: inchworm notify"]] if standing.untold else []),
    ]
    return [heading(first), "", *table(rows)]


def _said(rollout: Rollout) -> str:
    from inchworm.rollout.transitions import weight_of

    state = rollout.state.value.replace("_", " ")
    weight = weight_of(rollout.state, rollout.stage, rollout.policy)
    at = f" at {share(weight)}" if weight else ""
    return f"{rollout.id}, step {rollout.step} of {rollout.steps}, {rollout.layer}: {state}{at}"


def _traces(standing: Standing) -> str:
    if standing.traces is None:
        return f"unknown: {standing.hindrance}"
    if standing.period is None:
        return "none"
    return f"{standing.traces:,} ({when(standing.period[0])} … {when(standing.period[1])})"
