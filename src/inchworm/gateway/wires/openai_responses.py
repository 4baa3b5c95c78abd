"""OpenAI's responses: instructions and items, and perhaps a conversation that the provider holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from inchworm.gateway.faults import TYPE, Fault
from inchworm.gateway.wires.base import (
    Ending,
    Meant,
    Opened,
    Speech,
    Wire,
    are_messages,
    encoded,
)
from inchworm.gateway.wires.openai_chat import first_system

_INSTRUCTIONS = "instructions"
"""The role under which ``instructions`` are a message; no item has it."""
_ID = re.compile(rb'"id": ?"(resp[A-Za-z0-9_-]{1,200})"')
_HELD = ("previous_response_id", "conversation")
# What a stream says of its end names no line of its own with every server, so that both forms are looked for.
_END = re.compile(
    rb"(?:^|[\r\n])("
    rb"event: ?response\.(?:completed|incomplete|failed)[\r\n]"
    rb'|data: ?\{"type": ?"response\.(?:completed|incomplete|failed)"'
    rb"|data: ?\[DONE\])"
)


def _format(value: Any) -> Any:
    """``response_format`` as ``text.format``: what is nested under its type stands beside it."""
    meant = Meant.of(value)
    return value if meant is None or not meant.inner else {"type": meant.kind, **meant.inner}


def _choice(value: Any) -> Any:
    meant = Meant.of(value)
    return value if meant is None or not meant.inner else {"type": meant.kind, **meant.inner}


class OpenAIResponses(Wire):
    """``POST /v1/responses``."""

    name = "openai-responses"
    speech = Speech.OPENAI
    holds = True
    text_parts = ("input_text", "output_text", "text")
    ending = Ending(hint=b"", mark=_END, terse=False)
    places: ClassVar[Mapping[str, Sequence[str]]] = {
        "max_tokens": ("max_output_tokens",),
        "max_completion_tokens": ("max_output_tokens",),
        "reasoning_effort": ("reasoning", "effort"),
        "verbosity": ("text", "verbosity"),
        "response_format": ("text", "format"),
    }
    says: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"response_format": _format, "tool_choice": _choice}
    foreign = frozenset(
        {
            *("stop", "stop_sequences", "seed", "n", "logit_bias", "logprobs", "top_k"),
            *("frequency_penalty", "presence_penalty", "prediction", "modalities", "audio"),
            *("functions", "function_call", "web_search_options", "thinking", "output_config"),
            *("dimensions", "encoding_format"),
        }
    )

    def named(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """The conversation that the provider holds, by its id."""
        named = body.get("conversation")
        if isinstance(named, dict):
            named = named.get("id")
        return {"conversation_id": named} if isinstance(named, str) and named else {}

    def continues(self, body: Mapping[str, Any]) -> str | None:
        """``previous_response_id``."""
        before = body.get("previous_response_id")
        return before if isinstance(before, str) and before else None

    def answer_id(self, begun: bytes) -> str | None:
        """The response's id, which stands near the beginning of an answer, streamed or not."""
        found = _ID.search(begun)
        return None if found is None else found.group(1).decode()

    def said(self, body: Mapping[str, Any]) -> Any:
        """The items; none if the conversation began before them."""
        if any(body.get(name) for name in _HELD):
            return None
        items = body.get("input")
        return [{"role": "user", "content": items}] if isinstance(items, str) else items

    def opened(self, body: Mapping[str, Any]) -> Opened | None:
        """Instructions are the system message, else the first item of that role is."""
        items, instructions = body.get("input"), body.get("instructions")
        if isinstance(items, str):
            items = [{"role": "user", "content": items}]
        items = [] if items is None else items
        if not are_messages(items) or not isinstance(instructions, str | None):
            return None
        held = any(body.get(name) for name in _HELD)
        if instructions is not None:
            system = {"role": _INSTRUCTIONS, "content": instructions}
            return Opened(system=system, messages=list(items), held=held)
        found = first_system(list(items))
        return Opened(system=found.system, messages=found.messages, start=found.start, held=held)

    def put(self, body: dict[str, Any], system: dict[str, Any] | None, messages: list[Any]) -> None:
        """A text stays a text if it is still all that is asked."""
        items = messages
        if system is None:
            body.pop("instructions", None)
        elif system["role"] == _INSTRUCTIONS:
            body["instructions"] = system["content"]
        else:
            items = [system, *messages]
        match items, body.get("input"):
            case [{"role": "user", "content": str(text), **rest}], str() if not rest:
                body["input"] = text
            case [], None:
                pass
            case _:
                body["input"] = items

    def put_stated(self, body: dict[str, Any], messages: list[Any]) -> None:
        """Chat messages are items, too."""
        body.setdefault("input", messages)

    def new_system(self, text: str) -> dict[str, Any]:
        """Instructions."""
        return {"role": _INSTRUCTIONS, "content": text}

    def tool(self, schema: Any) -> Any:
        """``{"type": "function", "function": {...}}`` laid flat; strict only where it is said, as in chat."""
        meant = Meant.of(schema)
        if meant is None or not meant.inner or meant.kind not in {"function", "custom"}:
            return schema
        if meant.kind == "custom":
            return {"type": "custom", **meant.inner}
        return {"type": "function", "parameters": None, "strict": False, **meant.inner}

    def mirrored(self, body: Mapping[str, Any]) -> dict[str, Any] | None:
        """Stored by nobody, and answered at once; a provider's conversation would grow by it."""
        if body.get("conversation"):
            return None
        rest = {
            name: value
            for name, value in body.items()
            if name not in {"stream", "stream_options", "background"}
        }
        return {**rest, "store": False}

    def says_something(self, event: Mapping[str, Any]) -> bool:
        """Whether it is a delta of anything."""
        kind = event.get("type")
        return isinstance(kind, str) and kind.endswith(".delta")

    def fault_event(self, fault: Fault) -> bytes:
        """``error``, with the error beside its members too: the SDK raises what stands there."""
        said = {
            "type": "error",
            "code": fault.code,
            "message": fault.message,
            "param": None,
            "error": {"message": fault.message, "type": TYPE, "param": None, "code": fault.code},
        }
        return b"event: error\ndata: " + encoded(said) + b"\n\n"
