"""What bodies of LangSmith and Langfuse have in common: JSON objects, each saying something of one span."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from inchworm.capture.telemetry.plain import MAX_TEXT, bounded, deeper, said
from inchworm.capture.telemetry.told import Told
from inchworm.capture.values import kind_of, quoted
from inchworm.domain.errors import InputError
from inchworm.domain.trace import UNKNOWN_USAGE, Usage

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{16}")
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800  # epoch seconds that ISO 8601 can write
_LONGEST_ID = 512
MAX_DEPTH: Final = 32
"""Objects and arrays within one another in one item; what is deeper is cut."""
T = TypeVar("T")


def decoded(body: bytes) -> Any:
    """A body of JSON.

    Raises:
        InputError: if it is none.
    """
    try:
        value = _decode(body)
    except RecursionError as error:
        raise InputError("it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"it is no JSON: {error}") from error
    return value


def storable(items: Iterable[T], body: bytes) -> Iterator[T]:
    """The items of a body, with values that a store can hold.

    Args:
        items: as they were decoded.
        body: what they come from; most bodies hold nothing that must be looked for in each item.
    """
    suspicious = _SUSPICIOUS.search(body) is not None
    for item in items:
        yield bounded(item, MAX_DEPTH) if suspicious or deeper(item, MAX_DEPTH) else item


def encoded(value: Any) -> bytes:
    """A value as a body of JSON."""
    return _encode(value)


def identifier(of: Mapping[str, Any], name: str) -> str | None:
    """An id, if there is one.

    Raises:
        InputError: if it is no id.
    """
    value = of.get(name)
    if value is None or value == "":
        return None
    text = said(value)
    if text is None:
        raise InputError(f"its {name} is {kind_of(value)}; a text is expected")
    if len(text) > _LONGEST_ID:
        raise InputError(f"its {name} has {len(text)} characters; at most {_LONGEST_ID} are an id")
    return text


def time_of(value: Any, name: str) -> float | None:
    """Seconds since the epoch, from ISO 8601 (UTC, if it names no zone), seconds or milliseconds.

    Raises:
        InputError: if it is no time.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
            return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
        except (ValueError, OverflowError) as error:
            raise InputError(f"its {name} is {quoted(value)}; a time is ISO 8601") from error
    if type(value) not in {int, float}:
        raise InputError(f"its {name} is {kind_of(value)}; a time is expected")
    seconds = value / 1000 if abs(value) > 1e11 else value
    if not _YEAR_1 <= seconds < _YEAR_10000:
        raise InputError(f"its {name} is no time")
    return float(seconds)


def usage_of(told: Told) -> Usage:
    """Tokens and cost as they are told."""
    if told.input_tokens is None and told.output_tokens is None and told.cost_usd is None:
        return UNKNOWN_USAGE
    return Usage(input_tokens=told.input_tokens, output_tokens=told.output_tokens, cost_usd=told.cost_usd)


def shortened(attributes: dict[str, Any], cut: str) -> dict[str, Any]:
    """The attributes with texts cut that are too long, and a note of what was."""
    long = {
        name: len(one) for name, one in attributes.items() if isinstance(one, str) and len(one) > MAX_TEXT
    }
    for name in long:
        attributes[name] = attributes[name][:MAX_TEXT]
    if long:
        attributes[cut] = long
    return attributes
