"""Values of the host program as JSON says them: little of its code is called for it, and none is trusted."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from enum import Enum
from itertools import islice
from json.encoder import encode_basestring as _quoted
from operator import index
from typing import Any

from inchworm.domain.trace import Assignment

_DEEPEST = 32
_CHARACTERS = 8 << 20
_NODES = 100_000
_MORE = "<...>"
# Their own types say themselves as texts: dates, decimals, paths. By name, so that nothing is loaded for it.
_KNOWN = frozenset({"datetime", "decimal", "fractions", "pathlib", "uuid"})
_LARGEST_BITS = 63
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False)


class _Room:
    """How much one value may still become: what is larger, or refers to itself again and again, is cut."""

    __slots__ = ("around", "characters", "nodes")

    def __init__(self) -> None:
        self.characters, self.nodes = _CHARACTERS, _NODES
        self.around: set[int] = set()
        """Ids of the containers that are being read: what holds itself ends there."""


def plain(value: Any) -> Any:
    """``value`` as JSON: texts, numbers, lists and objects as they are, the rest by the name of its type.

    What is deeper than 32 levels ends in ``"<...>"``, and so does what has more than 100,000 parts or
    8 million characters, or goes round in circles. ``str()`` of a foreign object is not called: it may do
    anything, and what it raises when it is read is not passed on.
    """
    return _plain(value, 0, _Room())


def _plain(value: Any, depth: int, room: _Room) -> Any:
    # By type(), not isinstance(): that asks the value itself for its class, and it may answer anything.
    kind = type(value)
    room.nodes -= 1
    if value is None or kind is bool:
        return value
    if room.nodes < 0 or depth > _DEEPEST:
        return _MORE
    if issubclass(kind, Enum):
        return _asked(lambda: _plain(value.value, depth + 1, room), kind)
    if issubclass(kind, str):
        return _text(str.__str__(value), room)
    if issubclass(kind, int):
        bits = int.bit_length(value)
        return int.__int__(value) if bits <= _LARGEST_BITS else f"<int of {bits} bits>"
    if issubclass(kind, float):
        number = float.__float__(value)
        return number if math.isfinite(number) else repr(number)
    if issubclass(kind, bytes | bytearray):
        return (
            f"<{_name(kind)} of {kind.__len__(value)}>" if kind in {bytes, bytearray} else f"<{_name(kind)}>"
        )
    if id(value) in room.around:
        return _MORE
    room.around.add(id(value))
    said = _asked(lambda: _container(value, kind, depth, room), kind)
    room.around.discard(id(value))
    return said


def _asked(ask: Callable[[], Any], kind: type) -> Any:
    """What a foreign object says of itself; the name of its type if it raises instead."""
    try:
        return ask()
    except Exception:  # noqa: BLE001  # the host's own code may raise anything, and the host must not meet it here
        return f"<{_name(kind)}>"


def _name(kind: type) -> str:
    return str.__str__(type.__dict__["__name__"].__get__(kind))


def _text(text: str, room: _Room) -> str:
    left = max(0, room.characters)
    room.characters -= len(text)
    return text if len(text) <= left else text[:left] + _MORE


def _container(value: Any, kind: type, depth: int, room: _Room) -> Any:
    if kind.__module__.partition(".")[0] in _KNOWN:
        return _text(str.__str__(str(value)), room)
    if kind is memoryview:
        return f"<memoryview of {len(value)}>"
    if depth >= _DEEPEST:
        return _MORE
    # The container's own parts, and not what a class of the host's makes of them.
    if issubclass(kind, dict):
        return _object(dict.items(value), depth, room)
    for known in (list, tuple, set, frozenset):
        if issubclass(kind, known):
            return _array(known.__iter__(value), depth, room)
    if issubclass(kind, Mapping):
        return _object(value.items(), depth, room)
    if issubclass(kind, AbstractSet):
        return _array(value, depth, room)
    if dataclasses.is_dataclass(kind):
        names = [field.name for field in dataclasses.fields(kind)]
        return _object(((name, getattr(value, name, None)) for name in names), depth, room)
    return f"<{_name(kind)}>"


def _object(pairs: Iterable[tuple[Any, Any]], depth: int, room: _Room) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, one in _taken(pairs, room):
        if room.nodes < 0:
            out[_MORE] = _MORE
            break
        said = _plain(name, depth + 1, room)
        out[said if type(said) is str else str(said)] = _plain(one, depth + 1, room)
    return out


def _array(members: Iterable[Any], depth: int, room: _Room) -> list[Any]:
    out: list[Any] = []
    for one in _taken(members, room):
        out.append(_plain(one, depth + 1, room))
        if room.nodes < 0:
            break
    return out


def _taken(members: Iterable[Any], room: _Room) -> list[Any]:
    """The members, as many as there is room for: others may change the container meanwhile."""
    return list(islice(members, max(0, room.nodes) + 1))


def number_of(value: object) -> float | None:
    """A value as a finite number of at most 63 bits, also another library's own; ``None`` if it is none."""
    kind = type(value)
    if value is True or value is False:
        return value
    if issubclass(kind, str | bytes | bytearray):
        return None
    asked: Any = value
    for read in (index, float):
        # index() keeps whole numbers whole. Both may run the host's code, and raise for what is no number.
        with suppress(Exception):
            number: float = read(asked)
            return number if abs(number) < 1 << _LARGEST_BITS else None
    return None


def text_of(value: object) -> str:
    """A value as a text: texts as they are, all else as a line of JSON."""
    said = plain(value)
    return said if type(said) is str else written(said)


def named(value: object) -> dict[str, Any] | None:
    """A value as an object of JSON; ``None`` if there is nothing in it."""
    said = plain(value)
    if said is None or said == {}:
        return None
    return said if type(said) is dict else {"value": said}


def line(kind: str, members: Mapping[str, Any], spans: Sequence[str] = ()) -> bytes:
    """One line for the gateway, ``{"KIND": {...}}``, without what is ``None``.

    Args:
        kind: what it is.
        members: of it, plain already.
        spans: its member of that name, each written already.
    """
    text = written({kind: {name: value for name, value in members.items() if value is not None}})
    if spans:
        text = f'{text[:-2]},"spans":[{",".join(spans)}]}}}}'
    # A lone surrogate, which UTF-8 cannot say, becomes a question mark.
    return text.encode("utf-8", "replace")


def exposed(app: str, unit: str, got: Assignment, at: float) -> bytes:
    """The line that says what a unit got. It is written by hand: each unit's first answer waits for it."""
    return (
        f'{{"exposed":{{"app":{_quoted(app)},"unit":{_quoted(unit)},"rollout":{_quoted(got.rollout_id)},'
        f'"stage":{got.stage},"arm":"{got.arm._value_}","probability":{got.probability!r},"at":{at!r}}}}}'
    ).encode("utf-8", "replace")


def written(value: Any) -> str:
    """A plain value as one line of JSON."""
    return _WRITER.encode(value)
