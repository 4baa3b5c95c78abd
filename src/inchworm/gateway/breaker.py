"""Whether a provider that fails is still asked: a circuit breaker. Pure: what time it is, it is told.

One stands before each provider for each configuration, not one for all: what a candidate's values do to a
provider must not cost stable its answers, and a call that is refused counts in its own arm, as that for which
it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Final


class State(IntEnum):
    """How a breaker stands; the numbers are those of its metric."""

    CLOSED = 0
    """Everybody is let through."""
    OPEN = 1
    """Nobody is, for a while."""
    HALF_OPEN = 2
    """One is let through, to see."""


class Event(Enum):
    """What moves a breaker."""

    TRIPPED = auto()
    """Too many of the last calls failed."""
    RESTED = auto()
    """The time is over for which nobody was let through."""
    PASSED = auto()
    """The one that was let through was answered."""
    FAILED = auto()
    """It was not."""


TABLE: Final[Mapping[tuple[State, Event], State]] = {
    (State.CLOSED, Event.TRIPPED): State.OPEN,
    (State.OPEN, Event.RESTED): State.HALF_OPEN,
    (State.HALF_OPEN, Event.PASSED): State.CLOSED,
    (State.HALF_OPEN, Event.FAILED): State.OPEN,
}
"""All moves there are; anything else changes nothing."""


class Result(Enum):
    """What became of a call that was let through."""

    ANSWERED = auto()
    """There was an answer, with a status below 500."""
    DOWN = auto()
    """There was no connection, no answer, or one with a status of 500 or more."""
    LATE = auto()
    """The deadline passed before there was an answer."""
    UNKNOWN = auto()
    """Nobody waited for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a breaker opens, and for how long.

    Attributes:
        window_s: seconds over which calls are counted; half of it is forgotten at a time.
        least: calls that must have failed in it.
        share: of the calls in it that must have failed.
        first_s: seconds that it opens for at first; twice as long each time that the one let through fails.
        longest_s: and no longer than that.
    """

    window_s: float = 10.0
    least: int = 10
    share: float = 0.8
    first_s: float = 1.0
    longest_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Refused:
    """A call is not let through.

    Attributes:
        wait_s: seconds until another one may be.
        late: whether most of those that failed missed their deadline.
    """

    wait_s: float
    late: bool


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call is let through.

    Attributes:
        probe: whether it is the one that is, to see.
    """

    probe: bool


_FREELY, _TO_SEE = Admitted(probe=False), Admitted(probe=True)


@dataclass(slots=True)
class _Count:
    good: int = 0
    down: int = 0
    late: int = 0


class Breaker:
    """One breaker. Times are seconds of a clock that does not jump.

    Args:
        rules: when it opens.
    """

    __slots__ = (
        "_before",
        "_failures",
        "_half",
        "_late",
        "_now",
        "_probing",
        "_rules",
        "_since",
        "_until",
        "state",
    )

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._half = rules.window_s / 2
        self._now, self._before = _Count(), _Count()
        self._since = 0.0
        self._until = 0.0
        self._failures = 0
        self._late = self._probing = False
        self.state = State.CLOSED
        """How it stands."""

    def refuses(self, now: float) -> Refused | None:
        """Whether a call would not be let through now."""
        if self.state is State.CLOSED:
            return None
        rested = now >= self._until if self.state is State.OPEN else not self._probing
        return None if rested else Refused(max(self._until - now, self._rules.first_s), self._late)

    def admit(self, now: float) -> Admitted | Refused:
        """Whether a call is let through; if it is, :meth:`tell` must be told what became of it."""
        if self.state is State.CLOSED:
            return _FREELY
        refused = self.refuses(now)
        if refused is not None:
            return refused
        self._move(Event.RESTED, now)
        self._probing = True
        return _TO_SEE

    def tell(self, admitted: Admitted, result: Result, now: float) -> None:
        """What became of a call; of one that began before the breaker opened, it is too late to hear."""
        if admitted.probe:
            self._probing = False
            if result is not Result.UNKNOWN:
                self._move(Event.PASSED if result is Result.ANSWERED else Event.FAILED, now)
        elif self.state is State.CLOSED:
            self._count(result, now)

    def idle(self, now: float) -> bool:
        """Whether it knows nothing that a new one would not."""
        return self.state is State.CLOSED and now - self._since >= self._rules.window_s

    def _count(self, result: Result, now: float) -> None:
        passed = now - self._since
        if passed >= self._half:
            self._before = self._now if passed < self._rules.window_s else _Count()
            self._now, self._since = _Count(), now
        count = self._now
        match result:
            case Result.ANSWERED:
                count.good += 1
                return
            case Result.UNKNOWN:
                return
            case Result.DOWN:
                count.down += 1
            case Result.LATE:
                count.late += 1
        late = count.late + self._before.late
        bad = count.down + self._before.down + late
        if bad >= self._rules.least and bad >= self._rules.share * (bad + count.good + self._before.good):
            self._late = 2 * late > bad
            self._move(Event.TRIPPED, now)

    def _move(self, event: Event, now: float) -> None:
        self.state = TABLE.get((self.state, event), self.state)
        match self.state:
            case State.OPEN:
                self._until = now + min(self._rules.first_s * 2.0**self._failures, self._rules.longest_s)
                self._failures = min(self._failures + 1, 16)
            case State.CLOSED:
                self._failures = 0
                self._now, self._before, self._since = _Count(), _Count(), now
            case State.HALF_OPEN:
                pass
