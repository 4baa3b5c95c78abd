"""Values of foreign telemetry as JSON that every later room can keep: bounded, and it says what was cut."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

MAX_TEXT = 1_000_000
"""Characters of an attribute; the rest is cut."""
MAX_ATTRIBUTES = 1_024
"""Attributes of a span, and of each of its events; the rest is cut."""
MAX_EVENTS = 256
"""Events of a span; the rest is cut."""
MAX_LEVELS = 24
"""Objects and arrays within one another in one attribute; what is deeper is cut."""
MAX_RESOURCE = 16_384
"""Bytes of what a sender says of itself, kept with each of its spans. Of more, only the essential is."""
ESSENTIAL = ("service.", "deployment.", "telemetry.sdk.", "inchworm.", "langfuse.")
"""Beginnings of the names of what is essential of a resource."""
MAX_ESSENTIAL = 1_024
"""Bytes of one essential attribute."""
MAX_SCOPE = 256
"""Characters of the name of the library that made a span, and of its version."""
CUT = "…"
"""Stands for what was too deep."""
_WIDE = 2**63
_CONTAINERS = frozenset({dict, list})
_SUSPICIOUS = re.compile(r"\\u0000|[0-9]{16}")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def text_of(value: str) -> str:
    """A text that a store can hold: without NUL characters."""
    return value.replace("\0", "\ufffd") if "\0" in value else value


def number_of(value: float) -> float | str:
    """A number as JSON can say it: NaN and the infinities as texts, as proto3's JSON mapping writes them."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def bytes_of(value: bytes) -> str:
    """Bytes as base64, as proto3's JSON mapping writes them."""
    return base64.b64encode(value).decode("ascii")


def same_bytes(value: str) -> str:
    """Base64 in its canonical form; the text as it is if it is none."""
    try:
        padded = value.replace("-", "+").replace("_", "/")
        return bytes_of(base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True))
    except (binascii.Error, ValueError):
        return text_of(value)


def json_of(value: Any) -> Any:
    """What a text says as JSON, if it is an object or an array; else ``None``.

    Objects and arrays are returned as they are: some clients send the one, some the other.
    """
    if not isinstance(value, str):
        return value if isinstance(value, dict | list) else None
    if not value or value[0] not in "{[":
        lean = value[:64].lstrip()
        if not lean or lean[0] not in "{[":
            return None
    try:
        found = _decode(value)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return None
    if _SUSPICIOUS.search(value) or (
        value.count("{") + value.count("[") > MAX_LEVELS and deeper(found, MAX_LEVELS)
    ):
        return bounded(found)
    return found


def deeper(value: Any, levels: int) -> bool:
    """Whether objects and arrays stand within one another more than so many times."""
    if levels < 0:
        return True
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(type(one) in _CONTAINERS and deeper(one, levels - 1) for one in held)


def written(value: Any) -> str:
    """A JSON value as compact text."""
    return _encode(value).decode()


def bounded(value: Any, levels: int = MAX_LEVELS) -> Any:
    """A JSON value that a store can hold: not too deep, no NUL, no integer beyond 64 bits, no NaN."""
    if isinstance(value, str):
        return text_of(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -_WIDE <= value < _WIDE else str(value) if abs(value) < 10**512 else CUT
    if isinstance(value, float):
        return number_of(value)
    if levels <= 0:
        return CUT
    if isinstance(value, Mapping):
        return {text_of(str(name)): bounded(one, levels - 1) for name, one in value.items()}
    return [bounded(one, levels - 1) for one in value]


def count_of(value: Any) -> int | None:
    """A number of tokens: whole, not negative, within 64 bits; texts of digits count. Else ``None``."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, float):
        return int(value) if 0 <= value < _WIDE and value == int(value) else None
    return value if type(value) is int and 0 <= value < _WIDE else None


def amount_of(value: Any) -> float | None:
    """A finite number that is not negative, also as a text; else ``None``."""
    if isinstance(value, str):
        try:
            value = float(value[:64])
        except ValueError:
            return None
    if type(value) in {int, float} and 0 <= value < 1e300:
        return float(value)
    return None


def said(value: Any) -> str | None:
    """A text that is not empty; a whole number counts as one. Else ``None``."""
    if isinstance(value, str):
        return value or None
    return str(value) if type(value) is int else None
