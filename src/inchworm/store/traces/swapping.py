"""A file in another one's place, in one step."""

from __future__ import annotations

import os
from pathlib import Path

from inchworm.domain.errors import StoreError

_LOG, _SPILLED = ".wal", ".tmp"


def beside(path: Path) -> Path:
    """Where the new file is made: beside the old one, so that one rename is enough."""
    return path.with_name(path.name + ".rebuilt")


def discard(path: Path) -> None:
    """Remove a file that was not finished, with what lies beside it.

    Raises:
        StoreError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        path.with_name(path.name + _LOG).unlink(missing_ok=True)
    except OSError as error:
        message = f"{path} cannot be removed: {error.strerror}"
        raise StoreError(message, hint="remove it, and restart") from error
    discard_spilled(path)


def discard_spilled(path: Path) -> None:
    """Remove what a killed process left of queries larger than its memory: rows, as they are stored.

    Raises:
        StoreError: if it cannot be removed.
    """
    spilled = path.with_name(path.name + _SPILLED)
    try:
        if spilled.is_dir():
            for one in spilled.iterdir():
                one.unlink()
            spilled.rmdir()
    except OSError as error:
        message = f"{spilled} cannot be removed: {error.strerror}"
        raise StoreError(message, hint="remove it, and restart") from error


def swap(fresh: Path, path: Path) -> None:
    """Put ``fresh`` in the place of ``path``, durably. Both are closed.

    Raises:
        StoreError: if the old file was not closed in order, or the new one cannot be put there.
    """
    for one in (fresh, path):
        if one.with_name(one.name + _LOG).exists():
            # Beside the other file it would be taken for that one's.
            raise StoreError(f"{one} was not closed in order: its log is still there", hint="restart")
    try:
        for one in (fresh, path.parent):
            handle = os.open(one, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
            if one == fresh:
                fresh.rename(path)
    except OSError as error:
        raise StoreError(f"{fresh} cannot be put in place: {error.strerror}") from error
