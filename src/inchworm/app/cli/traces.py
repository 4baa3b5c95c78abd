"""``inchworm traces``: stored interactions, listed by filters and shown one by one."""

from __future__ import annotations

import json
import re
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from inchworm.app.cli.groups import Lazy, LazyGroup
from inchworm.app.cli.output import emit, heading, note, one_line, printable, say, table, when, width
from inchworm.app.cli.session import Session, configuration, json_option, pass_session
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import RolloutId, short
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Result, Scored, Unscored, encode
from inchworm.domain.trace import Arm

if TYPE_CHECKING:
    from inchworm.app.house import House
    from inchworm.domain.trace import Trace
    from inchworm.store.traces import TraceFilter

_AGO = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|m|h|d|w)")
_SECONDS = {"s": 1, "min": 60, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}

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
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many at most."
)
@click.option("--after", metavar="CURSOR", help="Go on after a page; its last line says how.")
@json_option
@pass_session
def list_(session: Session, /, *, limit: int, after: str | None, as_json: bool, **said: str | None) -> None:
    """List interactions, newest first."""
    with session.house() as house:
        filters = _filters(house, said)
        page = house.traces.traces(house.app, filters=filters, after=after, limit=limit)
        clusters = house.traces.clusters(house.app, [trace.id for trace in page.traces])
    if as_json:
        rows = [_summary(trace, clusters.get(trace.id)) for trace in page.traces]
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
                    _word(trace.outcome),
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
    if as_json:
        emit({"trace": _whole(trace, cluster)})
        return
    say(*_lines(trace, cluster))


def _filters(house: House, said: dict[str, str | None]) -> TraceFilter:
    from inchworm.store.traces import TraceFilter

    configured, arm, rollout, since = said["configured"], said["arm"], said["rollout"], said["since"]
    return TraceFilter(
        configuration=None if configured is None else configuration(house, configured).id,
        arm=None if arm is None else Arm(arm),
        rollout=None if rollout is None else RolloutId(rollout),
        cluster=said["cluster"],
        outcome=said["outcome"],
        metric_below=None if (below := said["below"]) is None else _below(below),
        text=said["text"],
        since=None if since is None else moment(since, house.now()),
    )


def _below(text: str) -> tuple[str, float]:
    metric, _, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not metric or number != number:  # noqa: PLR0124  # the only value that is not itself
        raise UsageError(f'--below takes METRIC=VALUE, e.g. answered=0.5, not "{text}"')
    return metric, number


def moment(text: str, now: float) -> float:
    """A time that a person typed, as seconds since the epoch: ``2h`` ago, or ISO 8601 (local without a zone).

    Raises:
        UsageError: if it is neither.
    """
    ago = _AGO.fullmatch(text.strip())
    if ago is not None:
        return now - float(ago[1]) * _SECONDS[ago[2]]
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        today = time.strftime("%Y-%m-%d", time.localtime(now))
        raise UsageError(f'"{text}" is no time: write 2h, 7d, {today} or {today}T14:00') from error


def _asked(trace: Trace) -> str:
    question = trace.inputs.get("question")
    if isinstance(question, str):
        return question
    messages = trace.inputs.get("messages")
    if isinstance(messages, list) and messages and isinstance(messages[-1], dict):
        return str(messages[-1].get("content"))
    return json.dumps(trace.inputs, ensure_ascii=False) if trace.inputs else "(no content)"


def _word(outcome: Outcome) -> str:
    match outcome:
        case Ok():
            return "ok"
        case Failed():
            return "failed"
        case Errored():
            return "errored"


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


def _summary(trace: Trace, cluster: str | None) -> dict[str, Any]:
    assignment = trace.assignment
    return {
        "id": trace.id,
        "at": trace.at,
        "unit": trace.unit_id,
        "configuration": trace.configuration_id,
        "rollout": None if assignment is None else assignment.rollout_id,
        "stage": None if assignment is None else assignment.stage,
        "arm": None if assignment is None else assignment.arm.value,
        "probability": None if assignment is None else assignment.probability,
        "cluster": cluster,
        "outcome": encode(trace.outcome),
        "finish_reason": trace.finish_reason,
        "latency_ms": trace.latency_ms,
        "usage": {
            "input_tokens": trace.usage.input_tokens,
            "output_tokens": trace.usage.output_tokens,
            "cost_usd": trace.usage.cost_usd,
        },
        "scores": [
            {"metric": one.metric, "result": encode(one.result), "source": one.source, "at": one.at}
            for one in trace.scores
        ],
    }


def _whole(trace: Trace, cluster: str | None) -> dict[str, Any]:
    return {
        **_summary(trace, cluster),
        "inputs": trace.inputs,
        "output": trace.output,
        "reference": trace.reference,
        "attributes": trace.attributes,
    }


def _lines(trace: Trace, cluster: str | None) -> list[str]:
    usage, assignment = trace.usage, trace.assignment
    outcome = trace.outcome
    became = _word(outcome) if isinstance(outcome, Ok) else f"{_word(outcome)}: {one_line(outcome.reason)}"
    served = "unknown" if trace.configuration_id is None else short(trace.configuration_id)
    if assignment is not None:
        served += f", {assignment.arm} of {assignment.rollout_id} at stage {assignment.stage + 1}"
        served += f" (probability of the candidate {assignment.probability:g})"
    tokens = f"{_or_unknown(usage.input_tokens)} in, {_or_unknown(usage.output_tokens)} out"
    rows = [
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
