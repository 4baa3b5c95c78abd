"""Writes the spool: records from an event loop to sealed segments on the disk, many per fsync."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from queue import Empty, SimpleQueue

from inchworm.capture.spool.folders import (
    CLOSED,
    close_left_open,
    hold,
    segment_name,
    segments,
    sync_folder,
    trouble,
    write_all,
)
from inchworm.capture.spool.room import Room
from inchworm.capture.spool.segments import Seal
from inchworm.domain.errors import InchwormError, StoreError

_MEMORY, _SPARE = 64 << 20, 64 << 20
_GATHER_S = 0.001
"""How long a group may grow while several wait: a wake-up and an fsync each would cost more than that."""
_LONG_BACKLOG, _SLOWEST_S = 100, 60.0
"""With more segments than that waiting, nobody drains: the next ones may be larger and fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoolStats:
    """What a spool has done since it was opened.

    Attributes:
        records: records on the disk.
        bytes: their bytes, before sealing.
        commits: groups of records that were made durable with one fsync each.
        failed: records that could not be written.
        pending: records that wait for the disk.
        segments_bytes: bytes that its folder holds, as last measured.
        free_bytes: bytes that its disk had free for us when it was last measured.
    """

    records: int
    bytes: int
    commits: int
    failed: int
    pending: int
    segments_bytes: int
    free_bytes: int


class _Order(Enum):
    ROTATE = auto()
    MEASURE = auto()
    CLOSE = auto()


_Item = tuple[bytes, asyncio.Future[None]]


@dataclass(slots=True)
class _Segment:
    """The segment that is being written."""

    handle: int
    path: Path
    seal: Seal
    since: float
    size: int = 0


class Spool:
    """The spool of one gateway: one event loop adds, a thread of its own writes.

    A group of records is written and fsynced as one frame: at once if nothing is under way, else together
    with all that came in the meantime, and a millisecond longer if several were waiting. A segment is closed
    when it is large or old, also if nothing more comes, so that the drain sees it.
    """

    def __init__(
        self,
        folder: Path,
        key: bytes,
        *,
        clock: Callable[[], float],
        rotate_bytes: int,
        rotate_s: float,
        limit_bytes: int,
        memory_bytes: int,
        spare_bytes: int,
        lock: int,
    ) -> None:
        self._folder, self._key, self._clock, self._lock = folder, key, clock, lock
        self._rotate_bytes, self._rotate_s = rotate_bytes, rotate_s
        self._memory = memory_bytes
        self._room = Room(folder, limit=limit_bytes, spare=spare_bytes)
        self._queue: SimpleQueue[_Item | _Order] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        # Written by the event loop alone:
        self._added = self._added_bytes = 0
        self._closing = False
        # Written by the thread alone:
        self._settled = self._settled_bytes = 0
        self._failed = self._bytes = self._commits = 0
        self._number = 0
        self._several = False
        self._group: list[_Item] = []
        self._segment: _Segment | None = None
        self._stuck: list[Path] = []
        self._thread = threading.Thread(target=self._run, name=f"spool {folder.name}", daemon=True)

    @classmethod
    def open(
        cls,
        folder: Path,
        key: bytes,
        *,
        clock: Callable[[], float],
        rotate_bytes: int = 8 << 20,
        rotate_s: float = 0.25,
        limit_bytes: int = 2 << 30,
        memory_bytes: int = _MEMORY,
        spare_bytes: int = _SPARE,
    ) -> Spool:
        """Become the writer of a folder; segments that a dead predecessor left open are closed.

        Args:
            folder: ``DATA/spool/NAME``, made if missing.
            key: ``derive(master, Purpose.SPOOL)``.
            clock: what time it is, seconds since the epoch; segments are named by it.
            rotate_bytes: a segment is closed when it has so many bytes,
            rotate_s: or so many seconds after its first record.
            limit_bytes: what the folder may hold before records are refused.
            memory_bytes: what may wait for the disk before records are refused.
            spare_bytes: what is left free of the disk for others before records are refused.

        Raises:
            ConflictError: if another process writes there.
            StoreError: if the folder cannot be used.
        """
        lock = hold(folder)
        spool = cls(
            folder,
            key,
            clock=clock,
            rotate_bytes=rotate_bytes,
            rotate_s=rotate_s,
            limit_bytes=limit_bytes,
            memory_bytes=memory_bytes,
            spare_bytes=spare_bytes,
            lock=lock,
        )
        try:
            close_left_open(folder)
            spool._number = max((number for number, _, _ in segments(folder)), default=0)
            spool._room.measure()
        except OSError as error:
            os.close(lock)
            raise trouble(folder, error) from error
        spool._thread.start()
        return spool

    def add(self, record: bytes) -> asyncio.Future[None]:
        """Hand over a record, from the event loop; all from the same one.

        Returns:
            A future that is done when the record is on the disk. It fails with a :class:`StoreError` if it
            could not be written. Cancelling it does not take the record back.

        Raises:
            SpoolFullError: if the folder, its disk, or what waits for the disk, is at its limit.
            StoreError: if the spool is closed.
        """
        size = len(record)
        waiting = self._added_bytes - self._settled_bytes + size
        if waiting > self._memory or not self._room.has(waiting) or self._closing:
            raise self._refusal(waiting)
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        future: asyncio.Future[None] = loop.create_future()
        self._added += 1
        self._added_bytes += size
        self._queue.put((record, future))
        return future

    def rotate_now(self) -> None:
        """Close the segment behind what has been added so far, so that the drain sees it at once."""
        self._queue.put(_Order.ROTATE)

    async def close(self) -> None:
        """Write what was added, close the segment, and let go of the folder; nothing can be added then."""
        if not self._closing:
            self._closing = True
            self._queue.put(_Order.CLOSE)
        await asyncio.to_thread(self._thread.join)

    def stats(self) -> SpoolStats:
        """What it has done."""
        return SpoolStats(
            records=self._settled - self._failed,
            bytes=self._bytes,
            commits=self._commits,
            failed=self._failed,
            pending=self._added - self._settled,
            segments_bytes=self._room.held,
            free_bytes=self._room.free,
        )

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None:
            msg = f"the spool {self._folder} belongs to another event loop"
            raise RuntimeError(msg)
        self._loop = loop

    def _refusal(self, waiting: int) -> InchwormError:
        if self._closing:
            return StoreError(f"the spool {self._folder} is closed")
        if self._room.due:  # perhaps the drain has made room
            self._queue.put(_Order.MEASURE)
        return self._room.refusal(waiting)

    # What follows runs in the thread.

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        finally:
            self._closing = True
            self._close_segment()
            os.close(self._lock)
            self._fail_rest()

    def _turn(self) -> bool:
        """Wait for something to do, and do it; whether to go on."""
        try:
            item = self._queue.get(timeout=self._patience())
        except Empty:
            self._close_segment()
            return True
        if self._several:
            time.sleep(_GATHER_S)
        orders: list[_Order] = []
        group = self._group
        room = self._rotate_bytes
        while True:
            if isinstance(item, _Order):
                orders.append(item)
                if item is not _Order.MEASURE:
                    break
            else:
                group.append(item)
                room -= len(item[0])
            if room <= 0 or self._queue.empty():
                break
            item = self._queue.get_nowait()
        self._several = len(group) > 1
        if group:
            self._commit(group)
            self._group = []
        if _Order.MEASURE in orders:
            self._room.measure_if_due()
        if orders and orders[-1] is not _Order.MEASURE:
            self._close_segment()
        return _Order.CLOSE not in orders

    def _patience(self) -> float | None:
        """Seconds until the segment is due; ``None`` if there is none."""
        segment = self._segment
        if segment is None:
            return None
        wanted = self._rotate_s * max(1.0, self._room.backlog / _LONG_BACKLOG)
        left = min(wanted, max(_SLOWEST_S, self._rotate_s)) - (time.monotonic() - segment.since)
        return max(0.0, left)

    def _commit(self, group: Sequence[_Item]) -> None:
        try:
            self._write([record for record, _ in group])
        except OSError as error:
            self._abandon()
            self._settle(group, error)
        else:
            self._commits += 1
            self._settle(group, None)
        segment = self._segment
        if segment is not None and (segment.size >= self._rotate_bytes or self._patience() == 0):
            self._close_segment()

    def _write(self, records: Sequence[bytes]) -> None:
        segment = self._segment
        if segment is None:
            self._segment = segment = self._begin()
            written = write_all(segment.handle, segment.seal.header, *segment.seal.frame(records))
            os.fdatasync(segment.handle)
            sync_folder(self._folder)
        else:
            written = write_all(segment.handle, *segment.seal.frame(records))
            os.fdatasync(segment.handle)
        segment.size += written
        self._room.held += written

    def _begin(self) -> _Segment:
        now = self._clock()
        self._number = max(self._number + 1, int(now * 1000))
        segment_id = secrets.token_bytes(16)
        path = self._folder / segment_name(self._number, segment_id)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return _Segment(handle, path, Seal(self._key, segment_id, now), time.monotonic())

    def _abandon(self) -> None:
        """Leave a segment that could not be written on; what it acknowledged stays, the rest is cut off."""
        segment, self._segment = self._segment, None
        if segment is None:
            return
        with suppress(OSError):
            os.ftruncate(segment.handle, segment.size)
        with suppress(OSError):
            os.close(segment.handle)
        self._let_go(segment)

    def _close_segment(self) -> None:
        segment, self._segment = self._segment, None
        if segment is None:
            return
        with suppress(OSError):  # without its end mark it reads as one of a writer that died
            self._room.held += write_all(segment.handle, *segment.seal.frame(()))
        with suppress(OSError):
            os.close(segment.handle)
        self._let_go(segment)
        self._room.measure_if_due()

    def _let_go(self, segment: _Segment) -> None:
        """Give a segment to the drain, or remove it if it holds nothing; later, if that fails now."""
        waiting, self._stuck = [*self._stuck, segment.path], []
        for path in waiting:
            try:
                if path == segment.path and not segment.size:
                    path.unlink()
                else:
                    path.rename(path.with_suffix(CLOSED))
            except FileNotFoundError:
                continue
            except OSError:
                self._stuck.append(path)

    def _settle(self, group: Sequence[_Item], failure: OSError | None) -> None:
        """Count records that are on the disk, or will not be, and tell who waits for them."""
        size = sum(len(record) for record, _ in group)
        self._settled += len(group)
        self._settled_bytes += size
        if failure is None:
            self._bytes += size
        else:
            self._failed += len(group)
        futures = [future for _, future in group]
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            futures[0].get_loop().call_soon_threadsafe(_complete, futures, self._folder, failure)

    def _fail_rest(self) -> None:
        """What was added while the thread ended; if it ended unasked, nobody is left waiting for ever."""
        rest = self._group
        while not self._queue.empty():
            item = self._queue.get_nowait()
            if not isinstance(item, _Order):
                rest.append(item)
        if rest:
            self._settle(rest, OSError("its thread has ended"))


def _complete(futures: Sequence[asyncio.Future[None]], folder: Path, failure: OSError | None) -> None:
    for future in futures:
        if not future.done():
            if failure is None:
                future.set_result(None)
            else:
                future.set_exception(trouble(folder, failure))
