"""Whether the parameters of a tool are a JSON Schema (2020-12, Core and Validation), as providers demand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_ONE = ("items", "not", "additionalProperties", "contains", "propertyNames", "if", "then", "else")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_DEEPEST = 50
_LONGEST = 60


def wrong_in(schema: Any, place: str, depth: int = 0) -> Iterator[str]:
    """What is wrong with a schema, one half sentence each; keywords that nobody knows are let be.

    Args:
        schema: the schema.
        place: where it stands, as the sentences say it.
        depth: how deep it is nested.
    """
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield f"{place}: an object is expected, not {_shown(schema)}"
        return
    if depth > _DEEPEST:
        yield f"{place}: nested more than {_DEEPEST} levels deep"
        return
    yield from _own(schema, place)
    yield from _below(schema, place, depth + 1)


def _own(schema: Mapping[str, Any], place: str) -> Iterator[str]:
    kinds = schema.get("type", [])
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if kind not in _TYPES:
            yield f"{place}: there is no type {_shown(kind)} (there are: {', '.join(_TYPES)})"
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(name, str) for name in required):
        yield f"{place}: required is a list of names, not {_shown(required)}"
    elif isinstance(schema.get("properties"), Mapping) and schema.get("additionalProperties") is False:
        for name in required:
            if name not in schema["properties"]:
                yield f'{place}: "{name}" is required, and none of the properties'
    if "enum" in schema and not (isinstance(schema["enum"], list) and schema["enum"]):
        yield f"{place}: enum is a list of values, not {_shown(schema['enum'])}"


def _below(schema: Mapping[str, Any], place: str, depth: int) -> Iterator[str]:
    for key in _MAPS:
        named = schema.get(key, {})
        if not isinstance(named, Mapping):
            yield f"{place}: {key} is an object of schemas, not {_shown(named)}"
            continue
        for name, inner in named.items():
            yield from wrong_in(inner, f"{place}, {name}", depth)
    for key in _LISTS:
        listed = schema.get(key)
        if listed is None:
            continue
        if not isinstance(listed, list) or not listed:
            yield f"{place}: {key} is a list of schemas, not {_shown(listed)}"
            continue
        for number, inner in enumerate(listed, start=1):
            yield from wrong_in(inner, f"{place}, {key} {number}", depth)
    for key in _ONE:
        if key in schema:
            yield from wrong_in(schema[key], f"{place}, {key}", depth)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
