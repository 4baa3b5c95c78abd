"""``inchworm keys``: who else may speak to the server."""

from __future__ import annotations

import secrets

import click

from inchworm.app import asjson, names
from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, note, say, table, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.access import Scope
from inchworm.domain.configuration import AppRef

_HERE = "inchworm.app.cli.keys"

group = LazyGroup(
    name="keys",
    default="ls",
    lazy={
        "ls": Lazy(f"{_HERE}:ls", "List keys (what you get without a command)."),
        "add": Lazy(f"{_HERE}:add", "Make a key; it is shown once."),
        "revoke": Lazy(f"{_HERE}:revoke", "End a key for good."),
    },
    help="Hand out keys to the API and the pages, and take them back.",
)
"""``inchworm keys``."""


@click.command("add")
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    default=Scope.VIEWER.value,
    show_default=True,
    help="ingest sends to a gateway and no more, viewer looks, labeler also judges, deployer also changes "
    "what is served, admin also makes keys.",
)
@click.option("--app", metavar="NAME", help="The only app that it sends for: NAME or NAME/ENVIRONMENT.")
@click.option("--expires", metavar="DURATION", help="When it ends by itself: 12h, 90d; never if left out.")
@json_option
@pass_session
def add(
    session: Session, *, name: str, scope: str, app: str | None, expires: str | None, as_json: bool
) -> None:
    """Make a key; it is shown once.

    NAME is whose it is, or what it is for: the ledger tells acts under it. Only a hash of the key is kept.
    A program that only sends gets one with --scope ingest; every key opens the gateway.
    """
    from inchworm.app.keys import make

    with session.house() as house:
        now = house.now()
        made, written = make(
            name,
            Scope(scope),
            by=house.actor,
            now=now,
            expires_at=None if expires is None else now + names.span(expires),
            random=secrets.token_bytes,
            app=None if app is None else AppRef.parse(app),
        )
        house.control.put_api_key(house.app, made)
    if as_json:
        emit({"key": written, "about": asjson.api_key(made)})
        return
    say(written)
    until = "" if made.expires_at is None else f" until {when(made.expires_at)}"
    bound = "" if made.app is None else f" for {made.app}"
    note(
        f"Key {made.id} of {one_line(made.name)}: {made.scope}{bound}{until}. It is not shown again.",
        f"Undo: inchworm keys revoke {made.id}",
    )


@click.command("ls")
@json_option
@pass_session
def ls(session: Session, *, as_json: bool) -> None:
    """List keys, without their secrets."""
    with session.house() as house:
        found, now = house.control.api_keys(), house.now()
    if as_json:
        emit({"keys": [asjson.api_key(one) for one in found]})
        return
    if not found:
        say("There is no key yet. Make one: inchworm keys add NAME --scope viewer")
        return
    rows = [
        [
            one.id,
            one_line(one.name, 32),
            one.scope.value,
            "any" if one.app is None else str(one.app),
            f"{when(one.created_at)} by {one_line(one.created_by, 24)}",
            "never" if one.used_at is None else when(one.used_at),
            "valid" if one.valid(now) else "revoked" if one.revoked_at is not None else "expired",
        ]
        for one in found
    ]
    say(*table(rows, heads=["id", "name", "scope", "app", "made", "last used", ""], indent=0))


@click.command("revoke")
@click.argument("key_id", metavar="ID")
@json_option
@pass_session
def revoke(session: Session, *, key_id: str, as_json: bool) -> None:
    """End a key for good, and with it the sessions that it opened."""
    with session.house() as house:
        done = house.control.revoke_api_key(house.app, key_id, actor=house.actor, at=house.now())
    if as_json:
        emit({"id": key_id, "revoked": done})
    else:
        say(f"{key_id} opens nothing any more." if done else f"{key_id} was revoked already.")
