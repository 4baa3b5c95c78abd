"""``inchworm serve``: everything on this machine with one command."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING

import click

from inchworm.app.cli.output import emit, heading, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.serve.files import PORT
from inchworm.capture.places import GATEWAY_PORT

if TYPE_CHECKING:
    from inchworm.app.serve.start import Announced

_PORT = click.IntRange(0, 65_535)


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=_PORT, default=PORT, show_default=True, help="Port of pages and API; 0 for any.")
@click.option(
    "--gateway-port",
    type=_PORT,
    default=GATEWAY_PORT,
    show_default=True,
    help="Port of the gateway; 0 for any.",
)
@click.option(
    "--require-key",
    is_flag=True,
    envvar="INCHWORM_REQUIRE_KEY",
    show_envvar=True,
    help="Let the gateway serve nobody without a key (inchworm keys add NAME --scope ingest).",
)
@click.option("--open/--no-open", "browse", default=False, help="Open the pages in a browser.")
@json_option
@pass_session
def command(
    session: Session,
    *,
    host: str,
    port: int,
    gateway_port: int,
    require_key: bool,
    browse: bool,
    as_json: bool,
) -> None:
    """Start gateway, server and pages on this machine.

    Works in an empty folder too: without an inchworm.yaml, calls are passed on and recorded as they are. What
    the gateway has accepted is never lost, however this ends; Ctrl-C ends it in order.
    """
    from inchworm.app.serve import logs
    from inchworm.app.serve.start import Asked, run

    def announce(announced: Announced) -> None:
        if as_json:
            known = announced.known
            emit(
                {
                    "app": str(announced.spec.app),
                    "observing": announced.observing,
                    "pid": known.pid,
                    "url": known.url,
                    "gateway_url": known.gateway_url,
                    "base_url": f"{known.gateway_url}/v1",
                    "login": announced.login,
                    "data": str(announced.spec.data),
                }
            )
        else:
            say(*_lines(announced))
        if browse:
            webbrowser.open(announced.login)

    logs.configure("serve")
    run(
        Asked(
            file=session.file,
            actor=session.actor,
            host=host,
            port=port,
            gateway_port=gateway_port,
            require_key=require_key,
        ),
        announce,
    )
    if not as_json:
        say("Stopped.")


def _lines(announced: Announced) -> list[str]:
    spec, known = announced.spec, announced.known
    if announced.observing:
        first = f"{spec.app} is observed: without {spec.file}, calls are passed on and recorded as they are."
    else:
        first = f"{spec.app} is served as {spec.file} declares it."
    rows = [
        ("base_url", f"{known.gateway_url}/v1"),
        ("pages", announced.login),
        ("data", str(spec.data)),
    ]
    return [
        heading(first),
        "",
        *table(rows),
        "",
        "Give base_url to your program's OpenAI client; its own key is passed on.",
        "The link to the pages works once; another one: inchworm open. Stop with Ctrl-C.",
    ]
