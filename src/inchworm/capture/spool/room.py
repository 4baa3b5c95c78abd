"""How much room a spool has: what its folder holds, what its disk has free, and what both may be."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

from inchworm.capture.spool.folders import segments
from inchworm.domain.errors import InchwormError

_EVERY_S, _SHARE = 1.0, 100
"""How often a folder is measured: at most every second, at most a hundredth of the time."""


class SpoolFullError(InchwormError):
    """The spool takes no more before the drain has made room."""


class Room:
    """The room of one spool. Its thread writes to it, anybody may read.

    Args:
        folder: of the spool.
        limit: bytes that it may hold.
        spare: bytes of its disk that are left free for others.
    """

    def __init__(self, folder: Path, *, limit: int, spare: int) -> None:
        self._folder, self._limit, self._spare = folder, limit, spare
        self._again_at = 0.0
        self.held = 0
        """Bytes that the folder holds: as last measured, and what was written since."""
        self.backlog = 0
        """Segments in it, as last measured."""
        self.free = 0
        """Bytes that its disk had free for us, as last measured."""
        self._ceiling = limit

    @property
    def due(self) -> bool:
        """Whether it may be measured again."""
        return time.monotonic() >= self._again_at

    def has(self, size: int) -> bool:
        """Whether there is room for so many bytes more."""
        return self.held + size <= self._ceiling

    def refusal(self, size: int) -> SpoolFullError:
        """Why there is none."""
        if self._ceiling < self._limit and not self.has(size):
            return SpoolFullError(
                f"the disk of the spool {self._folder} is nearly full",
                hint=f"make room on it: {self._spare >> 20} MB of it are left to others",
            )
        return SpoolFullError(
            f"the spool {self._folder} is full",
            hint="see to it that the server runs and drains it: inchworm doctor",
        )

    def measure_if_due(self) -> None:
        """Measure, if that was not just done; what cannot be measured stays as it was."""
        if self.due:
            with suppress(OSError):
                self.measure()

    def measure(self) -> None:
        """Look at the folder and its disk.

        Raises:
            OSError: if they cannot be looked at.
        """
        began = time.monotonic()
        found = segments(self._folder)
        disk = os.statvfs(self._folder)
        self.held, self.backlog = sum(size for _, _, size in found), len(found)
        self.free = disk.f_bavail * disk.f_frsize
        self._ceiling = min(self._limit, self.held + max(0, self.free - self._spare))
        ended = time.monotonic()
        self._again_at = ended + max(_EVERY_S, _SHARE * (ended - began))
