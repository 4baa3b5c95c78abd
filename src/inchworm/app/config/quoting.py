"""Values as YAML text that every YAML reader takes for the same values, each on one line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_.-]+)*")
# What some reader takes for something else than a text (YAML 1.1 and 1.2).
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
# Printable by YAML's rules, but line breaks, or dropped at the beginning.
_SOFT = frozenset("\x85\u2028\u2029\ufeff")
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def scalar(text: str) -> str:
    """A text, plain where that is safe and in double quotes otherwise."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """A text in double quotes; half a surrogate pair, which is no text, becomes U+FFFD."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return '"' + "".join(map(_escaped, whole)) + '"'


def _escaped(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    if char.isprintable() and char not in _SOFT:
        return char
    code = ord(char)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def flow(value: Any) -> str:
    """A JSON value on one line."""
    match value:
        case str():
            return scalar(value)
        case list():
            return f"[{', '.join(map(flow, value))}]"
        case dict():
            return "{" + ", ".join(f"{quoted(str(key))}: {flow(item)}" for key, item in value.items()) + "}"
        case _:
            return json.dumps(value)


def block(key: str, text: str, *, comment: str) -> Iterator[str]:
    """The lines of a key with a text: as a literal block where that is exact, in double quotes otherwise.

    Args:
        key: the key with its indentation and its colon.
        text: the value.
        comment: what stands behind it.
    """
    lines = text.split("\n")
    plain = all(line.isprintable() and not _SOFT & set(line) for line in lines)
    if len(lines) > 1 and plain and lines[0][:1].strip() and lines[-1].strip():
        indent = " " * (len(key) - len(key.lstrip()) + 2)
        yield f"{key} |-  # {comment}"
        yield from (f"{indent}{line}" if line else "" for line in lines)
    else:
        yield f"{key} {quoted(text)}  # {comment}"
