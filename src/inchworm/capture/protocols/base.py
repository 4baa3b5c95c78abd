"""What a recorded call's protocol must tell, so that everything behind it knows OpenAI's chat alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.streams import Assembled

PROTOCOL = "inchworm.protocol"
"""Attribute: in which protocol a call was made, if that is another than OpenAI's chat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request in the form of a chat completion's.

    Attributes:
        messages: what was said, in chat's form; ``None`` if what stands there is none.
        members: everything else, under chat's names where it has some.
        inputs: what was asked, where that is no conversation.
        attributes: what is noted of it.
    """

    messages: Any
    members: dict[str, Any]
    inputs: dict[str, Any] | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer in the form of a chat completion.

    Attributes:
        completion: the completion.
        lacking: why it is none yet, if it is none.
        attributes: what is noted of it.
    """

    completion: dict[str, Any]
    lacking: str | None = None
    attributes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How calls in one protocol are read. All of it is pure.

    Attributes:
        name: the dialect of the records.
        request: of what the caller sent and what the provider got.
        answer: of an answer that came whole, or was put together.
        assemble: one answer of the events of a stream.
    """

    name: str
    request: Callable[[Mapping[str, Any], Mapping[str, Any]], Request]
    answer: Callable[[dict[str, Any]], Answer]
    assemble: Callable[[bytes], Assembled]


def function_call(id_: Any, name: Any, arguments: str) -> dict[str, Any]:
    """A tool call as chat has it."""
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": arguments}}


def moved(members: dict[str, Any], outer: str, inner: str, chats: str) -> Any:
    """Move a member of a member to where chat has it; its value, ``None`` if it is not there."""
    held = members.get(outer)
    if not isinstance(held, dict) or held.get(inner) is None:
        return None
    rest = {name: value for name, value in held.items() if name != inner}
    if rest:
        members[outer] = rest
    else:
        del members[outer]
    members[chats] = held[inner]
    return held[inner]


def without(members: Mapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """All but these members."""
    return {name: value for name, value in members.items() if name not in names}
