"""Other people's text, and moments, as every face of Inchworm shows them."""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
SURROGATE = re.compile(r"\b(?P<kind>[A-Z][A-Z0-9]*(?:_[A-Z][A-Z0-9]*)*)_[1-9][0-9]{0,4}\b")
"""What the sanitizer puts in place of personal data: ``ORDER_1``."""


def harmless(text: str) -> str:
    """Somebody else's text, with what would command a terminal or turn its letters round made visible."""
    return _UNSEEN.sub("�", text)


def printable(text: str) -> str:
    """The same for a terminal: with spaces for tabs."""
    return harmless(text.expandtabs(4))


def one_line(text: str, most: int = 0) -> str:
    """Somebody else's text on one line, cut to ``most`` columns if that is not 0."""
    line = printable(" ".join(text.split()))
    return line if most == 0 or columns(line) <= most else f"{_cut(line, most - 1)}…"


def columns(text: str) -> int:
    """How wide a text is on a terminal (UAX 11: wide characters take two, combining marks none)."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _cut(text: str, most: int) -> str:
    taken = 0
    for position, char in enumerate(text):
        taken += columns(char)
        if taken > most:
            return text[:position]
    return text


def span(seconds: float) -> str:
    """A duration in two units at most: ``45 s``, ``1 h 52 min``, ``2 d 3 h``."""
    whole = max(int(seconds), 0)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < _HOUR:
        return f"{whole // _MINUTE} min"
    if whole < _DAY:
        return _joined(whole // _HOUR, "h", whole % _HOUR // _MINUTE, "min")
    return _joined(whole // _DAY, "d", whole % _DAY // _HOUR, "h")


def _joined(first: int, unit: str, second: int, lesser: str) -> str:
    return f"{first:,} {unit} {second} {lesser}" if second else f"{first:,} {unit}"


class Mark(NamedTuple):
    """A surrogate in a text: ``ORDER_1``, of kind ``order``."""

    text: str
    kind: str


def marks(text: str) -> tuple[Mark, ...]:
    """The surrogates that the sanitizer left in a text, each once, by first appearance."""
    return tuple(
        dict.fromkeys(
            Mark(found.group(), found["kind"].lower().replace("_", " ")) for found in SURROGATE.finditer(text)
        )
    )
