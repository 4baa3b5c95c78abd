"""A configuration: all six layers of one AI feature, immutable, identified by its content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.canonical import canonical, digest
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId
from inchworm.domain.layers import LAYERS, Layer

SCHEMA_VERSION = 1
"""Version of the content that is hashed. A change of it changes every id, so it is pinned by tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRef:
    """One AI feature in one place, with its own traffic, lineage and lock.

    Attributes:
        app: name of the feature, e.g. ``shop-support``.
        environment: where it runs, e.g. ``production``.
    """

    app: str
    environment: str

    def __str__(self) -> str:
        return f"{self.app}/{self.environment}"

    @classmethod
    def parse(cls, text: str) -> AppRef:
        """Read ``APP/ENVIRONMENT``; a missing environment means ``production``.

        Raises:
            InputError: if either part is empty or there are more than two.
        """
        app, slash, environment = text.partition("/")
        if not app or "/" in environment or (slash and not environment):
            msg = f'"{text}" names no app: write it as NAME/ENVIRONMENT, e.g. shop-support/production'
            raise InputError(msg)
        return cls(app=app, environment=environment or "production")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All six layers. Values are kept as canonical JSON text, so equality and hashing are exact.

    Attributes:
        texts: canonical JSON object of each layer, in the order of :data:`LAYERS`.
        id: SHA-256 over schema version and layers; two configurations with one id are the same.
    """

    texts: tuple[str, ...]
    id: ConfigurationId = field(init=False)

    def __post_init__(self) -> None:
        if len(self.texts) != len(LAYERS):
            msg = f"a configuration has {len(LAYERS)} layers, not {len(self.texts)}"
            raise ValueError(msg)
        object.__setattr__(self, "id", ConfigurationId(digest(self.content())))

    @classmethod
    def of(cls, layers: Mapping[Layer, Any] | Mapping[str, Any]) -> Configuration:
        """Make one from JSON objects per layer; layers that are left out are empty.

        Raises:
            ValueError: if a name is no layer, or a value has no canonical form.
        """
        given = {Layer(name): value for name, value in layers.items()}
        return cls(texts=tuple(canonical(dict(given.get(layer, {}))) for layer in LAYERS))

    @classmethod
    def from_content(cls, content: Mapping[str, Any]) -> Configuration:
        """The inverse of :meth:`content`.

        Raises:
            ValueError: if the content was written under another schema version.
        """
        found = content.get("schema")
        if found != SCHEMA_VERSION:
            msg = f"configuration content has schema {found!r}, this version reads {SCHEMA_VERSION}"
            raise ValueError(msg)
        return cls.of(content["layers"])

    def content(self) -> dict[str, Any]:
        """What is hashed: ``{"schema": 1, "layers": {layer: {...}}}``."""
        return {"schema": SCHEMA_VERSION, "layers": {str(layer): self.layer(layer) for layer in LAYERS}}

    def layer(self, layer: Layer) -> dict[str, Any]:
        """A fresh copy of one layer's values."""
        value: dict[str, Any] = json.loads(self.texts[LAYERS.index(layer)])
        return value

    def digest(self, layer: Layer) -> str:
        """SHA-256 of one layer's canonical values: the same digest, the same layer."""
        return digest(self.layer(layer))

    def with_layer(self, layer: Layer, values: Mapping[str, Any]) -> Configuration:
        """The same configuration with one layer replaced as a whole."""
        position = LAYERS.index(layer)
        return Configuration(
            texts=(*self.texts[:position], canonical(dict(values)), *self.texts[position + 1 :])
        )

    def with_layers_of(self, other: Configuration, layers: Iterable[Layer]) -> Configuration:
        """The same configuration with the named layers taken from ``other``."""
        taken = set(layers)
        return Configuration(
            texts=tuple(
                other.texts[position] if layer in taken else self.texts[position]
                for position, layer in enumerate(LAYERS)
            )
        )

    def moved(self, other: Configuration) -> tuple[Layer, ...]:
        """The layers in which ``other`` differs, in the default order of sequencing."""
        return tuple(
            layer
            for layer, mine, theirs in zip(LAYERS, self.texts, other.texts, strict=True)
            if mine != theirs
        )
