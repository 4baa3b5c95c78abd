"""Attributes that say whose something is."""

from __future__ import annotations

from typing import Final

WHOSE: Final = (
    "unit.id",
    "unit_id",
    "user.id",
    "user_id",
    "userid",
    "session.id",
    "session_id",
    "sessionid",
    "conversation.id",
    "conversation_id",
    "thread_id",
    "enduser.id",
    "end_user",
    "safety_identifier",
)
"""How their names end, in lower case."""


def says_whose(name: str) -> bool:
    """Whether an attribute of this name says whose something is."""
    return name.lower().endswith(WHOSE)
