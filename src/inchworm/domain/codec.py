"""Domain values as plain JSON values and back, by the type hints of their dataclasses. Exact both ways.

A dataclass is an object with one member per field, a tuple an array, an enumeration its value. An outcome or
a result carries the tag that :func:`inchworm.domain.outcome.encode` gives it, a configuration is its pinned
``content()``.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from inchworm.domain.change import ABSENT, ValueDiff
from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import Layer
from inchworm.domain.outcome import Outcome, Result, decode_outcome, decode_result, encode

T = TypeVar("T")
_Convert = Callable[[Any], Any]
_OUTCOMES, _RESULTS = frozenset(get_args(Outcome)), frozenset(get_args(Result))
_ATOMS = (str, int, float, bool)


def plain(value: Any) -> Any:
    """``value`` as JSON: objects for dataclasses, arrays for tuples, values for enumerations.

    Raises:
        TypeError: for a type, or a field of one, that no JSON form is agreed for.
    """
    return _codec(_type(value)).plain(value)


def typed(kind: type[T], data: Any) -> T:
    """The inverse of :func:`plain`. A member may be missing where its field has a default.

    Raises:
        ValueError: if the data does not have the shape of ``kind``, or has members that it lacks.
        TypeError: as :func:`plain`.
    """
    codec = _codec(cast("Any", kind))
    try:
        return cast("T", codec.typed(data))
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Codec:
    plain: _Convert
    typed: _Convert


@cache
def _codec(kind: Any) -> _Codec:
    """How a value whose declared type is ``kind`` becomes JSON, and how it comes back."""
    kind = kind.__supertype__ if isinstance(kind, NewType) else kind
    if kind is Any or kind in _ATOMS:
        return _Codec(_same, _same)
    if kind is Configuration:
        return _Codec(Configuration.content, Configuration.from_content)
    if kind is ValueDiff:
        return _Codec(_plain_diff, _typed_diff)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _Codec(_value, kind)
    if isinstance(kind, type) and is_dataclass(kind):
        return _Codec(*_dataclass(kind))
    if get_origin(kind) is tuple:
        item = _codec(_item(kind))
        return _Codec(_each(list, item.plain), _each(tuple, item.typed))
    if get_origin(kind) in {dict, Mapping}:
        key, inner = (_codec(argument) for argument in get_args(kind))
        return _Codec(_members(key.plain, inner.plain), _members(key.typed, inner.typed))
    if get_origin(kind) in {Union, types.UnionType}:
        return _union(frozenset(get_args(kind)))
    raise TypeError(f"the codec knows no {kind!r}; teach it in inchworm.domain.codec")


def _type(value: Any) -> Any:
    return type(value)


def _same(value: Any) -> Any:
    return value


def _value(value: Enum) -> Any:
    return value.value


def _each(made: type, item: _Convert) -> _Convert:
    return lambda value: made([item(one) for one in value])


def _members(key: _Convert, inner: _Convert) -> _Convert:
    return lambda value: {key(name): inner(one) for name, one in value.items()}


def _item(kind: Any) -> Any:
    item, *rest = get_args(kind)
    if rest != [Ellipsis]:
        raise TypeError(f"the codec knows no {kind!r}, only tuples of one type and any length")
    return item


def _dataclass(kind: Any) -> tuple[_Convert, _Convert]:
    hints = get_type_hints(kind)
    steps = {field.name: _codec(hints[field.name]) for field in fields(kind) if field.init}
    plains = [(name, step.plain) for name, step in steps.items()]
    needed = {field.name for field in fields(kind) if field.init and not _has_default(field)}

    def read(value: dict[str, Any]) -> Any:
        if missing := needed - value.keys():
            raise ValueError(f"{kind.__name__} lacks {', '.join(sorted(missing))}")
        if unknown := value.keys() - steps.keys():
            raise ValueError(f"{kind.__name__} has the unknown {', '.join(sorted(unknown))}")
        return kind(**{name: steps[name].typed(one) for name, one in value.items()})

    return lambda value: {name: convert(getattr(value, name)) for name, convert in plains}, read


def _has_default(field: Field[Any]) -> bool:
    return field.default is not MISSING or field.default_factory is not MISSING


def _union(members: frozenset[Any]) -> _Codec:
    if members == _OUTCOMES:
        return _Codec(encode, decode_outcome)
    if members == _RESULTS:
        return _Codec(encode, decode_result)
    rest = members - {type(None)}
    if rest == members or (len(rest) != 1 and rest not in (_OUTCOMES, _RESULTS)):
        raise TypeError(f"the codec knows outcomes, results and X | None, not a union of {set(members)}")
    inner = _codec(next(iter(rest))) if len(rest) == 1 else _union(rest)
    return _Codec(_unless_none(inner.plain), _unless_none(inner.typed))


def _unless_none(convert: _Convert) -> _Convert:
    return lambda value: None if value is None else convert(value)


def _plain_diff(value: ValueDiff) -> dict[str, Any]:
    sides = {"old": value.old, "new": value.new}
    present = {name: side for name, side in sides.items() if side is not ABSENT}
    return {"layer": value.layer.value, "path": list(value.path), **present}


def _typed_diff(value: dict[str, Any]) -> ValueDiff:
    return ValueDiff(
        layer=Layer(value["layer"]),
        path=tuple(value["path"]),
        old=value.get("old", ABSENT),
        new=value.get("new", ABSENT),
    )
