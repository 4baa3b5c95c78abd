"""``inchworm traces``: stored interactions, listed by filters and shown one by one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from inchworm.app import asjson, names
from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, heading, note, say, table, when, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.texts import one_line, printable
from inchworm.domain.ids import RolloutId, short
from inchworm.domain.outcome import Errored, Ok, Result, Scored, Unscored, word
from inchworm.domain.trace import Arm

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.domain.trace import Trace
    from inchworm.store.traces import TraceFilter

group = LazyGroup(
    name="traces",
    default="list",
    lazy={
        "list": Lazy(
            "inchworm.app.cli.traces:list_",
            "List interactions, newest first (what you get without a command).",
        ),
        "show": Lazy("inchworm.app.cli.traces:show", "Show one interaction."),
    },
    help="Look at stored interactions: all of them sanitized.",
)
"""``inchworm traces``."""


@click.command("list")
@click.option(
    "--configuration",
    "configured",
    metavar="ID",
    help="Answered by this configuration: stable, declared or an id.",
)
@click.option("--arm", type=click.Choice([arm.value for arm in Arm]), help="Of this arm of a rollout.")
@click.option("--rollout", metavar="ID", help="Part of this rollout.")
@click.option("--cluster", metavar="NAME", help="In this topic.")
@click.option("--outcome", type=click.Choice(["ok", "failed", "errored"]), help="With this outcome.")
@click.option("--below", metavar="METRIC=VALUE", help="Whose latest score on the metric is below the value.")
@click.option("--text", metavar="WORDS", help="Whose inputs, answer or reference contain these words.")
@click.option("--since", metavar="WHEN", help="At that time or later: 2h, 7d, or 2026-11-09T14:00.")
@click.option("--shadow", is_flag=True, help="Answers to mirrored calls, which nobody saw, instead.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most."
)
@click.option("--after", metavar="CURSOR", help="Go on after a page; its last line says how.")
@json_option
@pass_session
def list_(
    session: Session, /, *, limit: int, after: str | None, shadow: bool, as_json: bool, **said: str | None
) -> None:
    """List interactions, newest first."""
    with session.house() as house:
        filters = replace(_filters(house, said), shadow=shadow)
        page = house.traces.traces(house.app, filters=filters, after=after, limit=limit)
        clusters = house.traces.clusters(house.app, [trace.id for trace in page.traces])
    if as_json:
        rows = [asjson.trace(trace, clusters.get(trace.id)) for trace in page.traces]
        emit({"total": page.total, "traces": rows, "after": page.next_cursor})
        return
    if not page.traces:
        say("No interaction passes these filters." if page.total == 0 else "That was the last page.")
        return
    roomy = width() >= 100
    room = width() // 4 if roomy else width() - 60
    say(
        *table(
            [
                [
                    trace.id[:12],
                    when(trace.at),
                    word(trace.outcome),
                    one_line(clusters.get(trace.id, "no topic"), 24 if roomy else 16),
                    one_line(_asked(trace), room),
                    *([_scores(trace)] if roomy else []),
                ]
                for trace in page.traces
            ],
            heads=["id", "at", "outcome", "topic", "asked", *(["scores"] if roomy else [])],
            indent=0,
        )
    )
    say("", f"{len(page.traces):,} of {page.total:,}")
    if page.next_cursor is not None:
        note(f"more: --after {page.next_cursor}")


@click.command("show")
@click.argument("trace_id", metavar="ID")
@json_option
@pass_session
def show(session: Session, *, trace_id: str, as_json: bool) -> None:
    """Show one interaction, by its id or the beginning of it."""
    with session.house() as house:
        trace = house.traces.trace(house.app, trace_id)
        cluster = house.traces.clusters(house.app, [trace.id]).get(trace.id)
        shadow = house.traces.shadow_of(house.app, trace.id)
    if as_json:
        emit({"trace": asjson.whole_trace(trace, cluster, shadow)})
        return
    say(*_lines(trace, cluster))
    if shadow is not None:
        say("", heading("the candidate's answer, for nobody to see"))
        say(*(f"  {line}" for line in printable(shadow.output or "(none)").splitlines()))
        note(f"more of it: inchworm traces show {shadow.id}")


def _filters(house: House, said: dict[str, str | None]) -> TraceFilter:
    from inchworm.store.traces import TraceFilter

    configured, arm, rollout, since = said["configured"], said["arm"], said["rollout"], said["since"]
    return TraceFilter(
        configuration=None if configured is None else names.configuration(house, configured).id,
        arm=None if arm is None else Arm(arm),
        rollout=None if rollout is None else RolloutId(rollout),
        cluster=said["cluster"],
        outcome=said["outcome"],
        metric_below=None if (below := said["below"]) is None else names.below(below),
        text=said["text"],
        since=None if since is None else names.moment(since, house.now()),
    )


def _asked(trace: Trace) -> str:
    question = trace.inputs.get("question")
    if isinstance(question, str):
        return question
    messages = trace.inputs.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return str(messages[-1].get("content"))
    return json.dumps(trace.inputs, ensure_ascii=False) if trace.inputs else "(no content)"


def _scores(trace: Trace) -> str:
    latest = {score.metric: score.result for score in trace.scores}
    return " ".join(f"{metric} {_result(result)}" for metric, result in sorted(latest.items()))


def _result(result: Result) -> str:
    match result:
        case Scored(value=value):
            return f"{value:.3g}"
        case Unscored():
            return "unscored"
        case Errored():
            return "errored"


def _lines(trace: Trace, cluster: str | None) -> list[str]:
    usage, assignment = trace.usage, trace.assignment
    outcome = trace.outcome
    became = word(outcome) if isinstance(outcome, Ok) else f"{word(outcome)}: {one_line(outcome.reason)}"
    served = "unknown" if trace.configuration_id is None else short(trace.configuration_id)
    if assignment is not None:
        served += f", {assignment.arm} of {assignment.rollout_id} at stage {assignment.stage + 1}"
        served += f" (probability of the candidate {assignment.probability:g})"
    tokens = f"{_or_unknown(usage.input_tokens)} in, {_or_unknown(usage.output_tokens)} out"
    rows = [
        *([] if trace.shadow_of is None else [["shadow of", f"{trace.shadow_of}, which stable answered"]]),
        ["at", when(trace.at)],
        ["unit", one_line(trace.unit_id)],
        ["configuration", served],
        ["topic", one_line(cluster or "none")],
        ["outcome", became],
        ["finish reason", one_line(trace.finish_reason or "unknown")],
        ["latency", "unknown" if trace.latency_ms is None else f"{trace.latency_ms:,.0f} ms"],
        ["tokens", tokens],
        ["cost", "unknown" if usage.cost_usd is None else f"{usage.cost_usd:.6g} USD"],
    ]
    rows += [
        [f"score {one_line(s.metric)}", f"{_scored(s.result)}  by {one_line(s.source)}"] for s in trace.scores
    ]
    lines = [heading(trace.id), *table(rows)]
    for name, value in (*trace.inputs.items(), ("answer", trace.output), ("reference", trace.reference)):
        if value is not None or name == "answer":
            text = "(none)" if value is None else value if isinstance(value, str) else _pretty(value)
            lines += [
                "",
                heading(printable(str(name))),
                *(f"  {line}" for line in printable(text).splitlines()),
            ]
    if trace.attributes:
        lines += ["", heading("attributes")]
        lines += [f"  {line}" for line in printable(_pretty(trace.attributes)).splitlines()]
    return lines


def _or_unknown(number: int | None) -> str:
    return "unknown" if number is None else f"{number:,}"


def _scored(result: Result) -> str:
    match result:
        case Scored(value=value):
            return f"{value:.3g}"
        case Unscored(reason=reason):
            return f"unscored: {one_line(reason)}"
        case Errored(reason=reason):
            return f"errored: {one_line(reason)}"


def _pretty(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
