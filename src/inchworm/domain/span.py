"""One piece of work within a trace: a call of a model, of a tool, a search, an agent's turn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, TraceId
from inchworm.domain.outcome import Outcome
from inchworm.domain.trace import CONTENT, EXPIRED, UNKNOWN_USAGE, Assignment, Usage


class SpanKind(StrEnum):
    """What was done; the union of what OpenTelemetry, OpenInference, Langfuse and LangSmith tell apart."""

    LLM = "llm"
    EMBEDDING = "embedding"
    TOOL = "tool"
    RETRIEVER = "retriever"
    RERANKER = "reranker"
    AGENT = "agent"
    CHAIN = "chain"
    GUARDRAIL = "guardrail"
    EVALUATOR = "evaluator"
    EVENT = "event"
    TRACE = "trace"
    """What a source says of the trace as a whole (Langfuse's ``trace-create``)."""
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One piece of work, as far as it is known: a source may say more of it later, under the same id.

    Attributes:
        app: where it happened.
        trace_id: the trace that it belongs to.
        id: unique within the trace.
        parent_id: the span that asked for it; ``None`` for the first one, or if it is not known yet.
        name: what the source calls it.
        kind: what was done.
        started_at: seconds since the epoch, if known yet.
        ended_at: seconds since the epoch, if known yet.
        outcome: what became of it, if known yet.
        model: the model that answered; else the one that was asked.
        usage: tokens and cost of itself, without its children.
        inputs: what went in: ``{"messages": [...]}`` for a conversation in OpenAI's form, else by names.
        output: what came out, as text.
        finish_reason: why the answer ended, in OpenAI's words where there is one; else the provider's word.
        configuration_id: what answered, if the source says so.
        assignment: arm, rollout, stage and probability, if the source says so.
        people: who it belongs to, by ``unit``, ``session`` and ``user``, as far as the source says.
        reference: a right answer, if the source brought one.
        attributes: the source's own attributes, as they came, and what was told from them under
            OpenTelemetry's names.
        revision: orders what is said of one span: the later one wins. Seconds since the epoch.
    """

    app: AppRef
    trace_id: TraceId
    id: str
    parent_id: str | None = None
    name: str = ""
    kind: SpanKind = SpanKind.OTHER
    started_at: float | None = None
    ended_at: float | None = None
    outcome: Outcome | None = None
    model: str | None = None
    usage: Usage = UNKNOWN_USAGE
    inputs: Mapping[str, Any] = field(default_factory=dict)
    output: str | None = None
    finish_reason: str | None = None
    configuration_id: ConfigurationId | None = None
    assignment: Assignment | None = None
    people: Mapping[str, str] = field(default_factory=dict)
    reference: Any = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    revision: float = 0.0

    @property
    def key(self) -> tuple[AppRef, TraceId, str]:
        """What tells it from every other span."""
        return self.app, self.trace_id, self.id

    @property
    def is_expired(self) -> bool:
        """Whether its content was deleted for its age."""
        return self.attributes.get(CONTENT) == EXPIRED


_JOINED = frozenset({"attributes", "people"})
_SAME = frozenset({"app", "trace_id", "id", "revision"})


def merged(one: Span, other: Span) -> Span:
    """What two reports of one span say together.

    Where both say something, the later revision wins, and of equal revisions ``other``. Two reports in either
    order come to the same where revisions differ, and a report twice is a report once.

    Raises:
        ValueError: if they are not of one span.
    """
    if one.key != other.key:
        msg = f"{one.key} is not {other.key}"
        raise ValueError(msg)
    early, late = (one, other) if one.revision <= other.revision else (other, one)
    said: dict[str, Any] = {}
    for each in fields(Span):
        name = each.name
        if name in _SAME:
            continue
        before, after = getattr(early, name), getattr(late, name)
        if name in _JOINED:
            said[name] = {**before, **after}
        elif name == "usage":
            said[name] = _usage(before, after)
        elif after in (None, "", SpanKind.OTHER) or after == {}:
            said[name] = before
    if one.is_expired != other.is_expired:
        # It says something again: the mark would keep that from being deleted for its age.
        del said["attributes"][CONTENT]
    return replace(late, **said)


def _usage(before: Usage, after: Usage) -> Usage:
    return Usage(
        input_tokens=before.input_tokens if after.input_tokens is None else after.input_tokens,
        output_tokens=before.output_tokens if after.output_tokens is None else after.output_tokens,
        cost_usd=before.cost_usd if after.cost_usd is None else after.cost_usd,
    )
