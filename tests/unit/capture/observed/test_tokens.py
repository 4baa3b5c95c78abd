"""Tokens joined are the text; what two texts have in common is in both, in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.observed.tokens import CUT, common, considered, letters, obvious, tokens, words

SMALL = st.lists(st.sampled_from("abcdefgh"), max_size=30)


@given(st.text(max_size=300))
def test_tokens_joined_are_the_text(text):
    assert "".join(tokens(text)) == text


@given(SMALL, SMALL)
def test_common_blocks_are_in_both_and_in_order(one, other):
    i = j = 0
    for start, from_, n in common(one, other):
        assert n > 0
        assert (start, from_) >= (i, j)
        assert start >= i
        assert from_ >= j
        assert one[start : start + n] == other[from_ : from_ + n]
        i, j = start + n, from_ + n


@given(SMALL)
def test_a_sequence_has_itself_in_common_with_itself(one):
    assert common(one, one) == ([(0, 0, len(one))] if one else [])


@given(SMALL, st.lists(st.sampled_from("xyz"), max_size=8), st.integers(0, 30))
def test_what_was_put_in_is_all_that_differs(one, added, place):
    place = min(place, len(one))
    longer = [*one[:place], *added, *one[place:]]
    assert sum(n for _, _, n in common(one, longer)) == len(one)


def test_unique_words_are_found_across_what_moved():
    one, other = "a b c Q d e".split(), "x y Q z e".split()
    assert common(one, other) == [(3, 2, 1), (5, 4, 1)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Today is 2026-11-02.", [("2026-11-02", "date")]),
        ("on 22 November 2026 at 14:02, x", [("22 November 2026 at 14:02", "date")]),
        ("Tuesday, November 22nd, 2026", [("Tuesday, November 22nd, 2026", "date")]),
        ("Today is Tuesday.", [("Tuesday", "date")]),
        ("We are closed on Sunday.", []),
        ("22/11/2026 14:02:11Z", [("22/11/2026 14:02:11Z", "date")]),
        ("order ORDER_1 for NAME_12", [("ORDER_1", "order"), ("NAME_12", "name")]),
        ("id 123456789 and abcdef012345", [("123456789", "id"), ("abcdef012345", "id")]),
        ("3f2504e0-4f89-11d3-9a0c-0305e82c3301", [("3f2504e0-4f89-11d3-9a0c-0305e82c3301", "id")]),
        ("Answer in at most 3 sentences of 20 words.", []),
    ],
)
def test_what_is_variable_at_first_sight(text, found):
    assert [(text[start:end], hint) for start, end, hint in obvious(text)] == found


def test_of_a_very_long_text_both_ends_are_looked_at():
    text = "head " + "x " * 50_000 + "tail"
    seen = considered(text)
    assert seen[0] == "head"
    assert seen[-1] == " tail"
    assert seen.count(CUT) == 1
    assert len(seen) < 25_000


def test_words_and_letters_are_told_from_marks_and_numbers():
    parts = tokens("Rule 7: be brief!")
    assert (words(parts), letters(parts)) == (4, 3)
