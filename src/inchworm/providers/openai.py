"""Chat completions as OpenAI speaks them, for benchmarks (never on the hot path)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage
from inchworm.providers.asking import Again, HttpUpstream, clip, count, named
from inchworm.providers.upstream import Completion

DEFAULT_BASE_URL = "https://api.openai.com/v1"
DEFAULT_KEY = "env:OPENAI_API_KEY"


@dataclass(slots=True, kw_only=True)
class OpenAIUpstream(HttpUpstream):
    """OpenAI, and whoever speaks as it does."""

    default_base_url: ClassVar[str] = DEFAULT_BASE_URL
    default_key: ClassVar[str] = DEFAULT_KEY

    @property
    def path(self) -> str:
        """Behind ``base_url``, which ends with ``/v1``."""
        return "/chat/completions"

    def headers(self) -> dict[str, str]:
        """The key, if there is one."""
        return {} if self.api_key is None else {"Authorization": f"Bearer {self.api_key}"}

    def payload(self, request: ModelRequest) -> dict[str, Any]:
        """See :func:`payload`."""
        return payload(request)

    def read(self, text: str, latency_ms: float) -> Completion | Again:
        """The first choice."""
        return _read(text, latency_ms)


def payload(request: ModelRequest) -> dict[str, Any]:
    """The JSON body: parameters as they are, the model's name, the messages; never streamed.

    Raises:
        UsageError: if the model layer names no model.
    """
    name = named(request)
    messages = [{"role": message.role, "content": message.content} for message in request.messages]
    return {**request.parameters, "model": name, "messages": messages, "stream": False}


def _read(text: str, latency_ms: float) -> Completion | Again:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return Again(f"the answer was no JSON: {clip(text)}")
    match value:
        case {"choices": [{"message": {"content": None | str() as content}, **choice}, *_]}:
            usage = value.get("usage")
            counts = usage if isinstance(usage, dict) else {}
            finish = choice.get("finish_reason")
            return Completion(
                text=content or "",
                finish_reason=finish if isinstance(finish, str) else None,
                latency_ms=latency_ms,
                usage=Usage(
                    input_tokens=count(counts.get("prompt_tokens")),
                    output_tokens=count(counts.get("completion_tokens")),
                ),
            )
    return Again(f"the answer has no choices[0].message.content: {clip(text)}")
