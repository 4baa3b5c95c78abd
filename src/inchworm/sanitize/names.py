"""The detector for people's names where the sentence says that a name comes: no list of names is needed.

A cue ("my name is", "Regards,", "Dear Mr") is found by an expression; the words after it are then read one
by one, so that the work is bounded by the number of cues. Each cue says which words its matches begin with or
hold, so that an ordinary text is not tried at every character.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from inchworm.sanitize.findings import Finding, Kind
from inchworm.sanitize.name_cues import CUES, Cue
from inchworm.sanitize.name_words import AMBIGUOUS, NOT_NAMES, PARTICLES, TITLES
from inchworm.sanitize.searching import found, lowered

WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019\-][^\W\d_]+)*")
"""A word as names are made of: letters of any script, joined by apostrophes or hyphens."""

_GAP: Final = re.compile(r"(?:\.[ \u00a0]?|[ \u00a0]{1,2})")
_MOST_WORDS: Final = 5
_LONGEST: Final = 40
_AHEAD: Final = 300


_TITLE_WORDS: Final = (
    r"mr|mrs|ms|mx|miss|dr|prof|professor|sir|madam|madame|mme|mlle|monsieur|herrn?|frau|se\u00f1ora?|"
    r"sr|sra|signora?|mevrouw|meneer|dhr|mevr"
)

_BREAK: Final = re.compile(r"[\s:=\\]")
"""Between a cue and a name there is one of these."""
_MAILBOX: Final = re.compile(r"(?<=[^\W\d_])\"?[ ]<(?=[A-Za-z0-9._%+\-]{1,64}@)")
_TITLE: Final = re.compile(rf"(?:{_TITLE_WORDS})\.?[ \u00a0]", re.IGNORECASE)


def name(text: str) -> Iterator[Finding]:
    """Find names after cues in many languages ("My name is …", "Regards, …", "Sehr geehrte Frau …")."""
    if _BREAK.search(text) is None:
        return
    lower = lowered(text)
    for cue in CUES:
        for match in found(cue.before, text, text if cue.cased else lower, cue.places):
            span = _read(text, match.end(), cue)
            if span is not None:
                yield Finding(kind=Kind.NAME, start=span[0], end=span[1], detector=cue.detector)
    for match in _MAILBOX.finditer(text) if " <" in text else ():
        span = _read_back(text, match.start())
        if span is not None:
            yield Finding(kind=Kind.NAME, start=span[0], end=span[1], detector="name_of_mailbox")


def _read(text: str, at: int, cue: Cue) -> tuple[int, int] | None:
    """Read the name that starts at ``at``: titles are skipped, capitalised words and particles taken."""
    while (title := _TITLE.match(text, at)) is not None:
        at = title.end()
    words: list[tuple[int, int]] = []
    end = at
    small = False
    while len(words) < _MOST_WORDS and (word := WORD.match(text, end, end + _AHEAD)) is not None:
        if not _part(word.group(), first=not words, lower=cue.lower and (not words or small)):
            break
        small = small or (word.group()[0].islower() and word.group().casefold() not in PARTICLES)
        words.append(word.span())
        gap = _GAP.match(text, word.end())
        if gap is None or (gap.group().startswith(".") and word.end() - word.start() > 1):
            break
        end = gap.end()
    # A particle at the end belongs to the sentence: "I am Anna de" is Anna.
    while words and text[words[-1][0] : words[-1][1]].casefold() in PARTICLES:
        words.pop()
    if not words or (len(words) == 1 and words[0][1] - words[0][0] < 2):  # one letter is no name
        return None
    stop = words[-1][1]
    if text[stop - 2 : stop] in ("'s", "\u2019s"):
        stop -= 2
    follow = cue.after_one if len(words) == 1 and cue.after_one is not None else cue.after
    if follow is not None and follow.match(text, words[-1][1]) is None:
        return None
    return words[0][0], stop


def _part(word: str, *, first: bool, lower: bool) -> bool:
    """Tell whether a word can be a part of a name."""
    folded = word.casefold()
    if len(word) > _LONGEST:
        return False
    if folded in PARTICLES:
        return not first or word[0].isupper()
    if lower and word[0].isupper() and folded in AMBIGUOUS:
        return True  # "My name is Will"
    if folded in NOT_NAMES or folded.split("'")[0].split("\u2019")[0] in NOT_NAMES:
        return False
    if word[0].isupper() or not (word[0].islower() or word.isascii()):
        return True
    return lower and word.isalpha() and not folded.endswith(("ed", "ing", "ly", "able", "ible"))


def _read_back(text: str, end: int) -> tuple[int, int] | None:
    """Read the name that ends at ``end``, before an address in angle brackets."""
    lower = max(0, end - 60)
    head = text[lower:end]
    head = head[max(head.rfind(char) for char in '\n\r<>,;:"') + 1 :]
    words = [
        m for m in WORD.finditer(head) if m.group()[0].isupper() and m.group().casefold() not in NOT_NAMES
    ]
    words = words[-_MOST_WORDS:]
    if not words:
        return None
    base = end - len(head)
    return base + words[0].start(), base + words[-1].end()


def name_parts(value: str) -> tuple[str, ...]:
    """Return the words of a name, case-folded, without titles, particles and initials."""
    folded = (match.group().casefold() for match in WORD.finditer(value))
    return tuple(word for word in folded if len(word) > 1 and word not in PARTICLES and word not in TITLES)


def mentions(text: str, parts: frozenset[str]) -> Iterator[Finding]:
    """Find later mentions of names known in the unit, by one word or several.

    Args:
        text: the text.
        parts: the case-folded words of the names that are known.
    """
    start = end = -1
    for match in WORD.finditer(text):
        word = match.group()
        folded = word.casefold()
        stem = folded[:-2] if folded.endswith(("'s", "\u2019s")) else folded
        # In small letters an ordinary word ("will", "rose") is that word, not the name.
        known = stem in parts and not (word[0].islower() and stem in AMBIGUOUS)
        if known and start >= 0 and text[end : match.start()] in (" ", "\u00a0"):
            end = match.start() + len(stem)
            continue
        if start >= 0:
            yield Finding(kind=Kind.NAME, start=start, end=end, detector="name_mentioned")
            start = -1
        if known and not (stem in AMBIGUOUS and _opens_sentence(text, match.start())):
            start, end = match.start(), match.start() + len(stem)
    if start >= 0:
        yield Finding(kind=Kind.NAME, start=start, end=end, detector="name_mentioned")


def _opens_sentence(text: str, at: int) -> bool:
    head = text[max(0, at - 3) : at].rstrip()
    return not head or head[-1] in ".!?\n"


def vocabulary(text: str) -> frozenset[str]:
    """Return the case-folded words of a text, as :func:`mentions` compares them."""
    folded = (match.group().casefold() for match in WORD.finditer(text))
    return frozenset(word[:-2] if word.endswith(("'s", "\u2019s")) else word for word in folded)
