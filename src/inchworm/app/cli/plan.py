"""``inchworm plan`` and ``apply``: how a change begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, note, paragraph, say
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.names import DECLARED, configuration
from inchworm.domain.errors import InchwormError
from inchworm.domain.rollout import Rollout, RolloutState
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from inchworm.app.house import House


@click.command("plan")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger.")
@click.option(
    "--to",
    default=DECLARED,
    metavar="ID",
    help="Plan for this configuration; what inchworm.yaml says if left out.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@pass_session
def plan(session: Session, *, reason: str, to: str, markdown: bool, as_json: bool) -> None:
    """Take a change apart into one-layer steps.

    Compares inchworm.yaml with stable, says which layers move and in which order, checks every configuration
    in between, and forecasts how long each stage takes at the traffic of the last seven days. Nothing moves
    before you apply it.
    """
    from inchworm.app.cli import plan_view
    from inchworm.app.loop.changing import look_ahead, make_plan

    with session.house() as house:
        lineage = house.lineage()
        made = make_plan(house, configuration(house, to), reason=reason)
        note("forecasting …")
        outlook = look_ahead(house, made)
        unit = house.spec.policy.unit
    if as_json:
        emit(asjson.planned(made, outlook))
    elif markdown:
        say(*plan_view.markdown(made, outlook, unit))
    else:
        say(*plan_view.lines(made, outlook, lineage, unit))


@click.command("apply")
@click.argument("plan_name", metavar="PLAN")
@click.option("--no-start", is_flag=True, help="Only queue; inchworm rollout watch starts it.")
@json_option
@pass_session
def apply(session: Session, *, plan_name: str, no_start: bool, as_json: bool) -> None:
    """Queue the steps of a plan, and start the first.

    Refused if stable has moved since the plan was made. If something is in flight, the steps wait behind it.
    """
    from inchworm.app.loop.changing import apply as queue
    from inchworm.app.loop.changing import find_plan

    with session.house() as house:
        queued = queue(house, find_plan(house, plan_name))
        hindrance = None if no_start else _start(house)
        first = house.control.rollout(queued[0].id)
        ahead = _ahead(house, first)
    undo = f"inchworm rollout abort {first.id}"
    if as_json:
        emit(
            {
                "plan": first.plan_id,
                "rollouts": [{"id": one.id, "step": one.step, "layer": str(one.layer)} for one in queued],
                "first": {"id": first.id, "state": first.state.value, "because": first.because},
                "started": first.state is not RolloutState.QUEUED,
                "behind": None if ahead is None else ahead.id,
                "not_started_because": hindrance,
                "undo": undo,
            }
        )
        return
    names = ", ".join(f"{one.id} {one.layer}" for one in queued)
    say(f"{first.plan_id}: {counted(len(queued), 'step')} queued ({names}).")
    say(*_standing(first, ahead, hindrance))
    say(f"Watch: inchworm rollout watch {first.id}", f"Undo:  {undo}")


def _start(house: House) -> str | None:
    """Let the control loop go round once; why it could not, if so. The steps are queued either way.

    It works no benchmark off: that is for who watches, and may be somebody else's change.
    """
    from inchworm.app.loop.changing import decide

    try:
        decide(house)
    except InchwormError as error:
        return error.message
    return None


def _ahead(house: House, rollout: Rollout) -> Rollout | None:
    """What ``rollout`` waits for: what is in flight, else the first that is queued before it."""
    from inchworm.rollout.transitions import IN_FLIGHT

    if rollout.state is not RolloutState.QUEUED:
        return None
    everything = house.control.rollouts(house.app)
    before = everything[: [one.id for one in everything].index(rollout.id)]
    flying = [one for one in everything if one.state in IN_FLIGHT]
    waiting = [one for one in before if one.state is RolloutState.QUEUED]
    return next(iter([*flying, *waiting]), None)


def _standing(first: Rollout, ahead: Rollout | None, hindrance: str | None) -> list[str]:
    where = f"Step {first.step} of {first.steps} ({first.id}, {first.layer})"
    if first.state is not RolloutState.QUEUED:
        return paragraph(f"{where} is {first.state.value.replace('_', ' ')}: {first.because}")
    if ahead is not None:
        state = ahead.state.value.replace("_", " ")
        return paragraph(
            f"{where} is queued behind {ahead.id} ({ahead.layer}, {state}): "
            "one change is in flight at a time."
        )
    if hindrance is not None:
        return paragraph(f"{where} is queued, and could not be started yet: {hindrance}.")
    return paragraph(f"{where} is queued, and starts with: inchworm rollout watch")
