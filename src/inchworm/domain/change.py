"""A change from one configuration to another, and the plan that takes it apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import ConfigurationId, PlanId
from inchworm.domain.layers import Layer


class Absent:
    """The value on the side of a diff where a key does not exist."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "absent"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Absent)

    def __hash__(self) -> int:
        return hash(Absent)


ABSENT = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueDiff:
    """One value that differs.

    Attributes:
        layer: the layer it stands in.
        path: keys from the layer down, e.g. ``("documents",)``.
        old: JSON value in the base, or :data:`ABSENT`.
        new: JSON value in the candidate, or :data:`ABSENT`.
    """

    layer: Layer
    path: tuple[str, ...]
    old: Any
    new: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Somebody wants to go from ``base`` to ``candidate``.

    Attributes:
        app: where.
        base: the configuration it starts from (stable when it was asked for).
        candidate: the configuration that is wanted.
        author: who wants it.
        reason: why, in their words; may be empty.
    """

    app: AppRef
    base: Configuration
    candidate: Configuration
    author: str
    reason: str = ""

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers that move."""
        return self.base.moved(self.candidate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One layer moved, as a configuration that must itself be valid.

    Attributes:
        number: 1-based place in the plan.
        layer: the layer that moves.
        base: id of the configuration before it (when nothing before it was rolled back).
        candidate: the configuration after it.
        because: why it stands at this place, e.g. ``default order`` or ``after: context``.
        after: layers without which this step makes no sense; it is cancelled if one is rolled back.
    """

    number: int
    layer: Layer
    base: ConfigurationId
    candidate: Configuration
    because: str
    after: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A change taken apart into one-layer steps, in order.

    Attributes:
        id: derived from app, base, candidate and the order of the steps.
        change: what was asked for.
        steps: one per layer that moves.
        diffs: every value that differs, in the order of the layers.
        notes: what was validated, and how, as sentences.
    """

    id: PlanId
    change: Change
    steps: tuple[Step, ...]
    diffs: tuple[ValueDiff, ...]
    notes: tuple[str, ...]


def diff(base: Configuration, candidate: Configuration) -> tuple[ValueDiff, ...]:
    """Every value in which two configurations differ, layer by layer, keys in alphabetical order.

    Objects are compared member by member, everything else (arrays too) as a whole.
    """
    found: list[ValueDiff] = []
    for layer in base.moved(candidate):
        _walk(layer, (), base.layer(layer), candidate.layer(layer), found)
    return tuple(found)


def _walk(layer: Layer, path: tuple[str, ...], old: Any, new: Any, found: list[ValueDiff]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            _walk(layer, (*path, key), old.get(key, ABSENT), new.get(key, ABSENT), found)
    elif old != new or type(old) is not type(new):
        found.append(ValueDiff(layer=layer, path=path, old=old, new=new))
