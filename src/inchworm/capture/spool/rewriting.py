"""Records taken out of sealed segments for good, and segments brought back from quarantine."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from inchworm.capture.spool.folders import CLOSED, make_folder, segment_name, sync_folder, trouble, writers
from inchworm.capture.spool.folders import segments as listed
from inchworm.capture.spool.reader import read_segment
from inchworm.capture.spool.segments import Seal

_PART = ".part"
RETRIED = "retried"
"""The folder in the spool of what comes back from quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOut:
    """What became of a segment.

    Attributes:
        removed: records that were taken out.
        kept: records that are still in it; without any the file is gone.
        damage: why some of it could not be searched, in a sentence; ``None`` if all of it could.
    """

    removed: int
    kept: int
    damage: str | None


def take_out(path: Path, key: bytes, is_gone: Callable[[bytes], bool]) -> TakenOut:
    """Write a closed segment anew without some records, in one step; untouched if it has none of them.

    Args:
        path: a segment that waits for the drain, or lies in quarantine.
        key: ``derive(master, Purpose.SPOOL)``.
        is_gone: whether a record is to be taken out.

    Raises:
        NotFoundError: if it is not there.
        StoreError: if it cannot be read or written.
    """
    contents = read_segment(path, key)
    kept = [record for record in contents.records if not is_gone(record)]
    removed = len(contents.records) - len(kept)
    if removed:
        try:
            if kept:
                # A new id: a segment's key seals one content only.
                seal = Seal(key, secrets.token_bytes(16), contents.at or 0.0)
                write_whole(path, b"".join((seal.header, *seal.frame(kept), *seal.frame(()))))
            else:
                path.unlink(missing_ok=True)
            sync_folder(path.parent)
        except OSError as error:
            raise trouble(path, error) from error
    return TakenOut(removed=removed, kept=len(kept), damage=contents.damage)


def bring_back(root: Path, path: Path, *, at: float) -> Path:
    """Give something in quarantine to the drain again; where it lies then.

    It is moved in one step: whenever the process dies, it lies in one of the two places. Drained again, what
    is stored already is recognised by its ids, and what still cannot be taken in comes back to where it was.

    Args:
        root: ``DATA/spool``.
        path: a segment in quarantine.
        at: when, seconds since the epoch.

    Raises:
        StoreError: if it cannot be moved.
    """
    folder = root / RETRIED
    make_folder(folder)
    name = segment_name(int(at * 1000), secrets.token_bytes(16))
    target = (folder / name).with_suffix(CLOSED)
    try:
        path.rename(target)
        sync_folder(folder)
        sync_folder(path.parent)
        path.with_suffix(".json").unlink(missing_ok=True)
    except OSError as error:
        raise trouble(path, error) from error
    return target


def begun_before(root: Path, at: float) -> list[Path]:
    """Segments of all writers that were begun at ``at`` or earlier, those that are being written too.

    Args:
        root: ``DATA/spool``.
        at: seconds since the epoch.

    Raises:
        StoreError: if the spool cannot be read.
    """
    latest = int(at * 1000)
    try:
        return [path for one in writers(root) for number, path, _ in listed(one) if number <= latest]
    except OSError as error:
        raise trouble(root, error) from error


def discard_parts(root: Path) -> int:
    """Remove what was being written here when a process was killed; how many files that were.

    Only while nobody else writes whole files: sealed records can be in them that are to be forgotten.

    Args:
        root: ``DATA/spool``.

    Raises:
        StoreError: if one cannot be removed.
    """
    count = 0
    try:
        for path in sorted(root.glob(f"*/*{_PART}")):
            path.unlink(missing_ok=True)
            sync_folder(path.parent)
            count += 1
    except OSError as error:
        raise trouble(root, error) from error
    return count


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        OSError: if it cannot be written.
    """
    part = path.with_name(f"{path.name}{_PART}")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
        raise
