"""What people do to a rollout: each act is a decision, and prints its undo."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from inchworm.app import asjson, names
from inchworm.app.cli.output import emit, paragraph, say
from inchworm.app.cli.session import Session, json_option, pass_session


def _act(name: str, help_text: str, *options: Callable[..., Any]) -> click.Command:
    """The command that asks for one act."""

    def run(session: Session, *, rollout: str, reason: str, as_json: bool, to: str | None = None) -> None:
        from inchworm.app.loop.freezing import freezes
        from inchworm.rollout.commands import act
        from inchworm.rollout.transitions import Act

        with session.house() as house:
            rollout_id = names.rollout(house, rollout).id
            acted = act(
                house.control,
                rollout_id,
                Act(name),
                actor=house.actor,
                reason=reason,
                now=house.now(),
                to=to,
                frozen=freezes(house),
            )
        if as_json:
            emit(asjson.acted(acted))
            return
        say(*paragraph(f"{rollout_id} {acted.decision.because}"), acted.undo)

    body: Callable[..., Any] = pass_session(run)
    decorators: tuple[Callable[..., Any], ...] = (
        json_option,
        *options,
        click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger."),
        click.argument("rollout", metavar="ID"),
    )
    for decorate in decorators:
        body = decorate(body)
    return click.command(name, help=help_text)(body)


pause = _act("pause", "Stop it from growing.\n\nIts share of the traffic stays, and guardrails run on.")
resume = _act("resume", "Let it go on at its stage, with the stage's whole time before it again.")
promote = _act(
    "promote",
    "Move it up one rung, ahead of the evidence.\n\n"
    "Past an unclear benchmark to the first stage, to the next stage, to the soak, or to stable. With --to "
    "it goes past several rungs at once. Freezes and missing approvals stop it.",
    click.option("--to", metavar="RUNG", help="Where to: a stage's share such as 50%, soak, or stable."),
)
abort = _act("abort", "Stop it for good; everybody gets stable.\n\nOne that is queued is cancelled.")
undo = _act(
    "undo",
    "Take a completed one back: stable becomes what it was before.\n\n"
    "Only while it is still stable and nothing is in flight.",
)


@click.command("approve")
@click.argument("rollout", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger.")
@json_option
@pass_session
def approve(session: Session, *, rollout: str, reason: str, as_json: bool) -> None:
    """Agree to somebody else's rollout going on.

    It is about the next stage that needs approvals. The word of whoever applied it does not count. Once
    enough people have agreed, the rollout goes on by itself.
    """
    from inchworm.app.loop.approving import approve as agree

    with session.house() as house:
        done = agree(house, names.rollout(house, rollout), reason=reason)
    if as_json:
        emit(asjson.approved(done))
        return
    said = done.approval
    say(*paragraph(f"{said.actor} approved {said.rollout_id} for {done.before}."))
    say(*paragraph(f"Still, {done.missing}." if done.missing else "It goes on by itself."))
    say(f"An approval is not taken back; to stop it: inchworm rollout abort {said.rollout_id}")


@click.command("retry")
@click.argument("rollout", metavar="ID")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger.")
@json_option
@pass_session
def retry(session: Session, *, rollout: str, reason: str, as_json: bool) -> None:
    """Try a rollout again that was rolled back, rejected, aborted, cancelled or undone.

    The same values are queued as a new rollout, on what is stable when its turn comes.
    """
    from inchworm.app.loop.changing import retry as again

    with session.house() as house:
        made = again(house, names.rollout(house, rollout), reason=reason)
    if as_json:
        emit(asjson.retried(made))
        return
    say(*paragraph(f"{made.id} is {made.because}"))
    say(f"Watch: inchworm rollout watch {made.id}", f"Undo:  inchworm rollout abort {made.id}")
