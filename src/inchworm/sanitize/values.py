"""Walking JSON-like values: to their strings, and back into the same shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from inchworm.sanitize.credentials import is_reference, names_secret
from inchworm.sanitize.errors import UnsanitizableError

Json: TypeAlias = "Mapping[str, Json] | Sequence[Json] | str | int | float | bool | None"
"""What JSON can say. Sequences are lists and tuples; a tuple comes back as a list."""

_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A string inside a value: a key or a text."""

    text: str = field(repr=False)
    secret: bool = False
    """Whether the field that holds it is named like a secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number in a field that is named like a secret (a PIN stored as an integer)."""

    text: str = field(repr=False)
    """The number as Python writes it."""
    secret: bool = True


def leaves(value: Json, *, secret: bool = False, depth: int = 0) -> Iterator[Leaf | Number]:
    """Yield the leaves of a value in order: for a mapping each key, then what it holds.

    Raises:
        UnsanitizableError: a type that JSON does not have, a key that is no ``str``, or more than 200 levels.
    """
    if depth > _DEEPEST:
        message = f"A value is nested more than {_DEEPEST} levels deep."
        raise UnsanitizableError(message, hint="Flatten it, or drop it.")
    match value:
        case None | bool():
            return
        case str():
            yield Leaf(text=value, secret=secret and not is_reference(value))
        case int() | float():
            if secret:
                yield Number(text=repr(value))
        case dict():
            for key, held in value.items():
                if not isinstance(key, str):
                    message = f"A mapping has a key of type {type(key).__name__}; JSON knows only strings."
                    raise UnsanitizableError(message, hint="Convert the keys to strings first.")
                yield Leaf(text=key)
                yield from leaves(
                    held, secret=names_secret(key) and not isinstance(held, dict), depth=depth + 1
                )
        case list() | tuple():
            for held in value:
                yield from leaves(held, secret=secret and not isinstance(held, dict), depth=depth + 1)
        case _:
            message = f"A value of type {type(value).__name__} cannot be sanitized."
            raise UnsanitizableError(
                message, hint="Hand in dicts, lists, strings, numbers, booleans and None."
            )


def rebuild(value: Json, clean: Iterator[str | None], *, secret: bool = False) -> Json:
    """Return the value with its leaves replaced, in the order of :func:`leaves`.

    Two keys that become equal (one address in two spellings) stay apart by a number in brackets.

    Args:
        value: the value that :func:`leaves` walked.
        clean: what stands for each leaf; None leaves a number as it is.
        secret: whether the field that holds the value is named like a secret.
    """
    match value:
        case bool() | None:
            return value
        case str():
            return next(clean)
        case int() | float():
            replaced = next(clean) if secret else None
            return value if replaced is None else replaced
        case dict():
            built: dict[str, Json] = {}
            for key, held in value.items():
                name = next(clean)
                inner = rebuild(held, clean, secret=names_secret(key) and not isinstance(held, dict))
                built[_free(key if name is None else name, built, value)] = inner
            return built
        case _:
            return [rebuild(held, clean, secret=secret and not isinstance(held, dict)) for held in value]


def _free(name: str, built: Mapping[str, Json], original: Mapping[str, Json]) -> str:
    if name not in built:
        return name
    number = 2
    while (candidate := f"{name} ({number})") in built or candidate in original:
        number += 1
    return candidate
