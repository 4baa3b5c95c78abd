"""Who may do what: five scopes, each with everything that the one before it may."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum

_WRITTEN = re.compile(r"iw_([0-9a-f]{10})_([0-9a-f]{64})")
KEY_BEGINS = "iw_"
"""How every key of ours begins, whole or damaged: it is none of a provider's."""


class Scope(StrEnum):
    """What a key, or a session that it opened, may do."""

    INGEST = "ingest"
    """Send to a gateway, and nothing else: a program's key, which opens nothing of the server."""
    VIEWER = "viewer"
    """Also look at everything but keys."""
    LABELER = "labeler"
    """Also judge: scores, topics, eval sets."""
    DEPLOYER = "deployer"
    """Also change what is served: imports, benchmarks, plans, rollouts."""
    ADMIN = "admin"
    """Also hand out keys and take them back."""

    def includes(self, other: Scope) -> bool:
        """Whether whoever has this one may do what ``other`` may."""
        order = tuple(Scope)
        return order.index(self) >= order.index(other)


def read_key(written: str) -> tuple[str, str] | None:
    """Id and secret of a key as it is written, ``iw_ID_SECRET``; ``None`` if it is none."""
    found = _WRITTEN.fullmatch(written)
    return None if found is None else (found[1], found[2])


def holds_key(text: str) -> bool:
    """Whether a key of ours stands somewhere in a text."""
    return _WRITTEN.search(text) is not None


def key_digest(secret: str) -> str:
    """What is kept of a key: SHA-256 of its secret, which is random and long, as 64 hexadecimal digits."""
    return hashlib.sha256(secret.encode()).hexdigest()
