"""``inchworm quarantine``: what could not be taken in, and what becomes of it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, heading, note, paragraph, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House

_HERE = "inchworm.app.cli.quarantine"

group = LazyGroup(
    name="quarantine",
    default="list",
    lazy={
        "list": Lazy(f"{_HERE}:list_", "List what lies there, and why (what you get without a command)."),
        "show": Lazy(f"{_HERE}:show", "Show what something holds, sanitized."),
        "retry": Lazy(f"{_HERE}:retry", "Try to take it in again."),
        "discard": Lazy(f"{_HERE}:discard", "Delete it for good."),
    },
    help="See what could not be taken in, and why; try again, or delete it.",
)
"""``inchworm quarantine``."""


@click.command("list")
@json_option
@pass_session
def list_(session: Session, *, as_json: bool) -> None:
    """List what lies there, why and since when."""

    def local(house: House) -> dict[str, Any]:
        from inchworm.app.asjson.erasing import kept
        from inchworm.app.loop.quarantining import everything, reasons

        found = everything(house)
        return {"quarantine": [kept(one) for one in found], "count": len(found), "reasons": reasons(found)}

    said = _asked(session, "GET", "/quarantine?limit=1000", None, local)
    if as_json:
        emit(said)
        return
    if not said["count"]:
        say("Nothing lies in quarantine.")
        return
    say(heading(f"{counted(said['count'], 'file')} in quarantine"))
    say(
        *table(
            [[f"{count:,}", reason] for reason, count in said["reasons"].items()],
            heads=["records", "why"],
            right=[0],
        )
    )
    say("")
    rows = [
        [
            one["id"],
            when(one["at"]),
            "?" if one["records"] is None else f"{one['records']:,}",
            one_line(one["reason"]),
        ]
        for one in said["quarantine"]
    ]
    say(*table(rows, heads=["id", "since", "records", "why"], right=[2]))
    note("Look at one: inchworm quarantine show ID. Try again: inchworm quarantine retry ID")


@click.command("show")
@click.argument("kept_id", metavar="ID")
@json_option
@pass_session
def show(session: Session, *, kept_id: str, as_json: bool) -> None:
    """Show what something holds. Everything that somebody wrote is sanitized before it is shown."""

    def local(house: House) -> dict[str, Any]:
        from inchworm.app.asjson.erasing import opened
        from inchworm.app.loop.quarantining import show as act

        return opened(act(house, kept_id))

    said = _asked(session, "GET", f"/quarantine/{kept_id}", None, local)
    if as_json:
        emit(said)
        return
    say(heading(said["id"]), *paragraph(said["reason"]), f"since {when(said['at'])}, {said['bytes']:,} bytes")
    if said["damage"]:
        say(f"Its file is damaged: {said['damage']}.")
    for number, one in enumerate(said["shown"], start=1):
        say("", heading(f"record {number}: {one['kind']}"))
        say(
            json.dumps(
                {name: value for name, value in one.items() if name != "kind"}, ensure_ascii=False, indent=2
            )
        )
    if said["records"] is not None and said["records"] > len(said["shown"]):
        note(f"{said['records'] - len(said['shown']):,} more are not shown.")


@click.command("retry")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@json_option
@pass_session
def retry(session: Session, *, ids: tuple[str, ...], as_json: bool) -> None:
    """Try to take it in again, e.g. after an upgrade or another setting; ID may be all.

    Exactly once in effect: what is stored already is recognised, and what cannot be taken in comes back.
    """

    def local(house: House) -> dict[str, Any]:
        from inchworm.app.loop.quarantining import retry as act

        return {"retried": [one.id for one in act(house, ids)]}

    said = _asked(session, "POST", "/quarantine/retry", {"ids": list(ids)}, local)
    if as_json:
        emit(said)
        return
    say(f"{counted(len(said['retried']), 'file')} given to the drain again.")
    note("See what came of it: inchworm quarantine list")


@click.command("discard")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@json_option
@pass_session
def discard(session: Session, *, ids: tuple[str, ...], yes: bool, as_json: bool) -> None:
    """Delete it for good; ID may be all."""
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise UsageError(
                "what is discarded is gone, and nobody is there to ask", hint="say that it is meant: --yes"
            )
        click.confirm(f"Delete {', '.join(ids)} for good?", abort=True, err=True)

    def local(house: House) -> dict[str, Any]:
        from inchworm.app.loop.quarantining import remove

        return {"discarded": [one.id for one in remove(house, ids)]}

    said = _asked(session, "POST", "/quarantine/discard", {"ids": list(ids)}, local)
    if as_json:
        emit(said)
        return
    say(f"{counted(len(said['discarded']), 'file')} deleted.")


def _asked(
    session: Session, verb: str, path: str, data: Any, local: Callable[[House], dict[str, Any]]
) -> dict[str, Any]:
    """What the server says if one runs, else what is found here."""
    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    with session.house() as house:
        server = elsewhere(os.environ) or here(house.spec.data)
        if server is None:
            return local(house)
        with Client(server) as client:
            return client.ask(verb, path, data)
