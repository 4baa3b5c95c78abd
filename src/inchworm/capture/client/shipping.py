"""Lines on their way to the gateway: one thread, bounded memory, nothing raised into the host program."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

from inchworm.capture.client.wire import UnreachableError, Wire

PATH = "/inchworm/v1/records"
_HEADERS = {"Content-Type": "application/x-ndjson"}
_BATCH_LINES, _BATCH_BYTES = 500, 1 << 20
_LINGER_S = 0.2
_TIMEOUT_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.1, 10.0
_LONGEST_RETRY_AFTER_S = 60.0
_UNREADABLE = frozenset({400, 413, 422})
_LATER = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much waits, at most; beyond it the oldest is dropped, and counted.

    Attributes:
        lines: interactions and scores.
        bytes: of all that waits together.
        exposures: assignments; small, and shipped first.
    """

    lines: int = 10_000
    bytes: int = 32 << 20
    exposures: int = 50_000


DEFAULT_BOUNDS = Bounds()


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """What became of the lines.

    Attributes:
        shipped: taken by the gateway, which makes them durable before it says so.
        waiting: still here.
        dropped: given up, for want of room or at the program's end.
        refused: not taken by the gateway, and not sent again.
        retries: how often something was sent again.
    """

    shipped: int
    waiting: int
    dropped: int
    refused: int
    retries: int


class Shipper:
    """Ships lines in batches. Exposures go at once, and before what was recorded after them.

    Args:
        url: the gateway.
        bounds: how much may wait.
    """

    def __init__(self, url: str, bounds: Bounds = DEFAULT_BOUNDS) -> None:
        self._wire = Wire(url)
        self._bounds = bounds
        self._exposures: deque[bytes] = deque()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._in_flight = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._give_up_at: float | None = None
        self._hurried = False
        self._shipped = self._dropped = self._refused = self._retries = 0

    def put(self, line: bytes, *, exposure: bool = False) -> None:
        """Take a line; the oldest goes if there is no room."""
        with self._changed:
            if self._give_up_at is not None or len(line) > self._bounds.bytes:
                self._dropped += 1
                return
            (self._exposures if exposure else self._lines).append(line)
            self._bytes += len(line)
            while len(self._exposures) > self._bounds.exposures:
                self._drop(self._exposures)
            while len(self._lines) > self._bounds.lines or self._bytes > self._bounds.bytes:
                self._drop(self._lines or self._exposures)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="inchworm-ship", daemon=True)
                self._thread.start()
            if exposure or len(self._lines) in {1, _BATCH_LINES}:
                self._changed.notify_all()

    def _drop(self, queue: deque[bytes]) -> None:
        self._bytes -= len(queue.popleft())
        self._dropped += 1

    def lost(self) -> None:
        """Count a line that could not be made."""
        self._count(dropped=1)

    def counts(self) -> Shipped:
        """The counts."""
        with self._changed:
            return Shipped(
                shipped=self._shipped,
                waiting=len(self._exposures) + len(self._lines) + self._in_flight,
                dropped=self._dropped,
                refused=self._refused,
                retries=self._retries,
            )

    def flush(self, timeout_s: float) -> bool:
        """Ship what waits; whether all of it was taken or refused within ``timeout_s`` seconds."""
        with self._changed:
            self._hurried = True
            self._changed.notify_all()
            return self._changed.wait_for(self._empty, timeout_s)

    def close(self, timeout_s: float) -> None:
        """Ship what waits within ``timeout_s`` seconds, count the rest as dropped, and end."""
        with self._changed:
            if self._give_up_at is None:
                self._give_up_at = time.monotonic() + timeout_s
            self._changed.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
            self._wire.stop()  # for an answer that does not come
            thread.join(1.0)

    def _empty(self) -> bool:
        return not (self._exposures or self._lines or self._in_flight)

    def _run(self) -> None:
        while batch := self._next():
            self._deliver(batch)
            with self._changed:
                self._in_flight = 0
                if self._empty():
                    self._hurried = False
                self._changed.notify_all()
        self._wire.close()

    def _next(self) -> list[bytes]:
        """The next batch; nothing when there will be none."""
        with self._changed:
            self._changed.wait_for(lambda: self._exposures or self._lines or self._give_up_at is not None)
            # Interactions wait a moment for company; exposures do not.
            self._changed.wait_for(
                lambda: (
                    self._exposures
                    or len(self._lines) >= _BATCH_LINES
                    or self._hurried
                    or self._give_up_at is not None
                ),
                _LINGER_S,
            )
            batch: list[bytes] = []
            size = 0
            for queue in (self._exposures, self._lines):
                while queue and len(batch) < _BATCH_LINES and (not batch or size < _BATCH_BYTES):
                    batch.append(queue.popleft())
                    size += len(batch[-1])
            self._bytes -= size
            self._in_flight = len(batch)
            return batch

    def _deliver(self, batch: list[bytes]) -> None:
        """Send a batch until it is taken or refused, or until there is no more time."""
        wait = _FIRST_WAIT_S
        while True:
            after: float | None = None
            try:
                answer = self._wire.ask(
                    "POST", PATH, body=b"\n".join(batch) + b"\n", headers=_HEADERS, timeout_s=self._patience()
                )
            except UnreachableError:
                if self._closing():
                    self._count(dropped=len(batch))
                    return
            else:
                if answer.status < 300:
                    self._count(shipped=len(batch))
                    return
                if answer.status in _UNREADABLE and len(batch) > 1:
                    # One line spoils the batch: the halves are sent apart, and what was taken twice is one.
                    middle = len(batch) // 2
                    self._deliver(batch[:middle])
                    self._deliver(batch[middle:])
                    return
                if answer.status < 500 and answer.status not in _LATER:
                    self._count(refused=len(batch))
                    return
                after = _seconds(answer.headers.get("retry-after"))
            if not self._pause(wait if after is None else after):
                self._count(dropped=len(batch))
                return
            wait = min(wait * 2, _LONGEST_WAIT_S)
            self._count(retries=1)

    def _patience(self) -> float:
        with self._changed:
            if self._give_up_at is None:
                return _TIMEOUT_S
            return max(0.05, min(_TIMEOUT_S, self._give_up_at - time.monotonic()))

    def _closing(self) -> bool:
        with self._changed:
            return self._give_up_at is not None

    def _pause(self, seconds: float) -> bool:
        """Wait before the next attempt; false if there is no time left for one."""
        until = time.monotonic() + seconds
        with self._changed:
            while True:
                now = time.monotonic()
                if self._give_up_at is not None and self._give_up_at <= max(now, until):
                    return False
                if now >= until:
                    return True
                self._changed.wait(until - now)

    def _count(self, *, shipped: int = 0, dropped: int = 0, refused: int = 0, retries: int = 0) -> None:
        with self._changed:
            self._shipped += shipped
            self._dropped += dropped
            self._refused += refused
            self._retries += retries


def _seconds(value: str | None) -> float | None:
    """The seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3); a date is not waited for."""
    text = (value or "").strip()
    return min(float(text), _LONGEST_RETRY_AFTER_S) if text.replace(".", "", 1).isdecimal() else None
