"""Freezes: times in which nothing starts and nothing grows, said in the clocks of a place.

A freeze is what a clock on the wall of its zone shows. Where that clock is put forward, a time that it skips
is the moment of the jump; where it is put back, a freeze begins at the first and ends at the last of the two
moments that it shows alike. Rules follow RFC 5545 §3.3.10, durations §3.3.6: days and weeks are days of the
calendar, hours are hours.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Any, Final, assert_never
from zoneinfo import ZoneInfo

from inchworm.domain.errors import InputError

DAY_S: Final = 86_400.0
HORIZON_S: Final = 400 * DAY_S
"""How far ahead the next change is looked for."""
_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEK_MIN: Final = 7 * 24 * 60
_DASH: Final = r"\s*(?:–|—|-|to|until)\s*"
_CLOCK: Final = r"(\d{1,2}):(\d{2})"
_DATE: Final = rf"(\d{{4}}-\d{{2}}-\d{{2}})(?:[T ]\s*{_CLOCK})?"
_ZONE: Final = r"(?:\s+(\S+))?"
_WEEKLY: Final = re.compile(rf"([A-Za-z]+)\s+{_CLOCK}{_DASH}([A-Za-z]+)\s+{_CLOCK}{_ZONE}")
_DAILY: Final = re.compile(rf"daily\s+{_CLOCK}{_DASH}{_CLOCK}{_ZONE}", re.IGNORECASE)
_DATES: Final = re.compile(rf"{_DATE}{_DASH}{_DATE}{_ZONE}")
_LENGTH: Final = re.compile(r"(\d+)\s*(w|d|h|min|m)")
_FREQUENCIES: Final = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_BLOCK_S: Final = 32 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Weekly:
    """Every week: minutes since Monday 00:00, ``end`` after ``start`` and at most a week later."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Daily:
    """Every day: minutes since midnight, ``end`` after ``start`` and at most a day later."""

    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dates:
    """Once: from and to, as the clock on the wall shows them."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Recurring:
    """By a rule.

    Attributes:
        start: the first time, as the clock on the wall shows it.
        days: calendar days that each takes.
        seconds: what comes on top of them.
        rule: RFC 5545 §3.3.10, without ``RRULE:``; once if empty.
    """

    start: datetime
    days: int
    seconds: float
    rule: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One freeze of the calendar.

    Attributes:
        text: as it was said.
        zone: whose clocks, an IANA name.
        when: how it comes again.
        reason: why; may be empty.
    """

    text: str
    zone: str
    when: Weekly | Daily | Dates | Recurring
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One time of a freeze: from ``start`` to before ``end``, seconds since the epoch."""

    start: float
    end: float
    window: Window


def parse(text: str) -> Window:
    """A freeze as people write it; UTC if no zone is said.

    ``Fri 16:00 – Mon 08:00 Europe/Berlin``, ``daily 22:00 – 06:00 UTC``,
    ``2026-12-20 – 2027-01-03 Europe/Berlin`` (the last day belongs to it), with times of day if need be.

    Raises:
        InputError: saying what is wrong with it.
    """
    said = " ".join(text.split())
    if found := _DAILY.fullmatch(said):
        start, end = _minutes(found[1], found[2]), _minutes(found[3], found[4])
        when: Weekly | Daily | Dates = Daily(start=start, end=end if end > start else end + 24 * 60)
        return Window(text=said, zone=_zone(found[5]), when=when)
    if found := _DATES.fullmatch(said):
        first, last = _wall(found[1], found[2], found[3]), _wall(found[4], found[5], found[6])
        if found[5] is None:
            last += timedelta(days=1)
        if last <= first:
            raise InputError(f'"{said}" ends before it begins')
        return Window(text=said, zone=_zone(found[7]), when=Dates(start=first, end=last))
    if found := _WEEKLY.fullmatch(said):
        start = _weekday(found[1]) * 24 * 60 + _minutes(found[2], found[3])
        end = _weekday(found[4]) * 24 * 60 + _minutes(found[5], found[6])
        if end == start:
            raise InputError(f'"{said}" begins and ends at the same moment')
        when = Weekly(start=start, end=end if end > start else end + _WEEK_MIN)
        return Window(text=said, zone=_zone(found[7]), when=when)
    msg = (
        f'"{said}" is no freeze: write Fri 16:00 – Mon 08:00 Europe/Berlin, daily 22:00 – 06:00 UTC, or '
        "2026-12-20 – 2027-01-03 Europe/Berlin"
    )
    raise InputError(msg)


def recurring(*, start: str, length: str, rule: str = "", zone: str = "UTC", reason: str = "") -> Window:
    """A freeze by a rule.

    Args:
        start: the first time: a date, or a date with a time of day.
        length: how long each one is: ``62h``, ``2d``, ``1w``.
        rule: an RRULE of RFC 5545; once if empty.
        zone: an IANA name.
        reason: why.

    Raises:
        InputError: saying which of them is wrong.
    """
    found = re.fullmatch(_DATE, start.strip())
    if found is None:
        raise InputError(f'"{start}" is no beginning: write 2026-11-27 or 2026-11-27T16:00')
    lasting = _LENGTH.fullmatch(length.strip())
    if lasting is None or int(lasting[1]) == 0:
        raise InputError(f'"{length}" is no length of time: write 62h, 2d or 1w')
    number, unit = int(lasting[1]), lasting[2]
    days = {"w": 7, "d": 1}.get(unit, 0) * number
    seconds = {"h": 3_600.0, "m": 60.0, "min": 60.0}.get(unit, 0.0) * number
    if days > 366 or seconds > 366 * DAY_S:
        raise InputError(f'"{length}" is longer than a year')
    text = rule.strip().removeprefix("RRULE:")
    when = Recurring(start=_wall(found[1], found[2], found[3]), days=days, seconds=seconds, rule=text)
    name = _zone(zone)
    if text:
        _check_rule(when, name)
    said = f"{length} from {start}" + (f" {text}" if text else "") + f" {name}"
    return Window(text=said, zone=name, when=when, reason=reason.strip())


def window_at(windows: Sequence[Window], now: float) -> Window | None:
    """The freeze that is on at ``now``: of several the one that ends last."""
    on = [span for span in _around(windows, now) if span.start <= now < span.end]
    return max(on, key=lambda span: span.end).window if on else None


def thaw(windows: Sequence[Window], now: float) -> float | None:
    """When nothing is frozen any more, if something is at ``now``: freezes that touch are one."""
    end: float | None = None
    while (window := window_at(windows, now if end is None else end)) is not None:
        moment = now if end is None else end
        end = max(span.end for span in _around([window], moment) if span.start <= moment < span.end)
        if end - now > HORIZON_S:
            break
    return end


def next_change(windows: Sequence[Window], now: float) -> float | None:
    """When the next freeze begins, or the one that is on ends; ``None`` if that is over a year ahead."""
    end = thaw(windows, now)
    if end is not None:
        return end
    starts = [span.start for span in between(windows, now, now + HORIZON_S) if span.start > now]
    return min(starts, default=None)


def between(windows: Iterable[Window], start: float, end: float) -> list[Span]:
    """Every time of a freeze that touches [start, end), by its beginning."""
    found = {
        span
        for window in windows
        for block in range(int(start // _BLOCK_S), int(end // _BLOCK_S) + 1)
        for span in _spans(window, block)
        if span.start < end and span.end > start
    }
    return sorted(found, key=lambda span: (span.start, span.end, span.window.text))


def said(windows: Sequence[Window], now: float) -> tuple[str, float] | None:
    """The freeze that is on, as a clause with its end, and when that is; ``None`` if none is."""
    window, end = window_at(windows, now), thaw(windows, now)
    if window is None or end is None:
        return None
    zone = ZoneInfo(window.zone)
    until = datetime.fromtimestamp(end, zone)
    year = "" if until.year == datetime.fromtimestamp(now, zone).year else f" {until:%Y}"
    lasts = f"lasts until {until:%a} {until.day} {until:%b}{year}, {until:%H:%M}"
    if end - now > HORIZON_S:
        lasts = "does not end within a year"
    why = f" ({window.reason})" if window.reason else ""
    return f"the freeze {window.text}{why}, which {lasts}", end


def _around(windows: Iterable[Window], now: float) -> list[Span]:
    return between(windows, now, now + 1.0)


@lru_cache(maxsize=4_096)
def _spans(window: Window, block: int) -> tuple[Span, ...]:
    """The times of a freeze that touch a block of days; what a rule costs is paid once per block."""
    low, high = block * _BLOCK_S, (block + 1) * _BLOCK_S
    zone = ZoneInfo(window.zone)
    found = (
        Span(start=_instant(first, zone, last=False), end=end, window=window)
        for first, end in _walls(window, zone, low, high)
    )
    return tuple(span for span in found if span.end > max(span.start, low) and span.start < high)


def _walls(window: Window, zone: tzinfo, low: float, high: float) -> Iterator[tuple[datetime, float]]:
    """When each begins on the wall, and the moment at which it ends."""
    when = window.when
    first = datetime.fromtimestamp(low, zone).replace(tzinfo=None)
    last = datetime.fromtimestamp(high, zone).replace(tzinfo=None)
    match when:
        case Weekly():
            monday = datetime.combine(first.date() - timedelta(days=first.weekday() + 7), datetime.min.time())
            yield from _repeated(monday, timedelta(days=7), when, last, zone)
        case Daily():
            day = datetime.combine(first.date() - timedelta(days=2), datetime.min.time())
            yield from _repeated(day, timedelta(days=1), when, last, zone)
        case Dates():
            yield when.start, _instant(when.end, zone, last=True)
        case Recurring():
            long = timedelta(days=when.days + 1, seconds=when.seconds)
            for start in _occurrences(when, zone, first - long, last):
                end = _instant(start + timedelta(days=when.days), zone, last=True) + when.seconds
                yield start, end
        case _:
            assert_never(when)


def _repeated(
    start: datetime, step: timedelta, when: Weekly | Daily, until: datetime, zone: tzinfo
) -> Iterator[tuple[datetime, float]]:
    while start <= until:
        end = _instant(start + timedelta(minutes=when.end), zone, last=True)
        yield start + timedelta(minutes=when.start), end
        start += step


def _occurrences(when: Recurring, zone: tzinfo, low: datetime, high: datetime) -> Iterator[datetime]:
    if not when.rule:
        yield when.start
        return
    for found in _rule(when, zone).xafter(low.replace(tzinfo=zone), inc=True):
        start = found.replace(tzinfo=None)
        if start > high:
            return
        yield start


def _rule(when: Recurring, zone: tzinfo) -> Any:
    """What dateutil, which ships no types, makes of it."""
    from dateutil.rrule import rrulestr  # noqa: PLC0415  # only who has a rule pays for it

    return rrulestr(when.rule, dtstart=when.start.replace(tzinfo=zone))


def _check_rule(when: Recurring, zone: str) -> None:
    named = dict(part.split("=", 1) for part in when.rule.upper().split(";") if "=" in part)
    if named.get("FREQ") not in _FREQUENCIES:
        raise InputError(f'"{when.rule}" needs FREQ={", ".join(_FREQUENCIES[:-1])} or {_FREQUENCIES[-1]}')
    try:
        first = next(iter(_rule(when, ZoneInfo(zone))), None)
    except (ValueError, TypeError, KeyError) as error:
        hint = "UNTIL is said in UTC: UNTIL=20270101T000000Z" if "UNTIL" in named else None
        raise InputError(f'"{when.rule}" is no rule of RFC 5545: {error}', hint=hint) from error
    if first is None:
        raise InputError(f'"{when.rule}" never comes')


def _instant(wall: datetime, zone: tzinfo, *, last: bool) -> float:
    """The moment at which the clock shows ``wall``: the first or last of two, or that of the jump over it."""
    early = wall.replace(tzinfo=zone, fold=0).timestamp()
    late = wall.replace(tzinfo=zone, fold=1).timestamp()
    if early <= late:
        return late if last else early
    before = datetime.fromtimestamp(late, zone).utcoffset()
    low, high = late, early
    while high - low > 1.0:
        middle = (low + high) // 2
        same = datetime.fromtimestamp(middle, zone).utcoffset() == before
        low, high = (middle, high) if same else (low, middle)
    return high


def _minutes(hours: str, minutes: str) -> int:
    if int(hours) > 24 or int(minutes) > 59 or (int(hours) == 24 and int(minutes)):
        raise InputError(f'"{hours}:{minutes}" is no time of day')
    return int(hours) * 60 + int(minutes)


def _wall(day: str, hours: str | None, minutes: str | None) -> datetime:
    try:
        midnight = datetime.combine(date.fromisoformat(day), datetime.min.time())
    except ValueError as error:
        raise InputError(f'"{day}" is no date') from error
    return midnight + timedelta(minutes=_minutes(hours or "0", minutes or "0"))


def _weekday(name: str) -> int:
    found = [place for place, day in enumerate(_DAYS) if len(name) >= 3 and name.lower().startswith(day)]
    full = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    if not found or not full[found[0]].startswith(name.lower()):
        raise InputError(f'"{name}" is no day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun')
    return found[0]


def _zone(name: str | None) -> str:
    if name is None or name.upper() in {"UTC", "Z"}:
        return "UTC"
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f'"{name}" is no time zone: write one like Europe/Berlin or UTC') from error
    return name
