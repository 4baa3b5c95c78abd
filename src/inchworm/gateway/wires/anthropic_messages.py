"""Anthropic's messages: the system prompt stands beside them, and tool results are the user's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from inchworm.gateway.compiled import Compiled
from inchworm.gateway.faults import Fault
from inchworm.gateway.wires.base import (
    SYSTEM_ROLES,
    Ending,
    Meant,
    Opened,
    Speech,
    UnsayableError,
    Wire,
    are_messages,
    encoded,
)

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "max"})
_PARALLEL = "parallel_tool_calls"


def _sequences(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _effort(value: Any) -> Any:
    if value not in _EFFORTS:
        raise UnsayableError(value)
    return value


def _format(value: Any) -> Any:
    meant = Meant.of(value)
    if meant is None or meant.kind != "json_schema":
        raise UnsayableError(value)
    schema = meant.inner.get("schema", value.get("schema"))
    if not isinstance(schema, Mapping):
        raise UnsayableError(value)
    return {"type": "json_schema", "schema": schema}


def _choice(value: Any) -> Any:
    match value:
        case "auto" | "none":
            return {"type": value}
        case "required":
            return {"type": "any"}
        case {"type": "function", "function": {"name": str(name)}}:
            return {"type": "tool", "name": name}
        case {"type": "auto" | "none" | "any" | "tool"}:
            return value
        case _:
            raise UnsayableError(value)


class AnthropicMessages(Wire):
    """``POST /v1/messages``."""

    name = "anthropic-messages"
    speech = Speech.ANTHROPIC
    ending = Ending(
        hint=b"message_stop",
        mark=re.compile(rb'(?:^|[\r\n])(event: ?message_stop|data: ?\{"type": ?"message_stop")'),
        terse=True,
    )
    places: ClassVar[Mapping[str, Sequence[str]]] = {
        "max_completion_tokens": ("max_tokens",),
        "max_output_tokens": ("max_tokens",),
        "stop": ("stop_sequences",),
        "reasoning_effort": ("output_config", "effort"),
        "response_format": ("output_config", "format"),
    }
    says: ClassVar[Mapping[str, Callable[[Any], Any]]] = {
        "stop": _sequences,
        "reasoning_effort": _effort,
        "response_format": _format,
        "tool_choice": _choice,
    }
    required = frozenset({"max_tokens"})
    foreign = frozenset(
        {
            *("seed", "n", "logit_bias", "logprobs", "top_logprobs", "frequency_penalty"),
            *("presence_penalty", "verbosity", "prediction", "modalities", "audio", "store"),
            *("functions", "function_call", "web_search_options", "stream_options", "moderation"),
            *("prompt_cache_key", "prompt_cache_retention", "prompt_cache_options"),
            *("safety_identifier", "user", "reasoning", "text", "truncation", "include"),
            *("max_tool_calls", "background", "dimensions", "encoding_format"),
        }
    )

    def opened(self, body: Mapping[str, Any]) -> Opened | None:
        """``system`` is the system message, a text or blocks."""
        system, messages = body.get("system"), body.get("messages")
        messages = [] if messages is None else messages
        if not are_messages(messages):
            return None
        if system is None:
            return Opened(system=None, messages=list(messages))
        if not isinstance(system, str) and not are_messages(system):
            return None
        return Opened(system={"role": "system", "content": system}, messages=list(messages))

    def put(self, body: dict[str, Any], system: dict[str, Any] | None, messages: list[Any]) -> None:
        """The system prompt goes beside the messages."""
        if system is None:
            body.pop("system", None)
        else:
            body["system"] = system["content"]
        if messages:
            body["messages"] = messages

    def put_stated(self, body: dict[str, Any], messages: list[Any]) -> None:
        """Chat messages; those of the system go where this protocol has them."""
        if "messages" in body or not are_messages(messages):
            return
        first, *rest = messages or [{}]
        if first.get("role") in SYSTEM_ROLES:
            body.setdefault("system", first.get("content"))
            messages = rest
        body["messages"] = messages

    def asks(self, message: Mapping[str, Any]) -> bool:
        """What tools found comes as the user's, and begins no turn."""
        if message.get("role") != "user":
            return False
        content = message.get("content")
        return not isinstance(content, list) or not any(
            isinstance(part, dict) and part.get("type") == "tool_result" for part in content
        )

    def with_text(self, message: dict[str, Any], text: str) -> dict[str, Any]:
        """Of a system prompt in blocks one is left, which ends the part to be cached if one of them did."""
        content = message.get("content")
        if message.get("role") != "system" or not isinstance(content, list):
            return super().with_text(message, text)
        marks = [part["cache_control"] for part in content if part.get("cache_control")]
        block = {"type": "text", "text": text} | ({"cache_control": marks[-1]} if marks else {})
        return {**message, "content": [block]}

    def tool(self, schema: Any) -> Any:
        """``{"type": "function", "function": {...}}`` with its parameters as ``input_schema``."""
        meant = Meant.of(schema)
        if meant is None or meant.kind != "function" or not meant.inner:
            return schema
        rest = {
            name: value
            for name, value in meant.inner.items()
            if name in {"name", "description", "strict"} and value is not None
        }
        return {**rest, "input_schema": meant.inner.get("parameters") or {"type": "object"}}

    def put_parameters(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """Whether tools may be used side by side is said within the choice of tools."""
        if _PARALLEL not in chosen.parameters and _PARALLEL not in chosen.released:
            return super().put_parameters(body, chosen)
        whole = super().put_parameters(body, chosen)
        body.pop(_PARALLEL, None)
        choice = body.get("tool_choice")
        if _PARALLEL in chosen.released:
            if isinstance(choice, dict):
                body["tool_choice"] = {
                    name: value for name, value in choice.items() if name != "disable_parallel_tool_use"
                }
            return whole
        if not body.get("tools"):
            return False
        said = choice if isinstance(choice, dict) else {"type": "auto"}
        if said.get("type") != "none":
            body["tool_choice"] = {**said, "disable_parallel_tool_use": not chosen.parameters[_PARALLEL]}
        return whole

    def mirrored(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Without streaming."""
        return {name: value for name, value in body.items() if name != "stream"}

    def says_something(self, event: Mapping[str, Any]) -> bool:
        """Whether a block goes on."""
        return event.get("type") == "content_block_delta"

    def fault_body(self, fault: Fault) -> bytes:
        """``{"type": "error", "error": {"type", "message"}}``, and a code where Anthropic's SDK has it."""
        kind = _TYPES.get(fault.status, "invalid_request_error" if fault.status < 500 else "api_error")
        error = {"type": kind, "message": fault.message, "details": {"error_code": fault.code}}
        return encoded({"type": "error", "error": error})

    def fault_event(self, fault: Fault) -> bytes:
        """``event: error``."""
        return b"event: error\ndata: " + self.fault_body(fault) + b"\n\n"
