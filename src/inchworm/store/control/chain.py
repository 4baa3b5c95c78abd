"""The chain of the audit trail: what an entry's hash is made of, and the walk along it. Pure.

One chain per installation: there is one head to keep elsewhere, and an app that is removed with everything
about it leaves a gap. An entry's hash covers the hash before it, so that no entry can be changed, removed or
put in between without changing every hash after it; it covers the digests of the rows that the entry wrote,
so that a decision cannot be changed either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from inchworm.domain.canonical import digest
from inchworm.store.control.records import AuditBreak, AuditHead

FORMAT: Final = "audit/1"
BEGINNING: Final = "0" * 64
"""What stands for the hash before the first entry."""
MOST: Final = 20
"""Breaks that are told."""
MEMBERS: Final = ("number", "app", "at", "actor", "action", "subject", "because", "pinned", "hash")
"""Members of a line, beside ``format`` and ``previous``."""


def line(entry: Mapping[str, Any], previous: str) -> dict[str, Any]:
    """An entry as JSON, without its hash: exactly what the hash covers.

    Args:
        entry: number, app, at, actor, action, subject, because, and ``pinned`` as arrays of table, key and
            digest.
        previous: the hash before it.
    """
    return {
        "format": FORMAT,
        "previous": previous,
        **{name: entry[name] for name in MEMBERS if name != "hash"},
    }


def hash_of(entry: Mapping[str, Any], previous: str) -> str:
    """SHA-256 of the canonical JSON (RFC 8785) of :func:`line`, 64 hexadecimal characters.

    Raises:
        ValueError: if a value has no canonical form: nobody wrote it that way.
    """
    return digest(line(entry, previous))


class Walk:
    """Goes along a chain, entry by entry, and notes where it breaks.

    Past a break it goes on from the hash that is stored, so that what is whole after it is not blamed.

    Args:
        expect: a hash that was kept elsewhere; the chain must hold it.

    Attributes:
        entries: how many were seen.
        head: the last one seen.
        breaks: what was found so far.
    """

    def __init__(self, expect: str | None = None) -> None:
        self.entries = 0
        self.head = AuditHead(number=0, hash=BEGINNING)
        self.breaks: list[AuditBreak] = []
        self._expect = expect
        self._met = expect is None or expect == BEGINNING

    def step(self, entry: Mapping[str, Any]) -> None:
        """The next entry, with its ``hash``; and ``previous``, where it is written beside it."""
        number, stored = entry["number"], entry["hash"]
        if number != self.head.number + 1:
            self._broken(number, f"it follows entry {self.head.number}: what was between them is missing")
        elif entry.get("previous", self.head.hash) != self.head.hash:
            self._broken(number, "it does not follow from the entry before it")
        elif not _fits(entry, self.head.hash, stored):
            self._broken(number, "its hash does not fit: it, or what stood before it, was changed")
        self.entries += 1
        self.head = AuditHead(
            number=number if isinstance(number, int) else self.head.number + 1,
            hash=stored if isinstance(stored, str) else BEGINNING,
        )
        self._met = self._met or stored == self._expect

    def end(self) -> None:
        """There is no further entry."""
        if not self._met:
            self.breaks.append(
                AuditBreak(
                    number=None,
                    because=f"the hash {self._expect} that was expected is not in the chain: entries were "
                    "removed at its end, or all of it was written anew",
                )
            )

    def _broken(self, number: Any, because: str) -> None:
        at = number if isinstance(number, int) else None
        self.breaks.append(AuditBreak(number=at, because=f"entry {number}: {because}"))


def _fits(entry: Mapping[str, Any], previous: str, stored: Any) -> bool:
    try:
        return stored == hash_of(entry, previous) and isinstance(stored, str)
    except ValueError:
        return False


def walk(lines: Iterable[Mapping[str, Any]], expect: str | None = None) -> Walk:
    """Go along all of ``lines``."""
    walked = Walk(expect)
    for one in lines:
        walked.step(one)
    walked.end()
    return walked


def first(breaks: Iterable[AuditBreak]) -> Iterator[AuditBreak]:
    """The breaks to tell, the first entry first; those of no entry at the end."""
    ordered = sorted(breaks, key=lambda one: (one.number is None, one.number or 0))
    yield from ordered[:MOST]
