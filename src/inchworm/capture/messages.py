"""Chat messages in OpenAI's form: texts are kept, other parts are noted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from inchworm.capture.values import kind_of, quoted
from inchworm.domain.errors import InputError

_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Messages whose contents are texts.

    Attributes:
        messages: ``{"role": ..., "content": text, ...}`` with whatever else each one had.
        parts: what was no text, as ``{"message": 2, "type": "image_url"}``. The part itself is not kept: what
            cannot be read cannot be sanitized.
    """

    messages: list[dict[str, Any]]
    parts: list[dict[str, Any]]

    def first_user_message(self) -> str | None:
        """What the user said first."""
        return next((m["content"] for m in self.messages if m["role"] == "user"), None)


def conversation(value: Sequence[Any], path: str) -> Conversation:
    """Messages as they stand under ``path``.

    Raises:
        InputError: if one of them is no message.
    """
    messages: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for place, one in enumerate(value):
        read, others = message(one, f"{path}[{place}]")
        messages.append(read)
        parts.extend({"message": place, "type": kind} for kind in others)
    return Conversation(messages=messages, parts=parts)


def message(value: Any, path: str) -> tuple[dict[str, Any], list[str]]:
    """One message, and the types of its parts that are no texts. No content, as with tool calls, is "".

    Raises:
        InputError: if it is no message.
    """
    if not isinstance(value, dict):
        raise InputError(f"{path} is {kind_of(value)}; a message is an object with role and content")
    role = value.get("role")
    if not isinstance(role, str) or not role:
        said = "has no role" if role is None else f"has {kind_of(role)} for a role"
        raise InputError(f'{path} {said}; a role is e.g. "user"')
    content = value.get("content")
    if content is None or isinstance(content, str):
        return {**value, "content": content or ""}, []
    if not isinstance(content, list):
        raise InputError(f"{path}.content is {kind_of(content)}; a text or an array of parts is expected")
    texts: list[str] = []
    others: list[str] = []
    for place, part in enumerate(content):
        kind = part.get("type") if isinstance(part, dict) else None
        if not isinstance(kind, str):
            raise InputError(f"{path}.content[{place}] is no part: an object with a type is expected")
        text = part.get(_TEXTS.get(kind, ""))
        if isinstance(text, str):
            texts.append(text)
        elif kind in _TEXTS:
            raise InputError(f"{path}.content[{place}] has the type {quoted(kind)} and no text")
        else:
            others.append(kind)
    return {**value, "content": "\n".join(texts)}, others
