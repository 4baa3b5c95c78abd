"""What callers say of a unit, as texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.attributes import LONGEST_HEADER, from_header, to_header
from inchworm.domain.attributes import LONGEST, as_text, chosen

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("acme", "acme"),
        ("", ""),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (3.0, "3"),
        (-2.5, "-2.5"),
        (1e300, "1e+300"),
        (float("nan"), None),
        (float("inf"), None),
        (None, None),
        (["acme"], None),
        ({"is": "acme"}, None),
        (10**400, None),
        ("x" * (LONGEST + 1), None),
    ],
)
def test_a_value_as_a_condition_compares_it(value, expected):
    assert as_text(value) == expected


def test_only_what_is_wanted_is_looked_at():
    class Loud(dict[str, str]):
        def __getitem__(self, name):
            assert name == "tenant"
            return super().__getitem__(name)

    assert chosen({"tenant", "plan"}, Loud(tenant="acme", mail="a@b.c")) == {"tenant": "acme"}


@given(st.dictionaries(names, st.text(st.characters(codec="utf-8"), max_size=8), max_size=5))
def test_a_header_says_what_was_written(said):
    header = to_header(said)
    assert header.isascii()
    assert header.isprintable()
    assert from_header(said.keys(), header) == said


@given(st.text(max_size=60))
def test_no_header_is_an_error(text):
    found = from_header({"tenant", "a"}, text)
    assert found.keys() <= {"tenant", "a"}


def test_of_two_the_first_counts_and_a_header_that_is_too_long_says_nothing():
    assert from_header({"a"}, "a=1, a=2,b=3") == {"a": "1"}
    assert from_header({"a"}, "a=1," + "x" * LONGEST_HEADER) == {}


def test_what_no_encoding_can_say_becomes_a_question_mark():
    assert to_header({"tenant": "\ud800"}) == "tenant=%3F"
