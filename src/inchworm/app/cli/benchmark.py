"""``inchworm benchmark``: two configurations on one eval set, and the gate of a pull request."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from inchworm.app.cli.groups import end
from inchworm.app.cli.output import Progress, emit, heading, note, paragraph, say, table, width
from inchworm.app.cli.session import Session, cases_options, json_option, pass_session
from inchworm.app.names import eval_set, two_configurations
from inchworm.app.texts import one_line
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import short
from inchworm.domain.verdict import Verdict
from inchworm.domain.wording import bounds, counted, listed, margin, percent, points, usd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from inchworm.app.house import House
    from inchworm.benchmark.replay import Progress as Replayed
    from inchworm.domain.benchmark import Benchmark, Trial
    from inchworm.domain.evalset import EvalSet

CODES = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.INCONCLUSIVE: 3,
    Verdict.NO_DATA: 3,
    Verdict.CANCELLED: 3,
    Verdict.ERRORED: 2,
}
"""Exit codes of a gate: nothing measured is not a pass."""
_DROPS = 5


@click.command("benchmark")
@click.argument("base")
@click.argument("candidate")
@cases_options
@click.option(
    "--gate",
    is_flag=True,
    help="Let the verdict set the exit code: 0 pass, 1 fail, 3 inconclusive or nothing measured, 2 errored.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option(
    "--junit", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML too, for a CI."
)
@click.option(
    "--max-usd", type=click.FloatRange(0), metavar="USD", help="Stop before the answers cost more than this."
)
@json_option
@pass_session
def command(
    session: Session,
    *,
    base: str,
    candidate: str,
    cases: str,
    repetitions: int | None,
    gate: bool,
    markdown: bool,
    junit: Path | None,
    max_usd: float | None,
    as_json: bool,
) -> None:
    """Compare two configurations on an eval set.

    BASE and CANDIDATE are stable, declared (what inchworm.yaml says) or the beginning of a configuration's
    id. Answers that were given before come from the cache.
    """
    from inchworm.app.loop.measuring import compare
    from inchworm.benchmark import report

    if junit is not None and not junit.parent.is_dir():
        raise UsageError(f"{junit} cannot be written: there is no folder {junit.parent}")
    progress = Progress("answers")
    with session.house() as house:
        found = eval_set(house, cases)
        sides = two_configurations(house, base, candidate)
        try:
            benchmark = compare(
                house,
                sides[0],
                sides[1],
                eval_set=found,
                samples=repetitions,
                max_usd=max_usd,
                watch=lambda seen: _watch(progress, seen),
            )
        finally:
            progress.clear()
        trials = _trials(house, found, benchmark) if markdown else []
    if junit is not None:
        junit.write_text(report.junit(benchmark), "utf-8")
        note(f"{junit} is written.")
    if as_json:
        emit({"benchmark": report.to_json(benchmark)})
    elif markdown:
        say(report.markdown(benchmark, found, trials).rstrip("\n"))
    else:
        say(*_lines(benchmark, found))
    if gate:
        end(CODES[benchmark.verdict])


def _watch(progress: Progress, seen: Replayed) -> None:
    also = f"  {seen.cached:,} from the cache" if seen.cached else ""
    also += f"  {counted(seen.errored, 'error')}" if seen.errored else ""
    also += f"  {seen.cost_usd:,.2f} USD" if seen.cost_usd else ""
    progress(seen.done, seen.total, also)


def _trials(house: House, found: EvalSet, benchmark: Benchmark) -> Sequence[Trial]:
    ids = [case.id for case in found.cases]
    return list(house.control.trials(ids, [benchmark.base, benchmark.candidate]).values())


def _lines(benchmark: Benchmark, found: EvalSet) -> list[str]:
    from inchworm.benchmark.report import headline
    from inchworm.benchmark.wording import WORDS

    out = paragraph(one_line(headline(benchmark)))
    out[0] = heading(out[0])
    roomy = width() >= 110
    rows = []
    for one in benchmark.comparisons:
        effect = one.effect
        estimate = "not measured" if effect is None else points(effect.estimate)
        interval = "" if effect is None else bounds(effect.low, effect.high)
        base, candidate = ("unknown" if mean is None else percent(mean) for mean in (one.base, one.candidate))
        means = [f"{base} → {candidate}"] if roomy else []
        count = f"{one.cases:,}"
        rows.append(
            [
                one.metric,
                one.role.value,
                WORDS[one.verdict],
                estimate,
                interval,
                margin(one.margin),
                *means,
                count,
            ]
        )
    heads = ["metric", "", "verdict", "points", "95 % interval", "margin", "cases"]
    if roomy:
        heads.insert(-1, "base → candidate")
    out += ["", *table(rows, heads=heads, right={3, 5, 6} if roomy else {3, 5})]
    for one in benchmark.comparisons:
        left_out = [
            f"{n:,} {word}" for n, word in ((one.unscored, "unscored"), (one.errored, "errored")) if n
        ]
        if left_out:
            out.append(f"  {one.metric}: {listed(left_out)}, left out")
    worse = [one for one in benchmark.clusters if one.worse]
    if worse:
        out += ["", "Worse with confidence, in these topics (intervals hold for all topics at once):"]
        out += table(
            [
                [
                    one_line(one.cluster, 36),
                    one.metric,
                    f"{points(one.effect.estimate)} points",
                    bounds(one.effect.low, one.effect.high),
                    counted(one.cases, "case"),
                ]
                for one in worse
            ],
            right={2},
        )
    if benchmark.regressed:
        questions = {case.id: case.inputs.get("question", case.inputs) for case in found.cases}
        out += ["", f"The largest drops ({counted(len(benchmark.regressed), 'case')} dropped):"]
        drops = benchmark.regressed[:_DROPS]
        out += table([[case, one_line(str(questions.get(case, "")), 60)] for case in drops])
    cost = "" if benchmark.cost_usd is None else f", {usd(benchmark.cost_usd)}"
    return [
        *out,
        "",
        *paragraph(
            f"{benchmark.id}: {short(benchmark.base)} → {short(benchmark.candidate)} "
            f"on {one_line(benchmark.eval_set)}, {counted(benchmark.repetitions, 'repetition')}, "
            f"{counted(benchmark.trials, 'answer')}{cost}."
        ),
    ]
