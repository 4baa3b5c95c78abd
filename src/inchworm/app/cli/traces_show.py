"""``inchworm traces show``: one interaction with its spans, or one of its spans."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from inchworm.app import asjson
from inchworm.app.cli.output import emit, heading, note, say, table, when, width
from inchworm.app.cli.session import Session, json_option, pass_session
from inchworm.app.spans import Branch, tree
from inchworm.app.texts import marks, one_line, printable
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import short
from inchworm.domain.outcome import Errored, Ok, Result, Scored, Unscored, word
from inchworm.domain.wording import counted

if TYPE_CHECKING:
    from rich.tree import Tree

    from inchworm.domain.outcome import Outcome
    from inchworm.domain.span import Span
    from inchworm.domain.trace import Trace, Usage

_MOST_SPANS = 200
_SECOND_MS = 1_000


@click.command("show")
@click.argument("trace_id", metavar="ID")
@click.option("--span", "span_id", metavar="ID", help="What went into one of its spans, and what came out.")
@json_option
@pass_session
def show(session: Session, *, trace_id: str, span_id: str | None, as_json: bool) -> None:
    """Show one interaction with its spans, by its id or the beginning of it."""
    with session.house() as house:
        trace = house.traces.trace(house.app, trace_id)
        cluster = house.traces.clusters(house.app, [trace.id]).get(trace.id)
        shadow = house.traces.shadow_of(house.app, trace.id)
        spans = house.traces.spans(house.app, [trace.id]).get(trace.id, ())
    if span_id is not None:
        span = _span(trace, spans, span_id)
        if as_json:
            emit({"span": asjson.span(span)})
        else:
            say(*_span_lines(span, spans))
        return
    if as_json:
        emit({"trace": asjson.whole_trace(trace, cluster, shadow, spans)})
        return
    say(*_lines(trace, cluster))
    if spans:
        say("", heading("spans"), *_tree_lines(tree(spans)))
        note(f"more of one: inchworm traces show {trace.id} --span ID")
    if shadow is not None:
        say("", heading("the candidate's answer, for nobody to see"))
        say(*(f"  {line}" for line in printable(shadow.output or "(none)").splitlines()))
        note(f"more of it: inchworm traces show {shadow.id}")


def _span(trace: Trace, spans: Sequence[Span], id_: str) -> Span:
    found = [one for one in spans if one.id == id_] or [one for one in spans if one.id.startswith(id_)]
    if not found:
        raise NotFoundError(
            f'{trace.id} has no span "{one_line(id_, 80)}"', hint=f"inchworm traces show {trace.id}"
        )
    if len(found) > 1:
        listed = ", ".join(one.id for one in found[:5])
        raise UsageError(f'"{one_line(id_, 80)}" is ambiguous: {listed}', hint="type more of the id")
    return found[0]


def _lines(trace: Trace, cluster: str | None) -> list[str]:
    usage = trace.usage
    found = marks("\n".join(_texts(trace)))
    kinds = ", ".join(dict.fromkeys(mark.kind for mark in found))
    rows = [
        *([] if trace.shadow_of is None else [["shadow of", f"{trace.shadow_of}, which stable answered"]]),
        ["at", when(trace.at)],
        ["unit", one_line(trace.unit_id)],
        ["configuration", _served(trace)],
        ["topic", one_line(cluster or "none")],
        ["outcome", _became(trace.outcome)],
        ["finish reason", one_line(trace.finish_reason or "unknown")],
        ["latency", _took(trace.latency_ms)],
        ["tokens", f"{_or_unknown(usage.input_tokens)} in, {_or_unknown(usage.output_tokens)} out"],
        ["cost", "unknown" if usage.cost_usd is None else f"{usage.cost_usd:.6g} USD"],
        *([["sanitized", f"{counted(len(found), 'mark')} ({kinds}), before storage"]] if found else []),
        *[["note", text] for text in _notes(trace)],
    ]
    rows += [
        [
            f"score {one_line(score.metric)}",
            f"{_scored(score.result)}  by {one_line(score.source)}, {when(score.at)}"
            + (f": {one_line(score.comment)}" if score.comment else ""),
        ]
        for score in trace.scores
    ]
    return [heading(trace.id), *table(rows), *_content(trace)]


def _served(trace: Trace) -> str:
    served = "unknown" if trace.configuration_id is None else short(trace.configuration_id)
    if (assignment := trace.assignment) is not None:
        served += f", {assignment.arm} of {assignment.rollout_id} at stage {assignment.stage + 1}"
        served += f" (probability of the candidate {assignment.probability:g})"
    return served


def _notes(trace: Trace) -> Iterator[str]:
    """What is missing, in words."""
    if trace.attributes.get("inchworm.incomplete") is True:
        yield "incomplete: a span names a parent that has not come, or nothing says how it ended"
    if trace.is_expired:
        yield "its content was deleted for its age; its numbers are kept"
    elif not trace.has_content:
        yield "its source sent no content: only that a call was made"


def _content(trace: Trace) -> Iterator[str]:
    inputs = dict(trace.inputs)
    messages = inputs.pop("messages", None)
    if isinstance(messages, list):
        for one in messages:
            yield from _message(one)
    elif messages is not None:
        inputs["messages"] = messages
    for name, value in (*inputs.items(), ("answer", trace.output), ("reference", trace.reference)):
        if value is None and (name != "answer" or trace.is_expired):
            continue
        yield from _block(str(name), "(none)" if value is None else value)
    if trace.attributes:
        yield from _block("attributes", trace.attributes)


def _message(one: Any) -> Iterator[str]:
    """One message of a conversation; what is none of OpenAI's form is shown as it is."""
    if not isinstance(one, Mapping) or not isinstance(one.get("role"), str):
        yield from _block("message", one)
        return
    role = one["role"]
    named = one.get("name") or one.get("tool_call_id")
    yield from _block(f"{role} {named}" if role == "tool" and named else role, one.get("content") or "")
    calls = one.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, Mapping) else None
        said = (
            f"{function.get('name')}({function.get('arguments')})"
            if isinstance(function, Mapping)
            else _pretty(call)
        )
        yield from (f"  calls {text}" for text in printable(said).splitlines())


def _block(title: str, value: Any) -> Iterator[str]:
    yield from ("", heading(one_line(title)))
    text = value if isinstance(value, str) else _pretty(value)
    yield from (f"  {line}" for line in printable(text).splitlines())


def _texts(trace: Trace) -> Iterator[str]:
    yield _pretty(trace.inputs)
    yield trace.output or ""


def _tree_lines(branches: Sequence[Branch]) -> list[str]:
    """The spans, each under its parent: drawn on a terminal, else indented."""
    shown = branches[:_MOST_SPANS]
    more = [f"  and {len(branches) - len(shown):,} more: --json"] if len(branches) > len(shown) else []
    if not _on_a_terminal():
        return [f"  {'  ' * branch.depth}{_said(branch)}" for branch in shown] + more
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    top = Tree(Text(""), hide_root=True, guide_style="dim")
    above: list[Tree] = [top]
    for branch in shown:
        del above[branch.depth + 1 :]
        above.append(above[-1].add(Text(_said(branch))))
    written = io.StringIO()
    Console(file=written, width=width(), color_system=None, highlight=False).print(top)
    return [f"  {line}".rstrip() for line in written.getvalue().splitlines()] + more


def _on_a_terminal() -> bool:
    return sys.stdout.isatty()


def _said(branch: Branch) -> str:
    span = branch.span
    outcome = span.outcome
    parts = [
        f"{span.kind.value:<9} {one_line(span.name or '(no name)', 48)}",
        *([one_line(span.model, 32)] if span.model and span.model not in span.name else []),
        _took(branch.took_ms) if branch.took_ms is not None else "not ended",
        *([_tokens(span.usage)] if _tokens(span.usage) else []),
        *(
            [f"{word(outcome)}: {one_line(outcome.reason, 60)}"]
            if outcome and not isinstance(outcome, Ok)
            else []
        ),
        *([f"its parent {one_line(span.parent_id or '', 20)} has not come"] if branch.lost else []),
        f"[{one_line(span.id, 16)}]",
    ]
    return "  ".join(parts)


def _span_lines(span: Span, spans: Sequence[Span]) -> list[str]:
    (branch,) = [one for one in tree(spans) if one.span.id == span.id]
    lost = " (which has not come)" if branch.lost else ""
    rows = [
        ["of", one_line(span.trace_id)],
        ["under", "nothing" if span.parent_id is None else one_line(span.parent_id) + lost],
        ["name", one_line(span.name or "none")],
        ["kind", span.kind.value],
        ["at", "unknown" if span.started_at is None else when(span.started_at, seconds=True)],
        ["took", "unknown" if branch.took_ms is None else _took(branch.took_ms)],
        ["outcome", "unknown" if span.outcome is None else _became(span.outcome)],
        ["model", one_line(span.model or "none")],
        ["tokens", _tokens(span.usage) or "unknown"],
        ["finish reason", one_line(span.finish_reason or "unknown")],
    ]
    lines = [heading(span.id), *table(rows)]
    inputs = dict(span.inputs)
    messages = inputs.pop("messages", ())
    for one in messages if isinstance(messages, list) else [messages]:
        lines += _message(one)
    for name, value in inputs.items():
        lines += _block(str(name), value)
    lines += _block("output", "(none)" if span.output is None else span.output)
    if span.attributes:
        lines += _block("attributes", dict(span.attributes))
    return lines


def _became(outcome: Outcome) -> str:
    return word(outcome) if isinstance(outcome, Ok) else f"{word(outcome)}: {one_line(outcome.reason)}"


def _took(milliseconds: float | None) -> str:
    if milliseconds is None:
        return "unknown"
    return f"{milliseconds:,.0f} ms" if milliseconds < _SECOND_MS else f"{milliseconds / _SECOND_MS:,.1f} s"


def _tokens(usage: Usage) -> str:
    if usage.input_tokens is None and usage.output_tokens is None:
        return ""
    return f"{_or_unknown(usage.input_tokens)} in, {_or_unknown(usage.output_tokens)} out"


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
