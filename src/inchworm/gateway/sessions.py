"""Kept assignments: an open conversation keeps its arm when a stage grows, without carrying a token.

In memory, and in one journal per rollout so that they outlive the process. The exposure itself is durable in
the spool; what is lost here (with the machine's power, not with a kill) is at worst drawn again.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import xxhash

from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Arm, Assignment

LIMIT = 1_000_000
"""Units of one rollout that are remembered."""
MAGIC = b"inchworm-kept/1\n"
"""The first bytes of a journal."""
_RECORD = struct.Struct("<QdHBx")  # unit's hash, probability, stage, arm
_CHECK = struct.Struct("<I")
_SIZE = _RECORD.size + _CHECK.size
_NAME = re.compile(r"sessions-([A-Za-z0-9._-]{1,100})\.bin")
_ARMS = (Arm.BASELINE, Arm.CANDIDATE)
_FORGOTTEN_AT_ONCE = 64  # one part in that many


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStats:
    """How many there are.

    Attributes:
        units: remembered now, over all rollouts.
        forgotten: dropped because there were too many; a unit that comes back is drawn anew.
        unwritten: not in the journal, because it could not be written.
    """

    units: int
    forgotten: int
    unwritten: int


class _Journal:
    """One rollout's units: a table, and the file it can be made again from."""

    __slots__ = ("file", "forgotten", "limit", "path", "table", "unwritten", "values")

    def __init__(self, path: Path, limit: int) -> None:
        self.path, self.limit = path, limit
        self.table: dict[int, Assignment] = {}
        # The few different assignments that a rollout has, each once: a million units share them.
        self.values: dict[tuple[int, Arm, float], Assignment] = {}
        self.forgotten = self.unwritten = 0
        self.file: int | None = None

    def put(self, name: int, assignment: Assignment) -> bool:
        key = (assignment.stage, assignment.arm, assignment.probability)
        value = self.values.setdefault(key, assignment)
        if self.table.get(name) is value:
            return False
        self.table[name] = value
        if len(self.table) > self.limit:
            oldest = list(islice(self.table, max(1, self.limit // _FORGOTTEN_AT_ONCE)))
            for one in oldest:
                del self.table[one]
            self.forgotten += len(oldest)
        return True

    def append(self, name: int, assignment: Assignment) -> None:
        record = _RECORD.pack(name, assignment.probability, assignment.stage, _ARMS.index(assignment.arm))
        data = record + _CHECK.pack(xxhash.xxh32_intdigest(record))
        try:
            if self.file is None:
                self.file = _open(self.path)
            if os.write(self.file, data) != _SIZE:
                self._start_over()
        except OSError:  # a full disk must not cost the caller its answer
            self.unwritten += 1

    def _start_over(self) -> None:
        """After half a record, the file is opened again, which cuts it to whole records."""
        self.unwritten += 1
        self.close()

    def load(self, rollout_id: RolloutId) -> None:
        data = self.path.read_bytes()
        if not data.startswith(MAGIC):
            return
        for start in range(len(MAGIC), len(data) - _SIZE + 1, _SIZE):
            record = data[start : start + _RECORD.size]
            (check,) = _CHECK.unpack_from(data, start + _RECORD.size)
            if check != xxhash.xxh32_intdigest(record):
                continue
            name, probability, stage, arm = _RECORD.unpack(record)
            if arm < len(_ARMS):
                assignment = Assignment(
                    rollout_id=rollout_id, stage=stage, arm=_ARMS[arm], probability=probability
                )
                self.put(name, assignment)

    def close(self) -> None:
        if self.file is not None:
            os.close(self.file)
            self.file = None


class Sessions:
    """The kept assignments of the rollouts in flight. For one thread.

    Args:
        folder: where the journals are, ``sessions-ROLLOUT.bin``; made if it is missing.
        key: ``derive(master, Purpose.UNIT)``; a journal names units by a hash with this key.
        limit: units of one rollout that are remembered; beyond it the oldest are forgotten, and counted.

    Raises:
        StoreError: if the folder cannot be made or read.
    """

    def __init__(self, folder: Path, key: bytes, *, limit: int = LIMIT) -> None:
        self._folder, self._key, self._limit = folder, key, limit
        self._journals: dict[RolloutId, _Journal] = {}
        self._forgotten = self._unwritten = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in sorted(folder.iterdir()):
                if found := _NAME.fullmatch(path.name):
                    self._journal(RolloutId(found[1])).load(RolloutId(found[1]))
        except OSError as error:
            raise StoreError(
                f"the kept assignments in {folder} cannot be read: {error.strerror}",
                hint="make the folder readable and writable for this user",
            ) from error

    def kept(self, rollout_id: RolloutId, unit: UnitId) -> Assignment | None:
        """What ``unit`` got when it was exposed first, if that is remembered."""
        journal = self._journals.get(rollout_id)
        return None if journal is None else journal.table.get(self._name(unit))

    def keep(self, unit: UnitId, assignment: Assignment) -> None:
        """Remember what ``unit`` got; never raises for want of disk space, but counts it."""
        journal = self._journal(assignment.rollout_id)
        name = self._name(unit)
        if journal.put(name, assignment):
            journal.append(name, assignment)

    def only(self, rollout_ids: Collection[RolloutId]) -> None:
        """Forget all other rollouts, and remove their journals."""
        for rollout_id in [one for one in self._journals if one not in rollout_ids]:
            journal = self._journals.pop(rollout_id)
            journal.close()
            self._forgotten += journal.forgotten
            self._unwritten += journal.unwritten
            with suppress(OSError):  # at the next start it is tried again
                journal.path.unlink()

    def stats(self) -> SessionStats:
        """How many are remembered, forgotten and not written."""
        journals = self._journals.values()
        return SessionStats(
            units=sum(len(one.table) for one in journals),
            forgotten=self._forgotten + sum(one.forgotten for one in journals),
            unwritten=self._unwritten + sum(one.unwritten for one in journals),
        )

    def close(self) -> None:
        """Close the journals; they stay."""
        for journal in self._journals.values():
            journal.close()

    def _journal(self, rollout_id: RolloutId) -> _Journal:
        journal = self._journals.get(rollout_id)
        if journal is None:
            journal = _Journal(self._folder / _file_name(rollout_id), self._limit)
            self._journals[rollout_id] = journal
        return journal

    def _name(self, unit: UnitId) -> int:
        return int.from_bytes(hashlib.blake2b(unit.encode(), digest_size=8, key=self._key).digest(), "little")


def _file_name(rollout_id: RolloutId) -> str:
    name = f"sessions-{rollout_id}.bin"
    if not _NAME.fullmatch(name):
        raise ValueError(f"{rollout_id!r} is no rollout's id")
    return name


def _open(path: Path) -> int:
    """A journal to append to: with its first bytes, and cut to whole records."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        size = os.fstat(file).st_size
        whole = size - (size - len(MAGIC)) % _SIZE if size >= len(MAGIC) else 0
        if size < len(MAGIC) or os.pread(file, len(MAGIC), 0) != MAGIC:
            whole = 0
        os.ftruncate(file, whole)
        if not whole:
            os.write(file, MAGIC)
    except OSError:
        os.close(file)
        raise
    return file


def forget_kept(folder: Path, key: bytes, units: Collection[UnitId]) -> int:
    """Take units out of the journals of a gateway that may be running; how many entries.

    Each entry is overwritten in place with random digits: a gateway only ever adds at the end. What one has
    in memory, a hash with the installation's key and an arm, goes with its process or the rollout.

    Args:
        folder: of one gateway, as :class:`Sessions` takes it.
        key: the same.
        units: ids as callers sent them.

    Raises:
        StoreError: if a journal cannot be read or written.
    """
    names = {hashlib.blake2b(unit.encode(), digest_size=8, key=key).digest() for unit in units}
    count = 0
    try:
        for path in sorted(folder.iterdir()):
            if _NAME.fullmatch(path.name):
                count += _overwrite(path, names)
    except FileNotFoundError:
        return count
    except OSError as error:
        raise StoreError(f"the kept assignments in {folder} cannot be changed: {error.strerror}") from error
    return count


def _overwrite(path: Path, names: Collection[bytes]) -> int:
    file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    count = 0
    try:
        data = os.pread(file, os.fstat(file).st_size, 0)
        if not data.startswith(MAGIC):
            return 0
        for start in range(len(MAGIC), len(data) - _SIZE + 1, _SIZE):
            if data[start : start + 8] in names:  # a little-endian number of the hash is the hash
                record = os.urandom(8) + data[start + 8 : start + _RECORD.size]
                whole = record + _CHECK.pack(xxhash.xxh32_intdigest(record))
                if os.pwrite(file, whole, start) != _SIZE:
                    raise OSError(0, "only a part was written")
                count += 1
        if count:
            os.fsync(file)
    finally:
        os.close(file)
    return count
