"""How texts are read: normal form, standing in, words and sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.evaluators.text import normal, sentences, stands_in, words


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("  Thirty\n days\u00a0", "thirty days"),
        ("**30** days", "30 days"),
        ("it’s “fine” – ok", 'it\'s "fine" - ok'),
        ("£1,600.00", "£1600"),
        ("1,60", "1,60"),
        ("Straße", "STRASSE"),
        ("cafe\u0301", "café"),
        ("soft\u00adware", "software"),
        ("ﬁne", "fine"),
        ("it´s", "it's"),
    ],
)
def test_what_is_the_same(text, same):
    assert normal(text) == normal(same)


@given(st.text("aBß ’“–*\n\u00a0\u00ad.,!"))
def test_the_normal_form_is_its_own(text):
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize(
    ("needle", "haystack"),
    [
        ("6", "it is 6."),
        ("6", "6kg, or 6, or so"),
        ("6", "3-6 days"),
        ("30 days", "within **30 days**, please"),
        ("30 day", "30 days"),
        ("refund", "Refunds are possible"),
        ("24000", "24,000 people"),
        ("£6", "£6.00"),
        ("$5", "costs $5"),
        ("O'Neil", "o’neil's shop"),
    ],
)
def test_what_stands_in(needle, haystack):
    assert stands_in(normal(needle), normal(haystack))


@pytest.mark.parametrize(
    ("needle", "haystack"),
    [
        ("6", "60"),
        ("4", "14"),
        ("6", "6.5"),
        ("5", "6.5"),
        ("6", "1,600"),
        ("6", "a6"),
        ("no", "know"),
        ("no", "not at all"),
        ("cat", "category"),
        ("$5", "$50"),
        ("", "anything"),
    ],
)
def test_what_does_not_stand_in(needle, haystack):
    assert not stands_in(normal(needle), normal(haystack))


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_number_stands_only_in_itself(one, other):
    assert stands_in(str(one), f"it is {other} then") is (one == other)


def test_words_need_a_letter_or_a_digit():
    assert words("Well - yes, 3 days ...") == 4
    assert words("") == 0


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 0),
        ("Yes", 1),
        ("Yes. It is.", 2),
        ('He said "Yes." Then he left.', 2),
        ("Ask Dr. Smith or J. Doe, e.g. Monday, in the U.S. Mail.", 1),
        ("It is No. 5 today.", 1),
        ("No. We do not.", 2),
        ("It costs 3.50 today!", 1),
        ("One\nTwo", 2),
        ("Really?! Yes…", 2),
        ("we open at 9. then we close.", 1),
    ],
)
def test_sentences(text, count):
    assert sentences(text) == count
