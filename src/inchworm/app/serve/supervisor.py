"""The supervisor: starts the parts of a server, starts those again that end, and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from asyncio.subprocess import PIPE, Process
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from inchworm.app.serve.probe import Answer, ask
from inchworm.domain.errors import InchwormError

_LOG = logging.getLogger(__name__)
_BACK_OFF_S: Final = (0.0, 0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
_QUICK_S = 2.0
"""A part that answered for less than this has not settled: it is started again ever more slowly."""
_LOOK_S, _LOOK_STARTING_S = 1.0, 0.05
_START_S, _SILENCE_S = 60.0, 20.0
"""Seconds that a part may take to answer first, and may be silent for later."""
_STDERR = 2


class StartError(InchwormError):
    """A part ended before it answered for the first time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of the server.

    Attributes:
        name: what it is called, with its article: ``the gateway``.
        command: program and arguments.
        host: where it answers ``/-/health``.
        port: at which port.
        orders: what it reads first on standard input.
        inherited: descriptors that it gets.
        patience_s: seconds that it may take to stop in order.
        spare: whether a second process is kept that has loaded its modules and waits for its orders, because
            loading takes too long when somebody waits. It costs memory and nothing else.
    """

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    orders: bytes = b""
    inherited: tuple[int, ...] = ()
    patience_s: float = 30.0
    spare: bool = False


@dataclass(slots=True)
class Running:
    """A part as it runs.

    Attributes:
        part: which.
        answers: set once it answers; cleared when it ends.
        process: its process, while there is one.
        restarts: how often it was started again.
    """

    part: Part
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    process: Process | None = None
    restarts: int = 0
    _spare: Process | None = None
    _unsettled: int = 0
    _stopping: bool = False

    async def keep(self) -> None:
        """Run it until :meth:`stop`, whatever happens to it.

        Raises:
            StartError: if it ends before it answered for the first time.
        """
        answered = False
        while not self._stopping:
            process = await self._start()
            settled_s, silent = await self._watch(process)
            if self._stopping:
                return
            answered = answered or settled_s is not None
            if not answered:
                raise StartError(f"{self.part.name} {_how(process.returncode)} before it answered")
            self._unsettled = 0 if settled_s is not None and settled_s >= _QUICK_S else self._unsettled + 1
            wait_s = back_off_s(self._unsettled)
            self.restarts += 1
            _LOG.warning(
                "%s %s%s and is started again %s (%s since the start)",
                self.part.name,
                "did not answer any more, " if silent else "",
                _how(process.returncode),
                "at once" if wait_s == 0 else f"in {wait_s:g} s",
                "once" if self.restarts == 1 else f"{self.restarts} times",
            )
            await asyncio.sleep(wait_s)

    async def stop(self) -> None:
        """Stop it in order, and by force if it takes too long."""
        self._stopping = True
        if self._spare is not None:
            await _ended(self._spare)
        process = self.process
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(self.part.patience_s):
                await process.wait()
        except TimeoutError:
            _LOG.warning("%s did not stop within %g s and is ended", self.part.name, self.part.patience_s)
            self.kill()
            await process.wait()

    def kill(self) -> None:
        """End it by force."""
        self._stopping = True
        self._kill()

    def _kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                self.process.kill()

    async def _start(self) -> Process:
        process, self._spare = self._spare, None
        if process is None or process.returncode is not None:
            process = await self._spawn()
        self.process = process
        if process.stdin is not None and self.part.orders:
            process.stdin.write(self.part.orders)
            with suppress(ConnectionError):
                await process.stdin.drain()
        _LOG.info("%s runs as process %d", self.part.name, process.pid)
        return process

    async def _spawn(self) -> Process:
        return await asyncio.create_subprocess_exec(
            *self.part.command,
            stdin=PIPE,
            stdout=_STDERR,
            pass_fds=self.part.inherited,
            # Ctrl-C in a terminal reaches a whole group: the parts stop in our order, not all at once.
            process_group=0,
        )

    async def _watch(self, process: Process) -> tuple[float | None, bool]:
        """Wait until it ends.

        Returns:
            For how many seconds it had answered, if it did, and whether it was ended for its silence.
        """
        ended = asyncio.ensure_future(process.wait())
        heard = time.monotonic()
        first: float | None = None
        silent = False
        while not ended.done():
            await asyncio.wait([ended], timeout=_LOOK_STARTING_S if first is None else _LOOK_S)
            if ended.done():
                break
            answer = await self._asked(ended)
            now = time.monotonic()
            if answer is not None:  # whatever it says: one that is not well is not silent
                first, heard = first or now, now
                self.answers.set()
                if self.part.spare and self._spare is None:
                    self._spare = await self._spawn()
            elif (
                not ended.done() and now - heard > (_START_S if first is None else _SILENCE_S) and not silent
            ):
                silent = True
                self._kill()
        await ended
        self.answers.clear()
        self.process = None
        return (None if first is None else time.monotonic() - first), silent

    async def _asked(self, ended: asyncio.Future[int]) -> Answer | None:
        """What it answers; ``None`` too if it ends meanwhile: a socket it inherited stays silent then."""
        asking = asyncio.create_task(
            ask(self.part.host, self.part.port, "/-/health", timeout_s=_SILENCE_S / 4)
        )
        try:
            waited: list[asyncio.Future[Any]] = [ended, asking]
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            return asking.result() if asking.done() else None
        finally:
            asking.cancel()


async def _ended(process: Process) -> None:
    """End a process that has nothing to finish."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def back_off_s(unsettled: int) -> float:
    """Seconds to wait before a part is started again that ended unsettled so many times in a row."""
    return _BACK_OFF_S[min(unsettled, len(_BACK_OFF_S) - 1)]


def _how(code: int | None) -> str:
    """How a process ended, as half a sentence."""
    if code is None or code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = "an unknown signal"
    return f"was ended by signal {-code} ({name})"
