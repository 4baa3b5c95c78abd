"""What is forgotten, kept for a while, and held in quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inchworm.app.config.retention import Retention
    from inchworm.app.loop.quarantining import Kept, Opened
    from inchworm.app.loop.retaining import Outlived
    from inchworm.domain.forgetting import Forgetting


def forgetting(one: Forgetting) -> dict[str, Any]:
    """A request to forget somebody; who it is about is told as a keyed digest."""
    return {
        "id": one.id,
        "digests": list(one.digests),
        "actor": one.actor,
        "at": one.at,
        "state": one.state.value,
        "counts": dict(one.counts),
        "remarks": list(one.remarks),
        "done_at": one.done_at,
    }


def kept(one: Kept) -> dict[str, Any]:
    """Something in quarantine."""
    said = one.one
    return {
        "id": one.id,
        "reason": said.reason,
        "at": said.at,
        "records": said.records,
        "from": said.source,
        "bytes": said.bytes,
    }


def opened(one: Opened) -> dict[str, Any]:
    """What it holds, sanitized."""
    return {**kept(one.kept), "damage": one.damage, "shown": list(one.records)}


def retention(settings: Retention, found: Outlived) -> dict[str, Any]:
    """How long things are kept, and what is too old."""
    return {
        "kept_s": {
            "payloads": settings.payloads_s,
            "traces": settings.traces_s,
            "quarantine": settings.quarantine_s,
        },
        "payloads": found.payloads,
        "traces": found.traces,
        "needed": found.needed,
        "quarantined": found.quarantined,
        "unnamed": found.unnamed,
        "rebuilt": found.rebuilt,
    }
