"""One key per installation, and one derived key per purpose."""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum

KEY_BYTES = 32
"""Length of the installation's key and of every derived one."""


class Purpose(StrEnum):
    """What a derived key is for. A value is part of the derivation: it never changes."""

    SPOOL = "spool/1"
    """Seals the spool (AES-256-GCM)."""
    TOKEN = "token/1"  # noqa: S105  # names a purpose
    """Signs assignment tokens (:class:`inchworm.domain.assignment.Token`)."""
    PUBLISHED = "published/1"
    """Signs what gateways and clients are told to serve (:mod:`inchworm.domain.published`)."""
    GATEWAY = "gateway/1"
    """With which a gateway shows the server that it belongs to the installation."""
    SESSION = "session/1"
    """Signs the sessions of the pages."""
    UNIT = "unit/1"
    """Keys the hash of a unit that is derived from what somebody said."""
    FORGET = "forget/1"
    """Seals whom a request to forget names until it is done, and keys the digest that stays of them."""


def derive(master: bytes, purpose: Purpose) -> bytes:
    """The key for one purpose: HKDF-Expand with one block and SHA-256 (RFC 5869, section 2.3).

    The master key is uniformly random, so the extraction step is left out, as section 3.3 allows.

    Raises:
        ValueError: if the master key does not have :data:`KEY_BYTES` bytes.
    """
    if len(master) != KEY_BYTES:
        msg = f"the installation's key has {len(master)} bytes, not {KEY_BYTES}"
        raise ValueError(msg)
    return hmac.digest(master, f"inchworm {purpose}".encode() + b"\x01", hashlib.sha256)
