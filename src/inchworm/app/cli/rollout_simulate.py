"""``inchworm rollout simulate``: what a policy would do, before anyone is exposed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from inchworm.app.cli.output import emit, paragraph, say, table
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.domain.errors import UsageError
from inchworm.domain.wording import counted, percent

if TYPE_CHECKING:
    from inchworm.rollout.simulate import Simulated

F = TypeVar("F", bound=Callable[..., Any])
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHARE = click.FloatRange(0, 1)


def _together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, listed in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


outcomes_options = _together(
    click.option("--baseline-rate", type=_SHARE, help="Success rate of the baseline, of yes/no outcomes."),
    click.option("--candidate-rate", type=_SHARE, help="Success rate of the candidate."),
    click.option("--baseline-mean", type=_SHARE, help="Mean of the baseline, of outcomes in [0, 1]."),
    click.option("--candidate-mean", type=_SHARE, help="Mean of the candidate."),
    click.option("--sd", type=_SHARE, help="Standard deviation that goes with the means."),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="NAME:BASE:CAND[:MARGIN]",
        help="One of several yes/no metrics; repeatable.",
    ),
    click.option("--baseline", type=_FILE, help="Outcomes of the baseline to draw from, JSON lines."),
    click.option("--candidate", type=_FILE, help="Outcomes of the candidate to draw from."),
    click.option("--field", metavar="NAME", help="The member that is the outcome, if lines are objects."),
)
policy_options = _together(
    click.option(
        "--weight", "weights", multiple=True, type=float, help="The candidate's share; repeatable, by stage."
    ),
    click.option("--margin", type=_SHARE, help="Loss within which it expands; without one nothing expands."),
    click.option("--harm-margin", type=_SHARE, default=0.0, show_default=True, help="Tolerated loss."),
    click.option("--policy", is_flag=True, help="Stages, metrics and margins as inchworm.yaml has them."),
    click.option("--alpha", type=float, default=0.05, show_default=True, help="Budget of false rollbacks."),
    click.option("--shadow", is_flag=True, help="Both answer the same input, for nobody to see: pairs."),
    click.option("--discordance", type=_SHARE, help="Share of the inputs on which they differ."),
    click.option(
        "--method",
        "methods",
        multiple=True,
        default=("inchworm",),
        show_default=True,
        metavar="NAME",
        help="Whose rule; repeatable, or all.",
    ),
    click.option(
        "--planned",
        type=int,
        default=300,
        show_default=True,
        help="Candidate units that O'Brien-Fleming is planned for.",
    ),
)
traffic_options = _together(
    click.option("--units-per-hour", type=float, help="Traffic, both arms; gives hours."),
    click.option("--icc", type=_SHARE, default=0.0, show_default=True, help="Correlation within a user."),
    click.option(
        "--units-per-user", type=int, default=1, show_default=True, help="Units that one user brings."
    ),
    click.option(
        "--label-delay", type=float, default=0.0, show_default=True, help="Hours until an outcome is in."
    ),
    click.option(
        "--missing",
        default="0",
        show_default=True,
        metavar="SHARE[:SHARE]",
        help="Outcomes that never come (baseline:candidate); they count as failures.",
    ),
    click.option("--drift", type=float, default=0.0, help="By how much both arms change until the end."),
    click.option("--runs", type=int, default=1_000, show_default=True, help="Simulated rollouts."),
    click.option(
        "--max-units", type=int, default=100_000, show_default=True, help="Units after which a run is held."
    ),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Of the generator."),
)


@click.command("simulate")
@outcomes_options
@policy_options
@traffic_options
@json_option
@pass_session
def simulate(
    session: Session,
    /,
    *,
    baseline: Path | None,
    candidate: Path | None,
    field: str | None,
    policy: bool,
    label_delay: float,
    as_json: bool,
    **rest: Any,
) -> None:
    """Say what would happen before anyone is exposed.

    Simulates rollouts in which both arms behave as you say, looks at every unit, and counts how often and
    how early the candidate is rolled back or expanded. Other tools' rules can be put beside it. Needs no
    inchworm.yaml, unless you ask for its policy.
    """
    from inchworm.app.loop import simulating

    if field is not None and baseline is None and candidate is None:
        raise UsageError("a member is read from files", hint="--field goes with --baseline and --candidate")
    spec = session.spec() if policy else None
    asked = simulating.Asked(
        baseline_values=None if baseline is None else simulating.values(baseline, field),
        candidate_values=None if candidate is None else simulating.values(candidate, field),
        label_delay_h=label_delay,
        policy=None if spec is None else (spec.policy, spec.metrics),
        **rest,
    )
    results = simulating.answer(asked)
    if as_json:
        emit(simulating.told(results))
    else:
        say(*_lines(asked, results))


def _lines(asked: Any, results: tuple[Simulated, ...]) -> list[str]:
    heads = ["method", "rolled back", "expanded", "held", "candidate units", "p90", "units", "exposed"]
    rows = [
        [
            one.method,
            percent(one.rollback_rate),
            percent(one.expand_rate),
            percent(one.hold_rate),
            _count(one.median_candidate_units),
            _count(one.p90_candidate_units),
            _count(one.median_units),
            f"{one.exposure:,.0f}",
        ]
        for one in results
    ]
    said = [*table(rows, heads=heads, right=set(range(1, 8)), indent=0), ""]
    for one in results[:1]:
        said += paragraph(_sentence(asked, one))
    return said + paragraph(
        "Units are medians until a rollback, and runs without one count as infinite (–); exposed is the mean "
        f"number of units that got the candidate. {counted(results[0].runs, 'run')}, every unit looked at."
    )


def _count(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _sentence(asked: Any, one: Simulated) -> str:
    """The first method's result in words."""
    unit = "pair" if asked.shadow else "unit"
    parts = []
    if one.median_units is not None:
        seen = "" if asked.shadow else f", {one.median_candidate_units:,} of them with the candidate"
        hours = "" if one.median_hours is None else f" (about {one.median_hours:,.1f} hours)"
        found = counted(one.median_units, unit)
        parts.append(f"half of the runs are rolled back within {found}{seen}{hours}")
    elif one.rollback_rate:
        parts.append(f"{percent(one.rollback_rate)} of the runs are rolled back")
    else:
        parts.append("no run is rolled back")
    if one.median_expand_units is not None:
        parts.append(f"half expand within {counted(one.median_expand_units, unit)}")
    if one.hold_rate:
        parts.append(f"{percent(one.hold_rate)} are undecided after {counted(asked.max_units, unit)}")
    return f"{one.method}: {', '.join(parts)}."
