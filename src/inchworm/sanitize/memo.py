"""What was found in texts that come again and again: names of fields, system prompts, schemas of tools.

No text is kept, only a keyed digest of it and where in it something was found.
"""

from __future__ import annotations

from typing import Final

from xxhash import xxh3_128_digest

from inchworm.sanitize.findings import Finding

_MOST: Final = 1 << 15
_LONGEST: Final = 1 << 18

Found = tuple[Finding, ...]


class Memo:
    """Findings by text; a bounded number of them, the latest used. Shared between threads freely.

    Args:
        key: secret and made anew for each process, so that no text can be made to pass for another.
        most: texts, and findings in them, that are kept, twice over.
    """

    __slots__ = ("_before", "_held", "_key", "_most", "_now")

    def __init__(self, key: bytes, *, most: int = _MOST) -> None:
        self._key = int.from_bytes(key[:8], "little")
        self._most = most
        self._held = 0
        self._now: dict[bytes, Found] = {}
        self._before: dict[bytes, Found] = {}

    def digest(self, text: str) -> bytes | None:
        """What a text is known by; ``None`` if it is not worth it, or has no bytes."""
        if len(text) > _LONGEST:
            return None
        try:
            return xxh3_128_digest(text.encode(), self._key)
        except UnicodeEncodeError:  # a lone surrogate
            return None

    def get(self, digest: bytes) -> Found | None:
        """What was found in the text with this digest, if that is still known."""
        known = self._now.get(digest)
        if known is None and (known := self._before.get(digest)) is not None:
            self.put(digest, known)
        return known

    def put(self, digest: bytes, found: Found) -> None:
        """Remember what was found."""
        if self._held >= self._most:
            # Two generations: what was not asked for since the last turn is forgotten.
            self._before, self._now, self._held = self._now, {}, 0
        self._now[digest] = found
        # A list of addresses has thousands of findings, where most texts have none.
        self._held += 1 + len(found)
