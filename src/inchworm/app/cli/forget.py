"""``inchworm forget``: one unit's data, gone everywhere."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inchworm.app.cli.output import Progress, emit, note, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.remote.client import Client

_LOOK_S = 0.2
_STEPS = ("asked", "found", "traced", "cleared", "done")
_WORDS = (
    ("traces", "interaction"),
    ("spans", "span"),
    ("scores", "score"),
    ("cases", "case"),
    ("trials", "answer"),
    ("quarantined", "record in quarantine"),
    ("exposures", "place in rollouts without a name now"),
)


@click.command("forget")
@click.argument("units", nargs=-1, metavar="[UNIT]...")
@click.option(
    "--file",
    "source",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file with one unit per line.",
)
@click.option("--yes", is_flag=True, help="Do not ask whether that is meant.")
@click.option("--list", "listing", is_flag=True, help="List what was forgotten, and how far it is.")
@json_option
@pass_session
def command(
    session: Session, *, units: tuple[str, ...], source: Path | None, yes: bool, listing: bool, as_json: bool
) -> None:
    """Delete everything of units, sessions or users, everywhere.

    UNIT is an id as callers send it, or as it is shown. Interactions, spans, scores, cases of eval sets,
    answers to them and records in quarantine go, with their bytes; places in rollouts stay, without the id.
    It cannot be undone. Backups are yours: docs/erasure.md.
    """
    if listing:
        _list(session, as_json=as_json)
        return
    wanted = [*units, *(_lines(source) if source is not None else ())]
    if not wanted:
        raise UsageError("name at least one unit", hint="inchworm forget UNIT, or --file FILE")
    if not yes:
        what = f'"{wanted[0]}"' if len(wanted) == 1 else counted(len(wanted), "unit")
        if as_json or not sys.stdin.isatty():
            raise UsageError(
                f"everything of {what} would be deleted for good, and nobody is there to ask",
                hint="say that it is meant: --yes",
            )
        click.confirm(f"Delete everything of {what} for good?", abort=True, err=True)
    said = _done(session, wanted)
    if as_json:
        emit({"forgetting": said})
        return
    found = [counted(count, word) for name, word in _WORDS if (count := said["counts"].get(name, 0))]
    say(f"{said['id']}: {', '.join(found) if found else 'nothing was there'}.")
    for remark in said["remarks"]:
        note(remark)
    note("Backups, and logs that others keep, are not changed: docs/erasure.md.")


def _lines(path: Path) -> list[str]:
    try:
        return [line.strip() for line in path.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text in UTF-8") from error


def _done(session: Session, units: list[str]) -> dict[str, Any]:
    """Have it done, by the server if one runs, and wait for that."""
    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    progress = Progress("Forgetting:")
    with session.house() as house:
        server = elsewhere(os.environ) or here(house.spec.data)
        try:
            if server is not None:
                with Client(server) as client:
                    return _followed(client, client.ask("POST", "/forgettings", {"units": units}), progress)
            return _local(house, units, progress)
        finally:
            progress.clear()


def _followed(client: Client, said: dict[str, Any], progress: Progress) -> dict[str, Any]:
    one: dict[str, Any] = said["forgetting"]
    while one["state"] != _STEPS[-1]:
        _show(progress, one["state"])
        time.sleep(_LOOK_S)
        one = client.ask("GET", f"/forgettings/{one['id']}")["forgetting"]
    return one


def _local(house: House, units: list[str], progress: Progress) -> dict[str, Any]:
    from inchworm.app.asjson.erasing import forgetting
    from inchworm.app.loop.draining import Draining
    from inchworm.app.loop.forgetting import Forgetter, ask
    from inchworm.capture.keyfile import master_key
    from inchworm.domain.keys import Purpose, derive

    asked = ask(house, units)
    draining = Draining(house, derive(master_key(house.spec.data), Purpose.SPOOL))
    try:
        forgetter = Forgetter(
            house,
            renew=draining.renew,
            waiting=draining.waiting,
            pause=lambda now: _show(progress, now.state.value),
        )
        while house.control.forgettings(open_only=True):
            idle = draining.round().idle
            if not forgetter.round() and idle:
                time.sleep(_LOOK_S)
    finally:
        draining.close()
    return forgetting(house.control.forgetting(asked.id))


def _show(progress: Progress, state: str) -> None:
    progress(_STEPS.index(state), len(_STEPS) - 1)


def _list(session: Session, *, as_json: bool) -> None:
    from inchworm.app.asjson.erasing import forgetting
    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    with session.house() as house:
        server = elsewhere(os.environ) or here(house.spec.data)
        if server is None:
            found = [forgetting(one) for one in house.control.forgettings()]
        else:
            with Client(server) as client:
                found = client.ask("GET", "/forgettings")["forgettings"]
    if as_json:
        emit({"forgettings": found})
        return
    if not found:
        say("Nothing was forgotten yet.")
        return
    rows = [
        [
            one["id"],
            when(one["at"]),
            one_line(one["actor"], 24),
            one["state"],
            counted(len(one["digests"]), "unit") if len(one["digests"]) > 1 else one["digests"][0],
        ]
        for one in found
    ]
    say(*table(rows, heads=["id", "asked", "by", "state", "unit (keyed digest)"], indent=0))
