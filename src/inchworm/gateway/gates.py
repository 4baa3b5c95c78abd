"""How many requests a provider is sent at once, and who waits for a place. Belongs to one event loop."""

from __future__ import annotations

import asyncio
from collections import deque

_LEAST_WAITING, _WAITING_EACH = 64, 4
"""Requests that may wait: at least, and for each in flight. A burst passes; deadlines bound the rest."""


class Gate:
    """Places for requests in flight; who finds none waits in a line that has an end.

    Args:
        limit: requests in flight at once.
    """

    __slots__ = ("_line", "in_flight", "limit", "longest")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Requests in flight at once."""
        self.longest = max(_WAITING_EACH * limit, _LEAST_WAITING)
        """Requests that may wait."""
        self.in_flight = 0
        """Places that are taken."""
        self._line: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Who waits."""
        return len(self._line)

    @property
    def full(self) -> bool:
        """Whether nobody more may wait."""
        return self.in_flight >= self.limit and len(self._line) >= self.longest

    @property
    def free(self) -> bool:
        """Whether a place is to be had at once."""
        return self.in_flight < self.limit

    def take(self) -> None:
        """Take a place that is free."""
        self.in_flight += 1

    async def wait(self, deadline: float) -> bool:
        """Wait for a place, and take it; whether there was one by ``deadline`` (time of the event loop)."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append(mine)
        try:
            async with asyncio.timeout_at(deadline):
                await mine
        except BaseException as error:
            if mine.done() and not mine.cancelled():  # the place was handed over in the same moment
                self.leave()
            elif mine in self._line:
                self._line.remove(mine)
            if isinstance(error, TimeoutError):
                return False
            raise
        return True

    def leave(self) -> None:
        """Give a place back: whoever waits longest has it."""
        while self._line:
            first = self._line.popleft()
            if not first.done():
                first.set_result(None)
                return
        self.in_flight -= 1
