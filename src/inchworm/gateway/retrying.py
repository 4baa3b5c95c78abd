"""When a provider is asked again: only where it is certain that it did not work on the request. Pure.

That is so if there was no connection, and if the provider says that it did not (429, 503) and when to come
again. After a deadline, a connection that broke, or the first byte of an answer it is not: another try would
cost twice, and what a model does with tools would happen twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from email.utils import parsedate_to_datetime

from inchworm.gateway.http1 import Head

_COME_AGAIN = frozenset({429, 503})
_FIRST_S, _LONGEST_S = 0.1, 2.0
_LATER = 0.1
_ABSURD_S = 1e6


def backoff_s(attempt: int, draw: float) -> float:
    """Seconds to wait after the ``attempt``-th connection (from 1) that was not to be had.

    Args:
        attempt: which one.
        draw: in [0, 1), random, so that callers do not come back all at once.
    """
    longest: float = min(_LONGEST_S, _FIRST_S * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * draw)


def asked_to_wait_s(head: Head, draw: float, now: float) -> float | None:
    """Seconds after which a provider that refused wants to be asked again; ``None`` if it does not say so.

    Args:
        head: of its answer. ``Retry-After`` is seconds or a date (RFC 9110, section 10.2.3), counted from the
            answer's own ``Date`` if it has one; ``retry-after-ms`` counts before it.
        draw: in [0, 1), random; a tenth later at most, and never before.
        now: what time it is, seconds since the epoch.
    """
    if head.status not in _COME_AGAIN:
        return None
    said = _seconds(head.headers, now)
    return None if said is None else said * (1.0 + _LATER * draw) + 0.05 * draw


def _seconds(headers: Iterable[tuple[str, str]], now: float) -> float | None:
    seconds = until = None
    for name, value in headers:
        match name:
            case "date":
                now = _at(value) or now
            case "retry-after-ms" if (told := _number(value)) is not None:
                return told / 1e3
            case "retry-after":
                told = _number(value)
                seconds = seconds if told is None else told
                until = _at(value) or until
    if seconds is None and until is not None:
        wait = max(0.0, until - now)
        return wait if wait < _ABSURD_S else None
    return seconds


def _number(value: str) -> float | None:
    try:
        told = float(value)
    except ValueError:
        return None
    return told if 0.0 <= told < _ABSURD_S else None


def _at(value: str) -> float | None:
    """A date of HTTP (RFC 9110, section 5.6.7), in seconds since the epoch."""
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
