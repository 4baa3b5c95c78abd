"""What pydantic-ai and Logfire write beside OpenTelemetry's names: runs, and events as one attribute."""

from __future__ import annotations

from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.conversing import Said, conversation
from inchworm.capture.telemetry.plain import json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.domain.span import SpanKind

_RUN = ("pydantic_ai.all_messages", "all_messages_events")
_FINAL = "final_result"


def tell(span: Reported) -> Told:
    """The messages of a run or of a request, and the final result."""
    given = span.attributes
    told = Told()
    if "agent_name" in given:
        told.kind = SpanKind.AGENT
    told.asked = said(given.get("model_name"))
    for name in _RUN:
        whole = _conversation(given.get(name))
        if whole is not None and told.messages is None:
            told.messages, answer = _asked(whole)
            if answer is not None and _FINAL not in given:
                told.answered(Said(messages=[answer]))
            told.read.append(name)
    if (value := given.get(_FINAL)) is not None:
        told.came_out(value, chat=False)
        told.read.append(_FINAL)
    events = json_of(given.get("events"))
    if isinstance(events, list) and told.messages is None:
        _request(events, told)
    return told


def _conversation(value: Any) -> Said | None:
    found = json_of(value)
    if not isinstance(found, list):
        return None
    return conversation([_event(one) for one in found])


def _event(one: Any) -> Any:
    """A message of its first releases: an event with its name as a member."""
    if not isinstance(one, dict):
        return one
    name = one.get("event.name")
    plain = {key: value for key, value in one.items() if not key.startswith(("event.", "gen_ai."))}
    if name == names.CHOICE:
        inner = plain.get("message")
        return (
            {"role": "assistant", **inner}
            if isinstance(inner, dict)
            else {"role": "assistant", "content": inner}
        )
    role = names.MESSAGE_EVENTS.get(name) if isinstance(name, str) else None
    return plain if role is None else {"role": role, **plain}


def _asked(whole: Said) -> tuple[Said, dict[str, Any] | None]:
    """A run's messages up to what it was asked, and its last answer."""
    last = max((n for n, one in enumerate(whole.messages) if one["role"] == "user"), default=-1)
    before = whole.messages[: last + 1] or whole.messages
    answer = next((one for one in reversed(whole.messages[last + 1 :]) if one["role"] == "assistant"), None)
    return Said(
        messages=before, parts=[part for part in whole.parts if part["message"] < len(before)]
    ), answer


def _request(events: list[Any], told: Told) -> None:
    asked = [one for one in events if not (isinstance(one, dict) and one.get("event.name") == names.CHOICE)]
    choices = [one for one in events if isinstance(one, dict) and one.get("event.name") == names.CHOICE]
    told.messages = conversation([_event(one) for one in asked])
    if choices and (answer := conversation(_event(choices[0]))) is not None:
        told.answered(answer)
    if told.messages is not None:
        told.read.append("events")
