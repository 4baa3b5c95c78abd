"""Frozen dataclasses as plain JSON values and back, driven by their declared types.

Decisions are compared to the bit after a trip through a store, so numbers keep their value exactly and
every tuple becomes an array.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from enum import StrEnum
from functools import cache
from types import NoneType, UnionType
from typing import Any, NewType, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def plain(value: Any) -> Any:
    """``value`` as JSON: objects for dataclasses, arrays for tuples, strings for enumerations."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def typed(kind: type[T], data: Any) -> T:
    """The inverse of :func:`plain` for a value of type ``kind``.

    Raises:
        ValueError: when the data does not have the shape of ``kind``.
    """
    try:
        value: T = _read(kind, data)
    except (KeyError, TypeError, AttributeError) as error:
        msg = f"the stored value is no {kind.__name__}: {error}"
        raise ValueError(msg) from error
    return value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, data: Any) -> Any:
    if isinstance(kind, NewType):
        return _read(kind.__supertype__, data)
    origin = get_origin(kind)
    if origin in {Union, UnionType}:
        inner = [arm for arm in get_args(kind) if arm is not NoneType]
        return None if data is None else _read(inner[0], data)
    if origin is tuple:
        return tuple(_read(get_args(kind)[0], item) for item in data)
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{field.name: _read(hints[field.name], data[field.name]) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, StrEnum | float):
        return kind(data)
    return data
