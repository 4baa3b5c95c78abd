"""Traceloop's OpenLLMetry: workflows and tasks, and the flattened messages of its releases before 0.5."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import conversation, tool_schemas
from inchworm.capture.telemetry.dialects.indexed import tree
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.domain.span import SpanKind

KINDS = {
    "workflow": SpanKind.CHAIN,
    "task": SpanKind.CHAIN,
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
}
"""What ``traceloop.span.kind`` says."""
_REQUESTS = {
    "chat": SpanKind.LLM,
    "completion": SpanKind.LLM,
    "embedding": SpanKind.EMBEDDING,
    "rerank": SpanKind.RERANKER,
}
MARKS = (
    *("gen_ai.prompt.0.content", "gen_ai.prompt.0.role", "gen_ai.prompt.1.role", "gen_ai.user"),
    *("gen_ai.completion.0.content", "gen_ai.completion.0.role", "gen_ai.completion.0.finish_reason"),
    *(
        "gen_ai.completion.0.tool_calls.0.name",
        "llm.request.type",
        "llm.request.functions.0.name",
        "llm.user",
    ),
)
"""Names that only Traceloop writes, under a first part that is not its own."""
_OF = "traceloop.association.properties."
_SESSIONS = ("session_id", "conversation_id", "thread_id", "chat_id")
_PROMPT, _COMPLETION, _FUNCTIONS = "gen_ai.prompt.", "gen_ai.completion.", "llm.request.functions."


def tell(span: Reported) -> Told:
    """What Traceloop's attributes tell."""
    given = span.attributes
    told = Told()
    word, request = given.get("traceloop.span.kind"), given.get("llm.request.type")
    if isinstance(word, str):
        told.kind = KINDS.get(word)
    elif isinstance(request, str):
        told.kind = _REQUESTS.get(request)
    for name, take in (("traceloop.entity.input", told.went_in), ("traceloop.entity.output", told.came_out)):
        if name in given:
            take(_entity(given[name]), chat=False)
            told.read.append(name)
    _flattened(given, told)
    for name in _SESSIONS:
        told.person("session", given.get(_OF + name))
    for name in (_OF + "user_id", "gen_ai.user", "llm.user"):
        told.person("user", given.get(name))
    return told


def _entity(value: Any) -> Any:
    """What a decorated function got: ``{"inputs": {...}}``, else its arguments by place and name."""
    found = json_of(value)
    if not isinstance(found, dict):
        return value
    if isinstance(inner := found.get("inputs"), dict):
        return inner
    if set(found) == {"args", "kwargs"}:
        args, kwargs = found["args"], found["kwargs"]
        if not args and isinstance(kwargs, dict):
            return kwargs
        if not kwargs and isinstance(args, list) and len(args) == 1:
            return args[0]
    return found


def _flattened(given: Mapping[str, Any], told: Told) -> None:
    has = {
        name.split(".", 2)[1] for name in given if name.startswith(("gen_ai.prompt.", "gen_ai.completion."))
    }
    if "prompt" in has and (asked := tree(given, _PROMPT)):
        told.messages = conversation([_message(one) for one in asked], role="user")
        if told.messages is not None:
            told.read.append(_PROMPT)
    if "completion" in has and (answers := tree(given, _COMPLETION)):
        answer = conversation([_message(one) for one in answers], role="assistant")
        if answer is not None:
            told.answered(answer)
            told.read.append(_COMPLETION)
    if any(name.startswith(_FUNCTIONS) for name in given):
        told.attributes[names.TOOLS] = tool_schemas([_function(one) for one in tree(given, _FUNCTIONS)])
        told.read.append(_FUNCTIONS)


def _message(one: Any) -> Any:
    if not isinstance(one, dict):
        return {"content": one}
    message = dict(one)
    content = json_of(message.get("content"))
    if isinstance(content, list) and all(isinstance(part, dict) and "type" in part for part in content):
        message["content"] = content
    return message


def _function(one: Any) -> Any:
    if not isinstance(one, dict):
        return one
    parameters = json_of(one.get("parameters"))
    return {**one, "parameters": parameters} if parameters is not None and said(one.get("name")) else one
