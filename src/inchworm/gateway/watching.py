"""Noticing that a caller left, so that its provider is not kept working."""

from __future__ import annotations

import asyncio

from inchworm.gateway.rsgi import Exchange

PATIENCE_S = 0.1
"""Seconds after which one begins to look; most answers to nobody are slow ones, and looking costs a task."""


class Watch:
    """Cancels the running task when its caller leaves, or when the gateway stops.

    Args:
        proto: says when the caller left.
    """

    __slots__ = ("_loop", "_proto", "_task", "_timer", "_watcher", "left", "stopped")

    def __init__(self, proto: Exchange) -> None:
        self._loop = asyncio.get_running_loop()
        self._proto = proto
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # handlers run in tasks
        self._task: asyncio.Task[object] = task
        self._watcher: asyncio.Task[None] | None = None
        self._timer = self._loop.call_later(PATIENCE_S, self.now)
        self.left = False
        """Whether the caller left."""
        self.stopped = False
        """Whether the gateway stops."""

    def now(self) -> None:
        """Look from now on."""
        if self._watcher is None:
            self._watcher = self._loop.create_task(self._look())

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
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    async def _look(self) -> None:
        await self._proto.client_disconnect()
        if not self.stopped:
            self.left = True
            self._task.cancel()
