"""Step 1, grab: real inputs and outputs of the running system. So far from files (``docs/importing.md``)."""

from __future__ import annotations

from inchworm.capture.dialects import DIALECTS
from inchworm.capture.dialects.trace_1 import to_json
from inchworm.capture.fields import DERIVED, UnitFrom
from inchworm.capture.importers import Reading, Tally, read
from inchworm.capture.lines import LIMIT_BYTES, Line, Rejected, read_lines

__all__ = [
    "DERIVED",
    "DIALECTS",
    "LIMIT_BYTES",
    "Line",
    "Reading",
    "Rejected",
    "Tally",
    "UnitFrom",
    "read",
    "read_lines",
    "to_json",
]
