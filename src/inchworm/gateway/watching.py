"""Noticing that a caller left, so that its provider is not kept working."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from inchworm.gateway.rsgi import Exchange

PATIENCE_S = 0.1
"""Seconds after which one begins to look, twice as many at most; most answers to nobody are slow ones, and
looking costs a task."""


class Watch:
    """Cancels the running task when its caller leaves, or when the gateway stops.

    Args:
        proto: says when the caller left.
    """

    __slots__ = ("_proto", "_task", "_watcher", "left", "stopped")

    def __init__(self, proto: Exchange) -> None:
        self._proto = proto
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # handlers run in tasks
        self._task: asyncio.Task[object] = task
        self._watcher: asyncio.Task[None] | None = None
        self.left = False
        """Whether the caller left."""
        self.stopped = False
        """Whether the gateway stops."""

    def now(self) -> None:
        """Look from now on."""
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._look())

    def stop(self) -> None:
        """The gateway stops, and this took too long."""
        if not (self.left or self.stopped):
            self.stopped = True
            self._task.cancel()

    def caught(self) -> bool:
        """After a cancellation: whether it was this watch's, which is then undone."""
        if not (self.left or self.stopped):
            return False
        self._task.uncancel()
        return True

    def close(self) -> None:
        """Look no more."""
        if self._watcher is not None:
            self._watcher.cancel()

    async def _look(self) -> None:
        await self._proto.client_disconnect()
        if not self.stopped:
            self.left = True
            self._task.cancel()


class Watches:
    """The watches of the calls in flight. One timer for all of them begins the looking of those that last."""

    __slots__ = ("_all", "_older", "_timer", "_younger")

    def __init__(self) -> None:
        self._all: set[Watch] = set()
        self._older: set[Watch] = set()
        self._younger: set[Watch] = set()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Watch]:
        return iter(self._all)

    def add(self, watch: Watch) -> None:
        """A call begins."""
        self._all.add(watch)
        self._younger.add(watch)
        if self._timer is None:
            self._again()

    def discard(self, watch: Watch) -> None:
        """It is over."""
        self._all.discard(watch)
        self._younger.discard(watch)
        self._older.discard(watch)

    def _again(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_S, self._look)

    def _look(self) -> None:
        for watch in self._older:
            watch.now()
        self._older, self._younger = self._younger, set()
        self._timer = None
        if self._older:
            self._again()
