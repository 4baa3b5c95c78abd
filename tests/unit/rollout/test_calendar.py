"""Freezes: what people write, what the clock on the wall shows, and both nights on which it is moved."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import InputError
from inchworm.rollout.calendar import between, next_change, parse, recurring, said, thaw, window_at

BERLIN, NEW_YORK = "Europe/Berlin", "America/New_York"


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def spans(window, first, last):
    """The spans between two days, in UTC."""
    found = between([window], at(first), at(last))
    return [
        tuple(f"{datetime.fromtimestamp(moment, UTC):%m-%d %H:%M}" for moment in (span.start, span.end))
        for span in found
    ]


def test_a_weekend_lasts_from_friday_to_monday_in_its_zone():
    weekend = parse("Fri 16:00 – Mon 08:00 Europe/Berlin")
    assert spans(weekend, "2026-11-18", "2026-11-25") == [("11-20 15:00", "11-23 07:00")]
    frozen = [
        ("2026-11-20T15:59", False),
        ("2026-11-20T16:00", True),
        ("2026-11-22T12:00", True),
        ("2026-11-23T07:59", True),
        ("2026-11-23T08:00", False),
    ]
    for moment, expected in frozen:
        assert window_at([weekend], at(moment, BERLIN)) == (weekend if expected else None)


@pytest.mark.parametrize(
    ("zone", "first", "last", "expected"),
    [
        # Put forward at 02:00 (01:00 UTC): the weekend is an hour shorter.
        (BERLIN, "2026-03-26", "2026-04-01", ("03-27 15:00", "03-30 06:00")),
        # Put back at 03:00 (01:00 UTC): an hour longer.
        (BERLIN, "2026-10-22", "2026-10-28", ("10-23 14:00", "10-26 07:00")),
        (NEW_YORK, "2026-03-05", "2026-03-11", ("03-06 21:00", "03-09 12:00")),
        (NEW_YORK, "2026-10-29", "2026-11-04", ("10-30 20:00", "11-02 13:00")),
    ],
)
def test_a_weekend_with_a_moved_clock_ends_when_the_wall_says_so(zone, first, last, expected):
    assert spans(parse(f"Fri 16:00 – Mon 08:00 {zone}"), first, last) == [expected]


@pytest.mark.parametrize(
    ("zone", "first", "last", "expected"),
    [
        # 02:15 and 02:45 do not exist on 29 March: nothing is frozen that night.
        (BERLIN, "2026-03-28T12:00", "2026-03-30T12:00", [("03-30 00:15", "03-30 00:45")]),
        # They come twice on 25 October: frozen from the first 02:15 to the last 02:45.
        (
            BERLIN,
            "2026-10-24T12:00",
            "2026-10-26T12:00",
            [("10-25 00:15", "10-25 01:45"), ("10-26 01:15", "10-26 01:45")],
        ),
        (NEW_YORK, "2026-03-07T12:00", "2026-03-09T12:00", [("03-09 06:15", "03-09 06:45")]),
        (
            NEW_YORK,
            "2026-10-31T12:00",
            "2026-11-02T12:00",
            [("11-01 07:15", "11-01 07:45"), ("11-02 07:15", "11-02 07:45")],
        ),
    ],
)
def test_an_hour_that_a_moved_clock_skips_or_shows_twice(zone, first, last, expected):
    assert spans(parse(f"daily 02:15 – 02:45 {zone}"), first, last) == expected


def test_a_freeze_that_begins_in_a_skipped_hour_begins_with_the_jump():
    assert spans(parse("daily 02:30 – 04:00 Europe/Berlin"), "2026-03-28T12:00", "2026-03-29T12:00") == [
        ("03-29 01:00", "03-29 02:00")
    ]


def test_a_day_that_ends_before_it_begins_goes_over_midnight():
    assert spans(parse("daily 22:00 – 06:00"), "2026-11-20T12:00", "2026-11-21T12:00") == [
        ("11-20 22:00", "11-21 06:00")
    ]


def test_the_last_day_belongs_to_it_and_times_of_day_may_be_said():
    assert spans(parse("2026-12-20 – 2027-01-03 Europe/Berlin"), "2026-12-01", "2027-02-01") == [
        ("12-19 23:00", "01-03 23:00")
    ]
    assert spans(parse("2026-12-24 12:00 – 2026-12-27 09:30"), "2026-12-01", "2027-02-01") == [
        ("12-24 12:00", "12-27 09:30")
    ]


def test_a_rule_comes_again_with_days_of_the_calendar_and_hours_of_the_clock():
    days = recurring(start="2026-10-23T16:00", length="3d", rule="FREQ=WEEKLY;COUNT=1", zone=BERLIN)
    assert spans(days, "2026-10-01", "2026-12-01") == [("10-23 14:00", "10-26 15:00")]
    hours = recurring(start="2026-10-23T16:00", length="72h", rule="FREQ=WEEKLY;COUNT=1", zone=BERLIN)
    assert spans(hours, "2026-10-01", "2026-12-01") == [("10-23 14:00", "10-26 14:00")]
    payday = recurring(start="2026-01-30", length="1d", rule="RRULE:FREQ=MONTHLY;BYDAY=-1FR", reason="payday")
    assert spans(payday, "2026-11-01", "2027-01-31") == [
        ("11-27 00:00", "11-28 00:00"),
        ("12-25 00:00", "12-26 00:00"),
        ("01-29 00:00", "01-30 00:00"),
    ]
    once = recurring(start="2026-11-27", length="90m")
    assert spans(once, "2026-01-01", "2027-12-31") == [("11-27 00:00", "11-27 01:30")]


def test_freezes_that_touch_are_one_and_the_next_change_is_known():
    night, weekend = parse("daily 22:00 – 06:00"), parse("Fri 16:00 – Mon 00:00")
    friday = at("2026-11-20T17:00")
    assert thaw([night, weekend], friday) == at("2026-11-23T06:00")
    assert next_change([night, weekend], friday) == at("2026-11-23T06:00")
    assert next_change([weekend], at("2026-11-17T12:00")) == at("2026-11-20T16:00")
    assert thaw([weekend], at("2026-11-17T12:00")) is None
    assert next_change([], friday) is None
    assert next_change([parse("2026-01-01 – 2026-01-02")], friday) is None


def test_what_is_said_of_a_freeze_names_it_its_reason_and_its_end():
    window = recurring(start="2026-11-27", length="2d", zone=BERLIN, reason="payday")
    clause, end = said([window], at("2026-11-28T10:00", BERLIN)) or ("", 0.0)
    assert clause == (
        "the freeze 2d from 2026-11-27 Europe/Berlin (payday), which lasts until Sun 29 Nov, 00:00"
    )
    assert end == at("2026-11-29T00:00", BERLIN)
    assert said([window], at("2026-11-30T10:00", BERLIN)) is None


@pytest.mark.parametrize(
    ("freeze", "ends"),
    [
        ("2026-12-20 – 2027-01-03", "lasts until Mon 4 Jan 2027, 00:00"),
        ("daily 00:00 – 24:00", "does not end within a year"),
        ("2026-01-01 – 2200-01-01", "does not end within a year"),
    ],
)
def test_an_end_in_another_year_is_said_with_its_year_and_none_in_sight_as_such(freeze, ends):
    clause, _ = said([parse(freeze)], at("2026-12-24T10:00")) or ("", 0.0)
    assert clause == f"the freeze {freeze}, which {ends}"


@given(
    st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001  # a clock on the wall
    st.sampled_from([BERLIN, NEW_YORK, "Asia/Kolkata", "Australia/Lord_Howe", "UTC"]),
    st.integers(0, 24 * 60 - 1),
    st.integers(0, 24 * 60 - 1),
)
def test_a_day_is_frozen_exactly_while_the_wall_shows_it(moment, zone, start, end):
    if start == end:
        return
    text = f"daily {start // 60:02}:{start % 60:02} – {end // 60:02}:{end % 60:02} {zone}"
    window, now = parse(text), moment.replace(tzinfo=UTC)
    wall = now.astimezone(ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    inside = start <= minute < end if start < end else minute >= start or minute < end
    moved = (now - timedelta(days=1)).astimezone(ZoneInfo(zone)).utcoffset() != (
        now + timedelta(days=1)
    ).astimezone(ZoneInfo(zone)).utcoffset()
    # Where the clock is moved, what it shows twice is frozen at least while it shows it.
    frozen = window_at([window], now.timestamp()) is not None
    assert frozen == inside or (moved and frozen)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("weekends", "is no freeze: write Fri 16:00"),
        ("Fre 16:00 – Mon 08:00", "is no day of the week"),
        ("Fri 25:00 – Mon 08:00", "is no time of day"),
        ("Fri 16:00 – Fri 16:00", "begins and ends at the same moment"),
        ("Fri 16:00 – Mon 08:00 Mars/Base", "is no time zone"),
        ("2026-02-30 – 2026-03-01", "is no date"),
        ("2026-03-02 – 2026-03-01", "ends before it begins"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_wrong(text, what):
    with pytest.raises(InputError, match=what):
        parse(text)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"start": "tomorrow"}, "is no beginning"),
        ({"length": "soon"}, "is no length of time"),
        ({"length": "0d"}, "is no length of time"),
        ({"length": "60w"}, "is longer than a year"),
        ({"rule": "FREQ=HOURLY"}, "needs FREQ=DAILY, WEEKLY, MONTHLY or YEARLY"),
        ({"rule": "BYDAY=FR"}, "needs FREQ="),
        ({"rule": "FREQ=DAILY;UNTIL=20270101"}, "is no rule of RFC 5545"),
        ({"rule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}, "never comes"),
        ({"zone": "Mars/Base"}, "is no time zone"),
    ],
)
def test_a_rule_that_cannot_be_read_is_refused_with_what_is_wrong(changes, what):
    given = {"start": "2026-11-27", "length": "2d", "rule": "FREQ=DAILY"} | changes
    with pytest.raises(InputError, match=what):
        recurring(**given)
