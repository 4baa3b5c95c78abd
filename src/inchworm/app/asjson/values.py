"""What the other forms are made of: any value, a difference, an entry of the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inchworm.domain.change import Absent, ValueDiff
from inchworm.store import codec

if TYPE_CHECKING:  # each is wanted by the command that shows it, and by no other
    from inchworm.domain.rollout import LedgerEntry


def data_of(value: Any) -> Any:
    """The JSON form of a domain value: members are named as its fields are."""
    return codec.from_text(codec.encode(value))


def difference(diff: ValueDiff) -> dict[str, Any]:
    """One value that differs; a side on which the key does not exist is left out."""
    sides = {"old": diff.old, "new": diff.new}
    found = {side: value for side, value in sides.items() if not isinstance(value, Absent)}
    return {"layer": str(diff.layer), "path": list(diff.path), **found}


def ledger_entry(entry: LedgerEntry) -> dict[str, Any]:
    """What changed."""
    return {"at": entry.at, "kind": entry.kind, "actor": entry.actor, "what": entry.what, "data": entry.data}
