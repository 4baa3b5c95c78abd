"""Surrogates: the same value gets the same stand-in throughout one unit.

``EMAIL_1``, ``NAME_2`` … are numbered by first appearance within the unit (a conversation, a session), so
that a sanitized conversation still tells who is who, while two units share nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Final

from inchworm.sanitize.errors import UnsanitizableError
from inchworm.sanitize.findings import Kind
from inchworm.sanitize.names import name_parts
from inchworm.sanitize.patterns import strip_zeros

_HIGHEST: Final = 999_999
_NOT_DIGIT: Final = re.compile("[^0-9]")
_NOT_ALNUM: Final = re.compile("[^A-Za-z0-9]")


def normalise(kind: str, value: str) -> str:
    """Return the form in which two spellings of one value are equal.

    E-mail: case-folded. Phone and card: digits (``00`` read as ``+``, an optional trunk ``(0)`` dropped).
    IBAN: letters and digits, upper case. IP: the canonical address. Anything else: as it stands.
    """
    match kind:
        case Kind.EMAIL:
            return value.casefold()
        case Kind.PHONE:
            digits = _NOT_DIGIT.sub("", value.replace("(0)", ""))
            return digits.removeprefix("00") if digits else value
        case Kind.CARD:
            return _NOT_DIGIT.sub("", value) or value
        case Kind.IBAN:
            return _NOT_ALNUM.sub("", value).upper() or value
        case Kind.IP:
            try:
                return ipaddress.ip_address(strip_zeros(value) if ":" not in value else value).compressed
            except ValueError:
                return value
        case _:
            return value


@dataclass(slots=True, eq=False)
class NameTable:
    """The people of one unit: which words belong to which name.

    A part of a known name ("Maria") is the same person as the full name ("Maria Lindqvist"), and a fuller
    name found later extends a shorter one; of two people who share a word, the first one gets it.
    """

    _people: list[set[str]] = field(default_factory=list, repr=False)
    _by_word: dict[str, int] = field(default_factory=dict, repr=False)
    _by_parts: dict[frozenset[str], int] = field(default_factory=dict, repr=False)

    @property
    def words(self) -> frozenset[str]:
        """The case-folded words of all known names that are long enough to be looked for ("Jo" is not)."""
        return frozenset(word for word in self._by_word if len(word) > 2)

    def __len__(self) -> int:
        """Return the number of known words, which grows whenever something is learned."""
        return len(self._by_word)

    def person(self, value: str) -> int:
        """Return the number of the person with this name (from 0), learning the name if it is new."""
        parts = frozenset(name_parts(value)) or frozenset({value.casefold()})
        known = self._by_parts.get(parts)
        if known is not None:
            return known
        known = self._related(parts)
        if known is None:
            known = len(self._people)
            self._people.append(set())
        self._people[known] |= parts
        for word in parts:
            self._by_word.setdefault(word, known)
        self._by_parts[parts] = known
        return known

    def _related(self, parts: frozenset[str]) -> int | None:
        for person in sorted({self._by_word[word] for word in parts if word in self._by_word}):
            words = self._people[person]
            if parts <= words or words <= parts:
                return person
        return None


@dataclass(slots=True, eq=False)
class SurrogateTable:
    """The surrogates of one unit. Its ``repr`` shows how many there are, never what they stand for."""

    names: NameTable = field(default_factory=NameTable, repr=False)
    _given: dict[tuple[str, str | int], int] = field(default_factory=dict, repr=False)
    _reserved: dict[str, set[int]] = field(default_factory=dict, repr=False)
    _last: dict[str, int] = field(default_factory=dict)

    def reserve(self, tokens: Iterable[tuple[str, int]]) -> None:
        """Keep numbers free that stand in the input already, so that two meanings never share one surrogate.

        Args:
            tokens: (kind, number) of every surrogate-like word in the input.
        """
        for kind, number in tokens:
            self._reserved.setdefault(kind, set()).add(number)

    def surrogate(self, kind: str, value: str) -> str:
        """Return the surrogate of a value, numbering it if it is new to the unit.

        Raises:
            UnsanitizableError: the unit holds a million values of one kind.
        """
        key = (kind, self.names.person(value) if kind == Kind.NAME else normalise(kind, value))
        number = self._given.get(key)
        if number is None:
            number = self._last.get(kind, 0) + 1
            reserved: AbstractSet[int] = self._reserved.get(kind, frozenset())
            while number in reserved:
                number += 1
            if number > _HIGHEST:
                message = f"One unit holds more than {_HIGHEST} different values of kind {kind}."
                raise UnsanitizableError(
                    message, hint="Split the unit: sanitize each conversation on its own."
                )
            self._given[key] = self._last[kind] = number
        return f"{kind}_{number}"
