"""What could not be drained: kept sealed in ``DATA/spool/quarantine``, each with a note that says why.

A note is ``NAME.json`` beside ``NAME.closed``::

    {"format": "quarantine/1", "reason": "...", "at": 1792402800.1, "records": 3, "from": "gateway-1"}

A note holds nothing of what was captured; who writes a reason takes care of that.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inchworm.capture.spool.folders import CLOSED, QUARANTINE, make_folder, sync_folder, trouble
from inchworm.capture.spool.rewriting import write_whole
from inchworm.capture.spool.segments import Seal

FORMAT = "quarantine/1"
_REASON = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """Something in quarantine.

    Attributes:
        path: the sealed segment; :func:`~inchworm.capture.spool.read_segment` opens it.
        reason: why, in a sentence; nothing of the content.
        at: when it was put there, seconds since the epoch.
        records: how many records it holds, if that is known.
        source: the gateway from which it came, if one segment was moved whole.
        bytes: its size.
    """

    path: Path
    reason: str
    at: float
    records: int | None
    source: str | None
    bytes: int


def quarantine(root: Path, path: Path, *, reason: str, at: float, records: int | None = None) -> Path:
    """Move a whole segment to quarantine, as it is; where it lies then.

    The note comes first, then the segment is moved in one step: whenever the process dies, the segment lies
    in one of the two places. Nothing happens if it has been moved already.

    Args:
        root: ``DATA/spool``.
        path: the segment.
        reason: why, in a sentence; nothing of the content.
        at: when, seconds since the epoch.
        records: how many records it holds, if that is known.

    Raises:
        StoreError: if it cannot be moved.
    """
    folder = root / QUARANTINE
    make_folder(folder)
    target = folder / f"{path.stem}{CLOSED}"
    try:
        if path.exists() or not target.exists():
            _note(target, reason=reason, at=at, records=records, source=path.parent.name)
            path.rename(target)
            sync_folder(folder)
    except OSError as error:
        raise trouble(path, error) from error
    return target


def quarantine_records(root: Path, key: bytes, records: Sequence[bytes], *, reason: str, at: float) -> Path:
    """Put single records into quarantine, sealed anew; where they lie then.

    The same records for the same reason are there once, however often this is called: a drain that died
    behind it may do its work again.

    Args:
        root: ``DATA/spool``.
        key: ``derive(master, Purpose.SPOOL)``.
        records: what cannot be drained.
        reason: why, in a sentence; nothing of the content.
        at: when, seconds since the epoch.

    Raises:
        StoreError: if they cannot be written.
    """
    folder = root / QUARANTINE
    make_folder(folder)
    digest = hmac.new(key, reason.encode(), hashlib.sha256)  # keyed: a name must not tell what is inside
    for record in records:
        digest.update(hashlib.sha256(record).digest())
    target = folder / f"records-{digest.hexdigest()[:32]}{CLOSED}"
    # Sealed under a new id each time, as a segment's key may seal one content only.
    seal = Seal(key, secrets.token_bytes(16), at)
    frames = (*seal.frame(records), *seal.frame(())) if records else seal.frame(())
    try:
        if not target.exists():
            _note(target, reason=reason, at=at, records=len(records), source=None)
            write_whole(target, b"".join((seal.header, *frames)))
            sync_folder(folder)
    except OSError as error:
        raise trouble(folder, error) from error
    return target


def quarantined(root: Path) -> list[Quarantined]:
    """What lies in quarantine, oldest first.

    Args:
        root: ``DATA/spool``.

    Raises:
        StoreError: if it cannot be read.
    """
    found: list[Quarantined] = []
    folder = root / QUARANTINE
    try:
        paths = sorted(folder.glob(f"*{CLOSED}"))
        for path in paths:
            with suppress(FileNotFoundError):
                found.append(_read(path))
    except OSError as error:
        raise trouble(folder, error) from error
    return sorted(found, key=lambda one: (one.at, one.path.name))


def amend(one: Quarantined, *, reason: str, records: int | None) -> None:
    """Write the note of something in quarantine anew.

    Args:
        one: what lies there.
        reason: why, in a sentence.
        records: how many records it holds by now.

    Raises:
        StoreError: if it cannot be written.
    """
    try:
        _note(one.path, reason=reason, at=one.at, records=records, source=one.source)
    except OSError as error:
        raise trouble(one.path, error) from error


def discard(path: Path) -> None:
    """Remove something from quarantine for good, with its note.

    Raises:
        StoreError: if it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
        path.with_suffix(".json").unlink(missing_ok=True)
        if path.parent.is_dir():
            sync_folder(path.parent)
    except OSError as error:
        raise trouble(path, error) from error


def _note(target: Path, *, reason: str, at: float, records: int | None, source: str | None) -> None:
    note = {"format": FORMAT, "reason": reason[:_REASON], "at": at, "records": records, "from": source}
    write_whole(target.with_suffix(".json"), (json.dumps(note) + "\n").encode())


def _read(path: Path) -> Quarantined:
    status = path.stat()
    note: dict[str, Any] = {}
    with suppress(FileNotFoundError, ValueError):
        read = json.loads(path.with_suffix(".json").read_bytes())
        note = read if isinstance(read, dict) and read.get("format") == FORMAT else {}
    return Quarantined(
        path=path,
        reason=str(note.get("reason", "its note is missing or damaged")),
        at=float(note.get("at", status.st_mtime)),
        records=note.get("records"),
        source=note.get("from"),
        bytes=status.st_size,
    )
