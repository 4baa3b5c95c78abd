"""A lock between processes on a file: held while it is locked, gone when the process is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from inchworm.domain.errors import StoreError


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an exclusive advisory lock on ``path``, which is created, for the length of the block.

    Waits for whoever holds it. The kernel lets go of it when the process ends, however it ends.

    Raises:
        StoreError: if the file cannot be created.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise not_writable(path.parent, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a data directory, readable by its owner only, unless it exists.

    Raises:
        StoreError: if it cannot be made or written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise not_writable(folder, error) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise not_writable(folder, None)


def not_writable(folder: Path, error: OSError | None) -> StoreError:
    """The error for a data directory that cannot be written to."""
    reason = "permission denied" if error is None else (error.strerror or str(error))
    return StoreError(
        f"the data directory {folder} cannot be written to: {reason}",
        hint="make it writable for this user, or name another data directory",
    )
