"""Work items: how one step of the loop triggers another. Durable, idempotent, leased."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.ids import WorkId

FORMAT = "work/1"


class WorkState(StrEnum):
    """Where a work item stands."""

    READY = "ready"
    LEASED = "leased"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """Something to be done exactly once in effect.

    Attributes:
        id: the idempotency key; adding it a second time changes nothing.
        kind: which handler does it, e.g. ``benchmark``.
        app: for whom.
        payload: JSON that the handler reads.
        state: ready, leased, done or failed.
        attempts: how often it was leased.
        lease_until: when the lease ends, seconds since the epoch; ``None`` if not leased.
        result: JSON that the handler returned, once done.
        error: why it failed, as a sentence, once failed.
    """

    id: WorkId
    kind: str
    app: AppRef
    payload: dict[str, Any] = field(default_factory=dict)
    state: WorkState = WorkState.READY
    attempts: int = 0
    lease_until: float | None = None
    result: dict[str, Any] | None = None
    error: str | None = None

    def content(self) -> dict[str, Any]:
        """The JSON form, version ``work/1``, pinned by golden vectors."""
        return {
            "format": FORMAT,
            "id": self.id,
            "kind": self.kind,
            "app": str(self.app),
            "payload": self.payload,
            "state": self.state.value,
            "attempts": self.attempts,
            "lease_until": self.lease_until,
            "result": self.result,
            "error": self.error,
        }
