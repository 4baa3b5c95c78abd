"""Work that goes on while the server runs: a failure is said and tried again, and ends nothing else."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from inchworm.domain.errors import InchwormError

_LOG = logging.getLogger(__name__)
_BACK_OFF_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(slots=True)
class Health:
    """How the parts are: a sentence per part that is not well.

    Attributes:
        sentences: by part. Written from one thread each, read from any.
    """

    sentences: dict[str, str] = field(default_factory=dict)

    def say(self, part: str, sentence: str | None) -> None:
        """What is wrong with a part; ``None`` if nothing is."""
        if sentence is None:
            self.sentences.pop(part, None)
        else:
            self.sentences[part] = sentence

    def __call__(self) -> dict[str, str]:
        """All sentences, by part."""
        return dict(sorted(self.sentences.copy().items()))  # a copy is made in one step


class Background:
    """The server's background work.

    Args:
        health: where failures are said.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def keep(
        self, name: str, act: Callable[[], Awaitable[bool]], *, every_s: float, wake: asyncio.Event
    ) -> None:
        """Do ``act`` again and again, one after the other, never two at once.

        Args:
            name: what it is called in logs and health.
            act: does one round; whether there may be more to do at once.
            every_s: seconds between rounds.
            wake: set it to begin the next round now.
        """
        self._tasks.append(asyncio.create_task(self._kept(name, act, every_s, wake), name=name))

    async def stop(self) -> None:
        """Let every round that is under way end, and begin none."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _kept(
        self, name: str, act: Callable[[], Awaitable[bool]], every_s: float, wake: asyncio.Event
    ) -> None:
        failures = 0
        while not self._stopping.is_set():
            wake.clear()
            wait_s = every_s
            try:
                if await act():
                    wait_s = 0.0
                if failures:
                    _LOG.info("%s works again", name)
                    self._health.say(name, None)
                failures = 0
            except Exception as error:  # noqa: BLE001  # said, and tried again: a part never just stops
                wait_s = _BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)]
                failures += 1
                self._failed(name, error, failures, wait_s)
            await self._wait(wait_s, wake)

    def _failed(self, name: str, error: Exception, failures: int, wait_s: float) -> None:
        known = isinstance(error, InchwormError)
        what = str(error) if known else f"this is a fault in Inchworm ({type(error).__name__})"
        self._health.say(name, f"It failed {failures} times in a row, the last time because {what}.")
        _LOG.error(
            "%s failed, and is tried again in %g s: %s", name, wait_s, what, exc_info=None if known else error
        )

    async def _wait(self, wait_s: float, wake: asyncio.Event) -> None:
        if wait_s <= 0.0:
            await asyncio.sleep(0)
            return
        waits = [asyncio.ensure_future(wake.wait()), asyncio.ensure_future(self._stopping.wait())]
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
