"""OpenAI chat logs: fine-tuning rows, pairs of request and response, bare completions.

Names under ``gen_ai.`` are those of OpenTelemetry's semantic conventions for generative AI; what they have
no name for is kept under ``openai.``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.fields import (
    IDS,
    UNITS,
    Fields,
    Parsed,
    Place,
    first_identifier,
    first_time,
    outcome_of,
    unit_of,
    with_derived,
)
from inchworm.capture.messages import Conversation, conversation, message
from inchworm.capture.values import kind_of
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.trace import UNKNOWN_USAGE, Trace, Usage

NAME = "openai-chat"
TELLING = ("messages", "request", "response", "choices")
"""Members that tell this dialect."""
REQUEST = {
    "model": "gen_ai.request.model",
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "stop": "gen_ai.request.stop_sequences",
    "n": "gen_ai.request.choice.count",
    "stream": "gen_ai.request.stream",
    "tools": "gen_ai.tool.definitions",
}
"""Members of a request and their names as attributes."""
_USAGE = {
    "input_tokens": ("prompt_tokens", "input_tokens"),
    "output_tokens": ("completion_tokens", "output_tokens"),
}
_DETAILS = {
    "prompt_tokens_details": {
        "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
        "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    },
    "completion_tokens_details": {"reasoning_tokens": "gen_ai.usage.reasoning.output_tokens"},
}
_ANSWERS = ("output", "completion", "answer")
_REFERENCES = ("reference", "expected", "target")


@dataclass(slots=True)
class _Answer:
    """What an answer said."""

    output: str | None = None
    finish_reason: str | None = None
    usage: Usage = UNKNOWN_USAGE
    status: Any = None
    error: Any = None
    created: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it has messages, a request or a completion's choices."""
    return any(name in record for name in ("messages", "request", "choices"))


def read(record: Mapping[str, Any], place: Place) -> Parsed:
    """The trace of a chat log's record; its inputs are ``{"messages": [...]}``.

    Raises:
        InputError: if it has neither messages nor an answer, or a member has a wrong type.
    """
    fields = Fields(record)
    if fields.one_of("messages", "request", "choices") is None:
        raise InputError("it has neither messages nor request nor choices")
    attributes: dict[str, Any] = {}
    asked: Conversation | None
    if "messages" in fields.left and "request" not in fields.left:
        asked, answer = _row(fields, attributes)
        request = fields
    else:
        request = Fields(_object(fields, "request"), "request")
        request = Fields(_object(request, "body"), "request.body") if "body" in request.left else request
        asked = _messages(request, attributes)
        answer = _completion(fields) if "choices" in fields.left else _response(fields)
    _request(request, attributes)
    metadata = [
        one for one in (fields.left.get("metadata"), request.left.get("metadata")) if isinstance(one, dict)
    ]
    stated = first_identifier(fields, UNITS)
    named = (fields.left, *metadata, request.left)
    id_, at = first_identifier(fields, IDS), first_time(fields)
    at = answer.created if at is None else at
    trace_id = place.id if id_ is None else TraceId(id_)
    unit_id, unit_from = unit_of(stated, named, asked.first_user_message() if asked else None, trace_id)
    answer.error = fields.left.get("error", answer.error)
    status = fields.left.get("status_code", fields.left.get("status"))
    outcome = outcome_of(answer.error, answer.status if status is None else status)
    latency_ms, reference = fields.number("latency_ms", least=0), fields.one_of(*_REFERENCES)
    right = None if reference is None else fields.take(reference)
    attributes |= answer.attributes
    if request is not fields:
        attributes |= {f"openai.request.{name}": value for name, value in request.left.items()}
    attributes |= fields.left
    trace = Trace(
        id=trace_id,
        app=place.app,
        at=place.at if at is None else at,
        unit_id=unit_id,
        inputs={"messages": asked.messages} if asked and asked.messages else {},
        output=answer.output,
        outcome=outcome,
        finish_reason=answer.finish_reason,
        latency_ms=latency_ms,
        usage=answer.usage,
        reference=right,
        attributes=with_derived(
            attributes, has_id=id_ is not None, has_time=at is not None, unit_from=unit_from
        ),
    )
    return Parsed(trace=trace, dialect=NAME, timed=at is not None, unit_from=unit_from)


def _object(fields: Fields, name: str) -> dict[str, Any]:
    return fields.mapping(name) or {}


def _row(fields: Fields, attributes: dict[str, Any]) -> tuple[Conversation, _Answer]:
    """A row with messages: the answer stands beside them or, as in fine-tuning, is an assistant's last."""
    if "choices" in fields.left:
        return _needed(_messages(fields, attributes)), _completion(fields)
    if "response" in fields.left:
        return _needed(_messages(fields, attributes)), _response(fields)
    messages = fields.array("messages") or []
    answer = _Answer(finish_reason=fields.text("finish_reason"), usage=_usage(fields, {}))
    if (name := fields.one_of(*_ANSWERS)) is not None:
        answer.output = fields.text(name)
        return _noted(conversation(messages, "messages"), attributes), answer
    whole = conversation(messages, "messages")
    last = max((n for n, one in enumerate(whole.messages) if one["role"] == "assistant"), default=None)
    if last is None:
        return _noted(whole, attributes), answer
    _say(answer, messages[last], f"messages[{last}]")
    if rest := whole.messages[last + 1 :]:
        answer.attributes["openai.messages_after_answer"] = rest
    before = Conversation(
        messages=whole.messages[:last], parts=[part for part in whole.parts if part["message"] != last]
    )
    return _noted(before, attributes), answer


def _needed(asked: Conversation | None) -> Conversation:
    return asked or Conversation(messages=[], parts=[])


def _messages(fields: Fields, attributes: dict[str, Any]) -> Conversation | None:
    messages = fields.array("messages")
    if messages is None:
        if fields.left:
            raise InputError(f"{fields.path} has no messages")
        return None
    return _noted(conversation(messages, fields.name("messages")), attributes)


def _noted(asked: Conversation, attributes: dict[str, Any]) -> Conversation:
    if asked.parts:
        attributes["openai.request.parts"] = asked.parts
    return asked


def _request(fields: Fields, attributes: dict[str, Any]) -> None:
    """Move what a request says of model and parameters to its attributes."""
    model = fields.text("model")
    if model is not None:
        attributes[REQUEST["model"]] = model
    for name, attribute in REQUEST.items():
        if name in fields.left and attribute not in attributes:
            value = fields.take(name)
            attributes[attribute] = [value] if name == "stop" and isinstance(value, str) else value


def _response(fields: Fields) -> _Answer:
    """What the member ``response`` says; OpenAI's batches put the body one level deeper, with its status."""
    value = fields.left.get("response")
    if isinstance(value, str):
        return _Answer(output=fields.text("response"))
    if value is None:
        return _Answer()
    outer = Fields(_object(fields, "response"), "response")
    status = outer.take("status_code")
    if "body" not in outer.left:
        answer = _completion(outer, whole=True)
    else:
        answer = _completion(Fields(_object(outer, "body"), "response.body"), whole=True)
        answer.attributes |= {f"openai.response.{name}": one for name, one in outer.left.items()}
    answer.status = status
    return answer


def _completion(fields: Fields, *, whole: bool = False) -> _Answer:
    """A completion's body. ``whole`` says that nothing else stands beside it, so that all of it is taken."""
    answer = _Answer(error=fields.take("error"))
    named = answer.attributes
    answer.usage = _usage(fields, named)
    # An id of the provider: not every server makes them unique, so it is no trace's id.
    for name, kept in (("id", "gen_ai.response.id"), ("model", "gen_ai.response.model")):
        is_ours = name == "id" and not whole and "object" not in fields.left
        value = None if is_ours else fields.text(name)
        if value is not None:
            named[kept] = value
    fields.take("object")
    if whole:
        answer.created = fields.time("created")
    choices = fields.array("choices") or []
    for place, choice in enumerate(choices):
        if not isinstance(choice, dict):
            raise InputError(f"{fields.name('choices')}[{place}] is {kind_of(choice)}; an object is expected")
    if choices:
        _choice(answer, Fields(choices[0], f"{fields.name('choices')}[0]"))
        if len(choices) > 1:
            named["openai.response.other_choices"] = choices[1:]
    elif answer.error is None and whole:
        raise InputError(f"{fields.path} has neither choices nor an error")
    if whole:
        named |= {f"openai.response.{name}": value for name, value in fields.left.items()}
    return answer


def _choice(answer: _Answer, choice: Fields) -> None:
    choice.take("index")
    answer.finish_reason = choice.text("finish_reason")
    said = choice.mapping("message")
    if said is None:
        answer.output = choice.text("text")
    else:
        _say(answer, {"role": "assistant", **said}, choice.name("message"))
    answer.attributes |= {f"openai.response.{name}": value for name, value in choice.left.items()}


def _say(answer: _Answer, said: Mapping[str, Any], path: str) -> None:
    """Take the output from an assistant's message; what else it holds (tool calls, ...) is attributes."""
    read, others = message(said, path)
    if others:
        answer.attributes["openai.response.parts"] = [{"type": kind} for kind in others]
    has_text = isinstance(said.get("content"), str) or bool(read["content"])
    answer.output = read["content"] if has_text else None
    rest = {
        name: value for name, value in read.items() if name not in {"role", "content"} and value is not None
    }
    answer.attributes |= {f"openai.response.{name}": value for name, value in rest.items()}


def _usage(fields: Fields, attributes: dict[str, Any]) -> Usage:
    inner = Fields(_object(fields, "usage"), fields.name("usage"))
    cost = fields.number("cost_usd", least=0)
    counts = dict.fromkeys(_USAGE, None) | {
        kind: inner.count(name)
        for kind, names in _USAGE.items()
        if (name := inner.one_of(*names)) is not None
    }
    inner.take("total_tokens")
    for group, names in _DETAILS.items():
        details = Fields(inner.mapping(group) or {}, inner.name(group))
        for name, attribute in names.items():
            if (value := details.count(name)) is not None:
                attributes[attribute] = value
        attributes |= {f"openai.usage.{group}.{other}": one for other, one in details.left.items()}
    attributes |= {f"openai.usage.{name}": value for name, value in inner.left.items()}
    for kind in _USAGE:
        if (tokens := counts[kind]) is not None:
            attributes[f"gen_ai.usage.{kind}"] = tokens
    return Usage(input_tokens=counts["input_tokens"], output_tokens=counts["output_tokens"], cost_usd=cost)
