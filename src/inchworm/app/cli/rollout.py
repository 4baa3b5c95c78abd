"""``inchworm rollout``: what is being exposed, the evidence, and what people do about it."""

from __future__ import annotations

import click

from inchworm.app import asjson, names
from inchworm.app.cli.groups import Lazy, LazyGroup, end
from inchworm.app.cli.output import emit, say, table, when, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line
from inchworm.domain.ids import UnitId, short
from inchworm.domain.wording import counted, listed

_HERE = "inchworm.app.cli.rollout"
_ACTS = "inchworm.app.cli.rollout_acts"

group = LazyGroup(
    name="rollout",
    default="ls",
    lazy={
        "ls": Lazy(f"{_HERE}:ls", "List rollouts (what you get without a command)."),
        "show": Lazy(f"{_HERE}:show", "Show exposures, evidence and decisions."),
        "watch": Lazy("inchworm.app.cli.rollout_watch:watch", "Carry it through, and show how it goes."),
        "simulate": Lazy(
            "inchworm.app.cli.rollout_simulate:simulate", "Say what would happen before anyone is exposed."
        ),
        "pause": Lazy(f"{_ACTS}:pause", "Stop it from growing; guardrails run on."),
        "resume": Lazy(f"{_ACTS}:resume", "Let it go on."),
        "promote": Lazy(f"{_ACTS}:promote", "Move it up one rung, ahead of the evidence."),
        "approve": Lazy(f"{_ACTS}:approve", "Agree to somebody else's rollout going on."),
        "abort": Lazy(f"{_ACTS}:abort", "Stop it for good; everybody gets stable."),
        "undo": Lazy(f"{_ACTS}:undo", "Take a completed one back."),
        "retry": Lazy(f"{_ACTS}:retry", "Try one again that did not stay."),
        "replay": Lazy(f"{_HERE}:replay", "Recompute its decisions from their stored evidence."),
        "resolve": Lazy(f"{_HERE}:resolve", "Say which configuration units get, and record it."),
    },
    help="Watch a change being exposed, and act on it.",
)
"""``inchworm rollout``."""


@click.command("ls")
@json_option
@pass_session
def ls(session: Session, *, as_json: bool) -> None:
    """List rollouts, the latest first."""
    from inchworm.rollout.wording import standing

    with session.house() as house:
        found = house.control.rollouts(house.app)[::-1]
    if as_json:
        emit({"rollouts": [asjson.rollout(one) for one in found]})
    elif not found:
        say("Nothing was rolled out yet. Begin with: inchworm plan")
    else:
        rows = [
            [
                one.id,
                f"{one.step} of {one.steps}",
                listed([str(layer) for layer in one.layers]),
                standing(one),
                when(one.entered_at),
                one_line(one.because, max(width() // 3, 30)),
            ]
            for one in found
        ]
        heads = ["id", "step", "layer", "state", "since", "because"]
        say(*table(rows, heads=heads, indent=0))


@click.command("show")
@click.argument("name", metavar="ID")
@json_option
@pass_session
def show(session: Session, *, name: str, as_json: bool) -> None:
    """Show exposures, evidence and decisions.

    Evidence is an e-value: harm rolls back when it passes its line, a stage expands when evidence that the
    loss is within the margin passes its own. Intervals hold at all times at once.
    """
    from inchworm.app.cli import rollout_view

    with session.house() as house:
        view = rollout_view.View.of(house, names.rollout(house, name))
    if as_json:
        emit(asjson.seen(view))
    else:
        say(*view.lines())


@click.command("replay")
@click.argument("name", metavar="ID")
@json_option
@pass_session
def replay(session: Session, *, name: str, as_json: bool) -> None:
    """Recompute its decisions from their stored evidence.

    ID is a rollout (r-7), or one of its decisions (r-7/3). The exit code is 1 if one of them comes out
    differently.
    """
    with session.house() as house:
        rollout, decisions = names.decisions(house, name)
    results = [asjson.replayed(one) for one in decisions]
    identical = all(one["identical"] for one in results)
    if as_json:
        emit({"rollout": rollout.id, "identical": identical, "decisions": results})
    elif not results:
        say(f"Nothing was decided on {rollout.id} yet.")
    else:
        rows = [
            [
                one["id"],
                one["kind"],
                "identical" if one["identical"] else "DIFFERENT",
                one_line(one["instead"]),
            ]
            for one in results
        ]
        say(*table(rows, indent=0))
        said = "identical" if identical else "not identical"
        say("", f"{counted(len(results), 'decision')} recomputed from stored evidence: {said}.")
    if not identical:
        end(1)


@click.command("resolve")
@click.argument("units", nargs=-1, required=True, metavar="UNIT...")
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    metavar="NAME=VALUE",
    help="What is known of the units, by which a stage's audience is chosen; may come several times.",
)
@json_option
@pass_session
def resolve(session: Session, *, units: tuple[str, ...], attributes: tuple[str, ...], as_json: bool) -> None:
    """Say which configuration units get, and record it.

    What a gateway does for every request: the exposure is on the disk before the answer. It cannot be taken
    back, since a unit keeps its arm; asking twice gives the same answer.
    """
    from inchworm.app.loop.exposing import expose
    from inchworm.domain.errors import UsageError

    if not all(unit.strip() for unit in units):
        raise UsageError("a unit needs a name: the id of a session, a user or a request")
    known = {name: value for name, _, value in (one.partition("=") for one in attributes)}
    if any("=" not in one for one in attributes) or "" in known:
        raise UsageError("an attribute is NAME=VALUE", hint="e.g. --attribute tenant=acme")
    with session.house() as house:
        now = house.now()
        answers = expose(house, [(UnitId(unit), now) for unit in units], known)
        app = str(house.app)
    if as_json:
        rows = [asjson.resolved(unit, answer) for unit, answer in zip(units, answers, strict=True)]
        emit({"app": app, "units": rows})
        return
    shown = []
    for unit, answer in zip(units, answers, strict=True):
        given = answer.assignment
        arm, chance = ("none", "") if given is None else (given.arm.value, f"{given.probability:g}")
        of = "nothing is being exposed" if given is None else f"{given.rollout_id}, stage {given.stage + 1}"
        shown.append([one_line(unit), short(answer.configuration_id), arm, chance, of])
    say(*table(shown, heads=["unit", "configuration", "arm", "π", "rollout"], right={3}, indent=0))
