"""Benchmarks that rollouts wait for, made in a thread of their own: guardrails do not wait for them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress

from inchworm.app.house import House
from inchworm.app.serve.background import Health
from inchworm.benchmark.replay import Progress
from inchworm.domain.errors import InchwormError
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.work import WorkState

_LOG = logging.getLogger(__name__)
OWNER = "server"
"""Who leases the work: there is one server per data directory, so what it left behind is its own."""
_EVERY_S = 1.0
_AFTER_FAILURE_S = 10.0
_PART = "benchmarks"


class _StoppedError(Exception):
    """The server stops."""


class Measuring:
    """Works off the benchmarks of one app.

    Args:
        house: where they are asked for and kept.
        health: where failures are said.
        done: called from its thread after a benchmark was made.
    """

    def __init__(self, house: House, health: Health, done: Callable[[], None]) -> None:
        self._house = house
        self._health = health
        self._done = done
        self._wake = threading.Event()
        self._stopping = False
        # A daemon: a call to a model may last minutes, and nobody must wait for it to stop the server. Killed
        # in the middle, the benchmark goes on at the next start with the answers that it has.
        self._thread = threading.Thread(target=self._run, name=_PART, daemon=True)

    def start(self) -> None:
        """Begin with what a server that was killed left in the middle."""
        self._house.control.release_work(owner=OWNER)
        self._thread.start()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def stop(self, *, wait_s: float) -> bool:
        """Stop at the next answer; whether that came within ``wait_s`` seconds."""
        self._stopping = True
        self._wake.set()
        self._thread.join(wait_s)
        self._house.control.release_work(owner=OWNER)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping:
            self._wake.clear()
            wait_s = _EVERY_S
            try:
                if self._asked_for() and self._work_off():
                    self._done()
                self._health.say(_PART, None)
            except _StoppedError:
                return
            except (InchwormError, OSError, MemoryError, *MISTAKES) as error:
                wait_s = _AFTER_FAILURE_S
                # Only what Inchworm says on purpose is repeated: other texts may hold what somebody said.
                what = error.message if isinstance(error, InchwormError) else where(error)
                self._health.say(_PART, f"A benchmark could not be made: {what}.")
                _LOG.error("a benchmark could not be made, and is tried again in %g s: %s", wait_s, what)
                with suppress(InchwormError):  # a lease ends by itself, too
                    self._house.control.release_work(owner=OWNER)
            self._wake.wait(wait_s)

    def _asked_for(self) -> bool:
        return bool(self._house.control.work(self._house.app, {WorkState.READY, WorkState.LEASED}))

    def _work_off(self) -> int:
        from inchworm.app.loop.working import work_off

        return work_off(self._house, owner=OWNER, watch=self._look_up)

    def _look_up(self, progress: Progress) -> None:
        """Called after every answer."""
        del progress
        if self._stopping:
            raise _StoppedError
