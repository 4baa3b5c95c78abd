"""One interaction as a page shows it: what was said, what became of it, and what answered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inchworm.app.house import House
from inchworm.app.web.formats import Mark, latency, marks
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.outcome import Errored, Failed, Ok, Result, Scored, Unscored, word
from inchworm.domain.trace import Trace

_SAID_CALLS = "openai.response.tool_calls"
_OFFERED = "gen_ai.tool.definitions"
_CUT_OFF = frozenset({"length", "max_tokens"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model asked for: its name, and the arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message.

    Attributes:
        role: ``system``, ``user``, ``assistant``, ``tool`` or what the source called it.
        text: what was said; may be empty beside tool calls.
        calls: the tools that it asks for.
        answers: whether this is the answer that the trace is about.
    """

    role: str
    text: str
    calls: tuple[ToolCall, ...] = ()
    answers: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """One score: the metric, its value or the word for there being none, why, who gave it, and when."""

    metric: str
    said: str
    because: str | None
    source: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The configuration that answered.

    Attributes:
        id: its id.
        known: whether the control store has it.
        moved: layers in which it differs from what is stable now; empty for stable itself.
        said: what it is, in words: ``stable``, ``stable but for prompt``.
    """

    id: ConfigurationId
    known: bool
    moved: tuple[Layer, ...]
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The other answer to the same call.

    Attributes:
        trace: the interaction.
        title: whose answer it is.
        said: what became of it.
    """

    trace: Trace
    title: str
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceView:
    """What is shown of one interaction.

    Attributes:
        trace: the interaction.
        cluster: its topic, if it has one.
        outcome: ``ok``, ``failed`` or ``errored``.
        said: what became of it, as sentences with their because.
        turns: the conversation, with the answer as the last one.
        inputs: inputs that are no messages: name and text.
        offered: names of the tools that the model was offered.
        scores: scores, by metric, the latest of each source.
        answered: the configuration; ``None`` if nothing is known of it.
        marks: surrogates in what is shown.
        attributes: what else the source said: name and text.
        beside: what the other configuration answered, of a mirrored call.
    """

    trace: Trace
    cluster: str | None
    outcome: str
    said: str
    turns: tuple[Turn, ...]
    inputs: tuple[tuple[str, str], ...]
    offered: tuple[str, ...]
    scores: tuple[ScoreLine, ...]
    answered: Answered | None
    marks: tuple[Mark, ...]
    attributes: tuple[tuple[str, str], ...]
    beside: Beside | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its surrogates, by first appearance."""
        return tuple(dict.fromkeys(mark.kind for mark in self.marks))


def view(house: House, trace: Trace, cluster: str | None) -> TraceView:
    """Everything about one interaction."""
    turns = tuple(_turns(trace))
    inputs = tuple((name, _text(value)) for name, value in trace.inputs.items() if name != "messages")
    shown = [turn.text for turn in turns] + [text for _, text in inputs]
    shown += [call.arguments for turn in turns for call in turn.calls]
    return TraceView(
        trace=trace,
        cluster=cluster,
        outcome=word(trace.outcome),
        said=said(trace),
        turns=turns,
        inputs=inputs,
        offered=_offered(trace.attributes),
        scores=tuple(
            ScoreLine(
                metric=one.metric,
                said=result(one.result),
                because=None if isinstance(one.result, Scored) else one.result.reason,
                source=one.source,
                at=one.at,
            )
            for one in sorted(trace.scores, key=lambda one: (one.metric, -one.at))
        ),
        answered=None if trace.configuration_id is None else _answered(house, trace.configuration_id),
        marks=marks("\n".join(shown)),
        attributes=tuple(
            (name, _text(value))
            for name, value in trace.attributes.items()
            if name not in {_SAID_CALLS, _OFFERED}
        ),
        beside=_beside(house, trace),
    )


def _beside(house: House, trace: Trace) -> Beside | None:
    if trace.shadow_of is None:
        found, title = house.traces.shadow_of(house.app, trace.id), "the candidate, for nobody to see"
    else:
        title = "stable, which is what the caller got"
        try:
            found = house.traces.trace(house.app, trace.shadow_of)
        except NotFoundError:
            return None
    return None if found is None else Beside(trace=found, title=title, said=said(found))


def said(trace: Trace) -> str:
    """What became of an interaction, and what that means."""
    arm = trace.assignment
    who = f"the {arm.arm} of {arm.rollout_id}" if arm is not None else ""
    match trace.outcome:
        case Ok():
            took = "" if trace.latency_ms is None else f" in {latency(trace.latency_ms)}"
            cut = ", and cut off at the limit of tokens" if trace.finish_reason in _CUT_OFF else ""
            return f"Answered{f' by {who}' if who else ''}{took}{cut}."
        case Failed(reason=reason):
            failed = f"T{who[1:]} failed" if who else "Failed"
            return f"{failed}, because {reason.rstrip('.')}. It counts against what answered."
        case Errored(reason=reason):
            errored = f"T{who[1:]} errored" if who else "Errored"
            return f"{errored}, because {reason.rstrip('.')}. It counts against no configuration."


def result(one: Result) -> str:
    """A score's value, or the word for there being none."""
    match one:
        case Scored(value=value):
            return f"{value:.2f}".rstrip("0").rstrip(".")
        case Unscored():
            return "unscored"
        case Errored():
            return "errored"


def asked(trace: Trace) -> str | None:
    """What was asked, on one line: the user's last words, else the first input; ``None`` without content."""
    every = messages(trace)
    users = [one for one in every if one.get("role") == "user"]
    said = [one.get("content") for one in users or every]
    words = [text for text in said if isinstance(text, str) and text.strip()]
    if words:
        return " ".join(words[-1].split())
    others = [value for name, value in trace.inputs.items() if name != "messages"]
    question = trace.inputs.get("question", others[0] if others else None)
    return None if question is None else " ".join(_text(question).split())


def messages(trace: Trace) -> list[Mapping[str, Any]]:
    """The messages among the inputs; none if there are none in OpenAI's form."""
    found = trace.inputs.get("messages")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _turns(trace: Trace) -> Iterator[Turn]:
    for one in messages(trace):
        content = one.get("content")
        text = content if isinstance(content, str) else "" if content is None else _text(content)
        yield Turn(role=str(one.get("role", "message")), text=text, calls=_calls(one.get("tool_calls")))
    calls = _calls(trace.attributes.get(_SAID_CALLS))
    if trace.output is not None or calls:
        yield Turn(role="assistant", text=trace.output or "", calls=calls, answers=True)


def _calls(value: Any) -> tuple[ToolCall, ...]:
    """The tool calls of a message in OpenAI's form; what has another form is shown as it is."""
    if not isinstance(value, list):
        return ()
    functions = [one.get("function") if isinstance(one, dict) else None for one in value]
    return tuple(
        ToolCall(name=str(function.get("name", "?")), arguments=_text(function.get("arguments", "")))
        if isinstance(function, dict)
        else ToolCall(name="?", arguments=_text(one))
        for one, function in zip(value, functions, strict=True)
    )


def _offered(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    tools = attributes.get(_OFFERED)
    functions = (
        [one.get("function") for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
    )
    return tuple(str(one["name"]) for one in functions if isinstance(one, dict) and "name" in one)


def _answered(house: House, id_: ConfigurationId) -> Answered:
    try:
        configuration = house.control.configuration(id_)
        lineage = house.control.lineage(house.app)
        stable = None if lineage is None else house.control.configuration(lineage.stable)
    except NotFoundError:
        return Answered(id=id_, known=False, moved=(), said="not known here")
    if stable is None:
        return Answered(id=id_, known=True, moved=(), said="nothing is stable yet")
    moved = tuple(layer for layer in LAYERS if configuration.layer(layer) != stable.layer(layer))
    said = f"stable but for {' and '.join(moved)}" if moved else "stable"
    return Answered(id=id_, known=True, moved=moved, said=said)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)
