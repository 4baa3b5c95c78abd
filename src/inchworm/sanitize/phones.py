"""The detector for telephone numbers: many national habits, told apart from dates, prices and counts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from inchworm.sanitize.findings import Finding, Kind
from inchworm.sanitize.patterns import many_digits

# One run of digits with the punctuation of telephone numbers. The look-behind holds whatever the body may
# hold, so a run is read once; its length is bounded afterwards.
_RUN: Final = re.compile(
    r"(?<![A-Za-z0-9_+])(?<![0-9][.,:/\-])[+(]{0,2}[0-9]"
    r"(?:[ \u00a0\u2009\u202f().\-\u2010\u2011\u2013/]{0,3}[0-9])*"
    r"(?P<ext>\s?(?:x|ext\.?|extension|Durchwahl)\s?[0-9]{1,6})?(?![A-Za-z0-9_%\u20ac$\u00a3]|[.,:][0-9])"
)
_MIN: Final = 7
_MAX: Final = 15  # E.164
_NATIONAL_MIN: Final = 9
_NATIONAL_MAX: Final = 12
_BEFORE: Final = 40
_AFTER: Final = 24

_CUE: Final = re.compile(
    r"\b(?:(?:tele)?phone|mobile|cell|tel|telefon\w*|t\u00e9l\w*|handy\w*|fax|call(?:ed|ing)?|dial|ring|"
    r"reach(?:ed)?|"
    r"text me|messages? (?:me )?(?:to|at|on)|answering|whats\s?app|signal|sms|hotline|contact number|"
    r"numbers?|rufen|anrufen|nummer|num\u00e9ro|m\u00f3vil|n\u00famero)\b",
    re.IGNORECASE,
)
_CUE_AFTER: Final = re.compile(r"[ \-(]{0,2}(?:office|fax|mobile|cell|phone)\b", re.IGNORECASE)
_NOT_CUE: Final = re.compile(
    r"(?:#|\b(?:order|invoice|tracking|ticket|reference|ref|parcel|shipment|booking|article|item|product|sku|"
    r"serial|customer|account|case|id|isbn|ean|vat|tax|zip|postcode|version|room|flight|model|part|claim|"
    r"policy|"
    r"batch|bestell\w*|rechnung\w*|auftrag\w*|kunden\w*|artikel\w*|sendung\w*|commande|pedido)\b)"
    r"[\s:.#-]*(?:is|was|ist|no|nr|num|number|nummer|id|code)?[\s:.#-]*\Z",
    re.IGNORECASE,
)
_MONEY: Final = re.compile(
    r"(?:[\u20ac$\u00a3\u00a5]|\b(?:EUR|USD|GBP|CHF|euros?|dollars?))\s?\Z", re.IGNORECASE
)
_UNIT: Final = re.compile(
    r"\s?(?:%|\u20ac|\$|\u00a3|(?:EUR|USD|GBP|euros?|dollars?|items?|pieces?|units?|orders?|people|users?|"
    r"requests?|tokens?|days?|years?|hours?|minutes?|seconds?|ms|km|kg|mm|cm|ml|bytes?|[kmg]b|times)\b)",
    re.IGNORECASE,
)
_DATE: Final = re.compile(
    r"(?:(?:19|20)[0-9]{2}[-./ ][0-9]{1,2}[-./ ][0-9]{1,2}|[0-9]{1,2}[-./ ][0-9]{1,2}[-./ ](?:19|20)[0-9]{2})"
    r"(?:[ T-]{1,3}[0-9]{1,2}(?:[.: ][0-9]{2}){0,2})?(?:[ \-\u2013/]{1,3}[0-9].*)?\Z"
)
_YEARS: Final = re.compile(r"(?:19|20)[0-9]{2}(?: ?[-\u2013/ ] ?(?:19|20)[0-9]{2})+\Z")
_NANP: Final = re.compile(
    r"\(?[2-9][0-9]{2}\)?[ .\-\u2010\u2011\u2013]{1,2}[0-9]{3}[ .\-\u2010\u2011\u2013][0-9]{4}\Z"
)
_NANP_LONG: Final = re.compile(
    r"\+?(?:00)?1[ .\-]?\(?[2-9][0-9]{2}\)?[ .\-\u2010\u2011\u2013]{0,2}[0-9]{3}"
    r"[ .\-\u2010\u2011\u2013]?[0-9]{4}\Z"
)
_NOT_DIGIT: Final = re.compile("[^0-9]")
_SHORT_GROUP: Final = 2


def phone(text: str) -> Iterator[Finding]:
    """Find telephone numbers: E.164 with + or 00, North American forms, trunk-zero national forms.

    A row of digits with none of these forms counts only after a word such as "phone" or "call".
    """
    if not many_digits(text):
        return
    for match in _RUN.finditer(text):
        ext = match.group("ext")
        core = match.group()[: len(match.group()) - len(ext)] if ext else match.group()
        digits = _NOT_DIGIT.sub("", core)
        if not _MIN <= len(digits) <= _MAX + 2:
            continue
        before = text[max(0, match.start() - _BEFORE) : match.start()]
        after = text[match.end() : match.end() + _AFTER]
        name = _judge(core, digits, before, after)
        if name is not None:
            # An opening bracket that the number does not close belongs to the sentence.
            shift = 1 if core.startswith("(") and ")" not in core else 0
            yield Finding(kind=Kind.PHONE, start=match.start() + shift, end=match.end(), detector=name)


def _judge(core: str, digits: str, before: str, after: str) -> str | None:
    """Say which form of telephone number this is, or None."""
    if core.lstrip("(").startswith("+"):
        return "phone_international" if _MIN <= len(digits) <= _MAX else None
    if _MONEY.search(before) or _UNIT.match(after) or _DATE.match(core) or _YEARS.match(core):
        return None
    if _NOT_CUE.search(before):
        return None
    if core.lstrip("(").startswith("00") and digits[2] != "0" and len(digits) >= _NATIONAL_MIN + 2:
        return "phone_international"
    if _NANP.match(core) or _NANP_LONG.match(core):
        return "phone_nanp"
    if len(digits) > _MAX:
        return None
    if _trunk(core, digits):
        return "phone_national"
    if _CUE_AFTER.match(after):
        return "phone_in_context"
    cue = [found.end() for found in _CUE.finditer(before)]
    if cue and not re.search(r"[.!?;]\s", before[cue[-1] :]):
        return "phone_in_context"
    return None


def _trunk(core: str, digits: str) -> bool:
    """Tell whether a number starts with the trunk zero and is grouped as telephone numbers are."""
    bare = core.lstrip("(")
    if not bare.startswith("0") or not _NATIONAL_MIN <= len(digits) <= _NATIONAL_MAX:
        return False
    return digits[1] != "0" and len(re.split("[^0-9]+", bare)[0]) >= _SHORT_GROUP
