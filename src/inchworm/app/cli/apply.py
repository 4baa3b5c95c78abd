"""``inchworm apply``: a plan enters the queue, or, in an emergency, goes past it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, note, paragraph, say
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.errors import InchwormError, StoreError, UsageError
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.wording import counted, listed

if TYPE_CHECKING:
    from inchworm.app.house import House

_TRIES: Final = 20
_BETWEEN_S: Final = 0.1
"""Another command has the traces for as long as it runs, which is a second or two for most."""


@click.command("apply")
@click.argument("plan_name", metavar="PLAN")
@click.option("--no-start", is_flag=True, help="Only queue; inchworm rollout watch starts it.")
@click.option(
    "--break-glass",
    metavar="REASON",
    help="EMERGENCY: everything at once, to everybody but the holdback, past the queue, benchmark, freezes, "
    "approvals and stages. It is told to everybody and stays in the ledger.",
)
@click.option(
    "--undecided-because",
    metavar="REASON",
    help="Queue it although its policy cannot decide at the app's traffic, and say why in the ledger.",
)
@json_option
@pass_session
def command(
    session: Session,
    *,
    plan_name: str,
    no_start: bool,
    break_glass: str | None,
    undecided_because: str | None,
    as_json: bool,
) -> None:
    """Queue the steps of a plan, and start the first.

    Refused if stable has moved since the plan was made, or if its policy cannot decide at the app's traffic.
    If something is in flight, the steps wait behind it.
    """
    if break_glass is not None:
        if no_start:
            raise UsageError("an emergency starts at once: leave --no-start out")
        _emergency(session, plan_name, break_glass, as_json=as_json)
        return
    from inchworm.app.loop.changing import ahead_of
    from inchworm.app.loop.changing import apply as queue
    from inchworm.app.loop.planning import find_plan

    with session.house() as house:
        queued = queue(house, find_plan(house, plan_name), undecided_because=undecided_because)
        hindrance = None if no_start else _start(house)
        first = house.control.rollout(queued[0].id)
        ahead = ahead_of(house, first)
        frozen = _frozen(house)
    said = asjson.applied(queued, first, ahead)
    if as_json:
        more = {"started": first.state is not RolloutState.QUEUED, "not_started_because": hindrance}
        emit({**said, **more, "frozen": frozen})
        return
    names = ", ".join(f"{one.id} {_layers(one)}" for one in queued)
    say(*paragraph(f"{first.plan_id}: {counted(len(queued), 'step')} queued ({names})."))
    say(*_standing(first, ahead, hindrance, frozen))
    say(f"Watch: inchworm rollout watch {first.id}", f"Undo:  {said['undo']}")


def _emergency(session: Session, plan_name: str, reason: str, *, as_json: bool) -> None:
    from inchworm.app.loop.emergency import break_glass
    from inchworm.app.loop.planning import find_plan

    with session.house() as house:
        plan_id = find_plan(house, plan_name)
        note(
            click.style("EMERGENCY: THE GLASS IS BROKEN.", bold=True),
            f"{plan_id} goes past the queue, its benchmark, freezes, approvals and stages.",
            f"{house.actor} is entered in the ledger and the audit trail with the reason: {reason.strip()}",
            "",
        )
        made = break_glass(house, plan_id, reason)
    if as_json:
        emit({**asjson.applied([made], made, None), "emergency": made.emergency, "unbundle": _unbundle(made)})
        return
    say(*paragraph(f"{made.id} ({_layers(made)}): {made.because}"))
    if (unbundle := _unbundle(made)) is not None:
        say(f"Several layers moved at once. Tell them apart later: {unbundle}")
    say(f"Watch: inchworm rollout watch {made.id}", f"Undo:  inchworm rollout abort {made.id}")


def _unbundle(made: Rollout) -> str | None:
    if len(made.layers) < 2 or made.base is None or made.candidate is None:
        return None
    return f"inchworm attribute {made.base[:8]} {made.candidate[:8]}"


def _start(house: House) -> str | None:
    """Let the control loop go round once; why it could not, if so. The steps are queued either way.

    It works no benchmark off: that is for who watches, and may be somebody else's change. A command that has
    the traces for itself is waited for, shortly.
    """
    from inchworm.app.loop.changing import decide

    hindrance = None
    for attempt in range(_TRIES):
        if attempt:
            time.sleep(_BETWEEN_S)
        try:
            decide(house)
        except StoreError as error:
            hindrance = error.message
        except InchwormError as error:
            return error.message
        else:
            return None
    return hindrance


def _frozen(house: House) -> str | None:
    from inchworm.app.loop.freezing import freezes

    found = freezes(house)(house.app, house.now())
    return None if found is None else found[0]


def _layers(one: Rollout) -> str:
    return listed([str(layer) for layer in one.layers])


def _standing(first: Rollout, ahead: Rollout | None, hindrance: str | None, frozen: str | None) -> list[str]:
    from inchworm.rollout.wording import standing

    where = f"Step {first.step} of {first.steps} ({first.id}, {_layers(first)})"
    if first.state is not RolloutState.QUEUED:
        return paragraph(f"{where} is {first.state.value.replace('_', ' ')}: {first.because}")
    if ahead is not None:
        return paragraph(
            f"{where} is queued behind {ahead.id} ({_layers(ahead)}, {standing(ahead)}, applied by "
            f"{ahead.author}): one change is in flight at a time. See: inchworm queue"
        )
    if frozen is not None:
        return paragraph(f"{where} is queued: nothing starts in {frozen}.")
    if hindrance is not None:
        return paragraph(
            f"{where} is queued, and could not be started yet: {hindrance}. It starts with: "
            "inchworm rollout watch"
        )
    return paragraph(f"{where} is queued, and starts with: inchworm rollout watch")
