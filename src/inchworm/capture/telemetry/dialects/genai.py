"""OpenTelemetry's conventions for generative AI, of all releases; names in :mod:`..names`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import Said, conversation, system, tool_schemas
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told, joined
from inchworm.domain.span import SpanKind


def tell(span: Reported) -> Told:
    """What the attributes and the events under ``gen_ai.`` tell."""
    given = span.attributes
    told = Told()
    operation = given.get(names.OPERATION)
    if isinstance(operation, str):
        told.kind = names.OPERATIONS.get(operation)
    told.asked, told.model = said(given.get(names.REQUEST_MODEL)), said(given.get(names.RESPONSE_MODEL))
    if told.kind is None and told.asked is not None and operation is None:
        told.kind = SpanKind.LLM  # releases before 1.27 had no operation
    for name, others in names.PARAMETERS.items():
        if name not in given and (other := _present(given, others)) is not None:
            told.attributes[name] = given[other]
    for name, others in names.USAGE.items():
        there = name if name in given else _present(given, others)
        if there is not None:
            told.tokens(name, given[there])
    for name in names.COST:
        told.cost(given.get(name))
    if names.PROVIDER not in given and (provider := said(given.get("gen_ai.system"))) is not None:
        told.attributes[names.PROVIDER] = provider
    for name in names.SESSIONS:
        told.person("session", given.get(name))
    told.finish_reason = _finish(span)
    _content(given, told)
    if span.events:
        _events(span, told)
    if told.kind is SpanKind.TOOL:
        _tool(given, told)
    elif told.kind is SpanKind.RETRIEVER:
        _retrieval(given, told)
    if (schemas := tool_schemas(given.get(names.TOOLS))) is not None:
        told.attributes[names.TOOLS] = schemas
    return told


def _present(given: Mapping[str, Any], others: tuple[str, ...]) -> str | None:
    return next((name for name in others if name in given), None)


def _finish(span: Reported) -> str | None:
    for name in names.FINISH_REASONS:
        value = span.attributes.get(name)
        if isinstance(value, str) and value.startswith("["):
            value = json_of(value)
        if isinstance(value, list):
            value = value[0] if value else None
        if (word := said(value)) is not None:
            return word
    return None


def _content(given: Any, told: Told) -> None:
    """Messages as JSON, on the span or in the attributes of an event."""
    instructions = system(given.get(names.SYSTEM))
    for name in names.INPUT_MESSAGES:
        value = given.get(name)
        if value is None or told.messages is not None:
            continue
        if told.kind is SpanKind.EMBEDDING or (isinstance(value, str) and json_of(value) is None):
            told.went_in(value, chat=told.kind is not SpanKind.EMBEDDING)
        else:
            told.messages = conversation(value, role="user")
        if told.messages is not None:
            told.read.append(name)
    if instructions is not None:
        before = told.messages or Said()
        told.messages = Said(
            messages=[{"role": "system", "content": instructions}, *before.messages],
            parts=[{**part, "message": part["message"] + 1} for part in before.parts],
        )
        told.read.append(names.SYSTEM)
    for name in names.OUTPUT_MESSAGES:
        value = given.get(name)
        if value is None or told.output is not None:
            continue
        answer = conversation(value, role="assistant")
        if answer is not None:
            told.answered(answer)
        elif isinstance(value, str):
            told.output = value
        if answer is not None or told.output is not None:
            told.read.append(name)


def _events(span: Reported, told: Told) -> None:
    asked: list[Any] = []
    answers: list[Any] = []
    for event in span.events:
        if event.name == names.DETAILS:
            _content(event.attributes, told)
            told.read = [name for name in told.read if name in span.attributes]
        elif event.name == names.CONTENT_PROMPT and told.messages is None:
            told.messages = conversation(event.attributes.get("gen_ai.prompt"), role="user")
        elif event.name == names.CONTENT_COMPLETION and told.output is None:
            if (
                answer := conversation(event.attributes.get("gen_ai.completion"), role="assistant")
            ) is not None:
                told.answered(answer)
        elif (role := names.MESSAGE_EVENTS.get(event.name)) is not None:
            asked.append(_message(event.attributes, role))
        elif event.name in names.CHUNKS:
            told.first_at(event.at, span.started_at)
        elif event.name == names.CHOICE:
            answers.append(event.attributes)
    if asked and told.messages is None:
        told.messages = conversation(asked)
    for choice in answers:
        if told.output is None:
            message = choice.get("message")
            read = json_of(message)
            body = read if isinstance(read, dict) else {"content": message if message is not None else None}
            if "content" not in body and "tool_calls" not in body:
                continue
            answer = conversation({"role": "assistant", **_message(body, "assistant")})
            if answer is not None and (answer.messages[0]["content"] or answer.messages[0].get("tool_calls")):
                told.answered(joined(answer))
        told.finish_reason = told.finish_reason or said(choice.get("finish_reason"))


def _message(attributes: Any, role: str) -> dict[str, Any]:
    """A message of an event: content, role, tool_calls and id, each a text or JSON."""
    content = attributes.get("content")
    found = json_of(content)
    if isinstance(found, dict) and "content" in found:  # some put the whole body under this name
        return {"role": role, **found}
    message: dict[str, Any] = {"role": said(attributes.get("role")) or role, "content": found or content}
    if isinstance(calls := json_of(attributes.get("tool_calls")), list):
        message["tool_calls"] = calls
    if role == "tool" and (id_ := said(attributes.get("id"))) is not None:
        message["tool_call_id"] = id_
    return message


def _tool(given: Any, told: Told) -> None:
    for name in names.ARGUMENTS:
        if name in given and told.inputs is None:
            told.went_in(given[name], chat=False)
            told.read.append(name)
    for name in names.RESULT:
        if name in given and told.output is None:
            value = given[name]
            told.came_out(value, chat=False)
            told.read.append(name)


def _retrieval(given: Any, told: Told) -> None:
    if (query := given.get(names.QUERY)) is not None:
        told.inputs = {"query": query}
        told.read.append(names.QUERY)
    documents = json_of(given.get(names.DOCUMENTS))
    if documents is not None:
        told.attributes[names.DOCUMENTS] = documents
        told.came_out(documents, chat=False)
