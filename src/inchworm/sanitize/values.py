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
_NESTED: Final = (dict, list, tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A text in a field that is named like a secret."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number in a field that is named like a secret (a PIN stored as an integer)."""

    text: str = field(repr=False)
    """The number as Python writes it."""


def leaves(value: Json) -> list[str | Leaf | Number]:
    """The leaves of a value in order: for a mapping each key, then what it holds.

    Returns:
        Texts as they are, and as a :class:`Leaf` or :class:`Number` what a field holds that is named like a
        secret.

    Raises:
        UnsanitizableError: a type that JSON does not have, a key that is no ``str``, or more than 200 levels.
    """
    found: list[str | Leaf | Number] = []
    _collect(value, found, secret=False, depth=0)
    return found


def _collect(value: Json, found: list[str | Leaf | Number], *, secret: bool, depth: int) -> None:
    if depth > _DEEPEST:
        message = f"A value is nested more than {_DEEPEST} levels deep."
        raise UnsanitizableError(message, hint="Flatten it, or drop it.")
    if isinstance(value, str):
        found.append(Leaf(text=value) if secret and not is_reference(value) else value)
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int | float):
        if secret:
            found.append(Number(text=repr(value)))
    elif isinstance(value, dict):
        for key, held in value.items():
            if not isinstance(key, str):
                message = f"A mapping has a key of type {type(key).__name__}; JSON knows only strings."
                raise UnsanitizableError(message, hint="Convert the keys to strings first.")
            found.append(key)
            is_secret = names_secret(key) and not isinstance(held, dict)
            _collect(held, found, secret=is_secret, depth=depth + 1)
    elif isinstance(value, list | tuple):
        for held in value:
            _collect(held, found, secret=secret and not isinstance(held, dict), depth=depth + 1)
    else:
        message = f"A value of type {type(value).__name__} cannot be sanitized."
        raise UnsanitizableError(message, hint="Hand in dicts, lists, strings, numbers, booleans and None.")


def copied(value: Json) -> Json:
    """The value as :func:`rebuild` returns it if nothing is to be replaced."""
    if isinstance(value, dict):
        return {key: copied(held) if isinstance(held, _NESTED) else held for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [copied(held) if isinstance(held, _NESTED) else held for held in value]
    return value


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
