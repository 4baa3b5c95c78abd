"""``inchworm attribute``: which layer did it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from inchworm.app import asjson
from inchworm.app.cli.output import Progress, emit, heading, paragraph, say, table
from inchworm.app.cli.session import Session, cases_options, json_option, pass_session
from inchworm.app.names import eval_set, two_configurations
from inchworm.domain.ids import short
from inchworm.domain.wording import bounds, counted, interval, points

if TYPE_CHECKING:
    from inchworm.app.loop.attributing import Findings
    from inchworm.benchmark.replay import Progress as Replayed
    from inchworm.domain.attribution import Contribution, Corner

_ID = 12


@click.command("attribute")
@click.argument("base")
@click.argument("candidate")
@click.option("--metric", metavar="NAME", help="Which metric; the first goal if left out.")
@cases_options
@json_option
@pass_session
def command(
    session: Session,
    *,
    base: str,
    candidate: str,
    metric: str | None,
    cases: str,
    repetitions: int | None,
    as_json: bool,
) -> None:
    """Find the layer that did it.

    Measures every combination of the layers that differ between BASE and CANDIDATE (stable, declared, or the
    beginning of an id), names the layers that moved the metric, and says which combination to ship today.
    """
    from inchworm.app.loop.attributing import attribute

    progress = Progress("answers")

    def watch(seen: Replayed) -> None:
        progress(seen.done, seen.total, f"  {seen.cached:,} from the cache" if seen.cached else "")

    with session.house() as house:
        found = eval_set(house, cases)
        sides = two_configurations(house, base, candidate)
        try:
            findings = attribute(
                house, sides[0], sides[1], eval_set=found, metric=metric, samples=repetitions, watch=watch
            )
        finally:
            progress.clear()
        lineage = house.control.lineage(house.app)
    if as_json:
        emit(asjson.findings(findings))
        return
    say(*_lines(findings, None if lineage is None else lineage.stable))


def _lines(findings: Findings, stable: str | None) -> list[str]:
    found = findings.attribution
    base, candidate = found.corners[0].mean, _whole(found.corners).mean
    errored = f", {found.errored:,} errored" if found.errored else ""
    counts = ", ".join(
        [
            counted(found.cases, "case"),
            counted(len(found.corners), "cell"),
            counted(found.trials, "answer") + errored,
        ]
    )
    out = paragraph(f"{found.metric} {base:.2f} → {candidate:.2f}   {interval(found.total)}, {counts}")
    out[0] = heading(out[0])
    rows = [
        [
            " × ".join(one.layers),
            points(one.effect.estimate),
            bounds(one.effect.low, one.effect.high),
            "named" if one.named else "nothing measurable",
        ]
        for one in found.contributions
        if one.named or len(one.layers) == 1
    ]
    out += ["", *table(rows, heads=["layer", "points", "95 % interval", ""], right={1})]
    silent = sum(1 for one in found.contributions if not one.named and len(one.layers) > 1)
    if silent:
        out.append(f"  {counted(silent, 'interaction')} of layers: nothing measurable")
    out += ["", *paragraph(_ship(found.ship, found.base, found.candidate, stable))]
    for proposal in findings.proposals:
        out += paragraph(
            f"{proposal.because}. Add them to the eval set? inchworm evalset accept {proposal.id}"
        )
    if not any(one.named for one in found.contributions):
        out += paragraph(_nobody(found.contributions))
    return out


def _whole(corners: tuple[Corner, ...]) -> Corner:
    return max(corners, key=lambda corner: len(corner.moved))


def _ship(ship: Corner, base: str, candidate: str, stable: str | None) -> str:
    plan = (
        ""
        if ship.configuration_id == stable
        else f" Plan it: inchworm plan --to {ship.configuration_id[:_ID]}"
    )
    if ship.configuration_id == base:
        return f"Ship today: none of it; stay with {short(base)}.{plan}"
    if ship.configuration_id == candidate:
        return f"Ship today: all of it, {interval(ship.effect)}.{plan}"
    which = " + ".join(ship.moved)
    alone = " alone" if len(ship.moved) == 1 else ""
    return f"Ship today: {which}{alone}, {interval(ship.effect)}.{plan}"


def _nobody(contributions: tuple[Contribution, ...]) -> str:
    widest = max((one.effect.high - one.effect.low for one in contributions), default=0.0)
    return (
        "No layer can be named: no effect is larger than what these cases can tell apart "
        f"(intervals are up to {100 * widest:.1f} points wide). "
        "More cases would tell more: inchworm evalset build"
    )
