"""One interaction as a page shows it: what was said, what became of it, and what answered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from inchworm.app.house import House
from inchworm.app.texts import Mark, marks
from inchworm.app.web.formats import latency
from inchworm.app.web.views.conversation import SHOWN, Turn, as_text, offered, others, turns
from inchworm.app.web.views.spans import Spans, waterfall
from inchworm.capture.telemetry.folding import CONTENTLESS, CONTRADICTIONS, INCOMPLETE, NAME, SPANS
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.outcome import Errored, Failed, Ok, Result, Scored, Unscored, word
from inchworm.domain.trace import CONTENT, SOURCE, Trace
from inchworm.store.traces.rows import MODELS

_CUT_OFF = frozenset({"length", "max_tokens"})
_TOLD = SHOWN | {CONTENT, CONTENTLESS, INCOMPLETE, NAME, SOURCE, SPANS}
"""Attributes that the page says in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreLine:
    """One score: the metric, its value or the word for none, why, who gave it, when, and their words."""

    metric: str
    said: str
    because: str | None
    source: str
    at: float
    comment: str | None


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
        notes: what is missing of it or contradicts itself, as sentences.
        model: the model that answered, or was asked; ``None`` if its source does not say.
        source: the way that it came by, if it is known.
        name: what its source calls it, if it does.
        spans: its spans, if it came with some.
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
    notes: tuple[str, ...]
    model: str | None
    source: str | None
    name: str | None
    spans: Spans | None
    beside: Beside | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its surrogates, by first appearance."""
        return tuple(dict.fromkeys(mark.kind for mark in self.marks))


def view(
    house: House,
    trace: Trace,
    cluster: str | None,
    *,
    span: str | None = None,
    href: Callable[[str | None], str],
) -> TraceView:
    """Everything about one interaction.

    Args:
        house: the app.
        trace: the interaction.
        cluster: its topic.
        span: id of the span that is open.
        href: the address of the page with a span open, or none.
    """
    said_ = tuple(turns(trace.inputs, trace.output, trace.attributes))
    inputs = others(trace.inputs)
    shown = [text for turn in said_ for text in turn.words] + [text for _, text in inputs]
    attributes = trace.attributes
    return TraceView(
        trace=trace,
        cluster=cluster,
        outcome=word(trace.outcome),
        said=said(trace),
        turns=said_,
        inputs=inputs,
        offered=offered(attributes),
        scores=tuple(
            ScoreLine(
                metric=one.metric,
                said=result(one.result),
                because=None if isinstance(one.result, Scored) else one.result.reason,
                source=one.source,
                at=one.at,
                comment=one.comment,
            )
            for one in sorted(trace.scores, key=lambda one: (one.metric, -one.at))
        ),
        answered=None if trace.configuration_id is None else _answered(house, trace.configuration_id),
        marks=marks("\n".join(shown)),
        attributes=tuple((name, as_text(value)) for name, value in attributes.items() if name not in _TOLD),
        notes=tuple(_notes(trace)),
        model=_text(trace, *MODELS),
        source=_text(trace, SOURCE),
        name=_text(trace, NAME),
        spans=waterfall(house.traces.spans(house.app, [trace.id]).get(trace.id, ()), span, href),
        beside=_beside(house, trace),
    )


def _text(trace: Trace, *names: str) -> str | None:
    values = (trace.attributes.get(name) for name in names)
    return next((value for value in values if isinstance(value, str) and value), None)


def _notes(trace: Trace) -> Iterator[str]:
    if trace.attributes.get(INCOMPLETE) is True:
        yield "Not all of it has come: a span names a parent that is not here, or nothing says how it ended."
    if trace.attributes.get(CONTRADICTIONS):
        yield "Its spans disagree on what answered or on the assignment; the root’s word was taken."


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
