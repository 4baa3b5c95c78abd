"""The spool: what a gateway captures, durable and sealed until the drain takes it.

One folder per gateway, one writer per folder (:mod:`~inchworm.capture.spool.writer`), a versioned form of
the segments (:mod:`~inchworm.capture.spool.segments`), and what the drain needs
(:mod:`~inchworm.capture.spool.reader`, :mod:`~inchworm.capture.spool.quarantine`,
:mod:`~inchworm.capture.spool.waiting`).
"""

from __future__ import annotations

from inchworm.capture.spool.folders import QUARANTINE, adopt_orphans
from inchworm.capture.spool.quarantine import (
    Quarantined,
    amend,
    discard,
    quarantine,
    quarantine_records,
    quarantined,
)
from inchworm.capture.spool.reader import closed_segments, destroy, oldest_at, read_segment, spool_size
from inchworm.capture.spool.rewriting import TakenOut, begun_before, bring_back, discard_parts, take_out
from inchworm.capture.spool.room import SpoolFullError
from inchworm.capture.spool.segments import SegmentContents
from inchworm.capture.spool.waiting import set_aside, set_aside_segments
from inchworm.capture.spool.writer import Spool, SpoolStats

__all__ = [
    "QUARANTINE",
    "Quarantined",
    "SegmentContents",
    "Spool",
    "SpoolFullError",
    "SpoolStats",
    "TakenOut",
    "adopt_orphans",
    "amend",
    "begun_before",
    "bring_back",
    "closed_segments",
    "destroy",
    "discard",
    "discard_parts",
    "oldest_at",
    "quarantine",
    "quarantine_records",
    "quarantined",
    "read_segment",
    "set_aside",
    "set_aside_segments",
    "spool_size",
    "take_out",
]
