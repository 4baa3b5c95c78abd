"""Every check on answers that hold, that do not, and that cannot be told."""

from __future__ import annotations

from typing import Any

import pytest

from inchworm.domain.errors import UsageError
from inchworm.domain.outcome import Scored, Unscored
from inchworm.evaluators.checks import CHECKS, Answer, bind, run

YES, NO = Scored(value=1.0), Scored(value=0.0)
SCHEMA = {
    "type": "object",
    "required": ["id", "tags"],
    "properties": {
        "id": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "kind": {"enum": ["a", 1, None]},
        "price": {"type": ["number", "null"]},
    },
}


@pytest.mark.parametrize(
    ("spec", "output", "reference", "result"),
    [
        ("contains_reference", "We open at 9 am.", "9 AM", YES),
        ("contains_reference", "We open at 19 am.", ["9 am", "nine"], NO),
        ("contains_reference", "At nine.", ["9 am", "nine"], YES),
        ("contains_reference", "It is 60.", 6, NO),
        ("contains_reference", "It is 6.", 6, YES),
        ("equals", "  thirty  DAYS", "Thirty days", YES),
        ("equals", "thirty days or so", "Thirty days", NO),
        ("equals", "b", ["a", "b"], YES),
        ({"regex": r"^\d+$"}, "42", None, YES),
        ({"regex": r"^\d+$"}, "42 ", None, NO),
        ({"not_regex": "(?i)as an ai"}, "As an AI, I", None, NO),
        ({"not_regex": "(?i)as an ai"}, "Sure", None, YES),
        ({"max_words": 3}, "one two three", None, YES),
        ({"max_words": 2}, "one two three", None, NO),
        ({"min_words": 3}, "one two three", None, YES),
        ({"min_words": 1}, "", None, NO),
        ({"not_contains": "competitor"}, "Our Competitors do", None, NO),
        ({"not_contains": ["sorry", "cannot"]}, "Of course", None, YES),
        ("one_sentence", "Yes, at 9.", None, YES),
        ("one_sentence", "Yes. At 9.", None, NO),
        ("one_sentence", "", None, NO),
        ("json", '{"a": 1}', None, YES),
        ("json", "```json\n{}\n```", None, NO),
        ("json", "NaN", None, NO),
        ("json", "", None, NO),
        ({"json": SCHEMA}, '{"id": 1, "tags": ["x"], "kind": null, "price": 1.5}', None, YES),
        ({"json": SCHEMA}, '{"id": 1}', None, NO),
        ({"json": SCHEMA}, '{"id": true, "tags": []}', None, NO),
        ({"json": SCHEMA}, '{"id": 1.0, "tags": []}', None, YES),
        ({"json": SCHEMA}, '{"id": 1, "tags": [1]}', None, NO),
        ({"json": SCHEMA}, '{"id": 1, "tags": [], "kind": true}', None, NO),
        ({"json": SCHEMA}, '{"id": 1, "tags": [], "price": "1"}', None, NO),
        ({"json": SCHEMA}, "[]", None, NO),
    ],
)
def test_a_check_says(spec, output, reference, result):
    assert run(spec, Answer(output=output, reference=reference)) == result


@pytest.mark.parametrize("spec", ["contains_reference", "equals"])
@pytest.mark.parametrize("reference", [None, [], "", {"a": 1}, [["a"]], True])
def test_without_a_usable_reference_there_is_no_score(spec, reference):
    assert isinstance(run(spec, Answer(output="a", reference=reference)), Unscored)


@pytest.mark.parametrize(
    ("finish_reason", "result"),
    [("stop", YES), ("END_TURN", YES), ("tool_calls", YES), ("length", NO), ("content_filter", NO)],
)
def test_complete(finish_reason, result):
    assert run("complete", Answer(output="", finish_reason=finish_reason)) == result


def test_complete_cannot_tell_without_a_reason():
    assert isinstance(run("complete", Answer(output="a")), Unscored)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("contains_referense", 'Did you mean "contains_reference"?'),
        ("zzz", "Known are: "),
        (3, "a check is a name"),
        ({"regex": "a", "json": {}}, "a check is a name"),
        ({"regex": "("}, "is no regular expression"),
        ({"regex": None}, "needs a pattern"),
        ("not_contains", "needs a text"),
        ({"not_contains": ["a", " "]}, "needs a text"),
        ({"max_words": "3"}, "needs a number of words"),
        ({"max_words": True}, "needs a number of words"),
        ({"min_words": -1}, "needs a number of words"),
        ({"equals": "x"}, "takes no argument"),
        ({"json": []}, "must be an object"),
        ({"json": {"propertys": {}}}, 'Did you mean "properties"?'),
        ({"json": {"type": "strin"}}, 'Did you mean "string"?'),
        ({"json": {"type": 5}}, "a name or a list of names"),
        ({"json": {"type": [5]}}, 'has the type "5"'),
        ({"regex": "a{99999999999999999999}"}, "is no regular expression"),
        ({"json": {"required": "id"}}, "list of names"),
        ({"json": {"enum": "id"}}, "list of values"),
        ({"json": {"properties": []}}, "object of schemas"),
        ({"json": {"properties": {"a": {"typ": 1}}}}, "property a"),
        ({"json": {"items": 3}}, "items must be an object"),
        ({"regex": b"x"}, "no JSON value"),
    ],
)
def test_a_wrong_spec_says_what_is_wrong(spec: Any, said: str):
    with pytest.raises(UsageError) as caught:
        bind(spec)
    assert said in str(caught.value)


def test_every_check_is_documented_and_versioned():
    for check in CHECKS.values():
        assert check.version >= 1
        assert check.doc.endswith((".", ")."))
