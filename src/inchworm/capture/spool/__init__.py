"""The spool: what a gateway captures, durable and sealed until the drain takes it.

One folder per gateway, one writer per folder (:mod:`~inchworm.capture.spool.writer`), a versioned form of
the segments (:mod:`~inchworm.capture.spool.segments`), and what the drain needs
(:mod:`~inchworm.capture.spool.reader`, :mod:`~inchworm.capture.spool.quarantine`).
"""

from __future__ import annotations

from inchworm.capture.spool.folders import QUARANTINE, adopt_orphans
from inchworm.capture.spool.quarantine import (
    Quarantined,
    discard,
    quarantine,
    quarantine_records,
    quarantined,
)
from inchworm.capture.spool.reader import closed_segments, destroy, oldest_at, read_segment, spool_size
from inchworm.capture.spool.segments import SegmentContents
from inchworm.capture.spool.writer import Spool, SpoolFullError, SpoolStats

__all__ = [
    "QUARANTINE",
    "Quarantined",
    "SegmentContents",
    "Spool",
    "SpoolFullError",
    "SpoolStats",
    "adopt_orphans",
    "closed_segments",
    "destroy",
    "discard",
    "oldest_at",
    "quarantine",
    "quarantine_records",
    "quarantined",
    "read_segment",
    "spool_size",
]
