"""What the gateway must know of a provider's protocol, and where protocols agree. Pure.

A :class:`Wire` says where a request's messages, system prompt, tools and limits stand, how its stream ends,
and what an error looks like. Layers hold everything in the form of OpenAI's chat completions; a wire says it
in its own words, or says that it cannot.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from inchworm.gateway.compiled import Compiled
from inchworm.gateway.faults import Fault

NOTHING: Mapping[str, Any] = {}
SYSTEM_ROLES = frozenset({"system", "developer"})


class Speech(StrEnum):
    """Whose way of asking a provider understands."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"


class UnsayableError(Exception):
    """A value of a layer has no counterpart in this protocol."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A request's conversation, taken apart. The dictionaries are the caller's, so only to be read.

    Attributes:
        system: the first system message, if there is one, in the form of a chat message.
        messages: what follows or surrounds it, as the protocol writes it.
        start: where in ``messages`` examples stand that a prompt layer put there.
        held: whether the provider holds the turns before these.
    """

    system: dict[str, Any] | None
    messages: list[Any]
    start: int = 0
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How the stream of a protocol ends.

    Attributes:
        hint: bytes without which no piece holds the final event.
        mark: finds it; group 1 is where it begins.
        terse: whether it says no more than that it is the end, so that nothing behind it is needed.
    """

    hint: bytes
    mark: re.Pattern[bytes]
    terse: bool


class Wire(ABC):
    """A protocol of model calls. Has no state; one instance serves all requests."""

    name: ClassVar[str]
    """The dialect of the records that calls in it become."""
    speech: ClassVar[Speech]
    """Whose providers are asked in it."""
    text_parts: ClassVar[Sequence[str]] = ("text",)
    """Types of the parts of a message that are texts; of the first kind are those that are made here."""
    places: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Where a parameter of the layers stands in a body, if not under its own name."""
    says: ClassVar[Mapping[str, Callable[[Any], Any]]] = {}
    """How a parameter's value is written; raises :class:`UnsayableError` if it cannot be."""
    foreign: ClassVar[frozenset[str]] = frozenset()
    """Parameters that other protocols know and this one does not."""
    required: ClassVar[frozenset[str]] = frozenset()
    """Parameters without which a provider refuses the request: they are never taken out."""
    holds: ClassVar[bool] = False
    """Whether a provider may hold the turns before, and a request name but the answer it goes on from."""
    ending: ClassVar[Ending]
    """How its streams end."""

    # -- whose request it is

    def named(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Names for a session beside the body's own members and its metadata."""
        del body
        return NOTHING

    def continues(self, body: Mapping[str, Any]) -> str | None:
        """The id of the answer that this request goes on from, if the provider holds what was said."""
        del body
        return None

    def answer_id(self, begun: bytes) -> str | None:
        """The id by which a later request may go on from this answer, from the first bytes of it."""
        del begun
        return None

    def said(self, body: Mapping[str, Any]) -> Any:
        """The messages in which the conversation's first is looked for; ``None`` if it is not among them."""
        return body.get("messages")

    # -- what is put into it

    def takes(self, chosen: Compiled, *, meant: bool) -> bool:
        """Whether a configuration is for this kind of request at all.

        Args:
            chosen: the configuration.
            meant: whether the request says so: by ``app:NAME``, or by a call that has values of its own.
        """
        del chosen, meant
        return True

    @abstractmethod
    def opened(self, body: Mapping[str, Any]) -> Opened | None:
        """The conversation; ``None`` if it is none that can be read: the provider may say what it thinks."""

    @abstractmethod
    def put(self, body: dict[str, Any], system: dict[str, Any] | None, messages: list[Any]) -> None:
        """Write a conversation into ``body``."""

    @abstractmethod
    def put_stated(self, body: dict[str, Any], messages: list[Any]) -> None:
        """Write chat messages that the caller states as an input into a ``body`` that has none."""

    def asks(self, message: Mapping[str, Any]) -> bool:
        """Whether it begins a turn of the user."""
        return message.get("role") == "user"

    def new_system(self, text: str) -> dict[str, Any]:
        """A system message where the caller has none."""
        return {"role": "system", "content": text}

    def text_of(self, content: Any) -> str | None:
        """The text of a message: its content, or its only part that is a text; ``None`` if less plain."""
        if isinstance(content, str):
            return content
        if not isinstance(content, list):
            return None
        texts = [
            part.get("text")
            for part in content
            if isinstance(part, dict) and part.get("type") in self.text_parts
        ]
        return texts[0] if len(texts) == 1 and isinstance(texts[0], str) else None

    def with_text(self, message: dict[str, Any], text: str) -> dict[str, Any]:
        """The message with another text; other parts, such as images, stay where they are."""
        content = message.get("content")
        if isinstance(content, list):
            parts = list(content)
            for place, part in enumerate(parts):
                if isinstance(part, dict) and part.get("type") in self.text_parts:
                    parts[place] = {**part, "text": text}
                    return {**message, "content": parts}
            return {**message, "content": [{"type": self.text_parts[0], "text": text}, *parts]}
        return {**message, "content": text}

    def put_tools(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """Write the tools layer into ``body``; whether that could be done."""
        if chosen.schemas:
            body["tools"] = [self.tool(one) for one in chosen.schemas]
        elif chosen.schemas is not None or chosen.releases_schemas:
            # Providers refuse an empty list of tools, and a choice among none.
            body.pop("tools", None)
            body.pop("tool_choice", None)
        return True

    def put_parameters(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """Write the parameters layer into ``body``; whether all of it could be said."""
        for name in chosen.released:
            if name not in self.foreign:
                place = self.places.get(name, (name,))
                if place[0] not in self.required:
                    _take(body, place)
        whole = True
        for name, value in chosen.parameters.items():
            whole = self._put(body, name, value) and whole
        if chosen.max_tokens is not None:
            whole = self._put(body, "max_tokens", chosen.max_tokens) and whole
        if chosen.tool_choice is not None:
            whole = bool(body.get("tools")) and self._put(body, "tool_choice", chosen.tool_choice) and whole
        return whole

    def _put(self, body: dict[str, Any], name: str, value: Any) -> bool:
        if name in self.foreign:
            return False
        try:
            said = self.says[name](value) if name in self.says else value
        except UnsayableError:
            return False
        _set(body, self.places.get(name, (name,)), said)
        return True

    def tool(self, schema: Any) -> Any:
        """A tool of the layers in this protocol's form; what has another form already stays as it is."""
        return schema

    # -- asking a candidate too, for nobody to see

    @abstractmethod
    def mirrored(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """The body without what is for the caller's own answer; ``None`` if asking would leave traces."""

    # -- what comes back

    @abstractmethod
    def says_something(self, event: Mapping[str, Any]) -> bool:
        """Whether an event of a stream has content."""

    def fault_body(self, fault: Fault) -> bytes:
        """An error of the gateway in the shape in which this protocol's clients read errors."""
        return fault.body()

    def fault_event(self, fault: Fault) -> bytes:
        """The same as the last event of a stream, which the clients raise."""
        return fault.event()


@dataclass(frozen=True, slots=True, kw_only=True)
class Meant:
    """Parts of a value of the layers in chat's form, e.g. of ``response_format``.

    Attributes:
        kind: its ``type``.
        inner: the object that stands under the name of its type.
    """

    kind: str
    inner: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any) -> Meant | None:
        """Of ``{"type": KIND, KIND: {...}}``; ``None`` for anything else."""
        if not isinstance(value, Mapping) or not isinstance(kind := value.get("type"), str):
            return None
        inner = value.get(kind)
        return cls(kind=kind, inner=inner if isinstance(inner, Mapping) else {})


def are_messages(value: Any) -> bool:
    """Whether it is an array of objects."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def encoded(value: Any) -> bytes:
    """Compact JSON."""
    return msgspec.json.encode(value)


def _take(body: dict[str, Any], place: Sequence[str]) -> None:
    if len(place) == 1:
        body.pop(place[0], None)
    elif isinstance(outer := body.get(place[0]), dict) and place[1] in outer:
        rest = {name: value for name, value in outer.items() if name != place[1]}
        if rest:
            body[place[0]] = rest
        else:
            del body[place[0]]


def _set(body: dict[str, Any], place: Sequence[str], value: Any) -> None:
    if len(place) == 1:
        body[place[0]] = value
    else:
        outer = body.get(place[0])
        body[place[0]] = {**(outer if isinstance(outer, dict) else {}), place[1]: value}
