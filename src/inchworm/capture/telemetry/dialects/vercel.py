"""Vercel's AI SDK: ``ai.*`` beside OpenTelemetry's names, which releases from 7 on prefer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import conversation, tool_schemas
from inchworm.capture.telemetry.plain import amount_of, json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.domain.span import SpanKind

_SETTINGS, _METADATA = "ai.settings.", "ai.telemetry.metadata."
_TOKENS = {
    "ai.usage.inputTokens": names.INPUT_TOKENS,
    "ai.usage.promptTokens": names.INPUT_TOKENS,
    "ai.usage.tokens": names.INPUT_TOKENS,
    "ai.usage.outputTokens": names.OUTPUT_TOKENS,
    "ai.usage.completionTokens": names.OUTPUT_TOKENS,
    "ai.usage.cachedInputTokens": names.CACHE_READ,
    "ai.usage.inputTokenDetails.cacheReadTokens": names.CACHE_READ,
    "ai.usage.inputTokenDetails.cacheWriteTokens": names.CACHE_WRITE,
    "ai.usage.reasoningTokens": names.REASONING,
    "ai.usage.outputTokenDetails.reasoningTokens": names.REASONING,
}
_RESULT = "ai.toolCall.result"
_INPUTS = ("ai.prompt.messages", "ai.prompt", "ai.toolCall.args", "ai.value", "ai.values")
_OUTPUTS = (
    "ai.response.text",
    "ai.result.text",
    "ai.response.object",
    "ai.result.object",
    _RESULT,
)


def _plain(result: Any) -> Any:
    """What a tool gave, of its JSON: a text without its quotes."""
    if not isinstance(result, str) or not result.startswith('"'):
        return result
    try:
        found = msgspec.json.decode(result)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return result
    return found if isinstance(found, str) else result


def tell(span: Reported) -> Told:
    """What the SDK's attributes tell."""
    given = span.attributes
    told = Told()
    operation = said(given.get("ai.operationId")) or said(given.get("operation.name")) or ""
    told.kind = _kind(operation.split(" ", 1)[0])
    chat = told.kind is SpanKind.LLM
    told.asked = said(given.get("ai.model.id"))
    told.model = said(given.get("ai.response.model"))
    if (provider := said(given.get("ai.model.provider"))) is not None and names.PROVIDER not in given:
        told.attributes[names.PROVIDER] = provider
    for name, kept in _TOKENS.items():
        if name in given:
            told.tokens(kept, given[name])
    for name in _INPUTS:
        if name in given and told.messages is None and told.inputs is None:
            told.went_in(given[name], chat=chat or name.startswith("ai.prompt"))
            told.read.append(name)
    for name in _OUTPUTS:
        if name in given and told.output is None:
            told.came_out(_plain(given[name]) if name == _RESULT else given[name], chat=False)
            told.read.append(name)
    calls = json_of(given.get("ai.response.toolCalls", given.get("ai.result.toolCalls")))
    if isinstance(calls, list) and calls:
        answer = conversation({"role": "assistant", "content": told.output, "tool_calls": calls})
        if answer is not None:
            told.attributes["openai.response.tool_calls"] = answer.messages[0]["tool_calls"]
    told.finish_reason = said(given.get("ai.response.finishReason", given.get("ai.finishReason")))
    first = amount_of(given.get("ai.response.msToFirstChunk", given.get("ai.stream.msToFirstChunk")))
    if first is not None:
        told.attributes[names.TTFT] = first / 1000
    if (schemas := _tools(given.get("ai.prompt.tools"))) is not None:
        told.attributes[names.TOOLS] = schemas
    for name in ("ai.embedding", "ai.embeddings"):
        if isinstance(vector := given.get(name), str | list):
            told.cut[name] = len(vector)
    _named(given, told)
    return told


def _kind(operation: str) -> SpanKind | None:
    if operation == "ai.toolCall":
        return SpanKind.TOOL
    if operation.startswith("ai.embed"):
        return SpanKind.EMBEDDING if operation.endswith(".doEmbed") else SpanKind.CHAIN
    if operation.endswith((".doGenerate", ".doStream")):
        return SpanKind.LLM
    if operation.startswith("ai.rerank"):
        return SpanKind.RERANKER
    return SpanKind.CHAIN if operation.startswith("ai.") else None


def _tools(value: Any) -> list[Any] | None:
    if not isinstance(value, list):
        return tool_schemas(value)
    return tool_schemas([json_of(one) or one for one in value])


def _named(given: Mapping[str, Any], told: Told) -> None:
    for name, value in given.items():
        if name.startswith(_SETTINGS):
            kept = names.REQUEST.get(name[len(_SETTINGS) :])
            if kept is not None and value is not None:
                told.attributes.setdefault(kept, value)
        elif name.startswith(_METADATA):
            plain = name[len(_METADATA) :]
            if plain in {"sessionId", "session_id", "threadId", "thread_id", "conversationId", "chatId"}:
                told.person("session", value)
            elif plain in {"userId", "user_id"}:
                told.person("user", value)
