"""Domain values as JSON, for ``--json``: members are named as the fields of the values are."""

from __future__ import annotations

from typing import Any

from inchworm.store import codec


def data_of(value: Any) -> Any:
    """The JSON form of a domain value."""
    return codec.from_text(codec.encode(value))
