"""Differences between configurations as people read them: ``0 → 0.4``, and ``+14 −9 lines`` of a text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Any

from inchworm.app.texts import columns, one_line
from inchworm.domain.change import Absent, ValueDiff

_LONG = 48


def change(diff: ValueDiff) -> str:
    """What became of one value."""
    old, new = diff.old, diff.new
    if isinstance(old, list) and isinstance(new, list) and _long(old, new):
        return _entries(old, new)
    if _long(old, new):
        plus, minus = _lines(_text(old), _text(new))
        return f"+{plus:,} −{minus:,} lines"
    return f"{_short(old)} → {_short(new)}"


def rows(diffs: Sequence[ValueDiff]) -> list[list[str]]:
    """Layer, key and change; a layer is named once."""
    listed: list[list[str]] = []
    before = ""
    for diff in diffs:
        layer = str(diff.layer)
        listed.append(["" if layer == before else layer, ".".join(diff.path), change(diff)])
        before = layer
    return listed


def said(diffs: Sequence[ValueDiff], most: int = 2) -> str:
    """``documents 1 → 3``: the first few, on one line."""
    parts = [f"{'.'.join(diff.path)} {change(diff)}" for diff in diffs[:most]]
    more = f" and {len(diffs) - most:,} more" if len(diffs) > most else ""
    return ", ".join(parts) + more


def _long(*values: Any) -> bool:
    return any(
        (isinstance(value, str) and "\n" in value) or columns(_short(value)) > _LONG
        for value in values
        if not isinstance(value, Absent)
    )


def _short(value: Any) -> str:
    if isinstance(value, Absent):
        return "absent"
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _text(value: Any) -> str:
    if isinstance(value, Absent):
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1)


def _entries(old: list[Any], new: list[Any]) -> str:
    if len(old) != len(new):
        return f"{len(old):,} → {len(new):,} entries"
    differ = sum(one != other for one, other in zip(old, new, strict=True))
    return f"{differ:,} of {len(new):,} entries changed"


def _lines(old: str, new: str) -> tuple[int, int]:
    before, after = old.splitlines(), new.splitlines()
    plus = minus = 0
    for tag, from_, to, start, stop in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if tag != "equal":
            minus += to - from_
            plus += stop - start
    return plus, minus
