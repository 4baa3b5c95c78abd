"""Notices: what people are told of decisions, whom, and how far the telling has come."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.rollout import DecisionKind

FORMAT = "notify/1"

Event = StrEnum(  # type: ignore[misc]  # the kinds of decisions, and what is no decision of a rollout
    "Event",
    {kind.name: kind.value for kind in DecisionKind}
    | {"APPROVAL": "approval", "AUDIT": "audit", "TEST": "test"},
)
"""What somebody may be told of: a decision by its kind, an approval, a broken audit trail, a test."""

FOR_PEOPLE: tuple[str, ...] = (
    "rollback",
    "pause",
    "hold",
    "reject",
    "cancel",
    "complete",
    "undo",
    "approval",
    "emergency",
    "audit",
)
"""What a person should see: what went wrong, what waits for somebody, and what is stable now."""


class Format(StrEnum):
    """How a notice is written."""

    WEBHOOK = "webhook"
    """JSON ``notify/1`` with the headers of Standard Webhooks."""
    SLACK = "slack"
    """A message for an incoming webhook of Slack, or of whatever understands the same."""


class NoticeState(StrEnum):
    """How far the telling has come."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Somebody who is told, as ``notify`` in ``inchworm.yaml`` names them.

    Attributes:
        url: where to: an address, or ``env:NAME`` with the address in that variable.
        format: how it is written.
        events: of what.
        secret: ``env:NAME`` with the signing secret in that variable; nothing is signed without one.
    """

    url: str
    format: Format = Format.WEBHOOK
    events: tuple[str, ...] = FOR_PEOPLE
    secret: str | None = None

    @property
    def key(self) -> str:
        """Which target it is: 8 hexadecimal characters that follow from its ``url``."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing to tell one target. Kept in the transaction of the decision that it tells of.

    Attributes:
        id: what makes it one: the same thing to the same target a second time changes nothing.
        app: where.
        target: :attr:`Target.key` of who is told.
        event: of what, one of :data:`Event`.
        at: when that happened, seconds since the epoch.
        data: what is told, JSON of the form ``notify/1`` (docs/notifications.md) without links.
        state: how far it has come.
        attempts: how often sending was begun.
        due_at: when it is sent, or sent again, seconds since the epoch.
        error: why the last attempt failed, as a sentence.
    """

    id: str
    app: AppRef
    target: str
    event: str
    at: float
    data: dict[str, Any] = field(default_factory=dict)
    state: NoticeState = NoticeState.WAITING
    attempts: int = 0
    due_at: float = 0.0
    error: str | None = None

    @property
    def message_id(self) -> str:
        """What a receiver tells repetitions by; the same at every attempt, and without full stops."""
        return f"msg_{hashlib.sha256(self.id.encode()).hexdigest()[:32]}"
