"""Values of the host program as JSON says them: nothing of the host's own code is called for it."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from typing import Any

_DEEPEST = 32
# Their own types say themselves as texts: dates, decimals, paths. By name, so that nothing is loaded for it.
_KNOWN = frozenset({"datetime", "decimal", "fractions", "pathlib", "uuid"})
_LARGEST = 2**63 - 1
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


def plain(value: Any, depth: int = 0) -> Any:
    """``value`` as JSON: texts, numbers, lists and objects as they are, the rest by the name of its type.

    What is deeper than 32 levels, or goes round in circles, ends in ``"<...>"``. ``str()`` of a foreign
    object is not called, for it may do anything.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Enum):
        return plain(value.value, depth + 1)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value <= _LARGEST else f"<int of {value.bit_length()} bits>"
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else repr(float(value))
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{type(value).__name__} of {len(value)}>"
    if type(value).__module__.partition(".")[0] in _KNOWN:
        return str(value)
    return _container(value, depth)


def _container(value: Any, depth: int) -> Any:
    if depth >= _DEEPEST:
        return "<...>"
    if isinstance(value, Mapping):
        return {
            name if isinstance(name, str) else str(plain(name, depth + 1)): plain(one, depth + 1)
            for name, one in list(value.items())
        }
    if isinstance(value, list | tuple | AbstractSet):
        return [plain(one, depth + 1) for one in list(value)]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name, None), depth + 1)
            for field in dataclasses.fields(value)
        }
    return f"<{type(value).__name__}>"


def line(kind: str, members: Mapping[str, Any]) -> bytes:
    """One line for the gateway, ``{"KIND": {...}}``, without what is ``None``."""
    present = {name: value for name, value in members.items() if value is not None}
    # A lone surrogate, which UTF-8 cannot say, becomes a question mark.
    return written({kind: plain(present)}).encode("utf-8", "replace")


def written(value: Any) -> str:
    """A plain value as one line of JSON."""
    return _WRITER.encode(value)
