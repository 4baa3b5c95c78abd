"""``inchworm`` itself: the options that every command shares, and the table of commands."""

from __future__ import annotations

from pathlib import Path

import click

from inchworm import __version__
from inchworm.app.cli.groups import Lazy, Root
from inchworm.app.cli.session import Session

_HERE = "inchworm.app.cli"
COMMANDS = {
    "demo": Lazy("inchworm.app.demo.command:command", "Show the whole loop on recorded traffic."),
    "serve": Lazy(f"{_HERE}.serve:command", "Start gateway, server and pages on this machine."),
    "open": Lazy(f"{_HERE}.pages:command", "Open the pages of the server that runs, logged in."),
    "init": Lazy(f"{_HERE}.init:command", "Write a first inchworm.yaml from what is seen."),
    "import": Lazy(f"{_HERE}.intake:command", "Read interactions in, sanitized."),
    "label": Lazy(f"{_HERE}.label:command", "Find topics and what fits none."),
    "traces": Lazy(f"{_HERE}.traces:group", "Look at stored interactions."),
    "evalset": Lazy(f"{_HERE}.evalset:group", "Draw eval sets from production, and let them grow."),
    "benchmark": Lazy(f"{_HERE}.benchmark:command", "Compare two configurations on an eval set."),
    "adopt": Lazy(f"{_HERE}.adopt:adopt", "Declare what runs today as stable."),
    "plan": Lazy(f"{_HERE}.plan:plan", "Take a change apart into one-layer steps."),
    "apply": Lazy(f"{_HERE}.apply:command", "Queue the steps of a plan, and start the first."),
    "rollout": Lazy(f"{_HERE}.rollout:group", "Watch a change being exposed, and act on it."),
    "queue": Lazy(f"{_HERE}.queue:command", "Show what is in flight, what waits, and the freezes ahead."),
    "attribute": Lazy(f"{_HERE}.attribute:command", "Find the layer that did it."),
    "ledger": Lazy(f"{_HERE}.status:ledger", "List what changed, and when."),
    "audit": Lazy(f"{_HERE}.audit:group", "List who did what, and verify that it still says so."),
    "notify": Lazy(f"{_HERE}.notify:group", "See who is told of decisions, and test it."),
    "models": Lazy(f"{_HERE}.models:command", "List what is known of models, with sources."),
    "keys": Lazy(f"{_HERE}.keys:group", "Hand out keys to the API and the pages."),
    "quarantine": Lazy(f"{_HERE}.quarantine:group", "See what could not be taken in, and why."),
    "retention": Lazy(f"{_HERE}.retention:group", "See how long things are kept, and what is too old."),
    "forget": Lazy(f"{_HERE}.forget:command", "Delete everything of a unit, everywhere."),
    "status": Lazy(f"{_HERE}.status:status", "Say where the app stands, and what to do next."),
    "doctor": Lazy(f"{_HERE}.doctor:command", "Say what is wrong here, and what mends it."),
}


@click.pass_context
def _prepare(ctx: click.Context, file: Path, actor: str | None) -> None:
    # tests and the demo hand a session in
    ctx.obj = ctx.obj or Session(file=file, actor=actor)


def _print_version(ctx: click.Context, _param: click.Parameter, asked: bool) -> None:  # noqa: FBT001  # click's
    if asked:
        click.echo(f"inchworm {__version__}")
        ctx.exit()


main = Root(
    name="inchworm",
    lazy=COMMANDS,
    callback=_prepare,
    context_settings={"max_content_width": 110},
    params=[
        click.Option(
            ["-f", "--file"],
            type=click.Path(path_type=Path),
            default=Path("inchworm.yaml"),
            envvar="INCHWORM_FILE",
            help="The app's file; inchworm.yaml in this folder if left out. Also INCHWORM_FILE.",
        ),
        click.Option(
            ["--actor"],
            metavar="NAME",
            envvar="INCHWORM_ACTOR",
            help="Who acts, for the ledger; the logged-in user if left out. Also INCHWORM_ACTOR.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="Print the version and exit.",
        ),
    ],
    help="""Continuous delivery for AI systems: one layer at a time, measured as it goes.

    \b
    A first path:  init → import → label → evalset build → adopt
    A change:      edit inchworm.yaml → plan → apply → rollout watch

    Data goes to stdout, progress to stderr. Exit codes: 0 pass, 1 a gate failed, 2 a wrong call or a system
    error, 3 inconclusive.
    """,
)
"""The command ``inchworm``."""
