"""OpenInference, the conventions of Arize and Phoenix (openinference-semantic-conventions 0.1.x)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import call, conversation, tool_schemas
from inchworm.capture.telemetry.dialects.indexed import tree
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.domain.span import SpanKind

KIND = "openinference.span.kind"
_IN, _OUT = "llm.input_messages.", "llm.output_messages."
_TOKENS = {
    "llm.token_count.prompt": names.INPUT_TOKENS,
    "llm.token_count.completion": names.OUTPUT_TOKENS,
    "llm.token_count.prompt_details.cache_read": names.CACHE_READ,
    "llm.token_count.prompt_details.cache_write": names.CACHE_WRITE,
    "llm.token_count.completion_details.reasoning": names.REASONING,
}
_FIRST = "First Token Stream Event"
_DOCUMENTS = {
    "retrieval.documents.": names.DOCUMENTS,
    "reranker.output_documents.": names.DOCUMENTS,
}


def tell(span: Reported) -> Told:
    """What OpenInference's attributes tell."""
    given = span.attributes
    told = Told()
    word = given.get(KIND)
    if isinstance(word, str) and word.lower() in SpanKind.__members__.values():
        told.kind = SpanKind(word.lower())
    is_model = told.kind is SpanKind.LLM or (told.kind is None and "llm.model_name" in given)
    if told.kind is None and is_model:
        told.kind = SpanKind.LLM
    told.model = said(
        given.get("llm.response.model_name", given.get("llm.model_name", given.get("embedding.model_name")))
    )
    told.asked = said(given.get("llm.request.model_name"))
    for name, kept in _TOKENS.items():
        if name in given:
            told.tokens(kept, given[name])
    told.cost(given.get("llm.cost.total"))
    if (provider := said(given.get("llm.provider", given.get("llm.system")))) is not None:
        told.attributes[names.PROVIDER] = provider
    told.finish_reason = said(given.get("llm.finish_reason"))
    for name in ("llm.invocation_parameters", "embedding.invocation_parameters"):
        if name in given and told.parameters(given[name]):
            told.read.append(name)
    if span.events:
        told.first_at(next((one.at for one in span.events if one.name == _FIRST), None), span.started_at)
    # Flattened lists are dear to look for name by name, and most spans have none.
    there = "\n".join(("", *given))
    _messages(given, told, there)
    _values(given, told, chat=is_model)
    _tools(given, told, there)
    _documents(given, told, there)
    _people(given, told)
    return told


def _messages(given: Mapping[str, Any], told: Told, there: str) -> None:
    if "\n" + _IN in there and (asked := tree(given, _IN)):
        told.messages = conversation([_message(one) for one in asked])
        if told.messages is not None:
            told.read.append(_IN)
    if "\n" + _OUT in there and (answers := tree(given, _OUT)):
        answer = conversation([_message(one) for one in answers])
        if answer is not None:
            told.answered(answer)
            told.read.append(_OUT)


def _message(one: Any) -> dict[str, Any]:
    """A message as its flattened members give it."""
    held = one.get("message", one) if isinstance(one, dict) else {}
    held = held if isinstance(held, dict) else {}
    message: dict[str, Any] = {"role": said(held.get("role")) or "assistant", "content": held.get("content")}
    parts = held.get("contents")
    if isinstance(parts, list):
        message["content"] = [_part(part) for part in parts]
    calls = held.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = [_call(each) for each in calls]
    elif (name := said(held.get("function_call_name"))) is not None:
        message["tool_calls"] = [call(None, name, held.get("function_call_arguments_json"))]
    for name in ("name", "tool_call_id"):
        if (text := said(held.get(name))) is not None:
            message[name] = text
    return message


def _part(part: Any) -> Any:
    held = part.get("message_content") if isinstance(part, dict) else None
    if not isinstance(held, dict):
        return {"type": "unknown"}
    return held if isinstance(held.get("type"), str) else {"type": "unknown"}


def _call(each: Any) -> dict[str, Any]:
    held = each.get("tool_call") if isinstance(each, dict) else None
    held = held if isinstance(held, dict) else {}
    function = held.get("function")
    function = function if isinstance(function, dict) else {}
    return call(held.get("id"), function.get("name"), function.get("arguments"))


def _values(given: Mapping[str, Any], told: Told, *, chat: bool) -> None:
    """``input.value`` and ``output.value``; of a model they repeat its messages, within whole bodies."""
    asked, answer = given.get("input.value"), given.get("output.value")
    if told.kind is SpanKind.EMBEDDING:
        _vectors(given, told)
        answer = None
    if asked is not None:
        told.went_in(asked, chat=chat)
        if told.messages is not None or told.inputs is not None:
            told.read.append("input.value")
    if answer is not None:
        before = told.output, "openai.response.tool_calls" in told.attributes
        told.came_out(answer, chat=chat)
        if before != (None, False) or told.output is not None:
            told.read.append("output.value")


def _vectors(given: Mapping[str, Any], told: Told) -> None:
    """Vectors are no content, and long."""
    for name, value in given.items():
        is_vector = name == "output.value" or name.endswith(".embedding.vector")
        if is_vector and isinstance(value, str | list):
            told.cut[name] = len(value)


def _tools(given: Mapping[str, Any], told: Told, there: str) -> None:
    if "\nllm.tools." not in there:
        return
    found = [
        one["tool"]["json_schema"]
        for one in tree(given, "llm.tools.")
        if isinstance(one, dict) and isinstance(one.get("tool"), dict) and "json_schema" in one["tool"]
    ]
    if found and (schemas := tool_schemas(found)) is not None:
        told.attributes[names.TOOLS] = schemas
        told.read.append("llm.tools.")


def _documents(given: Mapping[str, Any], told: Told, there: str) -> None:
    for prefix, kept in _DOCUMENTS.items():
        if "\n" + prefix not in there:
            continue
        found = [one.get("document", one) for one in tree(given, prefix) if isinstance(one, dict)]
        for one in found:
            if isinstance(one, dict) and (metadata := json_of(one.get("metadata"))) is not None:
                one["metadata"] = metadata
        if found and kept not in told.attributes:
            told.attributes[kept] = found
            told.read.append(prefix)
            if told.output is None:
                told.came_out(found, chat=False)


def _people(given: Mapping[str, Any], told: Told) -> None:
    about = json_of(given.get("metadata"))
    if isinstance(about, dict):
        told.person("session", given.get("session.id"))
        told.person("user", given.get("user.id"))
        told.metadata(about)
    if (template := said(given.get("llm.prompt_template.version"))) is not None:
        told.attributes["gen_ai.prompt.version"] = template
