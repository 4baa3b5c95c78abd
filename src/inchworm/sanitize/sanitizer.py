"""The sanitizer: texts and JSON-like values in, the same without personal data and secrets out.

Three promises, each held by a property test: what comes out is clean for the detectors that cleaned it
(sanitizing twice changes nothing), one value has one surrogate throughout a unit, and what cannot be read is
refused (:class:`~inchworm.sanitize.errors.UnsanitizableError`), never let through.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from inchworm.sanitize.audit import Report
from inchworm.sanitize.custom import CustomPattern
from inchworm.sanitize.detect import DETECTORS, resolve, token_pattern
from inchworm.sanitize.errors import UnsanitizableError
from inchworm.sanitize.findings import Detector, Finding, Kind
from inchworm.sanitize.memo import Memo
from inchworm.sanitize.names import mentions, vocabulary
from inchworm.sanitize.surrogate import SurrogateTable
from inchworm.sanitize.values import Json, Leaf, Number, copied, leaves, rebuild

_NUMBERED: Final = re.compile("_[1-9]")
_MOST_PASSES: Final = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitized:
    """A sanitized text."""

    text: str
    """The text with surrogates in place of what was found."""
    findings: tuple[Finding, ...]
    """What was found, sorted; offsets are into the *original* text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SanitizedValue:
    """A sanitized JSON-like value."""

    value: Json
    """The value, of the same shape."""
    report: Report
    """What was found in it; ``units`` is 0, as the unit counts itself."""


class Sanitizer:
    """Finds and replaces personal data and secrets. Immutable; shared between threads freely.

    Args:
        kinds: the built-in kinds to look for; all by default.
        custom: kinds of one's own.
        detectors: further detectors (the seam for a named-entity recogniser).
        memo: remembers what was found in texts that come again; for these kinds and detectors alone.
    """

    __slots__ = ("_detectors", "_memo", "_names", "_secrets", "_token")

    def __init__(
        self,
        *,
        kinds: Iterable[Kind] = tuple(Kind),
        custom: Sequence[CustomPattern] = (),
        detectors: Sequence[Detector] = (),
        memo: Memo | None = None,
    ) -> None:
        self._memo = memo
        enabled = frozenset(kinds)
        self._names = Kind.NAME in enabled
        self._secrets = Kind.SECRET in enabled
        self._detectors: tuple[Detector, ...] = (
            *(detector for kind in Kind if kind in enabled for detector in DETECTORS[kind]),
            *(pattern.detector() for pattern in custom),
            *detectors,
        )
        self._token = token_pattern({*(kind.value for kind in Kind), *(pattern.kind for pattern in custom)})

    def unit(self) -> UnitSanitizer:
        """Begin a unit (a conversation, a session): surrogates are consistent within it only."""
        return UnitSanitizer(self)

    def sanitize_unit(self, values: Sequence[Json]) -> list[SanitizedValue]:
        """Sanitize all texts or values of one unit together; a name found late masks earlier texts too.

        Args:
            values: the unit's texts or JSON-like values, in order.

        Returns:
            As many results, in the same order.

        Raises:
            UnsanitizableError: something in it is not JSON-like (bytes, say); nothing is returned.
        """
        return self.unit().batch(values)

    def settle(self, text: str, words: frozenset[str]) -> tuple[Finding, ...]:
        """Find everything in a text, again and again until the text with surrogates has nothing left to find.

        Args:
            text: the text.
            words: case-folded words of names already known in the unit.

        Returns:
            Sorted findings without overlaps; offsets are into ``text``.

        Raises:
            UnsanitizableError: new findings kept appearing, as only a made-up text brings about.
        """
        if not self._names or (words and not _mentioned(text, words)):
            # Where nobody is mentioned, what is found is what is found without knowing anybody. Only where
            # that is something the words could meet what a surrogate leaves of a word.
            alone = self._settled(text)
            if not alone or not self._names:
                return alone
        return self._settle(text, words) if words else self._settled(text)

    def _settled(self, text: str) -> tuple[Finding, ...]:
        """What is found without knowing anybody."""
        digest = None if self._memo is None else self._memo.digest(text)
        if self._memo is None or digest is None:
            return self._settle(text, frozenset())
        found = self._memo.get(digest)
        if found is None:
            found = self._settle(text, frozenset())
            self._memo.put(digest, found)
        return found

    def _settle(self, text: str, words: frozenset[str]) -> tuple[Finding, ...]:
        found = self._scan(text, words)
        for _ in range(_MOST_PASSES):
            if not found:
                return found
            masked, places = _mask(text, found)
            again = self._scan(masked, words)
            if not again:
                return found
            found = resolve(text, (*found, *(_moved(finding, found, places) for finding in again)))
        message = f"A text of {len(text)} characters still held personal data after {_MOST_PASSES} passes."
        raise UnsanitizableError(message, hint="Drop the text: it was made to defeat sanitizing.")

    def _scan(self, text: str, words: frozenset[str]) -> tuple[Finding, ...]:
        raw = [finding for detector in self._detectors for finding in detector(text)]
        if self._names and words:
            raw.extend(mentions(text, words))
        if not raw:
            return ()
        tokens = [match.span() for match in self._token.finditer(text)]
        if not tokens:
            return resolve(text, raw)
        starts = [start for start, _ in tokens]
        return resolve(text, (finding for finding in raw if not _inside(finding, tokens, starts)))

    def tokens(self, text: str) -> list[tuple[str, int]]:
        """Return (kind, number) of every word of the text that looks like a surrogate already."""
        if _NUMBERED.search(text) is None:
            return []
        return [(match["kind"], int(match["number"])) for match in self._token.finditer(text)]

    def whole(self, leaf: Leaf | Number) -> bool:
        """Tell whether a leaf is a secret as a whole, because the field that holds it says so."""
        if not self._secrets:
            return False
        match leaf:
            case Number():
                return True
            case Leaf(text=text):
                return bool(text.strip()) and self._token.fullmatch(text) is None


def _mentioned(text: str, words: frozenset[str]) -> bool:
    """Whether one of the words may be in a text; surely not if this says no."""
    folded = text.casefold()
    return any(word in folded for word in words)


def _inside(finding: Finding, tokens: list[tuple[int, int]], starts: list[int]) -> bool:
    at = bisect_right(starts, finding.start) - 1
    return at >= 0 and finding.end <= tokens[at][1]


def _mask(text: str, found: Sequence[Finding]) -> tuple[str, list[int]]:
    """Put a surrogate of each kind in place of the findings; return also where each one then starts."""
    pieces: list[str] = []
    places: list[int] = []
    at = length = 0
    for finding in found:
        pieces.append(text[at : finding.start])
        length += finding.start - at
        places.append(length)
        pieces.append(f"{finding.kind}_1")
        length += len(finding.kind) + 2
        at = finding.end
    pieces.append(text[at:])
    return "".join(pieces), places


def _moved(finding: Finding, found: Sequence[Finding], places: list[int]) -> Finding:
    """Bring a finding in the masked text back to the original, whole surrogates included."""

    def origin(offset: int, *, end: bool) -> int:
        at = bisect_right(places, offset - 1 if end else offset) - 1
        if at < 0:
            return offset
        beyond = offset - places[at] - len(found[at].kind) - 2
        if end:
            return found[at].end + max(beyond, 0)
        return found[at].end + beyond if beyond >= 0 else found[at].start

    return Finding(
        kind=finding.kind,
        start=origin(finding.start, end=False),
        end=origin(finding.end, end=True),
        detector=finding.detector,
    )


class UnitSanitizer:
    """Sanitizes what belongs to one unit. Made by :meth:`Sanitizer.unit`; not for several threads at once.

    Calls made one after the other remember the names and surrogates of the earlier ones; only
    :meth:`batch` and :meth:`texts` also let what is found late mask what came before.
    """

    __slots__ = ("_report", "_sanitizer", "_table")

    def __init__(self, sanitizer: Sanitizer) -> None:
        self._sanitizer = sanitizer
        self._table = SurrogateTable()
        self._report = Report(units=1)

    def __repr__(self) -> str:
        """Show counts, never values."""
        return f"UnitSanitizer({self._report!r})"

    @property
    def report(self) -> Report:
        """What was found in this unit so far."""
        return self._report

    def text(self, text: str) -> Sanitized:
        """Sanitize one text.

        Raises:
            UnsanitizableError: it is not a ``str``.
        """
        return self.texts([text])[0]

    def texts(self, texts: Sequence[str]) -> list[Sanitized]:
        """Sanitize texts together; a name found in any of them masks its mentions in all.

        Raises:
            UnsanitizableError: one of them is not a ``str``; nothing is returned.
        """
        for text in texts:
            if not isinstance(text, str):
                message = f"A value of type {type(text).__name__} was handed in as a text."
                raise UnsanitizableError(
                    message, hint="Decode bytes first, or use `value` for JSON-like values."
                )
        found = self._find(texts)
        results = [
            Sanitized(text=self._render(text, findings), findings=findings)
            for text, findings in zip(texts, found, strict=True)
        ]
        self._report += Report.of((finding for findings in found for finding in findings), texts=len(texts))
        return results

    def value(self, value: Json) -> SanitizedValue:
        """Sanitize a JSON-like value: its strings, its keys, and all in a field like ``password``.

        Numbers stay as they are, except in such a field.

        Raises:
            UnsanitizableError: something in it is no dict with ``str`` keys, list, tuple, str, number,
                bool or None.
        """
        return self.batch([value])[0]

    def batch(self, values: Sequence[Json]) -> list[SanitizedValue]:
        """Sanitize values together; a name found in any of them masks its mentions in all.

        Raises:
            UnsanitizableError: as for :meth:`value`; nothing is returned then.
        """
        collected = [leaves(value) for value in values]
        found = self._find([leaf for each in collected for leaf in each])
        results: list[SanitizedValue] = []
        at = 0
        for value, each in zip(values, collected, strict=True):
            mine = found[at : at + len(each)]
            at += len(each)
            clean = [self._leaf(leaf, findings) for leaf, findings in zip(each, mine, strict=True)]
            texts = sum(not isinstance(leaf, Number) for leaf in each)
            report = Report.of((finding for findings in mine for finding in findings), texts=texts)
            built = rebuild(value, iter(clean)) if report.found else copied(value)
            results.append(SanitizedValue(value=built, report=report))
            self._report += report
        return results

    def _find(self, items: Sequence[str | Leaf | Number]) -> list[tuple[Finding, ...]]:
        """Return the findings of each item, after as many rounds as it takes for no new name to appear."""
        sanitizer, names = self._sanitizer, self._table.names
        found: list[tuple[Finding, ...]] = [()] * len(items)
        open_: list[tuple[int, str]] = []
        for index, item in enumerate(items):
            if not isinstance(item, str) and sanitizer.whole(item):
                end = len(item.text)
                found[index] = (Finding(kind=Kind.SECRET, start=0, end=end, detector="secret_field"),)
            elif not isinstance(item, Number):
                text = item if isinstance(item, str) else item.text
                self._table.reserve(sanitizer.tokens(text))
                open_.append((index, text))
        seen: dict[int, int] = {}
        vocabularies: dict[int, frozenset[str]] = {}
        history: list[frozenset[str]] = [names.words]
        for _ in range(_MOST_PASSES):
            stale = open_ if not seen else [one for one in open_ if seen[one[0]] != len(history) - 1]
            if not stale:
                return found
            for index, text in stale:
                now = history[-1]
                if index in seen:
                    new = now - history[seen[index]]
                    seen[index] = len(history) - 1
                    if not _mentioned(text, new):
                        continue
                    if index not in vocabularies:
                        vocabularies[index] = vocabulary(text)
                    if vocabularies[index].isdisjoint(new):
                        continue
                seen[index] = len(history) - 1
                found[index] = findings = sanitizer.settle(text, now)
                if findings and self._learn(text, findings) and names.words != now:
                    history.append(names.words)
            if len(history) == 1:
                return found
        message = f"The names of a unit of {len(items)} texts were not complete after {_MOST_PASSES} rounds."
        raise UnsanitizableError(message, hint="Drop the unit: it was made to defeat sanitizing.")

    def _learn(self, text: str, findings: Sequence[Finding]) -> bool:
        """Remember the people that were found; whether there was something new."""
        before = len(self._table.names)
        for finding in findings:
            if finding.kind == Kind.NAME:
                self._table.names.person(text[finding.start : finding.end])
        return len(self._table.names) != before

    def _leaf(self, item: str | Leaf | Number, findings: tuple[Finding, ...]) -> str | None:
        """Return the clean text of a leaf; None for a number that stays."""
        if isinstance(item, str):
            return self._render(item, findings) if findings else item
        if isinstance(item, Number) and not findings:
            return None
        return self._render(item.text, findings)

    def _render(self, text: str, findings: Sequence[Finding]) -> str:
        pieces: list[str] = []
        at = 0
        for finding in findings:
            value = text[finding.start : finding.end]
            pieces += [text[at : finding.start], self._table.surrogate(finding.kind, value)]
            at = finding.end
        pieces.append(text[at:])
        return "".join(pieces)
