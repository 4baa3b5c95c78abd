"""One line of JSON text to a JSON object that every later room can keep, or a reason why not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from inchworm.domain.errors import InputError

MAX_LEVELS = 99
"""Objects and arrays within one another, the outermost included; 100 are refused."""
MAX_INTEGER = 2**63 - 1
"""Greatest integer in size: what the stores' 64 bits hold."""
_EXACT_INTEGER = 2**53 - 1  # beyond it not every integer is a double (RFC 8785, 3.2.2.3)
NO_JSON = "it is no JSON"
"""How the reason begins if a line does not parse at all."""
_LONG = 40

# What must be looked at member by member; all other lines need not be walked.
_SUSPICIOUS = re.compile(rb"\\u0000|[0-9]{16}")
_DECODER = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A checked JSON object.

    Attributes:
        members: as the line had them.
        wide_integers: whether an integer in it is greater than 2**53 - 1, so that it may be no double.
    """

    members: dict[str, Any]
    wide_integers: bool = False


def decode(data: bytes) -> Record:
    """The object that a line of valid UTF-8 holds.

    Raises:
        InputError: if it is no JSON object, or holds what cannot be kept: NaN, numbers beyond the doubles,
            integers beyond 64 bits, 100 levels of nesting, NUL characters, lone surrogates.
    """
    if b"\0" in data:
        raise InputError("it holds NUL bytes, as files do that were cut off by a crash")
    try:
        value = _DECODER.decode(data)
    except RecursionError as error:
        raise InputError(_too_deep("")) from error
    except msgspec.DecodeError as error:
        raise InputError(_diagnosis(data, error)) from error
    if not isinstance(value, dict):
        raise InputError(f"a line is a JSON object, not {kind_of(value)}")
    if _SUSPICIOUS.search(data) or data.count(b"{") + data.count(b"[") > MAX_LEVELS:
        return Record(members=value, wide_integers=_walk(value))
    return Record(members=value)


def kind_of(value: object) -> str:
    """What a JSON value is, in words: ``an array``."""
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "an array"}
    return "null" if value is None else names.get(type(value), "an object")


def quoted(text: str) -> str:
    """A text as a message may quote it: short, on one line, printable."""
    short = text if len(text) <= _LONG else text[:_LONG] + "…"
    return '"' + "".join(c if c.isprintable() else "\ufffd" for c in short) + '"'


def _walk(value: Any) -> bool:
    """Look at every member; whether there are integers beyond 2**53 - 1."""
    wide = False
    stack: list[tuple[Any, str, int]] = [(value, "", 0)]
    while stack:
        one, path, above = stack.pop()
        if isinstance(one, dict | list):
            if above >= MAX_LEVELS:
                raise InputError(_too_deep(path))
            if isinstance(one, dict):
                for name in one:
                    _refuse_nul(name, path)
                stack.extend(
                    (held, f"{path}.{name}" if path else name, above + 1) for name, held in one.items()
                )
            else:
                stack.extend((held, f"{path}[{place}]", above + 1) for place, held in enumerate(one))
        elif isinstance(one, str):
            _refuse_nul(one, path)
        elif isinstance(one, int):
            if abs(one) > MAX_INTEGER:
                raise InputError(f"{_at(path)} is an integer beyond 64 bits; write it as a text")
            wide = wide or abs(one) > _EXACT_INTEGER
    return wide


def _refuse_nul(text: str, path: str) -> None:
    if "\0" in text:
        raise InputError(f"{_at(path)} has a NUL character (\\u0000), which cannot be stored")


def _at(path: str) -> str:
    return quoted(path).strip('"') if path else "the line"


def _too_deep(path: str) -> str:
    return f"{_at(path)} is nested {MAX_LEVELS + 1} levels deep or deeper"


def _diagnosis(data: bytes, error: msgspec.DecodeError) -> str:
    """Why a line is no JSON, in words; a more lenient reader tells what it is that the strict one refused."""
    if isinstance(error, msgspec.ValidationError):  # without a schema only numbers are invalid
        return "it holds a number that is out of range: no double reaches it"
    constants: list[str] = []
    try:
        json.loads(data.decode(), parse_constant=constants.append)
    except RecursionError:
        return _too_deep("")
    except ValueError:
        return f"{NO_JSON}: {error}"
    if constants:
        return f"it holds {constants[0]}, which is no JSON: write null, or leave the member out"
    return "it holds a lone surrogate (half of a \\ud83d\\ude00 pair), which is no Unicode text"
