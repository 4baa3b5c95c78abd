"""Domain values to and from JSON text: the members are those of :mod:`inchworm.domain.codec`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar, cast

from inchworm.domain.codec import plain, typed
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, StoreError

T = TypeVar("T")
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


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
    return to_text(plain(value))


def decode(kind: type[T], text: str) -> T:
    """The value of type ``kind`` that :func:`encode` wrote.

    Raises:
        StoreError: if the text is damaged, or has members that this version does not know.
    """
    return cast("T", _read(kind, kind.__name__, text))


def _read(kind: Any, name: str, text: str) -> Any:
    data = from_text(text)
    try:
        return typed(kind, data)
    except ValueError as error:
        raise StoreError(
            f"a stored {name} cannot be read: {error}",
            hint="it was written by another version of Inchworm: upgrade, or restore a backup",
        ) from error


def encode_many(values: Sequence[Any]) -> str:
    """JSON text of an array of domain values (see :func:`encode`)."""
    return to_text([plain(value) for value in values])


def decode_many(kind: type[T], text: str) -> list[T]:
    """The inverse of :func:`encode_many`, for values of one type (see :func:`decode`)."""
    return list(_read(tuple[kind, ...], kind.__name__, text))  # type: ignore[valid-type]  # a type made at run time
