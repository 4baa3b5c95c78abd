"""``inchworm rollout watch``: the control loop on a terminal, round by round, until the rollout has ended."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from inchworm.app import asjson, names
from inchworm.app.cli.groups import INTERRUPTED, end
from inchworm.app.cli.output import emit, note, paragraph, say, when
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.errors import NotFoundError, StoreError

if TYPE_CHECKING:
    from inchworm.app.cli.rollout_view import View
    from inchworm.app.house import House
    from inchworm.domain.attribution import Proposal
    from inchworm.domain.rollout import Rollout

_SHOWN = 5
_CLEAR = "\x1b[H\x1b[2J"


@click.command("watch")
@click.argument("name", metavar="[ID]", required=False)
@click.option("--once", is_flag=True, help="Go round once and stop.")
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 86_400),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two rounds.",
)
@json_option
@pass_session
def watch(session: Session, *, name: str | None, once: bool, interval: float, as_json: bool) -> None:
    """Carry it through, and show how it goes.

    Each round looks at the evidence and decides; what was decided stays decided, however the watching ends.
    Without ID: what is in flight, else what is queued first. The exit code is 0 if it completed (or is still
    under way, with --once), 1 if it was rolled back or rejected, 3 if a person is asked or stopped it.
    """
    from inchworm.app.cli.rollout_view import CODES
    from inchworm.rollout.transitions import TERMINAL

    screen = _Screen(live=sys.stdout.isatty() and not once and not as_json)
    view = None
    try:
        while True:
            try:
                view = _round(session, name if view is None else view.rollout.id)
            except StoreError as error:
                if once:
                    raise
                # the loop is level-triggered: whoever has the store now ends, and this goes on
                note(f"{error.message}; trying again in {interval:g} s")
            else:
                ended = view.rollout.state in TERMINAL
                if once or ended:
                    break
                if not as_json:
                    screen.show(view)
            time.sleep(interval)
    except KeyboardInterrupt:
        left = (
            "nothing was changed"
            if view is None
            else f"{_named(view)} stays as it is: {view.rollout.because}"
        )
        note("", f"stopped watching; {left}")
        end(INTERRUPTED)
    proposals = _proposed(session, view)
    if as_json:
        emit({**asjson.seen(view), "proposals": [proposal.id for proposal in proposals]})
    else:
        screen.last(view)
        for proposal in proposals:
            accept = f"inchworm evalset accept {proposal.id}"
            say(*paragraph(f"{one_line(proposal.because)}. Add them to the eval set? {accept}"))
    end(CODES.get(view.rollout.state, 0))


def _named(view: View) -> str:
    from inchworm.rollout.wording import standing

    return f"{view.rollout.id} ({standing(view.rollout)})"


def _round(session: Session, name: str | None) -> View:
    """One round of the control loop, and what it left."""
    from inchworm.app.cli.rollout_view import View
    from inchworm.app.loop.changing import advance
    from inchworm.domain.rollout import RolloutState

    # opened anew for every round: other commands need the trace store in between
    with session.house() as house:
        chosen = _first(house) if name is None else names.rollout(house, name)
        if chosen.state is RolloutState.BENCHMARKING:
            note(f"{chosen.id}: benchmarking …")
        advance(house, owner=session.owner)
        return View.of(house, house.control.rollout(chosen.id))


def _proposed(session: Session, view: View) -> tuple[Proposal, ...]:
    """Cases for the eval set from what a rolled-back candidate failed on; the same ones if asked again."""
    from inchworm.app.loop.attributing import propose_failures
    from inchworm.domain.rollout import RolloutState

    if view.rollout.state is not RolloutState.ROLLED_BACK:
        return ()
    with session.house() as house:
        return propose_failures(house, view.rollout.id)


def _first(house: House) -> Rollout:
    from inchworm.domain.rollout import RolloutState
    from inchworm.rollout.transitions import IN_FLIGHT

    everything = house.control.rollouts(house.app)
    flying = [one for one in everything if one.state in IN_FLIGHT]
    queued = [one for one in everything if one.state is RolloutState.QUEUED]
    if not flying and not queued:
        raise NotFoundError(
            f"nothing of {house.app} is in flight or queued", hint="begin with: inchworm plan"
        )
    return (flying or queued)[0]


class _Screen:
    """Where it is shown: redrawn on a terminal; elsewhere only what is new.

    Args:
        live: whether to redraw.
    """

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._told = 0
        self._standing = ""

    def show(self, view: View) -> None:
        """One round."""
        if self._live:
            say(
                _CLEAR + "\n".join(view.lines(most=_SHOWN)),
                "",
                f"{when(view.now)}   Ctrl-C leaves it as it is",
            )
            return
        for decision in view.decisions[self._told :]:
            say(f"{when(decision.at, seconds=True)}  {view.rollout.id} {decision.because}")
        self._told = len(view.decisions)
        standing = _named(view)
        if standing != self._standing:
            say(f"{when(view.now)}  {standing}")
            self._standing = standing

    def last(self, view: View) -> None:
        """The end of it."""
        if self._live:
            say(_CLEAR, *view.lines())
        else:
            say(*view.lines())
