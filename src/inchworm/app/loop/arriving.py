"""What the records of a group of segments say, each beside the record that it is from."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from inchworm.app.loop.incoming import Exposing, Mirroring, Rating, Unreadable, read_record
from inchworm.app.loop.reading import Parts, Refusal, fault
from inchworm.app.loop.sanitizing import Clean
from inchworm.domain.configuration import AppRef
from inchworm.domain.mistakes import MISTAKES, where
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """An interaction, sanitized."""

    raw: bytes
    path: Path
    clean: Clean[Trace]


@dataclass(frozen=True, slots=True)
class Spanned:
    """A span, sanitized; ``raw`` holds others too."""

    raw: bytes
    path: Path
    clean: Clean[Span]


Came = Exposing | Mirroring | Rating | Spanned | Told


def arrived(
    records: Sequence[tuple[Path, bytes]], read: Sequence[Parts], apps: Collection[AppRef]
) -> Iterator[Came | Unreadable]:
    """What the records say, in their order; what cannot be taken in with the reason.

    Args:
        records: each with the segment that it is in.
        read: what each of them holds (:class:`~inchworm.app.loop.reading.Reader`).
        apps: apps that are taken in.
    """
    for (path, raw), parts in zip(records, read, strict=True):
        if parts is None:
            yield _small(raw, path, apps)
            continue
        for part in parts:
            if isinstance(part, Refusal):
                if part.mistake is not None:
                    _LOG.warning("a record could not be read: %s", part.mistake)
                yield Unreadable(raw if part.body is None else part.body, part.reason)
            elif isinstance(part.what, Trace):
                yield Told(raw, path, Clean(part.what, part.report, part.steps))
            else:
                yield Spanned(raw, path, Clean(part.what, part.report))


def _small(raw: bytes, path: Path, apps: Collection[AppRef]) -> Came | Unreadable:
    """A record without content, which is read here: an exposure, a mirrored call, feedback."""
    try:
        came = read_record(raw, path, apps)
    except MISTAKES as error:  # must not stop what lies behind it
        _LOG.warning("a record could not be read: %s", where(error))
        return Unreadable(raw, fault(error))
    if isinstance(came, Exposing | Mirroring | Rating | Unreadable):
        return came
    return Unreadable(raw, "It holds content, and was not sanitized.")
