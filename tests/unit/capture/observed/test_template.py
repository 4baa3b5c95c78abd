"""Templates fit what they were made from, and say of an edit what it touched."""

import re

from hypothesis import given
from hypothesis import strategies as st

from inchworm.capture.observed.template import ANY, Gap, Template, align

PIECES = st.lists(st.one_of(st.text("ab \n.", max_size=3), st.just(Gap())), max_size=7).map(Template.tidy)
TEXT = st.text("abcd \n.:{}", max_size=40)


def of(*pieces):
    return Template.tidy([Gap() if piece is None else piece for piece in pieces])


@given(PIECES, st.text("ab \n.", max_size=12))
def test_a_text_fits_exactly_if_it_matches_the_expression(template, text):
    expression = "".join(".*" if isinstance(one, Gap) else re.escape(one) for one in template.pieces)
    spans = template.match(text)
    assert (spans is not None) == (re.fullmatch(expression, text, re.DOTALL) is not None)
    if spans is not None:
        filled = iter(spans)
        said = [text[slice(*next(filled))] if isinstance(p, Gap) else p for p in template.pieces]
        assert "".join(said) == text


@given(TEXT, TEXT)
def test_what_fits_both_fits_both_and_the_text_fits_its_own(one, other):
    template = Template.of(one)
    found = align(template, other)
    assert found.both.match(other) is not None
    assert found.both.match(template.filled()) is not None
    assert found.other.match(other) is not None


@given(PIECES, TEXT)
def test_aligning_never_makes_a_template_say_more(template, text):
    assert align(template, text).both.weight <= template.weight


def test_two_renderings_tell_the_gaps_with_the_space_beside_them_kept():
    found = align(Template.of("Hello Ann, you owe 3 coins."), "Hello Bo Li, you owe 17 coins.")
    assert found.both.pieces == ("Hello ", Gap(), ", you owe ", Gap(), " coins.")


def test_an_edit_is_literal_in_the_texts_own_template():
    template = of("You talk to ", None, ". Be concise and kind.")
    found = align(template, "You talk to Bo. Be brief and kind.")
    assert found.other.pieces == ("You talk to ", Gap(), ". Be brief and kind.")
    assert (found.kept, found.moved, found.near) == (6, 1, 0)


def test_a_mark_that_changed_is_an_edit_too():
    found = align(Template.of("Be kind. Always."), "Be kind! Always.")
    assert found.moved == 1


def test_what_is_lost_beside_a_gap_is_counted_apart():
    found = align(of("Q: ", None, " Be brief"), "Q: where is it")
    assert (found.moved, found.near, found.solid) == (0, 2, True)
    assert found.other.pieces == ("Q: ", Gap())


def test_a_chance_word_between_two_gaps_is_not_solid():
    assert align(of("Q: ", None, " the ", None), "Q: where is it").solid is False


def test_chance_marks_and_words_go_and_labels_stay():
    template = of(None, " the ", None, "?\n", None, " Note: ", None, "!")
    assert template.without_chance().pieces == (Gap(), "?\n", Gap(), " Note: ", Gap())
    assert of("Question: ", None, "?").without_chance().pieces == ("Question: ", Gap())
    assert of(None, "?").without_chance().pieces == ANY


def test_gaps_that_may_be_empty_take_a_space_in():
    assert of("a ", None, " b").wider([0]).pieces == ("a ", Gap(), "b")
    assert of("a ", None, "b").wider([0]).pieces == ("a", Gap(), "b")
    assert of("a", None).wider([0]).pieces == ("a", Gap())


def test_a_gap_is_split_where_something_became_fixed():
    template = of("a", None, "b", None)
    assert template.split(0, "x", after=True).pieces == ("a", Gap(), "xb", Gap())
    assert template.split(1, "x", after=False).pieces == ("a", Gap(), "bx", Gap())


def test_the_middle_of_a_very_long_text_is_a_gap():
    long = Template.of("Information: " + "word " * 20_000 + "Be brief.")
    assert sum(isinstance(piece, Gap) for piece in long.pieces) == 1
    found = align(long, "Information: " + "other " * 20_000 + "Be brief.")
    assert found.both.match("Information: some Be brief.") is not None
