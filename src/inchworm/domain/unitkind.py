"""What is randomised. Apart from rollouts, as programs with the client library load this at their start."""

from __future__ import annotations

from enum import StrEnum


class UnitKind(StrEnum):
    """What is randomised."""

    SESSION = "session"
    USER = "user"
    REQUEST = "request"
