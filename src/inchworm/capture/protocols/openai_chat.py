"""OpenAI's chat completions: read as they are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.protocols.base import Answer, Protocol, Request, without
from inchworm.capture.streams import assemble

_MESSAGES = frozenset({"messages"})


def _request(asked: Mapping[str, Any], sent: Mapping[str, Any]) -> Request:
    return Request(messages=asked.get("messages"), members=without(sent, _MESSAGES))


def _answer(body: dict[str, Any]) -> Answer:
    return Answer(completion=body)


CHAT = Protocol(name="openai-chat", request=_request, answer=_answer, assemble=assemble)
"""``POST /v1/chat/completions``."""
