"""The protocols in which the gateway is asked: one :class:`Wire` each, and which path is whose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from inchworm.gateway.wires.anthropic_messages import AnthropicMessages
from inchworm.gateway.wires.base import Opened, Speech, Wire
from inchworm.gateway.wires.openai_chat import OpenAIChat
from inchworm.gateway.wires.openai_embeddings import OpenAIEmbeddings
from inchworm.gateway.wires.openai_responses import OpenAIResponses

__all__ = [
    "ANTHROPIC_MESSAGES",
    "ANY",
    "OPENAI_CHAT",
    "OPENAI_EMBEDDINGS",
    "OPENAI_RESPONSES",
    "WIRES",
    "Opened",
    "Speech",
    "Wire",
    "spoken",
    "wire_at",
]

OPENAI_CHAT: Wire = OpenAIChat()
OPENAI_RESPONSES: Wire = OpenAIResponses()
OPENAI_EMBEDDINGS: Wire = OpenAIEmbeddings()
ANTHROPIC_MESSAGES: Wire = AnthropicMessages()
WIRES: Mapping[str, Wire] = {
    one.name: one for one in (OPENAI_CHAT, OPENAI_RESPONSES, OPENAI_EMBEDDINGS, ANTHROPIC_MESSAGES)
}
"""All protocols, by the dialects of their records."""
ANY = "any"
"""``infrastructure.upstream`` of a provider that is asked in whatever protocol the caller speaks."""
_PATHS: Mapping[str, Wire] = {
    "/v1/chat/completions": OPENAI_CHAT,
    "/v1/responses": OPENAI_RESPONSES,
    "/v1/embeddings": OPENAI_EMBEDDINGS,
    "/v1/messages": ANTHROPIC_MESSAGES,
    "/openai/v1/chat/completions": OPENAI_CHAT,
    "/openai/v1/responses": OPENAI_RESPONSES,
    "/openai/v1/embeddings": OPENAI_EMBEDDINGS,
    "/openai/responses": OPENAI_RESPONSES,
}
_DEPLOYED = re.compile(r"/openai/deployments/[^/]+(/chat/completions|/embeddings)")
_BOTH = frozenset({"api.anthropic.com"})  # serves OpenAI's chat completions beside its own protocol


def wire_at(path: str) -> Wire | None:
    """The protocol of the calls that are made at a path."""
    found = _PATHS.get(path)
    if found is None and path.startswith("/openai/deployments/") and (azure := _DEPLOYED.fullmatch(path)):
        return _PATHS[f"/v1{azure[1]}"]
    return found


def spoken(infrastructure: Mapping[str, Any]) -> Speech | None:
    """In whose protocols a configuration's provider is asked; ``None`` if it does not say, or in all.

    ``upstream: openai`` and ``upstream: anthropic`` say it. Where nothing is said, a ``base_url`` is that of
    a provider with OpenAI's protocols, as almost all are, and nothing else is known.
    """
    match infrastructure.get("upstream"):
        case Speech.OPENAI:
            return Speech.OPENAI
        case Speech.ANTHROPIC:
            return Speech.ANTHROPIC
        case None if url := infrastructure.get("base_url"):
            return None if _host(str(url)) in _BOTH else Speech.OPENAI
        case _:
            return None


@lru_cache(maxsize=256)
def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
