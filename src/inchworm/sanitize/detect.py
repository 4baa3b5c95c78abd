"""Running the detectors over a text and settling their overlaps."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from inchworm.sanitize import credentials, names, patterns, phones
from inchworm.sanitize.findings import Detector, Finding, Kind

DETECTORS: Final[Mapping[Kind, tuple[Detector, ...]]] = MappingProxyType(
    {
        Kind.CARD: (patterns.card,),
        Kind.IBAN: (patterns.iban,),
        Kind.EMAIL: (patterns.email,),
        Kind.IP: (patterns.ip,),
        Kind.SECRET: (credentials.key, credentials.private_key, credentials.spoken_secret),
        Kind.PHONE: (phones.phone,),
        Kind.NAME: (names.name,),
    }
)
"""The built-in detectors by the kind that they find."""

_RANK: Final = {kind.value: rank for rank, kind in enumerate(Kind)}
_CUSTOM: Final = -1
"""A custom pattern is the most specific of all: somebody wrote it for this data."""


def detect(text: str, detectors: Sequence[Detector]) -> tuple[Finding, ...]:
    """Return what the detectors find in ``text``, sorted and free of overlaps (see :func:`resolve`)."""
    return resolve(text, (finding for detector in detectors for finding in detector(text)))


def resolve(text: str, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Settle overlaps: what overlaps or touches becomes one finding, named by its longest member.

    Nothing that any detector covered is uncovered again: the union goes, not only the winner. Between equally
    long members the more specific kind wins (:class:`~inchworm.sanitize.findings.Kind`, in its order). A
    finding that begins or ends inside a word of ASCII letters, digits and underscores takes the whole word,
    so that a surrogate never stands glued to other characters.

    Args:
        text: the text that the findings are of.
        findings: findings in any order, overlapping or not; empty ones are dropped.

    Returns:
        Findings sorted by offset, no two of which overlap or touch.
    """
    settled: list[Finding] = []
    winner: Finding | None = None
    for found in sorted(findings, key=lambda f: (f.start, f.end)):
        if found.end <= found.start:
            continue
        if winner is not None and found.start <= settled[-1].end:
            last = settled[-1]
            if _strength(found) > _strength(winner):
                winner = found
            end = last.end if found.end <= last.end else _widen_end(text, found.end)
            settled[-1] = Finding(kind=winner.kind, start=last.start, end=end, detector=winner.detector)
            continue
        winner = found
        start = _widen_start(text, found.start, settled[-1].end if settled else 0)
        end = _widen_end(text, found.end)
        if settled and start <= settled[-1].end:
            last = settled.pop()
            start = last.start
            if _strength(last) > _strength(found):
                winner = last
        settled.append(Finding(kind=winner.kind, start=start, end=end, detector=winner.detector))
    return tuple(settled)


def _strength(finding: Finding) -> tuple[int, int]:
    return finding.end - finding.start, -_RANK.get(finding.kind, _CUSTOM)


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")


_ESCAPES: Final = "nrt"


def _widen_start(text: str, start: int, floor: int) -> int:
    at = start
    while at > floor and _is_word(text[at - 1]):
        at -= 1
    if floor < at < start and text[at - 1] == "\\" and text[at] in _ESCAPES:
        at += 1  # the letter of a line break in a JSON string, not of the word
    return at


def _widen_end(text: str, end: int) -> int:
    at = end
    while at < len(text) and _is_word(text[at]):
        at += 1
    return at


def token_pattern(kinds: Iterable[str]) -> re.Pattern[str]:
    """Return the expression that reads surrogates such as ``EMAIL_1`` (groups ``kind`` and ``number``).

    A number has at most six digits and no leading zero: a longer one could itself be somebody's number.

    Args:
        kinds: the names of the kinds.
    """
    names_ = "|".join(sorted((re.escape(kind) for kind in kinds), key=lambda kind: (-len(kind), kind)))
    return re.compile(
        rf"(?:(?<![A-Za-z0-9_])|"
        rf"(?<=\\[{_ESCAPES}]))(?P<kind>{names_})_(?P<number>[1-9][0-9]{{0,5}})(?![A-Za-z0-9_])"
    )
