"""Who takes part: conditions on what is known of a unit before it is assigned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

UNIT = "unit"
"""The attribute that is the unit's own id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One attribute must have one of some values.

    Attributes:
        attribute: its name, e.g. ``tenant``; ``unit`` is the unit's own id.
        values: what it may be, as texts; at least one.
    """

    attribute: str
    values: tuple[str, ...]


def takes_part(conditions: Sequence[Condition], attributes: Mapping[str, str]) -> bool:
    """Whether a unit with these attributes meets every condition; an attribute that is absent meets none."""
    return all(attributes.get(one.attribute) in one.values for one in conditions)
