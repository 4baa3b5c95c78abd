"""What people do to a rollout: each act is a decision, and prints its undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from inchworm.app import asjson, names
from inchworm.app.cli.output import emit, paragraph, say
from inchworm.app.cli.session import Session, json_option, pass_session


def _act(name: str, help_text: str) -> click.Command:
    """The command that asks for one act."""

    def run(session: Session, *, rollout: str, reason: str, as_json: bool) -> None:
        from inchworm.rollout.commands import act
        from inchworm.rollout.transitions import Act

        with session.house() as house:
            rollout_id = names.rollout(house, rollout).id
            acted = act(
                house.control, rollout_id, Act(name), actor=house.actor, reason=reason, now=house.now()
            )
        if as_json:
            emit(asjson.acted(acted))
            return
        say(*paragraph(f"{rollout_id} {acted.decision.because}"), acted.undo)

    body: Callable[..., Any] = pass_session(run)
    for decorate in (
        json_option,
        click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger."),
        click.argument("rollout", metavar="ID"),
    ):
        body = decorate(body)
    return click.command(name, help=help_text)(body)


pause = _act("pause", "Stop it from growing.\n\nIts share of the traffic stays, and guardrails run on.")
resume = _act("resume", "Let it go on at its stage, with the stage's whole time before it again.")
promote = _act(
    "promote",
    "Move it up one rung, ahead of the evidence.\n\n"
    "Past an unclear benchmark to the first stage, to the next stage, to the soak, or to stable.",
)
abort = _act("abort", "Stop it for good; everybody gets stable.\n\nOne that is queued is cancelled.")
undo = _act(
    "undo",
    "Take a completed one back: stable becomes what it was before.\n\n"
    "Only while it is still stable and nothing is in flight.",
)
