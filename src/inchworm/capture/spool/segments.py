"""``spool/1``: the bytes of one sealed segment. Pinned by golden vectors; numbers are big-endian.

::

    segment = header frame*
    header  = "INCHWORM" (8) | version 1 (u16) | id (16, random) | made at, epoch seconds (f64) | mac (16)
    frame   = "frm1" (4) | index (u32, from 0) | length of sealed (u32) | crc (u32) | sealed
    sealed  = AES-256-GCM(key = segment's, nonce = index in 12 bytes, data = plain, aad = header, index (u32))
    plain   = n (u32) | n lengths (u32 each) | n records

The segment's key is HKDF-Expand (RFC 5869, section 2.3; one block of SHA-256) of the spool's key with the
segment's id, so that a nonce is used once per key: a segment has one writer, and an index is never written
twice. The header's mac is HMAC-SHA-256 under the segment's key, cut to 16 bytes: a wrong key is told from
damage. A frame is one group commit. As index and header are authenticated with it, a frame cannot be moved
to another place or to another segment. The crc (CRC-32 of the 12 bytes before it) finds the next frame
behind a damaged one.

A segment that was closed in order ends with a frame of no records, the end mark. Without it the writer died:
what follows the last whole frame, if it looks like an unfinished write (cut short, or zeros at the end), was
never acknowledged and is passed over. Everything else that does not open is damage.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAGIC, VERSION = b"INCHWORM", 1
_HEADER = struct.Struct(">8sH16sd")
_MAC = 16
HEADER_BYTES = _HEADER.size + _MAC
_MARK = b"frm1"
_HEAD = struct.Struct(">4sII")
_CRC = struct.Struct(">I")
HEAD_BYTES = _HEAD.size + _CRC.size
TAG_BYTES = 16
_UNWRITTEN = bytes(16)
"""How a block that never reached the disk ends; a tag ends so once in 2**128 times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentContents:
    """What a segment holds.

    Attributes:
        records: the records of all frames that opened, in the order in which they were added.
        torn: whether its end mark is missing: its writer died, or is still writing.
        damage: what is wrong with it in a sentence; ``None`` if nothing is. Records are missing then.
        at: when it was made, seconds since the epoch; ``None`` if that cannot be told.
    """

    records: tuple[bytes, ...]
    torn: bool
    damage: str | None
    at: float | None = None


class Seal:
    """Makes one segment: its header, then its frames one after the other.

    Args:
        key: the spool's key, 32 bytes.
        segment_id: 16 random bytes, for this segment alone.
        at: when, seconds since the epoch.
    """

    __slots__ = ("_aead", "_index", "header")

    def __init__(self, key: bytes, segment_id: bytes, at: float) -> None:
        own = _segment_key(key, segment_id)
        start = _HEADER.pack(MAGIC, VERSION, segment_id, at)
        self.header = start + hmac.digest(own, start, hashlib.sha256)[:_MAC]
        """The segment's first bytes."""
        self._aead = AESGCM(own)
        self._index = 0

    def frame(self, records: Sequence[bytes]) -> tuple[bytes, bytes]:
        """The head and the sealed rest of the next frame; without records it is the end mark."""
        count = len(records)
        lengths = struct.pack(f">{count + 1}I", count, *map(len, records))
        index, self._index = self._index, self._index + 1
        sealed = self._aead.encrypt(
            index.to_bytes(12, "big"), b"".join((lengths, *records)), self.header + _CRC.pack(index)
        )
        return _head(index, len(sealed)), sealed


def read_contents(data: bytes, key: bytes) -> SegmentContents:
    """Open a segment.

    Args:
        data: all of its bytes.
        key: the spool's key.
    """
    if len(data) < HEADER_BYTES or not data[:HEADER_BYTES].strip(b"\0"):
        return SegmentContents(records=(), torn=True, damage=None)  # nothing was acknowledged yet
    start, mac = data[: _HEADER.size], data[_HEADER.size : HEADER_BYTES]
    magic, version, segment_id, at = _HEADER.unpack(start)
    if magic != MAGIC:
        return SegmentContents(records=(), torn=False, damage="it does not begin like a segment")
    if version != VERSION:
        said = f"it is in version {version} of its form, and this Inchworm knows version {VERSION}"
        return SegmentContents(records=(), torn=False, damage=said)
    own = _segment_key(key, segment_id)
    if not hmac.compare_digest(mac, hmac.digest(own, start, hashlib.sha256)[:_MAC]):
        return SegmentContents(
            records=(), torn=False, damage="its header is damaged, or it was sealed with another key"
        )
    walk = _Walk(data=data, aead=AESGCM(own))
    walk.run()
    damage = None
    if walk.wrong:
        more = len(walk.wrong) - 1
        damage = walk.wrong[0] + (f", and {more} more like it" if more else "")
    return SegmentContents(records=tuple(walk.records), torn=not walk.ended, damage=damage, at=at)


@dataclass(slots=True, kw_only=True)
class _Walk:
    """From frame to frame through one segment."""

    data: bytes
    aead: AESGCM
    records: list[bytes] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    ended: bool = False
    expected: int = 0

    def run(self) -> None:
        at, size = HEADER_BYTES, len(self.data)
        while at < size:
            head = _read_head(self.data, at)
            if head is None:
                at = self._behind(at)
                continue
            index, length = head
            end = at + HEAD_BYTES + length
            if self.ended:
                self.wrong.append(f"frame {index} stands behind the end")
            elif index < self.expected:
                self.wrong.append(f"frame {index} stands where frame {self.expected} belongs")
            elif end > size:
                self._missing(index)
                self._unfinished(at)
                return
            else:
                self._missing(index)
                self.expected = index + 1
                if not self._open(index, at + HEAD_BYTES, end) and not self._torn(end):
                    self.wrong.append(f"frame {index} does not open: it was damaged or changed")
            at = end

    def _open(self, index: int, start: int, end: int) -> bool:
        aad = self.data[:HEADER_BYTES] + _CRC.pack(index)
        try:
            plain = self.aead.decrypt(index.to_bytes(12, "big"), self.data[start:end], aad)
        except InvalidTag:
            return False
        found = _split(plain)
        self.ended = not found
        self.records.extend(found)
        return True

    def _missing(self, index: int) -> None:
        if index > self.expected:
            last = index - 1
            which = f"frame {last} is" if last == self.expected else f"frames {self.expected} to {last} are"
            self.wrong.append(f"{which} missing or damaged")

    def _behind(self, at: int) -> int:
        """Where the next frame begins behind bytes that begin none; the end if there is none."""
        found = self.data.find(_MARK, at + 1)
        while found >= 0 and _read_head(self.data, found) is None:
            found = self.data.find(_MARK, found + 1)
        if found >= 0:
            if self.ended:
                self.wrong.append("other bytes stand behind the end")
            return found  # the frames between are said to be missing there
        self._unfinished(at)
        return len(self.data)

    def _unfinished(self, at: int) -> None:
        """Judge the last bytes: they hold no whole frame."""
        rest = len(self.data) - at
        if self.ended:
            self.wrong.append("other bytes stand behind the end")
        elif _read_head(self.data, at) is None and rest >= HEAD_BYTES and not self._torn(len(self.data)):
            self.wrong.append(f"frame {self.expected} does not open: it was damaged or changed")

    def _torn(self, end: int) -> bool:
        return end == len(self.data) and self.data.endswith(_UNWRITTEN)


def _segment_key(key: bytes, segment_id: bytes) -> bytes:
    return hmac.digest(key, b"inchworm spool/1 segment" + segment_id + b"\x01", hashlib.sha256)


def _head(index: int, length: int) -> bytes:
    start = _HEAD.pack(_MARK, index, length)
    return start + _CRC.pack(zlib.crc32(start))


def _read_head(data: bytes, at: int) -> tuple[int, int] | None:
    """Index and length of the frame that begins there; ``None`` if none does."""
    head = data[at : at + HEAD_BYTES]
    if len(head) < HEAD_BYTES or not head.startswith(_MARK):
        return None
    start = head[: _HEAD.size]
    if head[_HEAD.size :] != _CRC.pack(zlib.crc32(start)):
        return None
    _, index, length = _HEAD.unpack(start)
    return (index, length) if length >= TAG_BYTES + _CRC.size else None


def _split(plain: bytes) -> list[bytes]:
    (count,) = struct.unpack_from(">I", plain)
    lengths = struct.unpack_from(f">{count}I", plain, 4)
    records: list[bytes] = []
    at = 4 + 4 * count
    for length in lengths:
        records.append(plain[at : at + length])
        at += length
    return records
