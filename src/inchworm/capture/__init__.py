"""Step 1, grab: real inputs and outputs of the running system, from files, gateway and client library.

What is named here is loaded when it is asked for: the client library lives in this room too, and must stay
light (``docs/importing.md``, ``docs/client.md``).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_WHERE = {
    "DERIVED": "fields",
    "DIALECTS": "dialects",
    "LIMIT_BYTES": "lines",
    "Line": "lines",
    "Reading": "importers",
    "Rejected": "lines",
    "Tally": "importers",
    "UnitFrom": "fields",
    "read": "importers",
    "read_lines": "lines",
    "to_json": "dialects.trace_1",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    globals()[name] = value
    return value
