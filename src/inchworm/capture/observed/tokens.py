"""Texts as tokens, what is variable at first sight, and which tokens two texts have in common.

The tokens of a text joined are the text, so that a template says exactly what was written.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(r"\s{0,64}(?:\w+|[^\w\s])|\s{1,64}")
_WORD = re.compile(r"\w")
_LETTER = re.compile(r"[^\W\d_]")
_MONTH = (
    r"(?:jan(?:uary|uar|\.)?|feb(?:ruary|ruar|\.)?|mar(?:ch|\.)?|märz|apr(?:il|\.)?|may|mai|june?|juni"
    r"|july?|juli|aug(?:ust|\.)?|sept?(?:ember|\.)?|o[ck]t(?:ober|\.)?|nov(?:ember|\.)?|de[cz](?:ember|\.)?)"
)
_DAY = r"(?:(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?\s+)?"
_TIME = r"(?:(?:T|,?\s+(?:at\s+)?)\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?:\s?(?:Z|UTC|GMT|[+-]\d\d:?\d\d))?)?"
_DATE = (
    rf"\b{_DAY}(?:\d{{4}}-\d\d-\d\d|\d{{1,2}}[./]\d{{1,2}}[./](?:\d{{4}}|\d\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|\.)?\s+{_MONTH}(?:,?\s+\d{{4}})?"
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?(?:,?\s+\d{{4}})?){_TIME}(?!\w)"
)
_WEEKDAY = (
    r"(?:\b(?:today|now|date|day)(?:\s+is|['’]s|:)?\s+(?:an?\s+)?)"
    r"(?P<weekday>(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_UUID = r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"
_ID = r"\b(?:\d{6,}|(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{12,})\b"
_VARIABLE = re.compile(
    rf"(?P<surrogate>\b[A-Z][A-Z0-9]*(?:_[A-Z][A-Z0-9]*)*_\d{{1,6}}\b)"
    rf"|(?i:(?P<date>{_DATE}))|(?i:(?P<id>{_UUID}|{_ID}))|(?i:{_WEEKDAY})"
)
"""What no prompt says by hand twice: stand-ins of the sanitizer, dates, long numbers and hashes."""
_SPAN = 20_000
"""Characters that are looked at from either end of a text that is longer than twice this."""
CUT = "\0\0"
"""Between the two ends; no token of a text is this."""


def tokens(text: str) -> list[str]:
    """Words and marks, each with the white space before it; joined they are the text."""
    return _TOKEN.findall(text)


def considered(text: str) -> list[str]:
    """The tokens of a text, or of its two ends with a gap between them where it is very long."""
    if len(text) <= 2 * _SPAN:
        return tokens(text)
    return [*tokens(text[:_SPAN]), CUT, *tokens(text[-_SPAN:])]


def words(parts: Sequence[str]) -> int:
    """How many of the tokens are words."""
    return sum(1 for part in parts if _WORD.search(part))


def letters(parts: Sequence[str]) -> int:
    """How many of the tokens hold a letter."""
    return sum(1 for part in parts if _LETTER.search(part))


def obvious(text: str) -> Iterator[tuple[int, int, str]]:
    """``(start, end, hint)`` of what is variable at first sight; the hint names it (``date``, ``email``)."""
    for match in _VARIABLE.finditer(text):
        kind = match.lastgroup or ""
        hint = match.group().rpartition("_")[0].lower() if kind == "surrogate" else kind
        yield match.start(kind), match.end(kind), "date" if kind == "weekday" else hint


def common(one: Sequence[str], other: Sequence[str]) -> list[tuple[int, int, int]]:
    """Blocks ``(i, j, n)`` that two sequences have in common, in order: ``one[i:i+n] == other[j:j+n]``.

    Patience: equal ends first, then the longest increasing run of tokens that are unique on both sides,
    then the same between those. Near linear, where a longest common subsequence is quadratic.
    """
    found: list[tuple[int, int, int]] = []
    waiting = [(0, len(one), 0, len(other))]
    while waiting:
        low, high, from_, to = waiting.pop()
        start = low
        while low < high and from_ < to and one[low] == other[from_]:
            low, from_ = low + 1, from_ + 1
        if low > start:
            found.append((start, from_ - (low - start), low - start))
        end = high
        while low < high and from_ < to and one[high - 1] == other[to - 1]:
            high, to = high - 1, to - 1
        if end > high:
            found.append((high, to, end - high))
        if low == high or from_ == to:
            continue
        anchors = _anchors(_unique(one, low, high), _unique(other, from_, to))
        before = (low, from_)
        for i, j in [*anchors, (high, to)]:
            if anchors and i > before[0] and j > before[1]:
                waiting.append((before[0], i, before[1], j))
            if i < high:
                found.append((i, j, 1))
            before = (i + 1, j + 1)
    return _joined(sorted(found))


def _joined(blocks: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    out: list[tuple[int, int, int]] = []
    for i, j, n in blocks:
        if out and out[-1][0] + out[-1][2] == i and out[-1][1] + out[-1][2] == j:
            out[-1] = (out[-1][0], out[-1][1], out[-1][2] + n)
        else:
            out.append((i, j, n))
    return out


def _anchors(mine: dict[str, int], theirs: dict[str, int]) -> list[tuple[int, int]]:
    """Tokens that are unique on both sides, as many as stand in the same order."""
    pairs = [(i, theirs[token]) for token, i in mine.items() if token in theirs]
    # the longest run with growing j, by patience sorting
    tails: list[int] = []
    places: list[int] = []
    back: list[int] = [-1] * len(pairs)
    for number, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        if at == len(tails):
            tails.append(j)
            places.append(number)
        else:
            tails[at], places[at] = j, number
        back[number] = places[at - 1] if at else -1
    run: list[tuple[int, int]] = []
    number = places[-1] if places else -1
    while number >= 0:
        run.append(pairs[number])
        number = back[number]
    return run[::-1]


def _unique(sequence: Sequence[str], low: int, high: int) -> dict[str, int]:
    """The place of each token that occurs once in the range, in the order of the range."""
    seen: dict[str, int] = {}
    for place in range(low, high):
        token = sequence[place]
        seen[token] = -1 if token in seen else place
    return {token: place for token, place in seen.items() if place >= 0}
