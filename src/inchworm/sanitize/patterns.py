"""Detectors for what has a form of its own: e-mail, phone, card, IBAN, IP address.

Every search is linear in the text: an expression either cannot start inside its own body (a look-behind
holds the same characters), or is tried at an anchor and reads a bounded number of characters from there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

from inchworm.sanitize.checksums import CARD_MAX, CARD_MIN, IBAN_LENGTHS, is_card, is_iban
from inchworm.sanitize.findings import Finding, Kind
from inchworm.sanitize.searching import found

# Latin, Greek and Cyrillic letters belong to an address (RFC 6531); scripts that are written without spaces
# do not, or a whole Chinese sentence before an address would be taken for its local part.
_WORD: Final = "A-Za-z0-9\u00c0-\u024f\u0370-\u03ff\u0400-\u04ff"
_LOCAL_CHAR: Final = re.compile(rf"[{_WORD}._%+\-]")
_LOCAL_MAX: Final = 64  # RFC 5321, section 4.5.3.1.1
_DOMAIN: Final = re.compile(
    rf"[{_WORD}](?:[{_WORD}\-]{{0,62}})(?:\.[{_WORD}](?:[{_WORD}\-]{{0,62}})){{0,8}}\.?"
)
_TLD: Final = re.compile(r"(?:xn--[A-Za-z0-9\-]{2,59}|[^\W\d_]{2,24})\Z")
_SPELLED: Final = re.compile(
    r"(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64} ?[\[({] ?(?:at|AT|@) ?[\])}] ?"
    r"[A-Za-z0-9\-]{1,63}(?: ?(?:[\[({] ?(?:dot|DOT|\.) ?[\])}]|\.) ?[A-Za-z0-9\-]{2,63}){1,4}"
)
_SPELLED_AT: Final = re.compile(r"[\[({] ?(?:at|AT|@) ?[\])}]")


def email(text: str) -> Iterator[Finding]:
    """Find e-mail addresses (RFC 5321, RFC 6531), also written as ``name [at] example [dot] com``."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at + 1)
        start = _local_start(text, at)
        if domain is not None and start < at:
            name = domain.group().rstrip(".-")
            if "." in name and _TLD.search(name) is not None:
                yield Finding(kind=Kind.EMAIL, start=start, end=at + 1 + len(name), detector="email")
        at = text.find("@", at + 1)
    if _SPELLED_AT.search(text) is None:
        return
    for match in _SPELLED.finditer(text):
        yield Finding(kind=Kind.EMAIL, start=match.start(), end=match.end(), detector="email_spelled")


def _local_start(text: str, at: int) -> int:
    start = at
    while start > 0 and at - start < _LOCAL_MAX and _LOCAL_CHAR.match(text, start - 1):
        start -= 1
    # A JSON string inside a string: in ``\nmaria@…`` the n belongs to the line break.
    if start > 0 and text[start - 1] == "\\" and text[start : start + 1] in ("n", "r", "t"):
        start += 1
    while start < at and text[start] in ".-":
        start += 1
    return start


_GAP: Final = " \u00a0\u2007\u2009\u202f\\-\u2010\u2011\u2013."
_DIGIT_RUN: Final = re.compile(rf"(?<![A-Za-z0-9_])[0-9]+(?:[{_GAP}][0-9]+)*(?![A-Za-z0-9_])")
_GROUP: Final = re.compile("[0-9]+")
_MANY: Final = re.compile(r"[0-9](?:[ \u00a0\u2007\u2009\u202f().\-\u2010\u2011\u2013/]{0,3}[0-9]){6}")
_CARD_GROUP_MIN: Final = 3
_CARD_GROUPS_MAX: Final = 6
_CARD_USUAL: Final = 14


def many_digits(text: str) -> bool:
    """Tell whether there are seven digits so close together that they may be one card or telephone number."""
    return _MANY.search(text) is not None


def card(text: str) -> Iterator[Finding]:
    """Find payment card numbers, unbroken or in groups, with a known issuer and a right check digit."""
    if not many_digits(text):
        return
    for run in _DIGIT_RUN.finditer(text):
        if run.end() - run.start() < CARD_MIN:
            continue
        groups = [(g.start(), g.end()) for g in _GROUP.finditer(text, run.start(), run.end())]
        first = 0
        while first < len(groups):
            last = _card_from(text, groups, first)
            if last is None:
                first += 1
                continue
            yield Finding(kind=Kind.CARD, start=groups[first][0], end=groups[last][1], detector="card")
            first = last + 1


def _card_from(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """Return the last group of the longest card that starts at group ``first``, if there is one."""
    digits = ""
    found: int | None = None
    for index in range(first, min(len(groups), first + _CARD_GROUPS_MAX)):
        start, end = groups[index]
        if len(digits) + end - start > CARD_MAX:
            break
        digits += text[start:end]
        # One list of small numbers in ten would meet Luhn; a card is written in groups of three or more,
        # save for a shorter rest at the end.
        if index > first and groups[index - 1][1] - groups[index - 1][0] < _CARD_GROUP_MIN:
            break
        # The short numbers of a few issuers would also turn up inside longer rows of groups.
        alone = index == first or (first == 0 and index == len(groups) - 1)
        if len(digits) >= (CARD_MIN if alone else _CARD_USUAL) and is_card(digits):
            found = index
    return found


_IBAN_HEAD: Final = re.compile(r"(?<![A-Za-z0-9_])[A-Za-z]{2}[0-9]{2}(?=[ \u00a0\-.]?[A-Za-z0-9])")

_IBAN_MIN: Final = min(IBAN_LENGTHS.values())
_LETTERS: Final = 2


def _after_letters(text: str) -> Iterator[int]:
    """Where two letters stand before digits: a country."""
    for digits in _GROUP.finditer(text):
        at = digits.start() - _LETTERS
        if at >= 0 and text[at : at + _LETTERS].upper() in IBAN_LENGTHS:
            yield at


def iban(text: str) -> Iterator[Finding]:
    """Find IBANs: country length and mod-97 check (ISO 13616), with or without spaces, in any case."""
    if len(text) < _IBAN_MIN:
        return
    for head in found(_IBAN_HEAD, text, text, _after_letters):
        length = IBAN_LENGTHS.get(head.group()[:2].upper())
        if length is None:
            continue
        compact, at = head.group(), head.end()
        while len(compact) < length and at < len(text):
            char = text[at]
            if char.isascii() and char.isalnum():
                compact += char
            elif char not in " \u00a0-." or text[at - 1] in " \u00a0-.":
                break
            at += 1
        after = text[at : at + 1]
        if is_iban(compact.upper()) and not (after.isascii() and after.isalnum()):
            yield Finding(kind=Kind.IBAN, start=head.start(), end=at, detector="iban")


_V4: Final = re.compile(r"(?<![A-Za-z0-9_.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![A-Za-z0-9_]|\.[0-9])")
_V6_RUN: Final = re.compile(r"(?<![A-Za-z0-9_:.])[0-9A-Fa-f:][0-9A-Fa-f:.]+(?![A-Za-z0-9_])")
_DOTTED: Final = re.compile(r"[0-9]\.[0-9]{1,3}\.[0-9]")
_COLONS: Final = re.compile(r":[0-9A-Fa-f.]{0,46}:")
_V6_LONGEST: Final = 46  # INET6_ADDRSTRLEN (RFC 3493), and a full stop
_VERSION_BEFORE: Final = re.compile(
    r"(?:\b(?:v|ver|version|release|build|firmware|driver|patch|section|chapter|clause|rev|revision|update)"
    r"[.:#]?\s?(?:is\s|no\.?\s|number\s)?|==|>=|<=|~=)\Z",
    re.IGNORECASE,
)


def ip(text: str) -> Iterator[Finding]:
    """Find IPv4 and IPv6 addresses as the standard library reads them; version numbers are left alone."""
    for match in _V4.finditer(text) if _DOTTED.search(text) is not None else ():
        if _is_ip(strip_zeros(match.group())) and not _VERSION_BEFORE.search(
            text[max(0, match.start() - 24) : match.start()]
        ):
            yield Finding(kind=Kind.IP, start=match.start(), end=match.end(), detector="ipv4")
    for match in _V6_RUN.finditer(text) if _COLONS.search(text) is not None else ():
        if match.end() - match.start() > _V6_LONGEST:
            continue
        run = match.group().rstrip(".")
        if not run.endswith("::"):
            run = run.rstrip(":")
        # A digit and a long enough form: "::" and "a::b" are program text more often than addresses.
        if run.count(":") > 1 and any(c.isdigit() for c in run) and _is_ip(run):
            yield Finding(kind=Kind.IP, start=match.start(), end=match.start() + len(run), detector="ipv6")


def strip_zeros(dotted: str) -> str:
    """Return a dotted IPv4 address without leading zeros, which ``ipaddress`` refuses as ambiguous."""
    return ".".join(part.lstrip("0") or "0" for part in dotted.split("."))


def _is_ip(candidate: str) -> bool:
    try:
        ipaddress.ip_address(candidate)
    except ValueError:
        return False
    return True
