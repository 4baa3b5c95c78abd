"""How a call is named, and when it happened. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

from inchworm.capture.headers import AT, TRACE
from inchworm.domain.ids import TraceId

TRACEPARENT = "traceparent"
PROCESSING = "openai-processing-ms"
"""The provider's header that says how long it took."""
_RETRY = "x-stainless-retry-count"
_STATED = re.compile(r"[!-~]{1,200}")
_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(?:-.*)?")
_NOTHING = "0" * 32


class Ids:
    """Fresh ids: 128 random bits, 32 hexadecimal characters.

    Args:
        random: gives so many random bytes; asked for many ids at once.
    """

    def __init__(self, random: Callable[[int], bytes]) -> None:
        self._random = random
        self._left = b""

    def __call__(self) -> str:
        """The next one."""
        if not self._left:
            self._left = self._random(16 * 256)
        mine, self._left = self._left[:16], self._left[16:]
        return mine.hex()


class Repeats:
    """Tells calls apart that state one id: several of one trace, or tried again. Each is recorded.

    Args:
        limit: ids that are remembered.
    """

    def __init__(self, limit: int = 16_384) -> None:
        self._limit = limit
        self._counts: dict[TraceId, int] = {}

    def __call__(self, stated: TraceId) -> TraceId:
        """The id at its first time, ``ID+2`` at its second."""
        count = self._counts.pop(stated, 0) + 1
        if len(self._counts) >= self._limit:
            del self._counts[next(iter(self._counts))]  # the one that was not seen for longest
        self._counts[stated] = count
        return stated if count == 1 else TraceId(f"{stated}+{count}")


def trace_id(headers: Mapping[str, str], *, fresh: str) -> TraceId:
    """The id of a call.

    The header ``inchworm-trace``; else trace and span of ``traceparent`` (W3C Trace Context, section 3.2),
    for several calls may belong to one trace; else ``fresh``. OpenAI's clients say when they try again, with
    the same headers: each attempt is a call of its own, so its number is put behind a stated id.

    Args:
        headers: by lower-case names.
        fresh: an id that nothing else has.
    """
    stated = headers.get(TRACE)
    if stated is None or _STATED.fullmatch(stated) is None:
        stated = None
        parent = headers.get(TRACEPARENT)
        found = None if parent is None else _PARENT.fullmatch(parent)
        if found is not None and found[1] != _NOTHING:
            stated = f"{found[1]}-{found[2]}"
    if stated is None:
        return TraceId(fresh)
    attempt = headers.get(_RETRY, "0")
    return TraceId(f"{stated}.{attempt}" if attempt.isdecimal() and attempt != "0" else stated)


def stated_at(headers: Mapping[str, str]) -> float | None:
    """When a replayed call happened, seconds since the epoch, if the header says so."""
    return _number(headers.get(AT))


def stated_ms(value: str | None) -> float | None:
    """How long a replayed answer took, milliseconds, if the header says so."""
    return _number(value)


def _number(text: str | None) -> float | None:
    try:
        value = math.nan if text is None else float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
