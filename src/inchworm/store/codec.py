"""Domain values to and from JSON text, by the type hints of their dataclasses. Exact both ways.

A dataclass is an object with one member per field, an outcome or a result carries the tag that
:func:`inchworm.domain.outcome.encode` gives it, a configuration is its pinned ``content()``.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from inchworm.domain.change import ABSENT, ValueDiff
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError, StoreError
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Outcome, Result, decode_outcome, decode_result
from inchworm.domain.outcome import encode as encode_tagged

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_OUTCOMES, _RESULTS = frozenset(get_args(Outcome)), frozenset(get_args(Result))
_ATOMS = (str, int, float, bool)


def app_key(app: AppRef) -> str:
    """``APP/ENVIRONMENT``, the column that says whose a row is.

    Raises:
        InputError: if a name is empty or contains a slash, so that two apps would share a key.
    """
    key = str(app)
    AppRef.parse(key)
    return key


def to_text(value: object) -> str:
    """JSON text of a JSON value; object members keep their order.

    Raises:
        InputError: for NaN, infinities, lone surrogates, cycles and types that JSON does not know.
    """
    try:
        text = _WRITER.encode(value)
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            "text with a lone surrogate is no Unicode text and cannot be stored",
            hint='replace it on the way in, e.g. text.encode("utf-8", "replace").decode()',
        ) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"only JSON values can be stored: {error}") from error
    return text


def from_text(text: str) -> Any:
    """The JSON value that a text of our own writing stands for.

    Raises:
        StoreError: if it is damaged.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise StoreError(f"a stored record is damaged: {error}", hint="restore it from a backup") from error


def encode(value: Any) -> str:
    """JSON text of a domain value.

    Raises:
        InputError: if an ``Any`` inside it is no JSON value (see :func:`to_text`).
    """
    return to_text(_encoder(_type(value))(value))


def decode(kind: type[T], text: str) -> T:
    """The value of type ``kind`` that :func:`encode` wrote.

    Raises:
        StoreError: if the text is damaged, or has members that this version does not know.
    """
    return cast("T", _read(kind, kind.__name__, text))


def _read(kind: Any, name: str, text: str) -> Any:
    data = from_text(text)
    try:
        return _decoder(kind)(data)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise StoreError(
            f"a stored {name} cannot be read: {error}",
            hint="it was written by another version of Inchworm: upgrade, or restore a backup",
        ) from error


def encode_many(values: Sequence[Any]) -> str:
    """JSON text of an array of domain values (see :func:`encode`)."""
    return to_text([_encoder(_type(value))(value) for value in values])


def decode_many(kind: type[T], text: str) -> list[T]:
    """The inverse of :func:`encode_many`, for values of one type (see :func:`decode`)."""
    return list(_read(tuple[kind, ...], kind.__name__, text))  # type: ignore[valid-type]  # a type made at run time


def _type(value: Any) -> Any:
    return type(value)


def _same(value: Any) -> Any:
    return value


@cache
def _encoder(kind: Any) -> _Convert:
    """How a value whose declared type is ``kind`` becomes JSON."""
    kind = _plain(kind)
    arguments = get_args(kind)
    convert: _Convert
    if kind is Any or kind in _ATOMS:
        convert = _same
    elif kind is Configuration:
        convert = Configuration.content
    elif kind is ValueDiff:
        convert = _encode_diff
    elif isinstance(kind, type) and issubclass(kind, Enum):
        convert = _encode_enum
    elif isinstance(kind, type) and is_dataclass(kind):
        convert = _encode_dataclass(kind)
    elif get_origin(kind) is tuple:
        item = _encoder(_item(kind))
        convert = _each(list, item)
    elif get_origin(kind) is dict:
        key, inner = _encoder(arguments[0]), _encoder(arguments[1])
        convert = _members(key, inner)
    elif _is_union(kind):
        convert = _encode_union(frozenset(arguments))
    else:
        raise TypeError(f"the codec knows no {kind!r}; teach it in inchworm.store.codec")
    return convert


@cache
def _decoder(kind: Any) -> _Convert:
    """The inverse of :func:`_encoder`."""
    kind = _plain(kind)
    arguments = get_args(kind)
    convert: _Convert
    if kind is Any or kind in _ATOMS:
        convert = _same
    elif kind is Configuration:
        convert = Configuration.from_content
    elif kind is ValueDiff:
        convert = _decode_diff
    elif isinstance(kind, type) and issubclass(kind, Enum):
        convert = kind
    elif isinstance(kind, type) and is_dataclass(kind):
        convert = _decode_dataclass(kind)
    elif get_origin(kind) is tuple:
        item = _decoder(_item(kind))
        convert = _each(tuple, item)
    elif get_origin(kind) is dict:
        key, inner = _decoder(arguments[0]), _decoder(arguments[1])
        convert = _members(key, inner)
    elif _is_union(kind):
        convert = _decode_union(frozenset(arguments))
    else:
        raise TypeError(f"the codec knows no {kind!r}; teach it in inchworm.store.codec")
    return convert


def _each(made: type, item: _Convert) -> _Convert:
    return lambda value: made([item(one) for one in value])


def _members(key: _Convert, inner: _Convert) -> _Convert:
    return lambda value: {key(name): inner(one) for name, one in value.items()}


def _plain(kind: Any) -> Any:
    return kind.__supertype__ if isinstance(kind, NewType) else kind


def _item(kind: Any) -> Any:
    item, *rest = get_args(kind)
    if rest != [Ellipsis]:
        raise TypeError(f"the codec knows no {kind!r}, only tuples of one type and any length")
    return item


def _is_union(kind: Any) -> bool:
    return get_origin(kind) in {Union, types.UnionType}


def _encode_enum(value: Enum) -> Any:
    return value.value


def _encode_dataclass(kind: type) -> _Convert:
    hints = get_type_hints(kind)
    steps = [(field.name, _encoder(hints[field.name])) for field in fields(kind) if field.init]
    return lambda value: {name: convert(getattr(value, name)) for name, convert in steps}


def _decode_dataclass(kind: Any) -> _Convert:
    hints = get_type_hints(kind)
    steps = {field.name: _decoder(hints[field.name]) for field in fields(kind) if field.init}
    needed = {field.name for field in fields(kind) if field.init and not _has_default(field)}

    def convert(value: dict[str, Any]) -> Any:
        if missing := needed - value.keys():
            raise ValueError(f"{kind.__name__} lacks {', '.join(sorted(missing))}")
        if unknown := value.keys() - steps.keys():
            raise ValueError(f"{kind.__name__} has the unknown {', '.join(sorted(unknown))}")
        return kind(**{name: steps[name](one) for name, one in value.items()})

    return convert


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _encode_union(members: frozenset[Any]) -> _Convert:
    if members in {_OUTCOMES, _RESULTS}:
        return encode_tagged
    inner = _encoder(_optional(members))
    return lambda value: None if value is None else inner(value)


def _decode_union(members: frozenset[Any]) -> _Convert:
    if members == _OUTCOMES:
        return decode_outcome
    if members == _RESULTS:
        return decode_result
    inner = _decoder(_optional(members))
    return lambda value: None if value is None else inner(value)


def _optional(members: frozenset[Any]) -> Any:
    rest = members - {type(None)}
    if len(members) != 2 or len(rest) != 1:
        raise TypeError(f"the codec knows outcomes, results and X | None, not a union of {set(members)}")
    return next(iter(rest))


def _encode_diff(value: ValueDiff) -> dict[str, Any]:
    sides = {"old": value.old, "new": value.new}
    present = {name: side for name, side in sides.items() if side is not ABSENT}
    return {"layer": value.layer.value, "path": list(value.path), **present}


def _decode_diff(value: dict[str, Any]) -> ValueDiff:
    return ValueDiff(
        layer=Layer(value["layer"]),
        path=tuple(value["path"]),
        old=value.get("old", ABSENT),
        new=value.get("new", ABSENT),
    )
