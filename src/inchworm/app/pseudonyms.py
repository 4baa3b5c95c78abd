"""Names in place of ids that may be a person's: keyed, so that nobody can try addresses out."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Sequence

from inchworm.domain.ids import UnitId
from inchworm.sanitize import CustomPattern, Sanitizer

_REMEMBERED = 100_000
_PLAIN = re.compile(r"(?:[A-Za-z]{1,7}[_-])?[0-9]{1,6}")
_MADE_UP = re.compile(r"(?=[0-9]*[a-f])(?!be)(?:[0-9a-f]{16}|[0-9a-f]{32})")
"""Ids of spans and traces (W3C Trace Context). Sixteen digits could be a card, and ``be68539007547034`` is an
account in Belgium."""
_DERIVED = re.compile(r"(conversation)-[0-9a-f]{16}|(line)-[0-9a-f]{24}")
"""Ids that capture derives from raw content: a plain hash, by which telephone numbers could be tried out."""


class Pseudonyms:
    """Gives ids that hold personal data another name, the same one each time.

    Args:
        key: the installation's key; asked for when the first id needs another name.
        custom: kinds of the user's own, beside all built-in ones: an id is never worth a person, whatever the
            content is searched for.
    """

    def __init__(self, key: Callable[[], bytes], custom: Sequence[CustomPattern] = ()) -> None:
        self._key = key
        self._sanitizer = Sanitizer(custom=custom)
        self._all = bool(custom)
        self._known: dict[str, str] = {}

    def __call__(self, id_: UnitId) -> UnitId:
        """The id itself, or a keyed hash of it if it holds personal data such as an e-mail address.

        An id that was derived from what somebody said is hashed with the key too: all but the personal data
        of that text is stored beside it.
        """
        # In these no built-in detector finds anything, so that the common case costs nothing.
        if not self._all and (_PLAIN.fullmatch(id_) or _MADE_UP.fullmatch(id_)):
            return id_
        known = self._known.get(id_)
        if known is None:
            if len(self._known) > _REMEMBERED:
                self._known.clear()
            known = self._known[id_] = self._named(id_)
        return UnitId(known)

    def _named(self, id_: UnitId) -> UnitId:
        derived = _DERIVED.fullmatch(id_)
        if derived:
            # Of another length than what it stands for, so that it is its own pseudonym.
            return UnitId(f"{derived[1] or derived[2]}-{self._hashed(id_)[:20]}")
        found = self._sanitizer.unit().text(id_).findings
        return UnitId(f"u-{self._hashed(id_)[:24]}") if found else id_

    def _hashed(self, id_: UnitId) -> str:
        return hmac.digest(self._key(), id_.encode(), hashlib.sha256).hex()
