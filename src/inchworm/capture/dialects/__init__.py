"""The shapes of record that are understood. Each is a pure function from a JSON object to a trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from inchworm.capture.dialects import openai_chat, question_answer, trace_1
from inchworm.capture.fields import Parsed, Place
from inchworm.capture.values import quoted
from inchworm.domain.errors import InputError

_NAMED = 8  # members that a message lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """One shape of record.

    Attributes:
        recognises: whether an object has this shape, by its members' names.
        read: the trace of an object.
        members: the names that tell the shape, for "did you mean".
    """

    recognises: Callable[[Mapping[str, Any]], bool]
    read: Callable[[Mapping[str, Any], Place], Parsed]
    members: tuple[str, ...]


DIALECTS: Mapping[str, Dialect] = {
    trace_1.NAME: Dialect(recognises=trace_1.recognises, read=trace_1.read, members=trace_1.TELLING),
    openai_chat.NAME: Dialect(
        recognises=openai_chat.recognises, read=openai_chat.read, members=openai_chat.TELLING
    ),
    question_answer.NAME: Dialect(
        recognises=question_answer.recognises, read=question_answer.read, members=question_answer.TELLING
    ),
}
"""All dialects by name, in the order in which a record is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A record that is no trace, and why, in words."""

    reason: str


def parse(record: Mapping[str, Any], place: Place, *, dialect: str | None = None) -> Parsed | Refused:
    """The trace of one record, whole or not at all.

    Args:
        record: a JSON object as :func:`inchworm.capture.values.decode` checks it.
        place: what it gets where it says nothing.
        dialect: a name in :data:`DIALECTS`; otherwise the first that recognises it.
    """
    if not record:
        return Refused(reason="it is an empty object")
    try:
        name = recognise(record) if dialect is None else dialect
        return DIALECTS[name].read(record, place)
    except InputError as error:
        return Refused(reason=error.message)


def recognise(record: Mapping[str, Any]) -> str:
    """The name of the first dialect that has the record's shape.

    Raises:
        InputError: if none has; it names the members that were found and the nearest right one.
    """
    for name, dialect in DIALECTS.items():
        if dialect.recognises(record):
            return name
    telling = [member for dialect in DIALECTS.values() for member in dialect.members]
    found = ", ".join(quoted(name) for name in list(record)[:_NAMED]) + ", …" * (len(record) > _NAMED)
    for member in list(record)[:_NAMED]:
        if near := get_close_matches(member.lower(), telling, n=1, cutoff=0.75):
            raise InputError(f'no known shape: it has {found}; did you mean "{near[0]}"?')
    raise InputError(
        f'no known shape: it has {found}; a line has "messages" (OpenAI chat), "request" and "response", '
        '"question" and "answer", or "schema": "trace/1"'
    )
