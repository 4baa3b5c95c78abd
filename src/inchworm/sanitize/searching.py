"""Looking for the few places where an expression could match, before it is asked.

Python's engine tries an expression that begins with a look-behind, or ignores case, at every single
character. Finding plain words is a hundred times faster. So each slow expression comes with what its matches
must begin with or hold; what is found is the same, which a property test compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

Places = Callable[[str], "Iterable[int] | None"]
"""Where in a text matches may begin, in any order; ``None`` for anywhere."""

_ODD_CASES = ("\u0130", "\u0131", "\u017f")
"""Letters that ``re.IGNORECASE`` takes for an i or an s, and ``str.lower`` does not."""


def lowered(text: str) -> str | None:
    """The text in small letters, letter by letter; ``None`` if expressions would read it differently."""
    if not text.isascii() and any(odd in text for odd in _ODD_CASES):
        return None
    return text.lower()


def starting(alternatives: str) -> Places:
    """For an expression of which every match begins with one of these, written with bars between them."""
    literals = alternatives.split("|")

    def places(text: str) -> Iterable[int]:
        found: set[int] = set()
        for literal in literals:
            at = text.find(literal)
            while at >= 0:
                found.add(at)
                at = text.find(literal, at + 1)
        return found

    return places


def holding(alternatives: str) -> Places:
    """For an expression of which every match holds one of these, written with bars between them."""
    literals = alternatives.split("|")

    def places(text: str) -> Iterable[int] | None:
        for literal in literals:
            if literal in text:
                return None
        return ()

    return places


def found(pattern: re.Pattern[str], text: str, lower: str | None, places: Places) -> Iterator[re.Match[str]]:
    """What ``pattern.finditer(text)`` yields.

    Args:
        pattern: what is looked for.
        text: where.
        lower: the text as ``places`` reads it; ``None`` to look everywhere.
        places: where a match may begin.
    """
    begins = None if lower is None else places(lower)
    if begins is None:
        yield from pattern.finditer(text)
        return
    end = 0
    for begin in sorted(begins):
        if begin >= end and (match := pattern.match(text, begin)) is not None:
            yield match
            end = match.end()
