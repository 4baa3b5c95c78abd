"""The protocols of recorded calls, by the dialects of their records."""

from __future__ import annotations

from collections.abc import Mapping

from inchworm.capture.protocols.anthropic_messages import MESSAGES
from inchworm.capture.protocols.base import PROTOCOL, Answer, Protocol, Request
from inchworm.capture.protocols.openai_chat import CHAT
from inchworm.capture.protocols.openai_embeddings import EMBEDDINGS
from inchworm.capture.protocols.openai_responses import RESPONSES

__all__ = ["PROTOCOL", "PROTOCOLS", "Answer", "Protocol", "Request"]

PROTOCOLS: Mapping[str, Protocol] = {one.name: one for one in (CHAT, RESPONSES, EMBEDDINGS, MESSAGES)}
"""All that are read."""
