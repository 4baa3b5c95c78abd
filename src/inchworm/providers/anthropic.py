"""Messages as Anthropic speaks them, for benchmarks (never on the hot path)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from inchworm.domain.errors import UsageError
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.asking import Again, HttpUpstream, clip, count, named
from inchworm.providers.upstream import Completion

DEFAULT_BASE_URL = "https://api.anthropic.com/v1"
DEFAULT_KEY = "env:ANTHROPIC_API_KEY"
VERSION = "2023-06-01"
"""``anthropic-version``, the only one that there is."""
_LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_UNSAYABLE = frozenset({"seed", "n", "logit_bias", "logprobs", "frequency_penalty", "presence_penalty"})
# OpenAI's words, in which traces and checks say it; the other end is inchworm.capture.protocols.
_FINISHED = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_COUNTED = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


@dataclass(slots=True, kw_only=True)
class AnthropicUpstream(HttpUpstream):
    """Anthropic, and whoever speaks as it does."""

    default_base_url: ClassVar[str] = DEFAULT_BASE_URL
    default_key: ClassVar[str] = DEFAULT_KEY

    @property
    def path(self) -> str:
        """Behind ``base_url``, which ends with ``/v1``."""
        return "/messages"

    def headers(self) -> dict[str, str]:
        """The version, and the key if there is one."""
        key = {} if self.api_key is None else {"x-api-key": self.api_key}
        return {"anthropic-version": VERSION, **key}

    def payload(self, request: ModelRequest) -> dict[str, Any]:
        """See :func:`payload`."""
        return payload(request)

    def read(self, text: str, latency_ms: float) -> Completion | Again:
        """The text blocks, one after the other."""
        return _read(text, latency_ms)


def payload(request: ModelRequest) -> dict[str, Any]:
    """The JSON body: the first system message beside the others, parameters under Anthropic's names.

    Raises:
        UsageError: if the model layer names no model, there is no limit of tokens (Anthropic asks for one),
            or a parameter is one that only OpenAI has.
    """
    name = named(request)
    parameters = dict(request.parameters)
    if strange := sorted(_UNSAYABLE & parameters.keys()):
        raise UsageError(
            f"layers.parameters.{strange[0]} cannot be said in Anthropic's protocol",
            hint="take it out, or ask a server that has it",
        )
    limits = [parameters.pop(one) for one in _LIMITS if one in parameters]
    if not limits:
        raise UsageError(
            "Anthropic asks for a limit of tokens, and layers.parameters has none",
            hint="set layers.parameters.max_tokens in inchworm.yaml",
        )
    if "stop" in parameters:
        stop = parameters.pop("stop")
        parameters["stop_sequences"] = [stop] if isinstance(stop, str) else stop
    rest = list(request.messages)
    system = {"system": rest.pop(0).content} if rest and rest[0].role in {"system", "developer"} else {}
    messages = [{"role": message.role, "content": message.content} for message in rest]
    return {**parameters, "model": name, "max_tokens": limits[0], **system, "messages": messages}


def _read(text: str, latency_ms: float) -> Completion | Again:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return Again(f"the answer was no JSON: {clip(text)}")
    match value:
        case {"content": list(blocks)}:
            usage = value.get("usage")
            counts = usage if isinstance(usage, dict) else {}
            finish = value.get("stop_reason")
            # What was read from a cache, or written to one, is not in input_tokens.
            read = [found for one in _COUNTED if (found := count(counts.get(one))) is not None]
            return Completion(
                text="".join(
                    one["text"]
                    for one in blocks
                    if isinstance(one, dict)
                    and one.get("type") == "text"
                    and isinstance(one.get("text"), str)
                ),
                finish_reason=_FINISHED.get(finish, finish) if isinstance(finish, str) else None,
                latency_ms=latency_ms,
                usage=Usage(
                    input_tokens=sum(read) if count(counts.get("input_tokens")) is not None else None,
                    output_tokens=count(counts.get("output_tokens")),
                ),
            )
    return Again(f"the answer has no content: {clip(text)}")
