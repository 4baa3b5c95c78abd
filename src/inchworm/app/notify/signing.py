"""Signatures of Standard Webhooks 1.0.0 (standardwebhooks.com), symmetric scheme ``v1``. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from inchworm.domain.errors import UsageError

_PREFIX = "whsec_"
_LEAST, _MOST = 24, 64


def secret_of(text: str) -> bytes:
    """The signing secret that ``whsec_`` and base64 stand for ("Signature scheme").

    Raises:
        UsageError: if it is none; it is not repeated.
    """
    try:
        found = base64.b64decode(text.removeprefix(_PREFIX), validate=True) if _prefixed(text) else b""
    except (binascii.Error, ValueError):
        found = b""
    if not _LEAST <= len(found) <= _MOST:
        raise UsageError(
            f"a signing secret is {_PREFIX} and base64 of {_LEAST} to {_MOST} bytes",
            hint=f"make one: echo {_PREFIX}$(openssl rand -base64 32)",
        )
    return found


def _prefixed(text: str) -> bool:
    return text.startswith(_PREFIX)


def headers(message_id: str, at: int, body: bytes, secret: bytes | None) -> dict[str, str]:
    """The headers of one attempt ("Webhook headers").

    Args:
        message_id: the same at every attempt.
        at: of this attempt, whole seconds since the epoch.
        body: exactly what is sent.
        secret: what it is signed with; no signature without one.
    """
    found = {"webhook-id": message_id, "webhook-timestamp": str(at)}
    if secret is not None:
        signed = hmac.digest(secret, b".".join([message_id.encode(), str(at).encode(), body]), hashlib.sha256)
        found["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return found
