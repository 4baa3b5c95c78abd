"""How much of what is sent in may be in memory at once; who comes beyond that is asked to come again."""

from __future__ import annotations

from typing import Self

from inchworm.gateway.faults import Fault, FaultError


class Room:
    """Memory for bodies that are being taken in.

    Args:
        limit: bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.taken = 0
        """Bytes that are in use."""

    def take(self, size: int, *, large: bool = False) -> None:
        """Use more of it; for a large body only three quarters of it, so that small ones always find some.

        Raises:
            FaultError: 503 with Retry-After, if there is not so much left.
        """
        if self.taken + size > (self._limit * 3 // 4 if large else self._limit):
            raise FaultError(
                Fault(
                    status=503,
                    code="busy",
                    message="The gateway is taking in all that it has memory for; send it again soon.",
                    headers=[("retry-after", "1")],
                )
            )
        self.taken += size

    def give(self, size: int) -> None:
        """Be done with some."""
        self.taken -= size


class Share:
    """What one request uses of the room; given back when it leaves.

    Args:
        room: where it is from.
    """

    def __init__(self, room: Room) -> None:
        self._room, self._size = room, 0

    def take(self, size: int, *, large: bool = False) -> None:
        """Use more; see :meth:`Room.take`."""
        self._room.take(size, large=large)
        self._size += size

    def give(self) -> None:
        """Be done with all of it."""
        self._room.give(self._size)
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.give()
