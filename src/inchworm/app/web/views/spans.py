"""The spans of a trace as rows of a waterfall, and what went into the one that is open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from inchworm.app.spans import Branch, period, tree
from inchworm.app.texts import one_line
from inchworm.app.web.formats import latency
from inchworm.app.web.views.conversation import SHOWN, Turn, as_text, laid_out, offered, others, turns
from inchworm.domain.outcome import Ok, word
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import SOURCE, Usage

MOST = 200
"""Spans that are drawn; one that is open is always."""
_DEEPEST = 8
_LEAST = 0.4
_SHAPES = {
    SpanKind.LLM: "solid",
    SpanKind.EMBEDDING: "solid",
    SpanKind.TOOL: "hollow",
    SpanKind.RETRIEVER: "striped",
    SpanKind.RERANKER: "striped",
    SpanKind.GUARDRAIL: "hollow",
    SpanKind.EVALUATOR: "hollow",
}
"""How the bar of a kind is drawn; what only holds others together is a thin line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What is told of one span.

    Attributes:
        facts: name and text of what is known of it beside its content.
        turns: its conversation, if it has one.
        inputs: other inputs: name and text.
        output: what came out, if it is no answer of the conversation; laid out if it is JSON.
        structured: whether the output is JSON.
        tools: names of the tools that were offered.
        attributes: what else the source said: name and text.
    """

    facts: tuple[tuple[str, str], ...]
    turns: tuple[Turn, ...]
    inputs: tuple[tuple[str, str], ...]
    output: str | None
    structured: bool
    tools: tuple[str, ...]
    attributes: tuple[tuple[str, str], ...]

    @property
    def has_content(self) -> bool:
        """Whether it says what went in or came out."""
        return bool(self.turns or self.inputs or self.output is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanRow:
    """A span in the waterfall.

    Attributes:
        id: its id.
        depth: how far it is set in, 0 to 8.
        kind: what was done.
        name: what its source calls it.
        model: the model, where the name does not say it.
        took: how long it took, in words; ``not ended`` without an end.
        tokens: tokens in and out, if known.
        bad: ``failed`` or ``errored``, if it is one.
        lost: whether it names a parent that has not come.
        left: where its bar begins, percent of the whole time; ``None`` if nothing is known of when.
        wide: how wide its bar is, percent.
        shape: how its bar is drawn: ``solid``, ``hollow``, ``striped``, ``thin`` or ``tick``.
        said: the row in one sentence, for those who do not see the bar.
        href: the page with it open; without it, if it is.
        opened: its content, if it is open.
    """

    id: str
    depth: int
    kind: str
    name: str
    model: str | None
    took: str
    tokens: str | None
    bad: str | None
    lost: bool
    left: float | None
    wide: float
    shape: str
    said: str
    href: str
    opened: Opened | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """All spans of a trace.

    Attributes:
        rows: as a tree, each followed by those under it.
        count: how many there are.
        took: from the first start to the last end, in words, if that is known.
        lost: how many name a parent that has not come.
        gone: the id of one that was asked for and is not there.
    """

    rows: tuple[SpanRow, ...]
    count: int
    took: str | None
    lost: int
    gone: str | None = None


def waterfall(spans: Sequence[Span], opened: str | None, href: Callable[[str | None], str]) -> Spans | None:
    """The spans of a trace; ``None`` if it came without.

    Args:
        spans: of one trace.
        opened: id of the one that is open.
        href: the address of the page with a span open, or none.
    """
    if not spans:
        return None
    branches = tree(spans)
    whole = period(spans)
    shown = [one for n, one in enumerate(branches) if n < MOST or one.span.id == opened]
    known = any(one.span.id == opened for one in shown)
    return Spans(
        rows=tuple(_row(one, whole, opened, href) for one in shown),
        count=len(branches),
        took=latency(1e3 * (whole[1] - whole[0])) if whole is not None and whole[0] < whole[1] else None,
        lost=sum(one.lost for one in branches),
        gone=opened if opened is not None and not known else None,
    )


def _row(
    branch: Branch,
    whole: tuple[float, float] | None,
    opened: str | None,
    href: Callable[[str | None], str],
) -> SpanRow:
    span, is_open = branch.span, branch.span.id == opened
    left, wide = _bar(span, whole)
    took = "not ended" if branch.took_ms is None else latency(branch.took_ms)
    bad = None if span.outcome is None or isinstance(span.outcome, Ok) else word(span.outcome)
    shape = "tick" if span.kind is SpanKind.EVENT or not wide else _SHAPES.get(span.kind, "thin")
    after = "" if whole is None or span.started_at is None else latency(1e3 * (span.started_at - whole[0]))
    return SpanRow(
        id=span.id,
        depth=min(branch.depth, _DEEPEST),
        kind=span.kind.value,
        name=one_line(span.name, 80) or "no name",
        model=one_line(span.model, 40) if span.model and span.model not in span.name else None,
        took=took,
        tokens=_tokens(span.usage),
        bad=bad,
        lost=branch.lost,
        left=left,
        wide=max(wide, _LEAST),
        shape=shape,
        said=f"{took}, from {after} on" if after else took,
        href=href(None if is_open else span.id),
        opened=_opened(branch) if is_open else None,
    )


def _bar(span: Span, whole: tuple[float, float] | None) -> tuple[float | None, float]:
    """Where it begins and how wide it is, percent of the whole."""
    if whole is None or span.started_at is None:
        return None, 0.0
    begin, end = whole
    length = (end - begin) or 1.0
    left = 100 * (span.started_at - begin) / length
    wide = 0.0 if span.ended_at is None else 100 * (span.ended_at - span.started_at) / length
    return min(left, 100 - _LEAST), wide


def _opened(branch: Branch) -> Opened:
    span = branch.span
    said = tuple(turns(span.inputs, span.output, span.attributes))
    talks = any(not turn.answers for turn in said)
    output, structured = (None, False)
    if not talks and span.output is not None and not said[-1].calls:
        output, structured = laid_out(span.output)
    return Opened(
        facts=tuple(_facts(branch)),
        turns=said if output is None else (),
        inputs=tuple((name, laid_out(text)[0]) for name, text in others(span.inputs)),
        output=output,
        structured=structured,
        tools=offered(span.attributes),
        attributes=tuple(
            (name, as_text(value))
            for name, value in sorted(span.attributes.items())
            if name not in SHOWN | {SOURCE}
        ),
    )


def _facts(branch: Branch) -> list[tuple[str, str]]:
    span, usage = branch.span, branch.span.usage
    outcome = span.outcome
    became = "unknown" if outcome is None else word(outcome)
    if outcome is not None and not isinstance(outcome, Ok):
        became = f"{became}, because {outcome.reason}"
    parent = "" if span.parent_id is None else span.parent_id
    facts: list[tuple[str, Any]] = [
        ("outcome", became),
        ("model", span.model),
        ("tokens", _tokens(usage)),
        ("cost", None if usage.cost_usd is None else f"{usage.cost_usd:.2g} USD"),
        ("ended", span.finish_reason),
        ("under", f"{parent}, which has not come" if branch.lost else None),
        ("span", span.id),
    ]
    return [(name, text) for name, text in facts if text]


def _tokens(usage: Usage) -> str | None:
    if usage.input_tokens is None and usage.output_tokens is None:
        return None
    sides = (
        f"{'unknown' if number is None else f'{number:,}'} {way}"
        for number, way in ((usage.input_tokens, "in"), (usage.output_tokens, "out"))
    )
    return ", ".join(sides)
