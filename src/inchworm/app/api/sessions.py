"""Sessions of the pages and links to log in by: signed texts. Nothing here reads a clock or a store."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from typing import Any

from inchworm.domain.access import Scope

SESSION_S = 12 * 3_600.0
LINK_S = 300.0
LOCAL = "local"
"""Key id of a session that the same user on the same machine opened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """What a session's cookie, or a link to log in by, says.

    Attributes:
        id: random, 32 hexadecimal characters.
        key: id of the API key that it was made by; :data:`LOCAL` for the user of this machine.
        name: who it is, for the ledger.
        scope: what it allows.
        expires_at: seconds since the epoch.
    """

    id: str
    key: str
    name: str
    scope: Scope
    expires_at: float


def seal(key: bytes, purpose: str, ticket: Ticket) -> str:
    """The signed text: the ticket and its HMAC-SHA-256 over purpose and ticket, both in base64url."""
    text = json.dumps(asdict(ticket), ensure_ascii=False, separators=(",", ":")).encode()
    return f"{_encoded(text)}.{_encoded(_mac(key, purpose, text))}"


def unseal(key: bytes, purpose: str, sealed: str, *, now: float) -> Ticket | None:
    """The ticket; ``None`` if it is not ours, was made for another purpose, or has expired."""
    head, _, tail = sealed.partition(".")
    try:
        text, mac = _decoded(head), _decoded(tail)
        if not hmac.compare_digest(mac, _mac(key, purpose, text)):
            return None
        row: dict[str, Any] = json.loads(text)
        ticket = Ticket(**{**row, "scope": Scope(row["scope"])})
    except (ValueError, TypeError, KeyError):
        return None
    return ticket if now < ticket.expires_at else None


def cookie_name(key: bytes) -> str:
    """The cookie of an installation's sessions.

    Browsers send cookies to every port of a machine: by one name, two installations on it would log each
    other's people out.
    """
    return f"inchworm-{_mac(key, 'cookie/1', b'').hex()[:8]}"


def csrf(key: bytes, ticket: Ticket) -> str:
    """What a page has to send back with every change, bound to its session."""
    return _mac(key, "csrf/1", ticket.id.encode()).hex()


def _mac(key: bytes, purpose: str, text: bytes) -> bytes:
    return hmac.digest(key, purpose.encode() + b"\n" + text, hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
