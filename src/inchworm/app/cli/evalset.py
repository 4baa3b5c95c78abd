"""``inchworm evalset``: cases drawn from production, in versions; proposals admitted."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, heading, note, paragraph, say, table, when, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.names import eval_set, open_proposal
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.wording import counted, percent

if TYPE_CHECKING:
    from inchworm.domain.evalset import Case, EvalSet

_HERE = "inchworm.app.cli.evalset"
_CASES = 10

group = LazyGroup(
    name="evalset",
    default="ls",
    lazy={
        "build": Lazy(f"{_HERE}:build", "Draw a new version from the stored interactions."),
        "ls": Lazy(f"{_HERE}:ls", "List eval sets (what you get without a command)."),
        "show": Lazy(f"{_HERE}:show", "Show what an eval set stands for, and its cases."),
        "import": Lazy(f"{_HERE}_files:import_", "Make a version of a file of cases, of any tool's."),
        "export": Lazy(f"{_HERE}_files:export", "Write an eval set as a file, for any tool."),
        "proposals": Lazy(f"{_HERE}:proposals", "List cases that somebody would like to have in it."),
        "accept": Lazy(f"{_HERE}:accept", "Admit the cases of a proposal."),
    },
    help="Draw eval sets from production, and let them grow. A version never changes.",
)
"""``inchworm evalset``."""


@click.command("build")
@click.option("--name", default="main", show_default=True, help="What to call it. Gates use main.")
@click.option(
    "--size", type=click.IntRange(1), default=600, show_default=True, help="How many cases at most."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="Seed of the draw: the same, the same cases.",
)
@json_option
@pass_session
def build(session: Session, *, name: str, size: int, seed: int, as_json: bool) -> None:
    """Draw a new version from the stored interactions, each topic by its share."""
    from inchworm.app.loop.measuring import build_eval_set

    if "@" in name or not name.strip():
        raise UsageError(f'"{name}" cannot be the name of an eval set: versions are counted for you')
    with session.house() as house:
        made = build_eval_set(house, name=name, size=size, seed=seed)
    if as_json:
        emit({"eval_set": asjson.eval_set(made)})
        return
    say(*_about(made))
    say("", "Next: inchworm adopt, or compare: inchworm benchmark stable declared")


@click.command("ls")
@json_option
@pass_session
def ls(session: Session, *, as_json: bool) -> None:
    """List eval sets."""
    with session.house() as house:
        found = house.control.eval_sets(house.app)
    if as_json:
        emit({"eval_sets": [asjson.eval_set_row(one) for one in found]})
    elif not found:
        say("There is no eval set yet. Draw one: inchworm evalset build")
    else:
        rows_ = [
            [one_line(one.id), f"{one.cases:,}", when(one.at), one_line(one.population)]
            for one in reversed(found)
        ]
        say(*table(rows_, heads=["id", "cases", "made", "stands for"], right={1}, indent=0))


@click.command("show")
@click.argument("name", default="main")
@click.option(
    "--cases",
    "count",
    type=click.IntRange(0),
    default=_CASES,
    show_default=True,
    help="How many cases to list.",
)
@json_option
@pass_session
def show(session: Session, *, name: str, count: int, as_json: bool) -> None:
    """Show what an eval set stands for, and its cases: NAME or NAME@VERSION."""
    with session.house() as house:
        found = eval_set(house, name)
    if as_json:
        emit({"eval_set": asjson.eval_set(found, found.cases[:count])})
        return
    say(*_about(found))
    if count:
        room = max(width() // 2, 30)
        rows = [
            [case.id, one_line(case.cluster, 24), f"{case.weight:,.1f}", one_line(_asked(case), room)]
            for case in found.cases[:count]
        ]
        say("", *table(rows, heads=["case", "topic", "weight", "asked"], right={2}, indent=0))
        if count < len(found.cases):
            note(f"{len(found.cases) - count:,} more: --cases {len(found.cases)}")


@click.command("proposals")
@click.option("--all", "every", is_flag=True, help="Also those that were accepted.")
@json_option
@pass_session
def proposals(session: Session, *, every: bool, as_json: bool) -> None:
    """List cases that somebody would like to have in it."""
    with session.house() as house:
        found = house.control.proposals(house.app, open_only=not every)
    if as_json:
        emit({"proposals": [asjson.proposal(one) for one in found]})
    elif not found:
        say("No proposal is open." if not every else "Nothing was proposed yet.")
    else:
        rows_ = [[one.id, f"{len(one.cases):,}", one_line(one.because)] for one in found]
        say(*table(rows_, heads=["proposal", "cases", "because"], right={1}, indent=0))
        if not every:
            say("", f"Admit them: inchworm evalset accept {found[0].id}")


@click.command("accept")
@click.argument("proposal")
@json_option
@pass_session
def accept(session: Session, *, proposal: str, as_json: bool) -> None:
    """Admit the cases of a proposal: the eval set gets a new version."""
    from inchworm.app.loop.measuring import accept as admit
    from inchworm.app.loop.sampling import MAIN

    with session.house() as house:
        grown, added = admit(house, open_proposal(house, proposal))
    if as_json:
        emit({"proposal": proposal, "eval_set": grown.id, "added": added, "cases": len(grown.cases)})
    elif added:
        say(f"{grown.id}: {counted(added, 'case')} added, {len(grown.cases):,} in all.")
        before = grown.parent or MAIN
        say(f"Versions stay: to measure without them, name the one before: --evalset {before}")
    else:
        say(f"Every case of {proposal} is in {grown.id} already; nothing was added.")


def _about(found: EvalSet) -> list[str]:
    lines = [heading(f"{found.id}   {counted(len(found.cases), 'case')}")]
    lines += paragraph(f"Stands for: {one_line(found.population)}", 2)
    if found.parent:
        lines.append(f"  Grew from {found.parent}")
    numbers = Counter(case.cluster for case in found.cases)
    rows = [
        [one_line(cluster or "no topic", 36), percent(share), f"{numbers[cluster]:,}"]
        for cluster, share in sorted(found.shares.items(), key=lambda pair: -pair[1])
    ]
    return [*lines, "", *table(rows, heads=["topic", "share of production", "cases"], right={1, 2})]


def _asked(case: Case) -> str:
    question = case.inputs.get("question")
    return question if isinstance(question, str) else json.dumps(case.inputs, ensure_ascii=False)
