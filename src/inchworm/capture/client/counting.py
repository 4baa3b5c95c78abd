"""What a client did, in numbers, and what happens to trouble in recording: it is counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a client did.

    Attributes:
        connected: whether the gateway answered last time.
        known: whether there is a table, from the gateway or from the cache.
        shipped: lines that the gateway made durable.
        waiting: lines on their way.
        dropped: lines that were given up, for want of room or at the end of the program.
        refused: lines that the gateway did not take.
        retries: how often lines were sent again.
        unknown: answers of ``resolve`` without a configuration.
        unexposed: units that got stable because the gateway, or its server, was away, and do not count in
            the rollout.
        direct: calls that went to the provider because the gateway could not be reached.
        cut: steps of interactions that were left out, or recorded without their content, for want of room.
    """

    connected: bool
    known: bool
    shipped: int
    waiting: int
    dropped: int
    refused: int
    retries: int
    unknown: int
    unexposed: int
    direct: int
    cut: int


class Quietly:
    """Keeps what goes wrong in recording from the program that is recorded, and counts it.

    ``with client.quietly: ...``; what ends the program or a task (``KeyboardInterrupt``, a cancellation)
    passes.
    """

    __slots__ = ("_lost",)

    def __init__(self, lost: Callable[[], None]) -> None:
        self._lost = lost

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if kind is None or not issubclass(kind, Exception):
            return False
        self._lost()
        return True
