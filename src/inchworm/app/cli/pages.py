"""``inchworm open``: the pages in a browser, without typing a key."""

from __future__ import annotations

import os

import click

from inchworm.app.cli.output import emit, note, say
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.errors import NotFoundError


@click.command("open")
@click.option("--print", "only_print", is_flag=True, help="Only print the address.")
@json_option
@pass_session
def command(session: Session, *, only_print: bool, as_json: bool) -> None:
    """Open the pages of the server that runs, logged in.

    The address is good once, and for five minutes: whoever has it is you.
    """
    import webbrowser

    from inchworm.app.remote.client import Client
    from inchworm.app.remote.server import elsewhere, here

    server = elsewhere(os.environ) or here(session.spec().data)
    if server is None:
        raise NotFoundError("no server runs for this data directory", hint="start one: inchworm serve")
    with Client(server) as client:
        address = client.login()
    if as_json:
        emit({"url": address})
        return
    say(address)
    if not only_print and not webbrowser.open(address):
        note("No browser could be opened here: open the address in yours.")
