"""What the drain does with the spool: finds closed segments, opens them, destroys them."""

from __future__ import annotations

from pathlib import Path

from inchworm.capture.spool.folders import CLOSED, segments, trouble, writers
from inchworm.capture.spool.segments import SegmentContents, read_contents
from inchworm.domain.errors import NotFoundError


def closed_segments(root: Path) -> list[Path]:
    """The segments of all writers that wait for the drain, oldest first.

    Args:
        root: ``DATA/spool``.

    Raises:
        StoreError: if the spool cannot be read.
    """
    found = [(number, path) for number, path, _ in _all(root) if path.suffix == CLOSED]
    return [path for _, path in sorted(found)]


def read_segment(path: Path, key: bytes) -> SegmentContents:
    """Open one segment; damage is reported, not raised, so that what is intact can be used.

    Args:
        path: the segment, closed or in quarantine; one that is being written reads up to its last commit.
        key: ``derive(master, Purpose.SPOOL)``.

    Raises:
        NotFoundError: if it is not there any more.
        StoreError: if it cannot be read.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"there is no segment {path}") from error
    except OSError as error:
        raise trouble(path, error) from error
    return read_contents(data, key)


def destroy(path: Path) -> None:
    """Remove a segment whose records are stored; nothing happens if it is gone.

    Raises:
        StoreError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise trouble(path, error) from error


def spool_size(root: Path) -> int:
    """Bytes that wait for the drain in the segments of all writers, open ones too, quarantine not.

    Raises:
        StoreError: if the spool cannot be read.
    """
    return sum(size for _, _, size in _all(root))


def oldest_at(root: Path) -> float | None:
    """When the oldest segment that waits was made, seconds since the epoch; ``None`` if none waits.

    Raises:
        StoreError: if the spool cannot be read.
    """
    return min((number / 1000 for number, _, _ in _all(root)), default=None)


def _all(root: Path) -> list[tuple[int, Path, int]]:
    try:
        return [one for folder in writers(root) for one in segments(folder)]
    except OSError as error:
        raise trouble(root, error) from error
