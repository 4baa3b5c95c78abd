"""What is served, as feature flags: keys, values and what is told beside them (OpenFeature's terms). Pure.

A flag is a place in an app's configuration: ``NAME`` or ``NAME/ENVIRONMENT`` is all of it, ``NAME.LAYER`` one
layer, and ``NAME.LAYER.PATH`` one value in it. Used by the gateway's OFREP routes and by the provider for
OpenFeature's SDK, so that both say the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from inchworm.domain.change import ABSENT, Absent
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import LAYERS, Layer
from inchworm.domain.trace import Assignment

STABLE = "stable"
"""The variant of who takes no part in a rollout."""
# A whole one of them is a fraction too: clients that ask for a float take no integer.
_FRACTIONS = frozenset(
    {
        "frequency_penalty",
        "min_p",
        "presence_penalty",
        "repetition_penalty",
        "temperature",
        "timeout_s",
        "top_p",
        "typical_p",
    }
)
_OF_FRACTIONS = frozenset({Layer.PARAMETERS, Layer.INFRASTRUCTURE})

Layers = Mapping[Layer, Mapping[str, Any]]


class Reason(StrEnum):
    """Why a flag has its value; OpenFeature's words."""

    SPLIT = "SPLIT"
    """The unit was drawn in a rollout."""
    STATIC = "STATIC"
    """Nothing is being exposed: everybody gets this."""
    DEFAULT = "DEFAULT"
    """The unit takes no part in the rollout, or its configuration does not set the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagKey:
    """A place in an app's configuration.

    Attributes:
        app: as the key names it, ``NAME`` or ``NAME/ENVIRONMENT``.
        layer: the layer; ``None`` for all of them.
        path: members from the layer's object inwards; a number is a place in a list.
    """

    app: str
    layer: Layer | None = None
    path: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.app, *(() if self.layer is None else (self.layer.value, *self.path))))


def read_key(key: str, apps: Collection[str]) -> FlagKey | None:
    """The place that a key names; ``None`` if it names none.

    Args:
        key: e.g. ``support.parameters.temperature``.
        apps: how the apps that are served may be called; where a name has dots, the longest counts.
    """
    for app in sorted(apps, key=len, reverse=True):
        if key == app:
            return FlagKey(app=app)
        if key.startswith(f"{app}."):
            layer, *path = key.removeprefix(f"{app}.").split(".")
            if layer in LAYERS and all(path):
                return FlagKey(app=app, layer=Layer(layer), path=tuple(path))
    return None


def value_of(key: FlagKey, layers: Layers) -> Any | Absent:
    """The value at a place, or :data:`~inchworm.domain.change.ABSENT`; ``null`` is no flag's value."""
    if key.layer is None:
        return {str(layer): dict(layers[layer]) for layer in LAYERS}
    value: Any = layers[key.layer]
    for name in key.path:
        if isinstance(value, Mapping) and name in value:
            value = value[name]
        elif isinstance(value, list) and name.isdecimal() and len(name) <= 6 and int(name) < len(value):
            value = value[int(name)]
        else:
            return ABSENT
    if value is None:
        return ABSENT
    fraction = len(key.path) == 1 and key.path[0] in _FRACTIONS and key.layer in _OF_FRACTIONS
    return float(value) if fraction and type(value) is int else value


def keys_of(app: str, *layers: Layers) -> list[str]:
    """All keys of an app: itself, its layers, and each value that any of these configurations sets."""
    found = {FlagKey(app=app)} | {FlagKey(app=app, layer=layer) for layer in LAYERS}
    for one in layers:
        for layer in LAYERS:
            found |= {FlagKey(app=app, layer=layer, path=path) for path in _paths(one[layer], ())}
    return sorted(str(key) for key in found)


def reason_of(*, exposing: bool, assignment: Assignment | None) -> Reason:
    """Why a unit gets its configuration.

    Args:
        exposing: whether a rollout is in flight.
        assignment: the unit's place in it.
    """
    if assignment is not None:
        return Reason.SPLIT
    return Reason.DEFAULT if exposing else Reason.STATIC


def variant_of(assignment: Assignment | None) -> str:
    """``baseline``, ``candidate``, or ``stable`` for who takes no part."""
    return STABLE if assignment is None else assignment.arm.value


def metadata_of(
    app: str, unit: str, configuration: ConfigurationId | str | None, assignment: Assignment | None
) -> dict[str, bool | int | float | str]:
    """What is told beside a value: whose it is and where it comes from, under the names of our attributes.

    Args:
        app: ``NAME/ENVIRONMENT``.
        unit: the targeting key, as it is recorded.
        configuration: what the unit gets.
        assignment: its place in the rollout.
    """
    found: dict[str, bool | int | float | str] = {"inchworm.app": app, "inchworm.unit.id": unit}
    if configuration is not None:
        found["inchworm.configuration.id"] = configuration
    if assignment is not None:
        found |= {
            "inchworm.rollout.id": assignment.rollout_id,
            "inchworm.stage": assignment.stage,
            "inchworm.arm": assignment.arm.value,
            "inchworm.probability": assignment.probability,
        }
    return found


def _paths(value: Mapping[str, Any], before: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, one in value.items():
        if not name or "." in name:  # no key can name it
            continue
        if isinstance(one, Mapping) and one:
            yield from _paths(one, (*before, name))
        elif one is not None:
            yield (*before, name)
