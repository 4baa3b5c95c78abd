"""Langfuse's older ingestion: an array of events, each creating or updating a trace or an observation.

``POST /api/public/ingestion`` wraps it as ``{"batch": [...]}``; both are read. The events of a batch come in
any order, and several of one moment: an update is then the later word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar

from inchworm.capture.telemetry.dialects import langfuse
from inchworm.capture.telemetry.items import (
    decoded,
    encoded,
    identifier,
    shortened,
    storable,
    time_of,
    usage_of,
)
from inchworm.capture.telemetry.outcomes import of_error
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.refused import Refused
from inchworm.capture.telemetry.spans import CUT, finish_of, inputs_of, note
from inchworm.capture.telemetry.told import Told
from inchworm.capture.values import kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.outcome import Ok, Outcome
from inchworm.domain.span import Span, SpanKind

KINDS: Final = {
    "trace-create": SpanKind.TRACE,
    "span-create": SpanKind.CHAIN,
    "span-update": SpanKind.CHAIN,
    "generation-create": SpanKind.LLM,
    "generation-update": SpanKind.LLM,
    "event-create": SpanKind.EVENT,
    "observation-create": SpanKind.OTHER,
    "observation-update": SpanKind.OTHER,
    **{
        f"{kind}-create": langfuse.KINDS[kind]
        for kind in ("agent", "tool", "chain", "retriever", "evaluator")
    },
    **{f"{kind}-create": langfuse.KINDS[kind] for kind in ("embedding", "guardrail")},
}
"""Events that say something of a span, and its kind."""
_IGNORED: Final = frozenset({"sdk-log", "score-create"})
_TAKEN = frozenset(
    "id traceId parentObservationId type name startTime endTime completionStartTime timestamp input output "
    "userId sessionId model modelParameters usage usageDetails costDetails".split()
)
_LATER_S = 1e-4

Made = TypeVar("Made")


def check(body: bytes) -> int:
    """How many events it holds that say something of a span.

    Raises:
        InputError: if it is no array of events, or none of them has a body with an id.
    """
    events = list(_events(decoded(body)))
    if events and not any(isinstance(one, dict) and isinstance(one.get("body"), dict) for one in events):
        raise InputError("none of its events has a body")
    return len(events)


def spans(body: bytes, app: AppRef, then: Callable[[Span], Made]) -> Iterator[Made | Refused]:
    """The events as reports of spans, one by one; scores and logs of the client are passed over.

    Args:
        body: an array of events.
        app: where they happened.
        then: what becomes of each; raises InputError for one that cannot be.

    Raises:
        InputError: if it is no array of events.
    """
    for event in storable(_events(decoded(body)), body):
        try:
            span: Made | Refused = then(_span(event, app))
        except InputError as error:
            span = Refused(reason=error.message, body=encoded([event]))
        yield span


def _events(value: Any) -> Iterator[Any]:
    batch = value.get("batch") if isinstance(value, dict) else value
    if not isinstance(batch, list):
        raise InputError(f"events come in an array, not in {kind_of(batch)}")
    for event in batch:
        word = event.get("type") if isinstance(event, dict) else None
        if not (isinstance(word, str) and word in _IGNORED):
            yield event


def _span(event: Any, app: AppRef) -> Span:
    if not isinstance(event, dict):
        raise InputError(f"an event is an object, not {kind_of(event)}")
    word = event.get("type")
    if not isinstance(word, str) or word not in KINDS:
        raise InputError(f"there is no event {quoted(word)}" if isinstance(word, str) else "it has no type")
    body = event.get("body")
    if not isinstance(body, dict):
        raise InputError(f"its body is {kind_of(body)}; an object is expected")
    id_ = identifier(body, "id")
    if id_ is None:
        raise InputError("its body has no id")
    kind = _kind(word, body)
    is_trace, creates = kind is SpanKind.TRACE, word.endswith("-create")
    trace_id = id_ if is_trace else identifier(body, "traceId")
    if trace_id is None:
        raise InputError("its body has no traceId")
    started = time_of(body.get("timestamp" if is_trace else "startTime"), "startTime")
    ended = time_of(body.get("endTime"), "endTime")
    if kind is SpanKind.EVENT:
        ended = ended or started
    if started is not None and ended is not None and ended < started:
        raise InputError("it ended before it started")
    at = time_of(event.get("timestamp"), "timestamp")
    moment = next((one for one in (at, ended, started) if one is not None), 0.0)
    parent = identifier(body, "parentObservationId")
    told = _told(body, kind)
    return Span(
        app=app,
        trace_id=TraceId(trace_id),
        id=id_,
        # What names no parent when it is created hangs under the trace; an update leaves it open.
        parent_id=parent or (trace_id if creates and not is_trace else None),
        name=said(body.get("name")) or "",
        kind=kind,
        started_at=started,
        ended_at=ended,
        outcome=_outcome(body),
        model=told.model or told.asked,
        usage=usage_of(told),
        inputs=inputs_of(told),
        output=told.output,
        finish_reason=finish_of(told),
        people=told.people,
        attributes=_attributes(body, told, started),
        revision=moment if creates else moment + _LATER_S,
    )


def _kind(word: str, body: Mapping[str, Any]) -> SpanKind:
    """Its kind; ``observation-create`` says it in the body."""
    kind = KINDS[word]
    if kind is SpanKind.OTHER and isinstance(named := body.get("type"), str):
        return langfuse.KINDS.get(named.lower(), SpanKind.OTHER)
    return kind


def _outcome(body: Mapping[str, Any]) -> Outcome | None:
    """Only what it says: an update without a level leaves open what its creation said."""
    level = body.get("level")
    if level == "ERROR":
        return of_error(None, said(body.get("statusMessage")) or "its level is ERROR")
    return Ok() if isinstance(level, str) else None


def _told(body: Mapping[str, Any], kind: SpanKind) -> Told:
    told = Told()
    chat = kind is SpanKind.LLM
    told.asked = told.model = said(body.get("model"))
    told.parameters(body.get("modelParameters"))
    told.went_in(body.get("input"), chat=chat)
    told.came_out(body.get("output"), chat=chat)
    langfuse.usage(told, body.get("usageDetails"), body.get("costDetails"))
    usage = json_of(body.get("usage"))
    if isinstance(usage, dict) and usage.get("unit") in {None, "TOKENS"}:
        told.usage(usage)
        told.cost(usage.get("totalCost"))
    about = json_of(body.get("metadata"))
    about = about if isinstance(about, dict) else {}
    told.person("session", body.get("sessionId"))
    told.person("user", body.get("userId"))
    told.metadata(about)
    return told


def _attributes(body: Mapping[str, Any], told: Told, started: float | None) -> dict[str, Any]:
    """What else it says, under ``langfuse.``."""
    found = {
        f"langfuse.{name}": value
        for name, value in body.items()
        if name not in _TAKEN and value not in (None, [], {})
    }
    first = time_of(body.get("completionStartTime"), "completionStartTime")
    told.first_at(first, started)
    for part in ("name", "version"):
        if (text := said(body.get(f"prompt{part.capitalize()}"))) is not None:
            found[f"gen_ai.prompt.{part}"] = text
    note(told, found)
    return shortened(found, CUT)
