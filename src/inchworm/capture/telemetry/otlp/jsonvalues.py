"""Values of OTLP in JSON: attributes, texts and integers, each checked."""

from __future__ import annotations

import math
from typing import Any

from inchworm.capture.telemetry.plain import (
    CUT,
    MAX_ATTRIBUTES,
    MAX_LEVELS,
    MAX_TEXT,
    number_of,
    same_bytes,
    text_of,
)
from inchworm.capture.values import kind_of
from inchworm.domain.errors import InputError

_UNSIGNED = 2**64


def attributes_of(value: Any, cut: dict[str, int], path: str) -> dict[str, Any]:
    """Attributes by name.

    Args:
        value: an array of ``{"key": ..., "value": ...}``.
        cut: where is noted what is too much.
        path: where they stand, as ``cut`` says it.

    Raises:
        InputError: if they are none.
    """
    if value is None:
        return {}
    if not isinstance(value, list):
        raise InputError(f"attributes are {kind_of(value)}; an array of key and value is expected")
    found: dict[str, Any] = {}
    for pair in value:
        if not isinstance(pair, dict):
            raise InputError(f"an attribute is an object with key and value, not {kind_of(pair)}")
        name = text_in(pair.get("key"), "attribute's key")
        held = pair.get("value")
        if held is None:
            continue
        one = _value(held, cut, path + name, MAX_LEVELS)
        if one is None:
            continue
        found[name] = one
        if len(found) > MAX_ATTRIBUTES:
            del found[name]
            cut[path + CUT] = cut.get(path + CUT, MAX_ATTRIBUTES) + 1
    return found


def _value(value: Any, cut: dict[str, int], path: str, levels: int) -> Any:
    """What an ``AnyValue`` holds; ``None`` for an empty one."""
    if not isinstance(value, dict):
        raise InputError(
            f"the value of {path} is {kind_of(value)}; an object such as stringValue is expected"
        )
    for name, held in value.items():
        if held is None:
            continue
        match name:
            case "stringValue" | "string_value":
                return _kept(text_in(held, path), cut, path)
            case "boolValue" | "bool_value":
                if isinstance(held, bool):
                    return held
                raise InputError(f"the value of {path} is {kind_of(held)}; true or false is expected")
            case "intValue" | "int_value":
                return whole_in(held, f"value of {path}", least=-(2**63), below=2**63)
            case "doubleValue" | "double_value":
                return _double(held, path)
            case "bytesValue" | "bytes_value":
                return _kept(same_bytes(text_in(held, path)), cut, path)
            case "arrayValue" | "array_value" | "kvlistValue" | "kvlist_value":
                if levels <= 0:
                    cut[path] = MAX_LEVELS
                    return CUT
                return _several(name, held, cut, path, levels)
            case _:
                continue
    return None


def _several(name: str, held: Any, cut: dict[str, int], path: str, levels: int) -> Any:
    values = held.get("values") if isinstance(held, dict) else held
    values = [] if values is None else values
    if not isinstance(values, list):
        raise InputError(f"the values of {path} are {kind_of(values)}; an array is expected")
    if name.startswith("array"):
        return [_value(one if one is not None else {}, cut, path, levels - 1) for one in values]
    found: dict[str, Any] = {}
    for pair in values:
        if not isinstance(pair, dict):
            raise InputError(f"{path} holds {kind_of(pair)}; objects with key and value are expected")
        one = pair.get("value")
        found[text_in(pair.get("key"), path)] = _value({} if one is None else one, cut, path, levels - 1)
    return found


def _double(held: Any, path: str) -> float | str:
    if isinstance(held, str):
        try:
            return number_of(float(held))
        except ValueError:
            held = None
    if type(held) not in {int, float}:
        raise InputError(f"the value of {path} is no number")
    try:
        return number_of(float(held))
    except OverflowError as error:
        raise InputError(f"the value of {path} is no double") from error


def _kept(text: str, cut: dict[str, int], path: str) -> str:
    if len(text) > MAX_TEXT:
        cut[path] = len(text)
        return text[:MAX_TEXT]
    return text


def text_in(value: Any, name: str) -> str:
    """A text; the empty one if there is none.

    Raises:
        InputError: if it is something else.
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(f"its {name} is {kind_of(value)}; a text is expected")
    return text_of(value)


def whole_in(value: Any, name: str, *, least: int = 0, below: int = _UNSIGNED) -> int:
    """An integer as a number or as a text, as proto3's JSON mapping allows; 0 if there is none.

    Raises:
        InputError: if it is no integer, or out of range.
    """
    if value is None or value == "":
        return 0
    if (
        isinstance(value, str)
        and len(value) <= 20
        and value.removeprefix("-").isdecimal()
        and value.isascii()
    ):
        value = int(value)
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        value = int(value)
    if type(value) is not int or not least <= value < below:
        raise InputError(f"its {name} is no integer from {least} to {below - 1}")
    return int(value)
