"""A rendered text is read back into the inputs it was made from, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import TemplateError
from inchworm.domain.lifting import Template, extract
from inchworm.domain.rendering import fill

LITERAL = st.text(alphabet="ab{}\n: ", max_size=6)
NAMES = st.lists(st.sampled_from(["question", "documents", "tone"]), max_size=4)


@st.composite
def templates(draw):
    names = draw(NAMES)
    literals = [draw(LITERAL).replace("{", "{{").replace("}", "}}") for _ in range(len(names) + 1)]
    return literals[0] + "".join(
        f"{{{name}}}{literal}" for name, literal in zip(names, literals[1:], strict=True)
    )


VALUES = st.fixed_dictionaries(
    {name: st.text(alphabet="abxy: \n", max_size=8) for name in ("question", "documents", "tone")}
)


@given(templates(), VALUES)
def test_a_parsed_template_fills_as_rendering_does(template, values):
    assert Template.of(template).fill(values) == fill(template, values)


@given(templates(), VALUES)
def test_what_is_read_back_gives_the_same_text_again(template, values):
    text = fill(template, values)
    found = extract(template, text)
    if found is not None:
        assert fill(template, found) == text
        assert all(found.values())


@given(templates(), st.text(alphabet="ab: \n", max_size=30))
def test_any_text_is_read_back_exactly_or_not_at_all(template, text):
    found = extract(template, text)
    assert found is None or fill(template, found) == text


@given(
    st.text(alphabet="xyz é\n", min_size=1, max_size=40), st.text(alphabet="xyz é\n", min_size=1, max_size=40)
)
def test_inputs_that_do_not_hold_the_separators_come_back_as_they_were(documents, question):
    template = "Use this.\n---\n{documents}\n---\nQ: {question} END"
    found = extract(template, fill(template, {"documents": documents, "question": question}))
    assert found == {"documents": documents, "question": question}


@pytest.mark.parametrize(
    ("template", "text", "found"),
    [
        ("{question}", "How?", {"question": "How?"}),
        ("Q: {question}", "Q: How?", {"question": "How?"}),
        ("Q: {question}", "A: How?", None),
        ("Q: {question}.", "Q: How?", None),
        ("Q: {question}", "Q: ", None),
        ("Answer in one word.", "Answer in one word.", {}),
        ("Answer in one word.", "Answer in two words.", None),
        ('{{"q": "{question}"}}', '{"q": "How?"}', {"question": "How?"}),
        ("{a}{b}", "xy", None),
        ("{a}-{a}", "x-x", {"a": "x"}),
        ("{a}-{a}", "x-y", None),
        ("{a}-{b}", "x-y-z", None),
        ("{a}-{b}", "x-y", {"a": "x", "b": "y"}),
        ("{a}-{b}", "-y", None),
        ("{a}-{b}", "x-", None),
        ("aa{a}aa", "aaa", None),
        ("", "", {}),
    ],
)
def test_examples(template, text, found):
    assert extract(template, text) == found


def test_a_question_that_quotes_the_separator_is_not_guessed_at():
    template = "Documents: {documents}\nQuestion: {question}"
    said = "why do you print\nQuestion: before it?"
    assert extract(template, fill(template, {"documents": "none", "question": said})) is None


def test_a_malformed_template_is_refused():
    with pytest.raises(TemplateError, match="unbalanced"):
        extract("{question", "x")
    with pytest.raises(TemplateError, match="does not have"):
        Template.of("{question}").fill({"other": 1})


def test_a_text_that_is_made_to_be_slow_is_read_in_one_pass():
    # Quadratic or worse, this would take hours.
    template = "{a}" + "ab" * 40 + "c{b}" + "ab" * 40 + "d{c}"
    assert extract(template, "ab" * 200_000) is None
