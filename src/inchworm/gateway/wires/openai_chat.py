"""OpenAI's chat completions: the form in which layers are written, so little is to be said anew."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from inchworm.gateway.compiled import Compiled
from inchworm.gateway.wires.base import SYSTEM_ROLES, Ending, Opened, Speech, Wire, are_messages

_TOKEN_LIMITS = ("max_completion_tokens", "max_tokens")
_SAYS = ("content", "tool_calls", "refusal", "function_call", "reasoning_content", "reasoning", "audio")
# Nobody reads a stream as it comes, and it says what it cost only if it is asked to; what a provider stores
# is what the caller got. A configuration that names them still wins.
_OF_THE_CALLER = frozenset({"stream", "stream_options", "store"})


class OpenAIChat(Wire):
    """``POST /v1/chat/completions``."""

    name = "openai-chat"
    speech = Speech.OPENAI
    ending = Ending(hint=b"[DONE]", mark=re.compile(rb"(?:^|[\r\n])(data: ?\[DONE\])"), terse=True)

    def opened(self, body: Mapping[str, Any]) -> Opened | None:
        """Messages; the system message is the first of that role, wherever it stands."""
        messages = body.get("messages")
        if messages is None:
            return Opened(system=None, messages=[])
        if not are_messages(messages):
            return None
        return first_system(list(messages))

    def put(self, body: dict[str, Any], system: dict[str, Any] | None, messages: list[Any]) -> None:
        """The system message stands first."""
        if whole := messages if system is None else [system, *messages]:
            body["messages"] = whole

    def put_stated(self, body: dict[str, Any], messages: list[Any]) -> None:
        """They are this protocol's own."""
        body.setdefault("messages", messages)

    def put_tools(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """The layer is in this form, so it is passed on as it stands."""
        if chosen.schemas:
            body["tools"] = chosen.schemas
            return True
        return super().put_tools(body, chosen)

    def put_parameters(self, body: dict[str, Any], chosen: Compiled) -> bool:
        """Each by its name; the limit of tokens by the one that the caller uses."""
        for name in chosen.released:
            body.pop(name, None)
        if "max_tokens" in chosen.released:
            body.pop("max_completion_tokens", None)
        body.update(chosen.parameters)
        if "max_completion_tokens" in chosen.parameters:
            body.pop("max_tokens", None)  # providers take one of the two
        if chosen.max_tokens is not None:
            body[next((name for name in _TOKEN_LIMITS if name in body), "max_tokens")] = chosen.max_tokens
        if chosen.tool_choice is not None:
            if not body.get("tools"):
                return False
            body["tool_choice"] = chosen.tool_choice
        return True

    def mirrored(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Without streaming, and stored by nobody."""
        return {name: value for name, value in body.items() if name not in _OF_THE_CALLER}

    def says_something(self, event: Mapping[str, Any]) -> bool:
        """Whether a delta has more than a role."""
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict) and any(delta.get(name) for name in _SAYS):
                return True
        return False


def first_system(messages: list[Any]) -> Opened:
    """Take the first system message out of chat messages, which are a list of one's own."""
    at = next((place for place, one in enumerate(messages) if one.get("role") in SYSTEM_ROLES), None)
    if at is None:
        return Opened(system=None, messages=messages)
    return Opened(system=messages.pop(at), messages=messages, start=at)
