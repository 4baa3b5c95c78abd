"""Where segments lie, what they are called, and who may write.

::

    DATA/spool/NAME/000001792402800123-9f31c0aa.open      the segment that gateway NAME is writing
    DATA/spool/NAME/000001792402799870-1c44b7e2.closed    one that waits for the drain
    DATA/spool/NAME/.writer, .opening                     locks
    DATA/spool/quarantine/                                see :mod:`inchworm.capture.spool.quarantine`
    DATA/spool/waiting/                                   see :mod:`inchworm.capture.spool.waiting`

The number is the time in milliseconds at which the segment was made, or one more than its predecessor's if
the clock stands still or goes back: within one writer, the order of the names is the order of the records.
"""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from inchworm.domain.errors import ConflictError, StoreError, UsageError

OPEN, CLOSED = ".open", ".closed"
QUARANTINE = "quarantine"
WAITING = "waiting"
_OURS = frozenset({QUARANTINE, WAITING})
"""The folders in the spool that belong to no writer."""
_WRITER, _OPENING = ".writer", ".opening"
_NAME = re.compile(r"([0-9]{18})-[0-9a-f]{8}\.(?:open|closed)")
_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner reads, and those above it, unless they exist; durably.

    Raises:
        StoreError: if it cannot be made.
    """
    try:
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(exist_ok=True, mode=0o700)
            sync_folder(one.parent)
    except OSError as error:
        raise trouble(folder, error) from error


def trouble(path: Path, error: OSError) -> StoreError:
    """The error for a spool that cannot be used as files can."""
    return StoreError(
        f"the spool {path} cannot be read or written: {error.strerror or error}",
        hint="see to it that this user may write there and that the disk is not full",
    )


def segment_name(number: int, segment_id: bytes) -> str:
    """The name of a segment that is being written."""
    return f"{number:018d}-{segment_id.hex()[:8]}{OPEN}"


def number_of(name: str) -> int | None:
    """The number in a segment's name; ``None`` if that is no segment."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, *parts: bytes) -> int:
    """Write the parts one after the other; how many bytes they are.

    Raises:
        OSError: if they cannot be written, or not all; how much of them is there is not known.
    """
    total = sum(map(len, parts))
    written = os.writev(handle, parts)
    if written < total:
        rest = memoryview(b"".join(parts))[written:]
        while rest:
            rest = rest[os.write(handle, rest) :]
    return total


def segments(folder: Path) -> list[tuple[int, Path, int]]:
    """Number, path and size of each segment in one writer's folder, open ones too.

    Segments, and the folder, may come and go meanwhile: what is gone is left out.
    """
    found: list[tuple[int, Path, int]] = []
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            number = number_of(entry.name)
            if number is not None:
                with suppress(FileNotFoundError):
                    found.append((number, Path(entry.path), entry.stat().st_size))
    return sorted(found)


def writers(root: Path) -> list[Path]:
    """The folders of all writers."""
    with suppress(FileNotFoundError), os.scandir(root) as entries:
        return sorted(Path(one.path) for one in entries if one.is_dir() and one.name not in _OURS)
    return []


def hold(folder: Path) -> int:
    """Become the writer of a folder; the lock's descriptor, to be closed when done.

    The kernel lets go of it when the process ends, however it ends.

    Raises:
        UsageError: if the folder's name is one of the spool's own.
        ConflictError: if somebody is its writer.
        StoreError: if the lock cannot be made.
    """
    if folder.name in _OURS:
        raise UsageError(f"a gateway cannot be called {folder.name}", hint="give it another name")
    make_folder(folder)
    try:
        with _opening(folder, wait=True):
            held = _try_lock(folder / _WRITER)
    except OSError as error:
        raise trouble(folder, error) from error
    if held is None:
        raise ConflictError(
            f"another process writes to the spool {folder}",
            hint="stop it, or give this gateway another name: --name",
        )
    return held


def close_left_open(folder: Path) -> int:
    """Close the segments of a dead writer; how many. Only for who holds the folder.

    Raises:
        OSError: if they cannot be renamed.
    """
    count = 0
    for _, path, _ in segments(folder):
        if path.suffix == OPEN:
            path.rename(path.with_suffix(CLOSED))
            count += 1
    return count


def adopt_orphans(root: Path) -> int:
    """Close the segments that writers left open who are no more and may not come back; how many.

    Args:
        root: ``DATA/spool``.

    Raises:
        StoreError: if that cannot be done.
    """
    count = 0
    for folder in writers(root):
        try:
            if not any(path.suffix == OPEN for _, path, _ in segments(folder)):
                continue
            # A writer that opens just now waits for us: it must not take us for another writer.
            with _opening(folder, wait=False) as mine:
                held = _try_lock(folder / _WRITER) if mine else None
                if held is not None:
                    try:
                        count += close_left_open(folder)
                    finally:
                        os.close(held)
        except OSError as error:
            raise trouble(folder, error) from error
    return count


@contextmanager
def _opening(folder: Path, *, wait: bool) -> Iterator[bool]:
    """Be the only one who tries to become the folder's writer; whether that is so."""
    handle = os.open(folder / _OPENING, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        yield _flock(handle, wait=wait)
    finally:
        os.close(handle)


def _try_lock(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    if _flock(handle, wait=False):
        return handle
    os.close(handle)
    return None


def _flock(handle: int, *, wait: bool) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    return True
