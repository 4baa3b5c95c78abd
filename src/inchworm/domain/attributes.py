"""What callers say of a unit before it is assigned, as texts.

Everything here is bounded, and what cannot be read counts as not said: an attribute chooses who takes part,
and must never cost a caller its answer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

LONGEST = 256
"""Characters of a value; a longer one counts as not said."""


def as_text(value: Any) -> str | None:
    """A value as conditions compare it: texts as they are, numbers and booleans as JSON writes them.

    A number without a fraction has none (``3.0`` is ``3``), as readers of JSON disagree on it. Lists, objects
    and ``None`` are no values.
    """
    if isinstance(value, str):
        return str.__str__(value) if len(value) <= LONGEST else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value)) if -(10**LONGEST) < value < 10**LONGEST else None
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(float(value))
    return None


def chosen(wanted: Collection[str], said: Mapping[Any, Any]) -> dict[str, str]:
    """What is said under the wanted names; nothing else is looked at."""
    found = {name: as_text(said[name]) for name in wanted if name in said}
    return {name: value for name, value in found.items() if value is not None}
