"""Arguments and results of stores as JSON and back, by their type hints. Exact both ways.

What the domain defines is written by its own codec; this adds what stores use besides: records and filters
of theirs, arrays of numbers, bytes, pairs, dictionaries with other keys than texts. Numbers are written as
Python's ``json`` does, with NaN and infinities: both ends are ours.
"""

from __future__ import annotations

import base64
import types
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import numpy as np

from inchworm.domain import codec

_Convert = Callable[[Any], Any]
_LISTS: dict[Any, Callable[[Any], Any]] = {
    list: list,
    Sequence: list,
    Collection: list,
    Iterator: list,
    tuple: tuple,
    set: set,
    frozenset: frozenset,
}


@dataclass(frozen=True, slots=True)
class Wire:
    """How values of one type travel.

    Attributes:
        pack: the value as JSON.
        unpack: the inverse; ValueError if the JSON has another shape.
    """

    pack: _Convert
    unpack: _Convert


@cache
def wire(kind: Any) -> Wire:
    """How values whose declared type is ``kind`` travel.

    Raises:
        TypeError: if nobody said how.
    """
    kind = kind.__supertype__ if isinstance(kind, NewType) else kind
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is None or kind is type(None) or kind in {Any, str, int, float, bool}:
        return _atom(kind)
    if origin is not None:
        return _generic(kind, origin, arguments)
    if kind is bytes:
        return Wire(lambda value: base64.b64encode(value).decode(), _bytes)
    if issubclass(kind, Enum):
        return Wire(lambda value: value.value, kind)
    if kind.__module__.startswith("inchworm.store."):
        return _record(kind)
    return Wire(codec.plain, lambda value: codec.typed(kind, value))


def _generic(kind: Any, origin: Any, arguments: tuple[Any, ...]) -> Wire:
    if origin is Literal:
        return Wire(_same, _one_of(arguments))
    if origin is np.ndarray:
        return Wire(_pack_array, _array(arguments[1]))
    if origin is tuple and arguments[1:] != (Ellipsis,):
        return _fixed([wire(one) for one in arguments])
    if origin in _LISTS:
        return _list(_LISTS[origin], wire(arguments[0]))
    if origin in {dict, Mapping}:
        return _dict(wire(arguments[0]), wire(arguments[1]), texts=_is_text(arguments[0]))
    if origin in {Union, types.UnionType} and type(None) in arguments:
        rest = [one for one in arguments if one is not type(None)]
        if len(rest) == 1:
            return _optional(wire(rest[0]))
    return Wire(codec.plain, lambda value: codec.typed(kind, value))


def arguments_of(method: Callable[..., Any]) -> dict[str, Wire]:
    """How the arguments of a method travel, by name."""
    hints = get_type_hints(method)
    return {name: wire(kind) for name, kind in hints.items() if name != "return"}


def result_of(method: Callable[..., Any]) -> tuple[Wire, bool]:
    """How the result of a method travels, and whether it comes item by item."""
    kind = get_type_hints(method)["return"]
    if get_origin(kind) is Iterator:
        return wire(get_args(kind)[0]), True
    return wire(kind), False


def _same(value: Any) -> Any:
    return value


def _atom(kind: Any) -> Wire:
    """JSON's own values, of the declared kind; a number without a point is a float too."""
    if kind is Any:
        return Wire(_same, _same)
    if kind is None or kind is type(None):
        return Wire(_same, _none)

    def unpack(value: Any) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind:
            raise ValueError(f"expected {kind.__name__}, not {type(value).__name__}")
        return value

    return Wire(_same, unpack)


def _none(value: Any) -> None:
    if value is not None:
        raise ValueError("expected nothing")


def _bytes(value: Any) -> bytes:
    return base64.b64decode(_text(value), validate=True)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, not {type(value).__name__}")  # noqa: TRY004  # as everywhere here
    return value


def _one_of(values: tuple[Any, ...]) -> _Convert:
    def unpack(value: Any) -> Any:
        if value not in values:
            raise ValueError(f"expected one of {', '.join(map(str, values))}")
        return value

    return unpack


def _optional(inner: Wire) -> Wire:
    return Wire(
        lambda value: None if value is None else inner.pack(value),
        lambda value: None if value is None else inner.unpack(value),
    )


def _list(made: Callable[[Any], Any], inner: Wire) -> Wire:
    def unpack(value: Any) -> Any:
        return made([inner.unpack(one) for one in _items(value)])

    return Wire(lambda value: [inner.pack(one) for one in value], unpack)


def _items(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"expected an array, not {type(value).__name__}")  # noqa: TRY004  # as everywhere here
    return value


def _fixed(inner: list[Wire]) -> Wire:
    def unpack(value: Any) -> Any:
        return tuple(one.unpack(item) for one, item in zip(inner, _items(value), strict=True))

    return Wire(lambda value: [one.pack(item) for one, item in zip(inner, value, strict=True)], unpack)


def _is_text(kind: Any) -> bool:
    return (kind.__supertype__ if isinstance(kind, NewType) else kind) is str


def _dict(key: Wire, inner: Wire, *, texts: bool) -> Wire:
    if texts:
        return Wire(
            lambda value: {name: inner.pack(one) for name, one in value.items()},
            lambda value: {name: inner.unpack(one) for name, one in _members(value).items()},
        )
    pairs = _list(list, _fixed([key, inner]))
    return Wire(lambda value: pairs.pack(value.items()), lambda value: dict(pairs.unpack(value)))


def _members(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"expected an object, not {type(value).__name__}")  # noqa: TRY004  # as everywhere here
    return value


def _record(kind: Any) -> Wire:
    """A dataclass or a named tuple of a store, field by field."""
    if not is_dataclass(kind) and not hasattr(kind, "_fields"):
        raise TypeError(f"nobody said how {kind!r} travels; say it in inchworm.app.remote.wire")
    names = [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind._fields)
    hints = get_type_hints(kind)
    inner = {name: wire(hints[name]) for name in names}

    def unpack(value: Any) -> Any:
        if _members(value).keys() != inner.keys():
            raise ValueError(f"{kind.__name__} has the members {', '.join(inner)}")
        return kind(**{name: inner[name].unpack(one) for name, one in value.items()})

    return Wire(lambda value: {name: one.pack(getattr(value, name)) for name, one in inner.items()}, unpack)


def _pack_array(value: Any) -> dict[str, Any]:
    little = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("<"), copy=False)
    return {"shape": list(value.shape), "data": base64.b64encode(little.tobytes()).decode()}


def _array(kind: Any) -> _Convert:
    """Arrays of the declared kind of number; nothing else is read, and nothing is executed."""
    dtype = np.dtype(get_args(kind)[0])

    def unpack(value: Any) -> Any:
        flat = np.frombuffer(_bytes(_members(value)["data"]), dtype.newbyteorder("<"))
        return flat.astype(dtype).reshape([int(size) for size in _items(value["shape"])])

    return unpack
