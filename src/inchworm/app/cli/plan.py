"""``inchworm plan``: how a change begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import Progress, emit, note, say
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.names import DECLARED, configuration
from inchworm.domain.errors import UsageError

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.app.loop.corners import Measuring
    from inchworm.benchmark.replay import Progress as Replayed
    from inchworm.domain.configuration import Configuration


@click.command("plan")
@click.option("--reason", default="", metavar="TEXT", help="Why, for those who read the ledger.")
@click.option(
    "--to",
    default=DECLARED,
    metavar="ID",
    help="Plan for this configuration; what inchworm.yaml says if left out.",
)
@click.option(
    "--measure",
    is_flag=True,
    help="Measure every combination of the layers on the eval set first, and look for an order that holds.",
)
@click.option("--max-usd", type=click.FloatRange(0), metavar="USD", help="What measuring may cost at most.")
@click.option(
    "--via",
    metavar="ID|FILE",
    help="Lead the way over this configuration: its id, or a file like inchworm.yaml.",
)
@click.option(
    "--joint",
    is_flag=True,
    help="Let layers that only work together move in one step, which needs the approval of somebody else.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@json_option
@pass_session
def plan(
    session: Session,
    *,
    reason: str,
    to: str,
    measure: bool,
    max_usd: float | None,
    via: str | None,
    joint: bool,
    markdown: bool,
    as_json: bool,
) -> None:
    """Take a change apart into one-layer steps.

    Compares inchworm.yaml with stable, says which layers move and in which order, checks every configuration
    in between, and forecasts how long each stage takes at the traffic of the last seven days. Nothing moves
    before you apply it.
    """
    from inchworm.app.cli import plan_view
    from inchworm.app.loop.planning import look_ahead, make_plan

    if max_usd is not None and not measure:
        raise UsageError("--max-usd is for --measure: a plan by itself asks no model")
    progress = Progress("answers")
    with session.house() as house:
        lineage = house.lineage()
        try:
            made = make_plan(
                house,
                configuration(house, to),
                reason=reason,
                via=None if via is None else _via(house, via),
                joint=joint,
                measuring=_measuring(progress, max_usd) if measure else None,
            )
        finally:
            progress.clear()
        note("forecasting …")
        outlook = look_ahead(house, made)
        unit = house.spec.policy.unit
    if as_json:
        emit(asjson.planned(made, outlook))
    elif markdown:
        say(*plan_view.markdown(made, outlook, unit))
    else:
        say(*plan_view.lines(made, outlook, lineage, unit))


def _via(house: House, name: str) -> Configuration:
    """A configuration by its id, or the one that a file like ``inchworm.yaml`` says."""
    from inchworm.app.config.load import load

    if name.endswith((".yaml", ".yml")):
        return load(Path(name)).configuration
    return configuration(house, name)


def _measuring(progress: Progress, max_usd: float | None) -> Measuring:
    from inchworm.app.loop.corners import Measuring

    def tell(text: str) -> None:
        progress.clear()
        note(text)

    def watch(seen: Replayed) -> None:
        spent = f"  {seen.cost_usd:,.2f} USD" if seen.cost_usd else ""
        progress(seen.done, seen.total, spent)

    return Measuring(max_usd=max_usd, watch=watch, tell=tell)
