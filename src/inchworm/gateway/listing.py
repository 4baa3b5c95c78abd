"""The apps among the models: what a client that asks for models may name. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from inchworm.domain.configuration import AppRef
from inchworm.gateway.applying import SYMBOLIC
from inchworm.gateway.resolving import ServedApp, Serving
from inchworm.gateway.wires import Speech

_OWNER = "inchworm"
_NO_DAY = "1970-01-01T00:00:00Z"  # as Anthropic says it of models whose day it does not know


def named(serving: Serving, bound: AppRef | None) -> tuple[str, ...]:
    """``app:NAME`` and ``app:NAME/call`` of each app whose stable configuration says which model that is.

    Args:
        serving: what is served.
        bound: the only app that the caller's key sends for, if it is bound to one.
    """
    out: list[str] = []
    for app in serving.apps:
        if (bound is not None and app.app != bound) or serving.app(app.app.app) is not app:
            continue
        out += _of(app)
    return tuple(out)


def _of(app: ServedApp) -> list[str]:
    if app.table is None:
        return []
    stable = app.configurations[app.table.stable]
    name = f"{SYMBOLIC}{app.app.app}"
    whole = [] if stable.model is None else [name]
    return whole + [f"{name}/{call}" for call, one in stable.calls.items() if one.model is not None]


def one_of(name: str, speech: Speech) -> dict[str, Any]:
    """One of them as a model."""
    if speech is Speech.ANTHROPIC:
        return {
            "type": "model",
            "id": name,
            "display_name": name,
            "created_at": _NO_DAY,
            "lifecycle": "active",
        }
    return {"id": name, "object": "model", "created": 0, "owned_by": _OWNER}


def listed(names: Sequence[str], speech: Speech) -> dict[str, Any]:
    """A list of them alone."""
    data = [one_of(name, speech) for name in names]
    if speech is Speech.OPENAI:
        return {"object": "list", "data": data}
    ends = (names[0], names[-1]) if names else (None, None)
    return {"data": data, "has_more": False, "first_id": ends[0], "last_id": ends[1]}


def with_apps(body: bytes, names: Sequence[str], speech: Speech) -> bytes | None:
    """A provider's list with the apps before it; ``None`` if it is none.

    Where the list is cut into pages, the ids of its ends stay the provider's: it is asked for the next.
    """
    try:
        said = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("data"), list):
        return None
    return msgspec.json.encode({**said, "data": [*(one_of(name, speech) for name in names), *said["data"]]})
