"""What was said, turn by turn: of an interaction, or of one of its spans."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inchworm.app.web.formats import listed, plural
from inchworm.domain.trace import Trace

OFFERED = "gen_ai.tool.definitions"
_CALLS, _REFUSED = "openai.response.tool_calls", "openai.response.refusal"
_THOUGHTS = ("openai.response.reasoning_content", "openai.response.reasoning")
_PARTS, _ASKED_PARTS = "openai.response.parts", "openai.request.parts"
SHOWN = frozenset({OFFERED, _CALLS, *_THOUGHTS, _REFUSED, _PARTS, _ASKED_PARTS})
"""Attributes that the conversation itself shows."""
_TEXTS = {"text": "text", "input_text": "text", "output_text": "text", "refusal": "refusal"}
_KINDS = {
    **dict.fromkeys(("image", "image_url", "input_image"), "image"),
    **dict.fromkeys(("audio", "input_audio", "audio_url"), "recording"),
    **dict.fromkeys(("file", "input_file", "document"), "file"),
    **dict.fromkeys(("video", "video_url"), "video"),
}
_LONGEST = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool that the model asked for: its name, and the arguments as JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message.

    Attributes:
        role: ``system``, ``user``, ``assistant``, ``tool`` or what the source called it.
        text: what was said; may be empty beside tool calls.
        structured: whether the text is JSON, and laid out as such.
        of: of a tool's result: which tool.
        calls: the tools that it asks for.
        thought: what the model thought before it answered, as far as it says.
        refused: the words with which the model declined.
        parts: what was no text and is not kept: ``2 images``.
        answers: whether this is the answer that the trace is about.
    """

    role: str
    text: str
    structured: bool = False
    of: str | None = None
    calls: tuple[ToolCall, ...] = ()
    thought: str | None = None
    refused: str | None = None
    parts: str = ""
    answers: bool = False

    @property
    def words(self) -> Iterator[str]:
        """Every text in it."""
        yield self.text
        yield self.thought or ""
        yield self.refused or ""
        for call in self.calls:
            yield call.arguments


def turns(inputs: Mapping[str, Any], output: str | None, attributes: Mapping[str, Any]) -> Iterator[Turn]:
    """The conversation among the inputs, with the answer as the last turn."""
    noted = _noted(attributes.get(_ASKED_PARTS))
    called: dict[str, str] = {}
    found = inputs.get("messages")
    for place, one in enumerate(found if isinstance(found, list) else ()):
        if isinstance(one, Mapping):
            yield _turn(one, noted.get(place, ()), called)
    calls = _calls(attributes.get(_CALLS))
    thought = next(filter(None, (_said(attributes.get(name)) for name in _THOUGHTS)), None)
    refused, parts = _said(attributes.get(_REFUSED)), _types(attributes.get(_PARTS))
    if output is None and not calls and not refused and not parts:
        return
    text, structured = laid_out("" if output is None or output == refused else output)
    yield Turn(
        role="assistant",
        text=text,
        structured=structured,
        calls=calls,
        thought=thought,
        refused=refused,
        parts=_counted(parts),
        answers=True,
    )


def others(inputs: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Inputs that are no messages: name and text."""
    return tuple((name, as_text(value)) for name, value in inputs.items() if name != "messages")


def asked(trace: Trace) -> str | None:
    """What was asked, on one line: the user's last words, else the first input; ``None`` without content."""
    every = messages(trace)
    users = [one for one in every if one.get("role") == "user"]
    said = [one.get("content") for one in users or every]
    words = [text for text in said if isinstance(text, str) and text.strip()]
    if words:
        return " ".join(words[-1].split())
    rest = [value for name, value in trace.inputs.items() if name != "messages"]
    question = trace.inputs.get("question", rest[0] if rest else None)
    return None if question is None else " ".join(as_text(question).split())


def messages(trace: Trace) -> list[Mapping[str, Any]]:
    """The messages among the inputs; none if there are none in OpenAI's form."""
    found = trace.inputs.get("messages")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def offered(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the tools that the model was offered."""
    tools = attributes.get(OFFERED)
    functions = (
        [one.get("function") for one in tools if isinstance(one, dict)] if isinstance(tools, list) else []
    )
    return tuple(str(one["name"]) for one in functions if isinstance(one, dict) and "name" in one)


def laid_out(text: str) -> tuple[str, bool]:
    """A text, line by line if it is an object or an array of JSON; and whether it is."""
    plain = text.strip()
    if not plain or plain[0] not in "{[" or len(plain) > _LONGEST:
        return text, False
    try:
        found = json.loads(plain)
    except (ValueError, RecursionError):
        return text, False
    return json.dumps(found, ensure_ascii=False, indent=2), True


def as_text(value: Any) -> str:
    """A text as it is, else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _turn(one: Mapping[str, Any], noted: Sequence[str], called: dict[str, str]) -> Turn:
    said, parts = _content(one.get("content"))
    text, structured = laid_out(said)
    calls = _calls(one.get("tool_calls"))
    asked_for = one.get("tool_calls")
    for made in asked_for if isinstance(asked_for, list) else ():
        if isinstance(made, dict) and isinstance(made.get("id"), str) and _calls([made])[0].name != "?":
            called[made["id"]] = _calls([made])[0].name
    id_ = one.get("tool_call_id")
    tool = _said(one.get("name")) or (called.get(id_, id_) if isinstance(id_, str) else None)
    role = str(one.get("role", "message"))
    return Turn(
        role=role,
        text=text,
        structured=structured,
        of=tool if role in {"tool", "function"} else None,
        calls=calls,
        thought=_said(one.get("reasoning_content")) or _said(one.get("reasoning")),
        refused=_said(one.get("refusal")),
        parts=_counted([*noted, *parts]),
    )


def _content(content: Any) -> tuple[str, list[str]]:
    """A message's text, and the types of its parts that are none."""
    if content is None or isinstance(content, str):
        return content or "", []
    if not isinstance(content, list) or not all(
        isinstance(part, dict) and isinstance(part.get("type"), str) for part in content
    ):
        return as_text(content), []
    texts, rest = [], []
    for part in content:
        said = part.get(_TEXTS.get(part["type"], ""))
        if isinstance(said, str):
            texts.append(said)
        else:
            rest.append(part["type"])
    return "\n".join(texts), rest


def _calls(value: Any) -> tuple[ToolCall, ...]:
    """The tool calls of a message in OpenAI's form; what has another form is shown as it is."""
    if not isinstance(value, list):
        return ()
    functions = [one.get("function") if isinstance(one, dict) else None for one in value]
    return tuple(
        ToolCall(name=str(function.get("name", "?")), arguments=as_text(function.get("arguments", "")))
        if isinstance(function, dict)
        else ToolCall(name="?", arguments=as_text(one))
        for one, function in zip(value, functions, strict=True)
    )


def _said(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _noted(value: Any) -> dict[int, list[str]]:
    """Types of parts by the message that they belong to."""
    found: dict[int, list[str]] = {}
    for one in value if isinstance(value, list) else ():
        if isinstance(one, dict) and isinstance(one.get("message"), int):
            found.setdefault(one["message"], []).append(str(one.get("type")))
    return found


def _types(value: Any) -> list[str]:
    rows = value if isinstance(value, list) else ()
    return [str(one.get("type")) for one in rows if isinstance(one, dict)]


def _counted(types: Sequence[str]) -> str:
    """``2 images and 1 file``."""
    counts = Counter(_KINDS.get(one, f"part of type {one}") for one in types)
    return listed([plural(n, kind) for kind, n in counts.items()])
