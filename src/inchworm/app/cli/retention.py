"""``inchworm retention``: how long things are kept, and what is too old."""

from __future__ import annotations

import os
from typing import Any

import click

from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, note, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.wording import duration

_HERE = "inchworm.app.cli.retention"

group = LazyGroup(
    name="retention",
    default="show",
    lazy={
        "show": Lazy(f"{_HERE}:show", "Say how long things are kept, and what is too old."),
        "run": Lazy(f"{_HERE}:run", "Delete what is too old now."),
    },
    help="See how long things are kept (retention in inchworm.yaml), and delete what is too old.",
)
"""``inchworm retention``."""


@click.command("show")
@json_option
@pass_session
def show(session: Session, *, as_json: bool) -> None:
    """Say how long things are kept, and what is too old.

    The server deletes it by itself once an hour.
    """
    said = _looked(session)
    if as_json:
        emit(said)
        return
    kept = said["kept_s"]
    rows = [
        [name, "for ever" if kept[name] is None else duration(kept[name]), f"{said[key]:,}"]
        for name, key in (("payloads", "payloads"), ("traces", "traces"), ("quarantine", "quarantined"))
    ]
    say(*table(rows, heads=["", "kept", "too old"], right=[2], indent=0))
    if said["needed"]:
        note(f"{said['needed']:,} more are old enough, and stay because a rollout needs them.")
    if all(age is None for age in kept.values()):
        note(
            "Nothing is ever deleted for its age. Say how long: retention in inchworm.yaml (docs/erasure.md)."
        )


@click.command("run")
@click.option("--dry-run", is_flag=True, help="Say what would go, and delete nothing.")
@click.option("--compact", is_flag=True, help="Write the store anew, so that no byte of what went is left.")
@json_option
@pass_session
def run(session: Session, *, dry_run: bool, compact: bool, as_json: bool) -> None:
    """Delete what is too old now. It cannot be undone."""
    said = _looked(session) if dry_run else _ran(session, compact=compact)
    if as_json:
        emit({"dry_run": dry_run, **said})
        return
    say(
        f"{'Would go' if dry_run else 'Gone'}: content of {said['payloads']:,} interactions, "
        f"{said['traces']:,} whole interactions, {said['quarantined']:,} in quarantine."
    )
    if said["rebuilt"]:
        note("The store was written anew.")


def _looked(session: Session) -> dict[str, Any]:
    from inchworm.app.asjson.erasing import retention
    from inchworm.app.loop.retaining import look
    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    with session.house() as house:
        server = elsewhere(os.environ) or here(house.spec.data)
        if server is None:
            return retention(house.spec.retention, look(house))
        with Client(server) as client:
            return client.ask("GET", "/retention")


def _ran(session: Session, *, compact: bool) -> dict[str, Any]:
    from inchworm.app.asjson.erasing import retention
    from inchworm.app.loop.retaining import run as act
    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    with session.house() as house:
        server = elsewhere(os.environ) or here(house.spec.data)
        if server is None:
            return retention(house.spec.retention, act(house, compact=compact))
        with Client(server) as client:
            return client.ask("POST", "/retention/run", {"compact": compact})
