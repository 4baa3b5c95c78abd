"""Messages as five kinds of clients write them, to OpenAI's form: texts are kept, other parts are noted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from inchworm.capture.telemetry.plain import json_of, said, written

_ROLES = {
    "human": "user",
    "ai": "assistant",
    "AIMessageChunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "function": "tool",
}
_CLASSES = {
    "Human": "user",
    "AI": "assistant",
    "System": "system",
    "Tool": "tool",
    "Function": "tool",
}
_TEXTS = frozenset({"text", "input_text", "output_text", "refusal", "summary_text"})
_THOUGHTS = frozenset({"reasoning", "thinking"})
_ASKED = frozenset({"tool_call", "tool_use", "tool-call", "function_call", "server_tool_use"})
_ANSWERED = frozenset(
    {"tool_call_response", "tool_result", "tool-result", "function_call_output", "tool_response"}
)
_PLAIN = frozenset({"role", "content"})
_MANY = 10_000


@dataclass(slots=True)
class Said:
    """A conversation.

    Attributes:
        messages: in OpenAI's form, contents as texts.
        parts: what was no text, as ``{"message": 2, "type": "image"}``. The part itself is not kept: what
            cannot be read cannot be sanitized.
        finish_reason: what the last message says of its end.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    finish_reason: str | None = None

    def first_said(self) -> str | None:
        """What the user said first."""
        return next((m["content"] for m in self.messages if m["role"] == "user"), None)


def conversation(value: Any, *, role: str | None = None) -> Said | None:
    """The conversation that a value is; ``None`` if it is none.

    Args:
        value: a message, several, or JSON text of either. Lists within a list are joined, as LangChain
            writes batches.
        role: of messages that name none; without it such are no messages.
    """
    value = json_of(value) if isinstance(value, str) else value
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or not value or len(value) > _MANY:
        return None
    if isinstance(value[0], list):
        value = (
            value[0] if len(value) == 1 else [one for each in value if isinstance(each, list) for one in each]
        )
    found = Said()
    for one in value:
        if not _take(one, found, role):
            return None
    return found if found.messages else None


def system(value: Any) -> str | None:
    """The system's instructions: a text, or parts of the form ``[{"type": "text", "content": ...}]``."""
    parts = json_of(value)
    if parts is None:
        return said(value)
    if isinstance(parts, dict):
        parts = [parts]
    texts = [text for one in parts if (text := _text(one)) is not None]
    return "\n".join(texts) if texts else None


def tool_schemas(value: Any) -> list[Any] | None:
    """Definitions of tools in OpenAI's form: ``{"type": "function", "function": {...}}``."""
    tools = json_of(value)
    if isinstance(tools, dict):
        tools = [tools]
    if not tools:
        return None
    return [_schema(one) for one in tools]


def as_text(value: Any) -> str | None:
    """What was answered, as text; of what is no text, its JSON. LangSmith wraps it: ``{"output": ...}``."""
    if value is None or (isinstance(value, dict | list) and not value):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and value.keys() == {"output"}:
        inner = value["output"]
        return inner if inner is None or isinstance(inner, str) else written(inner)
    return written(value)


def call(id_: Any, name: Any, arguments: Any) -> dict[str, Any]:
    """A call of a tool in OpenAI's form."""
    text = arguments if isinstance(arguments, str) else "" if arguments is None else written(arguments)
    return {
        "id": said(id_) or "",
        "type": "function",
        "function": {"name": said(name) or "", "arguments": text},
    }


def _schema(one: Any) -> Any:
    one = found if isinstance(one, str) and (found := json_of(one)) is not None else one
    if (
        not isinstance(one, dict)
        or isinstance(one.get("function"), dict)
        or not isinstance(one.get("name"), str)
    ):
        return one
    inner = {
        name: value for name, value in one.items() if name not in {"type", "input_schema", "inputSchema"}
    }
    schema = one.get("input_schema", one.get("inputSchema"))
    if schema is not None and "parameters" not in inner:
        inner["parameters"] = schema
    return {"type": "function", "function": inner}


def _take(one: Any, found: Said, default: str | None) -> bool:
    """Add one message; whether it is one."""
    if not isinstance(one, dict):
        if default is None or not isinstance(one, str):
            return False
        found.messages.append({"role": default, "content": one})
        return True
    content = one.get("content")
    role = one.get("role")
    if type(content) is str and type(role) is str and len(one) == 2:  # by far the most
        found.messages.append(one if role not in _ROLES else {"role": _ROLES[role], "content": content})
        return True
    if isinstance(inner := one.get("message"), dict) and role is None:  # a choice
        found.finish_reason = said(one.get("finish_reason")) or found.finish_reason
        return _take(inner, found, default or "assistant")
    if role is None and _word(one) in _ASKED | _ANSWERED:  # an item of OpenAI's Responses
        _parts([one], {}, found, "assistant")
        return True
    if role is None and (read := _langchain(one)) is not None:
        one = read
        role, content = one["role"], one.get("content")
    if role is None:
        role = default
    if not isinstance(role, str) or not role:
        return False
    role = _ROLES.get(role, role)
    parts = one.get("parts")
    found.finish_reason = said(one.get("finish_reason")) or found.finish_reason
    rest = {
        name: value
        for name, value in one.items()
        if value is not None and name not in {"role", "content", "parts", "finish_reason", "tool_calls"}
    }
    if isinstance(calls := one.get("tool_calls"), list) and calls:
        rest["tool_calls"] = [_call(each) for each in calls]
    if isinstance(parts, list):
        _parts(parts, rest, found, role)
    elif isinstance(content, list):
        _parts(content, rest, found, role)
    elif content is None or isinstance(content, str):
        found.messages.append({"role": role, "content": content or "", **rest})
    else:
        found.messages.append({"role": role, "content": written(content), **rest})
    return True


def _langchain(one: Mapping[str, Any]) -> dict[str, Any] | None:
    """A message of LangChain: as a constructor, as ``{"type": "human", "data": {...}}``, or flat."""
    named, held = one.get("type"), one.get("kwargs")
    if named == "constructor" and isinstance(held, dict):
        path = one.get("id")
        name = path[-1] if isinstance(path, list) and path else None
        role = _CLASSES.get(name.partition("Message")[0]) if isinstance(name, str) else None
        role = said(held.get("role")) if role is None else role
        return None if role is None else _flat(held, role)
    role = {
        "human": "user",
        "ai": "assistant",
        "AIMessageChunk": "assistant",
        "system": "system",
        "tool": "tool",
    }.get(named if isinstance(named, str) else "")
    if role is None:
        return None
    data = one.get("data")
    return _flat(data if isinstance(data, dict) else one, role)


def _flat(held: Mapping[str, Any], role: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": role, "content": held.get("content")}
    more = held.get("additional_kwargs")
    calls = held.get("tool_calls")
    if not calls and isinstance(more, dict):
        calls = more.get("tool_calls")
    further = {"tool_calls": calls, "tool_call_id": held.get("tool_call_id"), "name": held.get("name")}
    message |= {name: value for name, value in further.items() if value}
    about = held.get("response_metadata")
    if isinstance(about, dict):
        message["finish_reason"] = about.get("finish_reason", about.get("stop_reason"))
    return message


def _call(one: Any) -> Any:
    if not isinstance(one, dict) or isinstance(one.get("function"), dict):
        return one
    return call(
        one.get("id", one.get("toolCallId", one.get("call_id"))),
        one.get("name", one.get("toolName")),
        next((one[name] for name in ("arguments", "args", "input") if name in one), None),
    )


def _word(part: Mapping[str, Any]) -> str | None:
    """The type that a part names; one that is no text counts as unknown."""
    kind = part.get("type")
    return kind if kind is None or isinstance(kind, str) else "unknown"


def _text(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        return None
    kind = _word(part)
    if kind is not None and kind not in _TEXTS:
        return None
    return next(
        (part[name] for name in ("text", "content", "refusal") if isinstance(part.get(name), str)), None
    )


def _parts(parts: Sequence[Any], rest: dict[str, Any], found: Said, role: str) -> None:
    texts: list[str] = []
    thoughts: list[str] = []
    calls: list[Any] = []
    others: list[str] = []
    answers: list[dict[str, Any]] = []
    for part in parts:
        if (text := _text(part)) is not None:
            texts.append(text)
            continue
        kind = _word(part) if isinstance(part, dict) else None
        if kind in _ASKED:
            calls.append(_call(part))
        elif kind in _ANSWERED:
            answers.append(_answer(part))
        elif kind in _THOUGHTS:
            thought = next(
                (part[n] for n in ("content", "text", "thinking") if isinstance(part.get(n), str)), None
            )
            thoughts.extend([thought] if thought else [])
            others.extend([] if thought else [str(kind)])
        elif isinstance(part, dict):
            others.append(str(part.get("modality") or kind or "unknown")[:64])
        else:
            others.append("unknown")
    if texts or calls or thoughts or others or not answers:
        message: dict[str, Any] = {"role": role, "content": "\n".join(texts), **rest}
        if calls:
            message["tool_calls"] = [*message.get("tool_calls", ()), *calls]
        if thoughts:
            message["reasoning"] = "\n".join(thoughts)
        found.parts.extend({"message": len(found.messages), "type": kind} for kind in others)
        found.messages.append(message)
        rest = {}
    found.messages.extend({**answer, **rest} for answer in answers)


def _answer(part: Mapping[str, Any]) -> dict[str, Any]:
    """What a tool answered, as a message."""
    value = next(
        (part[n] for n in ("response", "result", "output", "content") if part.get(n) is not None), None
    )
    if isinstance(value, dict) and set(value) <= {"type", "value"} and "value" in value:  # Vercel's
        value = value["value"]
    texts = [_text(one) for one in value] if isinstance(value, list) else []
    content = (
        "\n".join(text for text in texts if text is not None)
        if texts and None not in texts
        else value
        if isinstance(value, str)
        else ""
        if value is None
        else written(value)
    )
    id_ = next((part[n] for n in ("id", "tool_use_id", "toolCallId", "call_id") if part.get(n)), None)
    message: dict[str, Any] = {"role": "tool", "content": content}
    if (text := said(id_)) is not None:
        message["tool_call_id"] = text
    if (name := said(part.get("name", part.get("toolName")))) is not None:
        message["name"] = name
    return message
