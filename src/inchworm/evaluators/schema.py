"""The part of JSON Schema that a format check needs: type, required, properties, items and enum.

Meanings are those of JSON Schema 2020-12 (Core and Validation); a keyword beyond these five is refused,
because ignoring it would pass what it forbids.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.domain.errors import UsageError
from inchworm.evaluators.nearest import did_you_mean

KEYWORDS = ("type", "required", "properties", "items", "enum")
TYPES = ("object", "array", "string", "number", "integer", "boolean", "null")


def validate(schema: Any, place: str = "the schema") -> None:
    """Check a schema itself.

    Raises:
        UsageError: naming the place, for unknown keywords and types and for wrong shapes.
    """
    if not isinstance(schema, Mapping):
        raise UsageError(f"{place} must be an object, not {schema!r}")
    for keyword in schema:
        if keyword not in KEYWORDS:
            msg = f'{place} has the keyword "{keyword}", which this check does not know.'
            raise UsageError(msg + did_you_mean(str(keyword), KEYWORDS))
    named = schema.get("type", [])
    if not isinstance(named, str | list):
        raise UsageError(f"{place}: type is a name or a list of names, not {named!r}")
    for name in [named] if isinstance(named, str) else named:
        if name not in TYPES:
            raise UsageError(f'{place} has the type "{name}".' + did_you_mean(str(name), TYPES))
    required = schema.get("required", [])
    if not isinstance(required, list) or not all(isinstance(key, str) for key in required):
        raise UsageError(f"{place}: required is a list of names, not {required!r}")
    if not isinstance(schema.get("enum", []), list):
        raise UsageError(f"{place}: enum is a list of values, not {schema['enum']!r}")
    properties = schema.get("properties", {})
    if not isinstance(properties, Mapping):
        raise UsageError(f"{place}: properties is an object of schemas, not {properties!r}")
    for key, inner in properties.items():
        validate(inner, f"{place}, property {key}")
    if "items" in schema:
        validate(schema["items"], f"{place}, items")


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a JSON value fits a schema that :func:`validate` accepts."""
    named = schema.get("type")
    if named is not None and not any(
        _is(value, name) for name in ([named] if isinstance(named, str) else named)
    ):
        return False
    if "enum" in schema and not any(_equal(value, allowed) for allowed in schema["enum"]):
        return False
    if isinstance(value, Mapping):
        inner = schema.get("properties", {})
        return all(key in value for key in schema.get("required", ())) and all(
            fits(inner[key], value[key]) for key in inner if key in value
        )
    if isinstance(value, list) and "items" in schema:
        return all(fits(schema["items"], item) for item in value)
    return True


def _is(value: Any, name: str) -> bool:
    match value:
        case None:
            return name == "null"
        case bool():
            return name == "boolean"
        case str():
            return name == "string"
        case int():
            return name in {"integer", "number"}
        case float():
            return name == "number" or (name == "integer" and value.is_integer())
        case list():
            return name == "array"
    return name == "object"


def _equal(value: Any, other: Any) -> bool:
    # True == 1 in Python, not in JSON
    return isinstance(value, bool) == isinstance(other, bool) and bool(value == other)
