"""Forgetting somebody: what was asked, how far it is, and what came of it; never who."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

NOBODY = "forgotten"
"""What stands in the place of a name that is forgotten, alone or before a hyphen and random digits."""


class ForgettingState(StrEnum):
    """How far it is. Each is durable before the next one begins; each is repeated if it is interrupted."""

    ASKED = "asked"
    """What was captured before is still being drained."""
    FOUND = "found"
    """What is theirs is known, and is being taken out of the trace store."""
    TRACED = "traced"
    """The trace store is without them; everything else follows."""
    CLEARED = "cleared"
    """No row and no file holds them; the control store's file is being written anew."""
    DONE = "done"
    """No byte of the data directory holds them."""


OPEN = tuple(state for state in ForgettingState if state is not ForgettingState.DONE)
"""The states before the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgetting:
    """One request to forget some units.

    Attributes:
        id: ``forget-`` and random digits.
        digests: of each unit, keyed with the installation's key: nobody can try names out without it.
        actor: who asked.
        at: when, seconds since the epoch.
        state: how far it is.
        counts: what was deleted, by kind, as far as it is known.
        remarks: what somebody should know, as sentences: what was in flight, what cannot be searched.
        done_at: when it ended.
    """

    id: str
    digests: tuple[str, ...]
    actor: str
    at: float
    state: ForgettingState = ForgettingState.ASKED
    counts: dict[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    done_at: float | None = None
