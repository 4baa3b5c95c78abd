"""API keys: how one is made, written, read and checked."""

from __future__ import annotations

import hmac
from collections.abc import Callable

from inchworm.domain.access import KEY_BEGINS, Scope, key_digest, read_key
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import UsageError
from inchworm.store.control import ApiKey

read = read_key
_NEVER = 253_402_300_800.0
"""The year 10,000, in seconds since the epoch."""
_LONGEST = 80
"""Characters of a name: it stands in every line of the ledger that its holder causes."""


def make(
    name: str,
    scope: Scope,
    *,
    by: str,
    now: float,
    expires_at: float | None,
    random: Callable[[int], bytes],
    app: AppRef | None = None,
) -> tuple[ApiKey, str]:
    """A new key, as it is kept and as it is written: ``iw_ID_SECRET``. The latter is shown once.

    Args:
        name: whose it is, or what it is for.
        scope: what it may do.
        by: who makes it.
        now: seconds since the epoch.
        expires_at: when it ends by itself, if it does.
        random: unguessable bytes, as many as asked for.
        app: the only app that it sends for; ``None`` if each request says which.

    Raises:
        UsageError: if the name is empty, too long or unprintable, or the key would have ended by now, or
            in a year that no calendar writes.
    """
    if not name.strip() or len(name) > _LONGEST or not name.isprintable():
        raise UsageError(f"a key needs a name of 1 to {_LONGEST} printable characters")
    if expires_at is not None and expires_at <= now:
        raise UsageError("a key that has ended already opens nothing: name a later time")
    if expires_at is not None and expires_at >= _NEVER:
        raise UsageError("a key that lasts so long does not end by itself: leave its end out")
    id_, secret = random(5).hex(), random(32).hex()
    key = ApiKey(
        id=id_,
        digest=key_digest(secret),
        name=name.strip(),
        scope=scope,
        created_at=now,
        created_by=by,
        expires_at=expires_at,
        app=app,
    )
    return key, f"{KEY_BEGINS}{id_}_{secret}"


def opens(key: ApiKey, secret: str, now: float) -> bool:
    """Whether ``secret`` belongs to ``key`` and the key is valid."""
    return hmac.compare_digest(key.digest, key_digest(secret)) and key.valid(now)
