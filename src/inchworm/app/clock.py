"""The clock as a port: real time for people, simulated time for the demo, where days pass in seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol


class Clock(Protocol):
    """Somebody who knows what time it is."""

    def now(self) -> float:
        """Seconds since the epoch."""
        ...


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()


@dataclass(slots=True)
class SimulatedClock:
    """A clock that stands still until it is moved.

    Attributes:
        at: what it shows, seconds since the epoch.
    """

    at: float

    def now(self) -> float:
        """What it shows."""
        return self.at
