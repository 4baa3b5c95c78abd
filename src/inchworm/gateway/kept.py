"""What is kept of an answer until its record is made: packed as it grows, and bounded over all calls."""

from __future__ import annotations

import zlib

_PACKED = 16 << 10
"""Bytes that are packed together; long streams are many small events that are much alike."""
_JOINED = 64
"""Small pieces that are made one: many of them take more than they hold."""
_FAST = 1
_LIMIT = 256 << 20


class Memory:
    """What all calls may hold of their answers together.

    Args:
        limit: bytes; what comes beyond passes, and is not recorded.
    """

    __slots__ = ("held", "limit")

    def __init__(self, limit: int = _LIMIT) -> None:
        self.limit = limit
        """Bytes that may be held."""
        self.held = 0
        """Bytes that are."""

    @property
    def full(self) -> bool:
        """Whether there is no room for more."""
        return self.held >= self.limit


class Kept:
    """One answer, as far as it came.

    Args:
        memory: what all of them share.
    """

    __slots__ = ("_held", "_loose", "_loose_size", "_memory", "_packed", "crowded", "size", "truncated")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._packed: list[bytes] = []
        self._loose: list[bytes] = []
        self._loose_size = self._held = 0
        self.size = 0
        """Bytes of the answer that are here."""
        self.truncated = False
        """Whether more came than is here."""
        self.crowded = False
        """Whether that is because all calls together held too much."""

    def hold(self, piece: bytes) -> None:
        """Hold a piece that is still to be passed on."""
        self._loose.append(piece)
        self._loose_size += len(piece)
        self._grow(len(piece))

    def add(self, piece: bytes, limit: int) -> None:
        """Keep a piece for the record, while there are no more than ``limit`` bytes, and room for it."""
        if self.truncated:
            return
        room = limit - self.size
        if self._memory.held + len(piece) > self._memory.limit:
            self.crowded, room = True, 0
        if room < len(piece):
            self.truncated = True
            piece = piece[:room]
        self._loose.append(piece)
        self._loose_size += len(piece)
        self._grow(len(piece))
        if self._loose_size >= _PACKED:
            packed = zlib.compress(b"".join(self._loose), _FAST)
            self._packed.append(packed)
            self._count(len(packed) - self._loose_size)
            self._loose, self._loose_size = [], 0
        elif len(self._loose) >= _JOINED:
            self._loose = [b"".join(self._loose)]

    def beginning(self, size: int) -> bytes:
        """At most the first ``size`` bytes."""
        if self._packed:
            return zlib.decompressobj().decompress(self._packed[0], size)
        return b"".join(self._loose)[:size]

    def whole(self) -> bytes:
        """All that is here."""
        return b"".join((*map(zlib.decompress, self._packed), *self._loose))

    def release(self) -> None:
        """Keep nothing of it any more."""
        self._count(-self._held)
        self._packed, self._loose, self._loose_size, self.size = [], [], 0, 0
        self.truncated = self.crowded = False

    def _grow(self, size: int) -> None:
        self.size += size
        self._count(size)

    def _count(self, size: int) -> None:
        self._held += size
        self._memory.held += size
