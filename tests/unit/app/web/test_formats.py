"""How the pages write numbers, times and other people's text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.texts import Mark, harmless, marks, span
from inchworm.app.web.formats import (
    clock,
    count,
    dollars,
    full,
    latency,
    listed,
    machine,
    marked,
    moment,
    plural,
    signed,
)

NOW = 1_795_078_800.0  # 2026-11-19, 09:00 UTC, a Thursday
DAY = 86_400.0


@pytest.fixture
def utc(monkeypatch: pytest.MonkeyPatch):
    """Local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (signed(2.6), "+2.6"),
        (signed(-0.84), "−0.8"),
        (signed(0.04), "0"),
        (signed(-1234.5), "−1,234.5"),
        (count(7330), "7,330"),
        (latency(840.4), "840 ms"),
        (latency(3_100), "3.1 s"),
        (dollars(0.0019), "0.0019 USD"),
        (dollars(12.4), "12.40 USD"),
        (dollars(0), "0.00 USD"),
        (span(45), "45 s"),
        (span(6_720), "1 h 52 min"),
        (span(2 * DAY + 3 * 3600), "2 d 3 h"),
        (span(-3), "0 s"),
        (plural(1, "trace"), "1 trace"),
        (plural(7330, "trace"), "7,330 traces"),
        (plural(2, "copy", "copies"), "2 copies"),
        (listed([]), ""),
        (listed(["a"]), "a"),
        (listed(["a", "b", "c"]), "a, b and c"),
    ],
)
def test_numbers_are_written_with_their_unit_and_a_true_minus(value, written):
    assert value == written


@pytest.mark.usefixtures("utc")
def test_a_moment_is_as_short_as_it_can_be_told_from_others():
    assert moment(NOW - 60, NOW) == "08:59:00"
    assert moment(NOW - DAY, NOW) == "Wed 09:00"
    assert moment(NOW - 5.9 * DAY, NOW) == "Fri 11:24"
    assert moment(NOW - 6 * DAY, NOW) == "13 Nov 09:00", "the same weekday could be meant otherwise"
    assert moment(NOW - 400 * DAY, NOW) == "15 Oct 2025 09:00"
    assert moment(NOW + 2 * DAY, NOW) == "21 Nov 09:00", "of the future, the date"
    assert clock(NOW) == "09:00:00"
    assert full(NOW) == "Thu 19 Nov 2026, 09:00:00 UTC"
    assert machine(NOW) == "2026-11-19T09:00:00Z"


def test_surrogates_are_marked_and_everything_else_is_escaped():
    text = "My <b>ORDER_1</b> & MEMBER_NO_12, not ORDER_0, AB_12X or order_1"
    assert marks(text + " ORDER_1") == (Mark("ORDER_1", "order"), Mark("MEMBER_NO_12", "member no"))
    assert marked(text) == (
        'My &lt;b&gt;<span class="san" title="surrogate: order">ORDER_1</span>&lt;/b&gt; &amp; '
        '<span class="san" title="surrogate: member no">MEMBER_NO_12</span>, not ORDER_0, AB_12X or order_1'
    )


@given(st.text())
def test_no_text_becomes_markup_or_turns_its_letters_round(text):
    shown = marked(text)
    bare = shown.replace('<span class="san" title="surrogate: ', "").replace("</span>", "")
    assert "<" not in bare
    assert not set(shown) & set("\u202e\u2066\u200f\x00\x1b")
    assert harmless(harmless(text)) == harmless(text)
