"""How numbers, times and other people's text are written on the pages."""

from __future__ import annotations

import time
from collections.abc import Sequence

from markupsafe import Markup, escape

from inchworm.app.texts import DAYS, MONTHS, SURROGATE, harmless, span

_DAY, _WEEK = 86_400, 604_800


def count(number: float) -> str:
    """A whole number with thousands commas: ``7,330``."""
    return f"{number:,.0f}"


def signed(number: float, digits: int = 1) -> str:
    """A difference with its sign and a true minus: ``−0.8``, ``+2.6``, ``0``."""
    text = f"{abs(number):,.{digits}f}"
    if not float(text.replace(",", "")):
        return "0"
    return ("−" if number < 0 else "+") + text


def latency(milliseconds: float) -> str:
    """How long an answer took: ``840 ms``, ``3.1 s``."""
    return f"{milliseconds:,.0f} ms" if milliseconds < 1_000 else f"{milliseconds / 1_000:,.1f} s"


def dollars(amount: float) -> str:
    """US dollars, with as many digits as say something: ``0.0019 USD``, ``12.40 USD``."""
    return f"{amount:,.2f} USD" if amount >= 1 or amount == 0 else f"{amount:.2g} USD"


def clock(at: float) -> str:
    """The time of a day, local: ``08:49:12``."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def moment(at: float, now: float) -> str:
    """A moment in local time, as short as it can be told from others: ``08:49:12``, ``Wed 21:40``, ``9 Nov``.

    Of today it says the second, of the last six days the weekday, of this year the date, else the year too.
    """
    then, today = time.localtime(at), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    if 0 <= now - at < _WEEK - _DAY:
        return f"{DAYS[then.tm_wday]} {then.tm_hour:02}:{then.tm_min:02}"
    year = "" if then.tm_year == today.tm_year else f" {then.tm_year}"
    return f"{then.tm_mday} {MONTHS[then.tm_mon - 1]}{year} {then.tm_hour:02}:{then.tm_min:02}"


def full(at: float) -> str:
    """A moment with everything: ``Wed 18 Nov 2026, 09:05:12 CET``."""
    then = time.localtime(at)
    day = f"{DAYS[then.tm_wday]} {then.tm_mday} {MONTHS[then.tm_mon - 1]} {then.tm_year}"
    return f"{day}, {time.strftime('%H:%M:%S %Z', then)}".strip()


def offset(at: float) -> int:
    """Seconds that local time is ahead of UTC at a moment."""
    return time.localtime(at).tm_gmtoff


def machine(at: float) -> str:
    """A moment for the ``datetime`` of a ``<time>``: ISO 8601 in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def plural(number: int, one: str, many: str | None = None) -> str:
    """A count with its noun: ``1 trace``, ``7,330 traces``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(words: Sequence[str]) -> str:
    """Words as a sentence has them: ``a``, ``a and b``, ``a, b and c``."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def marked(text: str) -> Markup:
    """Somebody else's text, escaped, with its surrogates marked."""
    pieces, end = [], 0
    plain = harmless(text)
    for found in SURROGATE.finditer(plain):
        kind = found["kind"].lower().replace("_", " ")
        pieces += [
            escape(plain[end : found.start()]),
            Markup('<span class="san" title="surrogate: {}">{}</span>').format(kind, found.group()),
        ]
        end = found.end()
    return Markup("").join([*pieces, escape(plain[end:])])


FILTERS = {
    one.__name__: one
    for one in (
        clock,
        count,
        dollars,
        full,
        harmless,
        latency,
        listed,
        machine,
        marked,
        moment,
        offset,
        plural,
        signed,
        span,
    )
}
"""What the templates call by name."""
