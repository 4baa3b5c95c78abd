"""The end of an error message about a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` Did you mean "x"?`` if one is near, otherwise a list of all that are known."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f' Did you mean "{near[0]}"?' if near else f" Known are: {', '.join(names)}."
