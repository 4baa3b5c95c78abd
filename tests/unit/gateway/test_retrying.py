"""When a provider is asked again."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.http1 import Head
from inchworm.gateway.retrying import asked_to_wait_s, backoff_s

DAY = "Wed, 21 Oct 2026"
NOW = dt.datetime(2026, 10, 21, 7, 28, tzinfo=dt.UTC).timestamp()
DRAWS = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, [("retry-after", "2")], 2),
        (503, [("retry-after", "0.5")], 0.5),
        (429, [("retry-after", "7"), ("retry-after-ms", "250")], 0.25),
        (429, [("retry-after-ms", "soon"), ("retry-after", "3")], 3),
        (429, [], None),
        (429, [("retry-after", f"{DAY} 07:28:03 GMT")], 3),
        (503, [("retry-after", f"{DAY} 07:27:00 GMT")], 0),
        (
            503,
            [("date", "Wed, 21 Oct 2026 07:20:00 GMT"), ("retry-after", "Wed, 21 Oct 2026 07:20:05 GMT")],
            5,
        ),
        (
            503,
            [("retry-after", "Wed, 21 Oct 2026 07:20:05 GMT"), ("date", "Wed, 21 Oct 2026 07:20:00 GMT")],
            5,
        ),
        (503, [("retry-after", "Wed, 21 Oct 2096 07:28:00 GMT")], None),
        (429, [("retry-after", "Wed, 32 Oct 2026 07:28:00 GMT")], None),
        (429, [("retry-after", "tomorrow")], None),
        (429, [("retry-after", "-1")], None),
        (429, [("retry-after", "nan")], None),
        (429, [("retry-after", "inf")], None),
        (500, [("retry-after", "1")], None),
        (200, [("retry-after", "1")], None),
        (408, [("retry-after", "1")], None),
    ],
)
def test_only_a_provider_that_says_when_is_asked_again(status, headers, wait):
    assert asked_to_wait_s(Head(status, headers), 0.0, NOW) == wait


@given(st.floats(0, 1000), DRAWS)
def test_nobody_comes_before_the_time_and_few_come_much_later(said, draw):
    wait = asked_to_wait_s(Head(429, [("retry-after", repr(said))]), draw, NOW)
    assert wait is not None
    assert said <= wait <= 1.1 * said + 0.05


@given(st.integers(1, 100), DRAWS)
def test_waiting_for_a_connection_grows_to_an_end(attempt, draw):
    longest = min(2.0, 0.1 * 2 ** (attempt - 1))
    assert longest / 2 <= backoff_s(attempt, draw) <= longest
