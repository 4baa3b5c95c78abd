"""Records that wait for something else to come, sealed anew and alone: what they came with can be destroyed.

They lie in ``DATA/spool/waiting`` as closed segments. The number in a segment's name is that of the segment
in which its records came, so that who asks what came before a time finds them; the time in its header says
since when they wait, also after a restart.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from pathlib import Path

from inchworm.capture.spool.folders import (
    CLOSED,
    WAITING,
    make_folder,
    number_of,
    segment_name,
    segments,
    sync_folder,
    trouble,
)
from inchworm.capture.spool.rewriting import write_whole
from inchworm.capture.spool.segments import Seal


def set_aside(root: Path, key: bytes, records: Sequence[bytes], *, came_in: Path, at: float) -> Path:
    """Keep records, sealed anew; where they lie then. Durable on return.

    Args:
        root: ``DATA/spool``.
        key: ``derive(master, Purpose.SPOOL)``.
        records: what waits.
        came_in: the segment in which they came.
        at: since when they wait, seconds since the epoch.

    Raises:
        StoreError: if they cannot be written.
    """
    folder = root / WAITING
    make_folder(folder)
    id_ = secrets.token_bytes(16)
    number = number_of(came_in.name)
    target = (folder / segment_name(int(at * 1000) if number is None else number, id_)).with_suffix(CLOSED)
    seal = Seal(key, id_, at)
    try:
        write_whole(target, b"".join((seal.header, *seal.frame(records), *seal.frame(()))))
        sync_folder(folder)
    except OSError as error:
        raise trouble(folder, error) from error
    return target


def set_aside_segments(root: Path, before: float = math.inf) -> list[Path]:
    """The segments of what waits, oldest first.

    Args:
        root: ``DATA/spool``.
        before: of what came in segments that were begun then or earlier, seconds since the epoch.

    Raises:
        StoreError: if they cannot be listed.
    """
    try:
        found = segments(root / WAITING)
    except OSError as error:
        raise trouble(root, error) from error
    return [path for number, path, _ in found if path.suffix == CLOSED and number <= before * 1000]
