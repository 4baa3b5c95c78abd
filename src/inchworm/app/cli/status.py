"""``inchworm status`` and ``ledger``: where the app stands, and how it came there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from inchworm.app.cli.output import emit, heading, one_line, paragraph, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.errors import StoreError
from inchworm.domain.ids import short
from inchworm.domain.rollout import LedgerEntry, Lineage, Rollout, RolloutState
from inchworm.domain.wording import counted, share

if TYPE_CHECKING:
    from inchworm.app.house import House


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    app: str
    lineage: Lineage | None
    declared: str
    in_flight: Rollout | None
    queued: Sequence[Rollout]
    eval_sets: Sequence[tuple[str, int]]
    traces: int | None
    period: tuple[float, float] | None
    hindrance: str | None
    proposals: int
    labelled: bool


@click.command("status")
@json_option
@pass_session
def status(session: Session, *, as_json: bool) -> None:
    """Say where the app stands, and what to do next."""
    with session.house() as house:
        standing = _look(house)
    following = _next(standing)
    if as_json:
        emit(_json(standing, following))
        return
    say(*_lines(standing), *([""] if following else []), *paragraph(following))


@click.command("ledger")
@click.option("--since", metavar="WHEN", help="At that time or later: 2h, 7d, or 2026-11-09T14:00.")
@click.option(
    "--limit", type=click.IntRange(1, 10_000), default=50, show_default=True, help="How many at most."
)
@json_option
@pass_session
def ledger(session: Session, *, since: str | None, limit: int, as_json: bool) -> None:
    """List what changed, and when, newest first."""
    from inchworm.app.cli.traces import moment

    with session.house() as house:
        start = None if since is None else moment(since, house.now())
        entries = house.control.ledger(house.app, since=start, limit=limit)
    if as_json:
        emit({"entries": [_entry(entry) for entry in entries]})
    elif not entries:
        say("Nothing has changed yet." if since is None else f"Nothing has changed since {one_line(since)}.")
    else:
        rows = [[when(one.at), one.kind, one_line(one.actor), one_line(one.what)] for one in entries]
        say(*table(rows, heads=["at", "kind", "who", "what"], indent=0))


def _entry(entry: LedgerEntry) -> dict[str, Any]:
    return {"at": entry.at, "kind": entry.kind, "actor": entry.actor, "what": entry.what, "data": entry.data}


def _look(house: House) -> _Standing:
    from inchworm.app.loop.topics import CLUSTERING
    from inchworm.rollout.transitions import IN_FLIGHT

    control = house.control
    everything = control.rollouts(house.app)
    traces = period = hindrance = None
    try:
        traces, period = house.traces.count(house.app), house.traces.period(house.app)
    except StoreError as error:  # another process has them; everything else can be said all the same
        hindrance = error.message
    return _Standing(
        app=str(house.app),
        lineage=control.lineage(house.app),
        declared=house.spec.configuration.id,
        in_flight=next((one for one in everything if one.state in IN_FLIGHT), None),
        queued=[one for one in everything if one.state is RolloutState.QUEUED],
        eval_sets=[(one.id, one.cases) for one in control.eval_sets(house.app)],
        traces=traces,
        period=period,
        hindrance=hindrance,
        proposals=len(control.proposals(house.app)),
        labelled=control.blob(house.app, CLUSTERING) is not None,
    )


def _next(standing: _Standing) -> str:
    """What to do next, as a sentence with its command; empty if there is nothing to do."""
    flying = standing.in_flight
    if flying is not None and flying.state in {RolloutState.HOLDING, RolloutState.PAUSED}:
        return f"{flying.id} waits for you: inchworm rollout show {flying.id}"
    if flying is not None:
        return f"Next: inchworm rollout watch {flying.id}"
    if standing.queued:
        return "Next: inchworm rollout watch"
    if standing.traces == 0:
        return "Next: inchworm import FILE.jsonl"
    if standing.traces and not standing.labelled:
        return "Next: inchworm label"
    if standing.traces and not standing.eval_sets:
        return "Next: inchworm evalset build"
    if standing.lineage is None:
        return "Next: inchworm adopt"
    if standing.lineage.stable != standing.declared:
        return "inchworm.yaml says something else than what is stable. Next: inchworm plan"
    return "Next: inchworm evalset proposals" if standing.proposals else ""


def _json(standing: _Standing, following: str) -> dict[str, Any]:
    lineage = standing.lineage
    return {
        "app": standing.app,
        "declared": standing.declared,
        "stable": None
        if lineage is None
        else {"configuration": lineage.stable, "since": lineage.since, "note": lineage.note},
        "in_flight": None if standing.in_flight is None else _rollout(standing.in_flight),
        "queued": [_rollout(one) for one in standing.queued],
        "eval_sets": [{"id": name, "cases": cases} for name, cases in standing.eval_sets],
        "traces": standing.traces,
        "traces_unknown_because": standing.hindrance,
        "period": None if standing.period is None else {"from": standing.period[0], "to": standing.period[1]},
        "proposals": standing.proposals,
        "next": following or None,
    }


def _rollout(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "layer": str(rollout.layer),
        "state": rollout.state.value,
        "stage": rollout.stage,
        "because": rollout.because,
    }


def _lines(standing: _Standing) -> list[str]:
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
    ]
    return [heading(first), "", *table(rows)]


def _said(rollout: Rollout) -> str:
    from inchworm.rollout.transitions import weight_of

    state = rollout.state.value.replace("_", " ")
    weight = weight_of(rollout.state, rollout.stage, rollout.policy)
    at = f" at {share(weight)}" if weight else ""
    return f"{rollout.id}, step {rollout.step} of {rollout.steps}, {rollout.layer}: {state}{at}"


def _traces(standing: _Standing) -> str:
    if standing.traces is None:
        return f"unknown: {standing.hindrance}"
    if standing.period is None:
        return "none"
    return f"{standing.traces:,} ({when(standing.period[0])} … {when(standing.period[1])})"
