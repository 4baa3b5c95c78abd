"""A reported span to Inchworm's: every dialect that it speaks is asked, in order of precedence."""

from __future__ import annotations

from typing import Any, Final

from inchworm.capture.stated import APPLICATION_SAID
from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.dialects import MARKS, TABLE
from inchworm.capture.telemetry.outcomes import of_span
from inchworm.capture.telemetry.plain import said
from inchworm.capture.telemetry.reported import Event, Reported
from inchworm.capture.telemetry.told import READ, Told, together
from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import ConfigurationId, TraceId
from inchworm.domain.span import Span, SpanKind
from inchworm.domain.trace import UNKNOWN_USAGE, Usage

RESOURCE: Final = "otel.resource"
SCOPE_NAME: Final = "otel.scope.name"
SCOPE_VERSION: Final = "otel.scope.version"
STATUS_DESCRIPTION: Final = "otel.status_description"
EVENTS: Final = "otel.events"
CUT: Final = "inchworm.cut"
"""Attribute: names of what was too long, too deep or too much to be kept, and its size as it came."""
PARTS: Final = "openai.request.parts"
"""Attribute: parts of messages that are no texts, and so not kept."""
_CALLS = "openai.response.tool_calls"
_OF_RESOURCE = ("inchworm.app", "langfuse.release", "langfuse.environment")
_NOTHING = Told()


def span_of(reported: Reported, app: AppRef) -> Span:
    """The span.

    Args:
        reported: as its client said it.
        app: where it happened, if it names no other.

    Raises:
        InputError: if it says something impossible of app or assignment.
    """
    resource = reported.resource
    for name in _OF_RESOURCE:
        if name in resource and name not in reported.attributes:
            reported.attributes[name] = resource[name]
    told = _told(reported)
    usage = UNKNOWN_USAGE
    if told.input_tokens is not None or told.output_tokens is not None or told.cost_usd is not None:
        usage = Usage(
            input_tokens=told.input_tokens, output_tokens=told.output_tokens, cost_usd=told.cost_usd
        )
    configuration = told.configuration
    ended = reported.ended_at
    return Span(
        app=told.app or app,
        trace_id=TraceId(reported.trace_id),
        id=reported.id,
        parent_id=reported.parent_id or None,
        name=reported.name,
        kind=told.kind or SpanKind.OTHER,
        started_at=reported.started_at,
        ended_at=ended,
        outcome=of_span(reported, told.trouble),
        model=told.model or told.asked,
        usage=usage,
        inputs=inputs_of(told),
        output=told.output,
        finish_reason=finish_of(told),
        configuration_id=None if configuration is None else ConfigurationId(configuration),
        assignment=told.assignment,
        people=told.people,
        reference=told.reference,
        attributes=_attributes(reported, told),
        revision=reported.started_at if ended is None else ended,
    )


def inputs_of(told: Told) -> dict[str, Any]:
    """What went in, by names; a conversation under ``messages``."""
    if told.messages is None:
        return told.inputs or {}
    return {**(told.inputs or {}), "messages": told.messages.messages}


def finish_of(told: Told) -> str | None:
    """Why it ended, in OpenAI's words."""
    return names.finish_word(told.finish_reason, calls=_CALLS in told.attributes)


def note(told: Told, attributes: dict[str, Any]) -> None:
    """Write what is told under OpenTelemetry's names over the raw attributes."""
    attributes.update(told.attributes)
    if told.asked is not None:
        attributes.setdefault(names.REQUEST_MODEL, told.asked)
    if told.model is not None:
        attributes.setdefault(names.RESPONSE_MODEL, told.model)
    if told.finish_reason is not None and told.finish_reason != finish_of(told):
        attributes.setdefault(names.FINISH_REASONS[0], [told.finish_reason])
    if told.messages is not None and told.messages.parts:
        attributes[PARTS] = told.messages.parts


def _told(reported: Reported) -> Told:
    """What all dialects tell that the names of its attributes, and of its events, speak of."""
    heads = {name.partition(".")[0] for name in reported.attributes}
    if "gen_ai" in heads or "llm" in heads:
        heads |= {MARKS[name] for name in MARKS.keys() & reported.attributes.keys()}
    if reported.events:
        heads |= {"gen_ai" for event in reported.events if event.name.startswith("gen_ai.")}
    found = [tell(reported) for _, telling, tell in TABLE if not telling.isdisjoint(heads)]
    return together(found) if found else _NOTHING


def _attributes(reported: Reported, told: Told) -> dict[str, Any]:
    attributes = reported.attributes
    if told.read:
        _take(told.read, attributes)
    if told is not _NOTHING:
        note(told, attributes)
    attributes.update(reported.further)
    if reported.resource:
        attributes[RESOURCE] = reported.resource
        version = said(reported.resource.get(names.VERSION))
        if version is not None:
            attributes.setdefault(APPLICATION_SAID, version)
    name, version = reported.scope
    if name:
        attributes[SCOPE_NAME] = name
    if version:
        attributes[SCOPE_VERSION] = version
    if reported.message:
        attributes[STATUS_DESCRIPTION] = reported.message
    if reported.events:
        attributes[EVENTS] = [_event(one) for one in reported.events]
    for name in told.cut:
        attributes.pop(name, None)
    if reported.cut or told.cut:
        attributes[CUT] = {**reported.cut, **told.cut}
    return attributes


def _take(read: list[str], attributes: dict[str, Any]) -> None:
    """Leave out what was read in full, and say so."""
    lists = tuple(name for name in read if name.endswith("."))
    for name in read:
        attributes.pop(name, None)
    if lists:
        ends = {name: len(name) for name in lists}
        for name in [one for one in attributes if one.startswith(lists)]:
            for prefix, end in ends.items():
                if name.startswith(prefix) and name[end : end + 1].isdecimal():
                    del attributes[name]
                    break
    attributes[READ] = sorted(set(read))


def _event(event: Event) -> dict[str, Any]:
    said_of_it: dict[str, Any] = {"name": event.name}
    if event.at is not None:
        said_of_it["at"] = event.at
    if event.attributes:
        said_of_it["attributes"] = dict(event.attributes)
    return said_of_it
