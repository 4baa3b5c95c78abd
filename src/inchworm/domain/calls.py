"""Layers keyed by call: an agent makes several calls, and each may have values of its own. Pure.

A layer may hold a member ``calls`` beside its common values, e.g.
``{"name": "gpt-4o", "calls": {"rerank": {"name": "gpt-4o-mini"}}}``. A call's values are the common ones with
its own put over them, key by key; a name that no layer knows gets the common ones. The whole, with all its
calls, is one configuration with one id.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.domain.configuration import Configuration
from inchworm.domain.layers import LAYERS

CALLS = "calls"
"""The member of a layer that holds the values of single calls, by their names."""
_MARK = '"calls":'


def for_call(configuration: Configuration, call: str | None) -> Configuration:
    """What a call of this name gets: plain layers, without ``calls``.

    The same object if no layer has values of single calls. Its id is that of the values, not the one that was
    released: keep ``configuration.id`` for what is recorded.

    Args:
        configuration: all layers, with the values of single calls.
        call: the call's name; ``None`` for one without a name.
    """
    if not _has_any(configuration):
        return configuration
    return Configuration.of({layer: merged(configuration.layer(layer), call) for layer in LAYERS})


def merged(values: Mapping[str, Any], call: str | None) -> dict[str, Any]:
    """One layer's values for a call: its own put over the common ones, key by key.

    Args:
        values: a layer, perhaps with ``calls``.
        call: the call's name; ``None`` for one without a name.
    """
    own = values.get(CALLS)
    common = {name: value for name, value in values.items() if name != CALLS}
    found = own.get(call) if call is not None and isinstance(own, Mapping) else None
    return {**common, **found} if isinstance(found, Mapping) else common


def call_names(configuration: Configuration) -> tuple[str, ...]:
    """The calls that have values of their own in any layer, in alphabetical order."""
    if not _has_any(configuration):
        return ()
    found: set[str] = set()
    for layer in LAYERS:
        own = configuration.layer(layer).get(CALLS)
        if isinstance(own, Mapping):
            found.update(own)
    return tuple(sorted(found))


def _has_any(configuration: Configuration) -> bool:
    # A tool may have a parameter of that name; then one looks closer for nothing.
    return any(_MARK in text for text in configuration.texts)
