"""Members of a record, taken one by one with their types checked; what nobody takes is left, not lost."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from inchworm.capture.values import MAX_INTEGER, kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.outcome import HARNESS_STATUSES, Errored, Failed, Ok, Outcome
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace

T = TypeVar("T")
DERIVED = "inchworm.derived"
"""The attribute that says what the record did not: ``{"unit": "first_user_message", "at": "default"}``."""
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800  # epoch seconds that ISO 8601 can write
_DIGEST = 16
_READ = 16_384  # characters of a first message that are hashed, with its length
_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record stands, and what it gets if it says nothing itself.

    Attributes:
        app: the app that it is imported for.
        id: id for a record without one, derived from its content and its line.
        at: time for a record without one, seconds since the epoch.
    """

    app: AppRef
    id: TraceId
    at: float


class UnitFrom(StrEnum):
    """Where a trace's unit comes from; the first that is there."""

    STATED = "stated"
    """The record names its unit."""
    METADATA = "metadata"
    """A session, conversation or user that the record or its metadata name."""
    FIRST_USER_MESSAGE = "first_user_message"
    """Derived: the same first message, the same conversation."""
    TRACE = "trace"
    """Derived: each trace is its own unit."""

    @property
    def derived(self) -> bool:
        """Whether the record did not say it."""
        return self in {UnitFrom.FIRST_USER_MESSAGE, UnitFrom.TRACE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """A record that was understood.

    Attributes:
        trace: what it became.
        dialect: the shape that it was read as.
        timed: whether it said when.
        unit_from: where its unit comes from.
        spans: what was done for it, if the record says so.
    """

    trace: Trace
    dialect: str
    timed: bool
    unit_from: UnitFrom
    spans: tuple[Span, ...] = ()


class Fields:
    """The members of one JSON object; ``null`` means absent.

    Args:
        members: the object.
        path: where it stands in the line, e.g. ``request``; empty for the line itself.
    """

    __slots__ = ("left", "path")

    def __init__(self, members: Mapping[str, Any], path: str = "") -> None:
        self.left: dict[str, Any] = {name: value for name, value in members.items() if value is not None}
        """What nobody has taken yet."""
        self.path = path

    def name(self, member: str) -> str:
        """A member as a message names it: ``request.model``."""
        return f"{self.path}.{member}" if self.path else member

    def one_of(self, *names: str) -> str | None:
        """The first of these members that is there and not taken."""
        return next((name for name in names if name in self.left), None)

    def take(self, name: str) -> Any:
        """A member of any type."""
        return self.left.pop(name, None)

    def text(self, name: str) -> str | None:
        """A text.

        Raises:
            InputError: if it is something else.
        """
        return self._a(name, str, "a text")

    def identifier(self, name: str) -> str | None:
        """A text that is not empty; an integer is one too.

        Raises:
            InputError: if it is something else.
        """
        value = self.left.pop(name, None)
        if value is None or (isinstance(value, str) and value):
            return value
        if type(value) is int:
            return str(value)
        if value == "":
            raise InputError(f"{self.name(name)} is empty; leave it out, or say what it is")
        raise self._wrong(name, "a text", value)

    def number(self, name: str, *, least: float | None = None, most: float | None = None) -> float | None:
        """A number in [``least``, ``most``].

        Raises:
            InputError: if it is something else.
        """
        value = self._amount(name, "a number")
        if value is None:
            return None
        if least is not None and most is not None and not least <= value <= most:
            raise InputError(f"{self.name(name)} is {value}; it lies in [{least:g}, {most:g}]")
        if least is not None and value < least:
            raise InputError(f"{self.name(name)} is {value}; it cannot be below {least:g}")
        return float(value)

    def count(self, name: str, *, most: int = MAX_INTEGER) -> int | None:
        """An integer in [0, ``most``]; 12.0 is one, as tables of floats write it.

        Raises:
            InputError: if it is something else.
        """
        value = self._amount(name, "a number")
        if value is None:
            return None
        if not 0 <= value <= most or value != int(value) or int(value) > most:
            raise InputError(f"{self.name(name)} is {value}; it is a whole number from 0 to {most}")
        return int(value)

    def time(self, name: str) -> float | None:
        """Seconds since the epoch, from a number of them or from ISO 8601 with a zone.

        Raises:
            InputError: if it is something else.
        """
        if isinstance(self.left.get(name), str):
            return self._iso(name, self.left.pop(name))
        value = self._amount(name, "a time")
        if value is None:
            return None
        if not _YEAR_1 <= value < _YEAR_10000:
            said = f"{self.name(name)} is {value}, no time in seconds since 1970"
            raise InputError(said + "; it looks like milliseconds: divide by 1000" * (value > 0))
        return float(value)

    def _iso(self, name: str, value: str) -> float:
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                return moment.timestamp()
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{self.name(name)} is {quoted(value)}; a time is ISO 8601 (2026-11-22T10:00:00Z) "
                "or a number of seconds since 1970"
            ) from error
        raise InputError(f"{self.name(name)} is {quoted(value)}, which has no zone: add Z or e.g. +02:00")

    def mapping(self, name: str) -> dict[str, Any] | None:
        """An object.

        Raises:
            InputError: if it is something else.
        """
        return self._a(name, dict, "an object")

    def array(self, name: str) -> list[Any] | None:
        """An array.

        Raises:
            InputError: if it is something else.
        """
        return self._a(name, list, "an array")

    def _a(self, name: str, kind: type[T], expected: str) -> T | None:
        value = self.left.pop(name, None)
        if value is None or isinstance(value, kind):
            return value
        raise self._wrong(name, expected, value)

    def _amount(self, name: str, expected: str) -> int | float | None:
        value: int | float | None = self.left.pop(name, None)
        if value is None or type(value) in {int, float}:  # true and false are none
            return value
        raise self._wrong(name, expected, value)

    def _wrong(self, name: str, expected: str, value: object) -> InputError:
        return InputError(f"{self.name(name)} is {kind_of(value)}; {expected} is expected")


TIMES = ("at", "timestamp", "created", "created_at", "start_time")
"""Names for when it happened, the first that is there."""
IDS = ("id", "trace_id", "custom_id")
UNITS = ("unit", "unit_id")
PEOPLE = (
    "session_id",
    "session.id",
    "conversation_id",
    "gen_ai.conversation.id",
    "thread_id",
    "user_id",
    "user.id",
    "user",
    "safety_identifier",
)
"""Names for what a unit can be, narrowest first; looked for in the record, its request and their metadata."""


def first_time(fields: Fields) -> float | None:
    """When it happened, by the first of :data:`TIMES` that is there.

    Raises:
        InputError: if that is no time.
    """
    name = fields.one_of(*TIMES)
    return None if name is None else fields.time(name)


def first_identifier(fields: Fields, names: Sequence[str]) -> str | None:
    """The first of these members that is there.

    Raises:
        InputError: if that is no text.
    """
    name = fields.one_of(*names)
    return None if name is None else fields.identifier(name)


def keyed_hash(text: str, key: bytes) -> str:
    """A hash of what somebody said, or is called, that nobody can try out without the key."""
    # The length keeps apart what only differs behind the part that is read.
    read = f"{len(text)}\n{text[:_READ]}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, read, hashlib.sha256).hex()


def conversation_of(first_message: str, key: bytes) -> UnitId:
    """The unit of a conversation of which only its first message is known.

    Args:
        first_message: what the user said first.
        key: ``derive(master, Purpose.UNIT)``.
    """
    return UnitId(f"conversation-{keyed_hash(first_message, key)[:_DIGEST]}")


def unit_of(
    stated: str | None, named: Iterable[Mapping[str, Any]], first_message: str | None, trace_id: TraceId
) -> tuple[UnitId, UnitFrom]:
    """The unit of a trace by the chain of :class:`UnitFrom`.

    Args:
        stated: what the record calls its unit.
        named: objects in which a session or a user may be named, the nearest first.
        first_message: what the user said first in this conversation.
        trace_id: the unit of last resort.
    """
    if stated is not None:
        return UnitId(stated), UnitFrom.STATED
    objects = tuple(named)
    for name in PEOPLE:
        for one in objects:
            value = one.get(name)
            if (isinstance(value, str) and value) or type(value) is int:
                return UnitId(str(value)), UnitFrom.METADATA
    if first_message:
        digest = hashlib.sha256(first_message.encode()).hexdigest()[:_DIGEST]
        return UnitId(f"conversation-{digest}"), UnitFrom.FIRST_USER_MESSAGE
    return UnitId(trace_id), UnitFrom.TRACE


def with_derived(
    attributes: dict[str, Any], *, has_id: bool, has_time: bool, unit_from: UnitFrom
) -> dict[str, Any]:
    """The attributes, saying under :data:`DERIVED` what the record did not say itself."""
    derived: dict[str, str] = {}
    if not has_id:
        derived["id"] = "content"
    if not has_time:
        derived["at"] = "default"
    if unit_from.derived:
        derived["unit"] = unit_from.value
    if derived:
        attributes[DERIVED] = derived
    return attributes


def outcome_of(error: Any, status: Any) -> Outcome:
    """What became of a call, by the error that was logged and its HTTP status.

    A status of 400 to 499 means that what was sent was refused: failed. Refusals that say nothing of
    what was sent (:data:`~inchworm.domain.outcome.HARNESS_STATUSES`) and all the rest are errors of the
    surroundings.

    Args:
        error: OpenAI's error object, a text, or nothing.
        status: the status beside it, if there is one.
    """
    body = error if isinstance(error, dict) else {}
    candidates = (status, *(body.get(name) for name in ("status", "status_code", "http_status", "code")))
    number = next((one for one in candidates if type(one) is int and 100 <= one <= 599), None)
    if not error and (number is None or number < 400):
        return Ok()
    words = [body.get("type"), body.get("message")] if body else [error]
    said = ": ".join(word for word in words if isinstance(word, str) and word) or "no reason given"
    reason = (said if number is None else f"status {number}: {said}")[:_REASON]
    refused = number in range(400, 500) if number is not None else body.get("type") == "invalid_request_error"
    return Failed(reason=reason) if refused and number not in HARNESS_STATUSES else Errored(reason=reason)
