"""What draining did, and what waits to be drained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Drained:
    """What became of what was drained.

    Attributes:
        segments: read to their end.
        records: in them.
        spans: that were stored, or of which more is known now.
        spans_again: that were there already.
        traces: interactions that were stored.
        retold: interactions that were there already, and of which more is known now.
        duplicates: interactions that were there already.
        exposures: units that were exposed for the first time.
        mirrored: calls that a candidate was asked too.
        scores: scores that were stored.
        quarantined: what could not be taken in, by reason: records, and damaged segments as one each.
        found: what sanitizing found, by kind.
    """

    segments: int = 0
    records: int = 0
    spans: int = 0
    spans_again: int = 0
    traces: int = 0
    retold: int = 0
    duplicates: int = 0
    exposures: int = 0
    mirrored: int = 0
    scores: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)

    @property
    def idle(self) -> bool:
        """Whether there was nothing to do."""
        return self.segments == 0 and self.scores == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What waits to be drained.

    Attributes:
        segments: closed ones, those with feedback that waits for its interaction left out.
        bytes: size of the whole spool, the quarantine left out.
        oldest_at: when the oldest segment was begun, seconds since the epoch; ``None`` if there is none.
        waiting: ratings that wait for their interaction.
        unreadable: segments that cannot be read for now, with the reason.
    """

    segments: int
    bytes: int
    oldest_at: float | None
    waiting: int
    unreadable: dict[str, str]
