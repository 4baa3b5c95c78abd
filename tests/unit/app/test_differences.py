import pytest

from inchworm.app import asjson, differences
from inchworm.domain.change import ABSENT, ValueDiff
from inchworm.domain.layers import Layer


def diff(old, new, layer=Layer.PROMPT, path=("system",)):
    return ValueDiff(layer=layer, path=path, old=old, new=new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (0, 0.4, "0 → 0.4"),
        (ABSENT, 3, "absent → 3"),
        (True, None, "true → null"),
        ("gpt-4o", "gpt-4.1", "gpt-4o → gpt-4.1"),
        ("a\nb\nc", "a\nc\nd\ne", "+2 −1 lines"),
        (ABSENT, "a\nb", "+2 −0 lines"),
        (["x" * 60], ["y" * 60], "1 of 1 entries changed"),
        (["x" * 60], ["x" * 60, "y"], "1 → 2 entries"),
        ([1], [1, 2], "[1] → [1, 2]"),
    ],
)
def test_values_are_said_as_people_read_them(old, new, said):
    assert differences.change(diff(old, new)) == said


def test_control_characters_of_a_prompt_do_not_reach_the_terminal():
    assert "\x1b" not in differences.change(diff("a\x1b[2J", "b"))


def test_a_layer_is_named_once():
    rows = differences.rows([diff(0, 1), diff(2, 3, path=("user",)), diff(0, 1, Layer.TOOLS, ("index",))])
    assert [row[0] for row in rows] == ["prompt", "", "tools"]


def test_what_is_absent_is_left_out_of_json():
    assert asjson.difference(diff(ABSENT, 1)) == {"layer": "prompt", "path": ["system"], "new": 1}


def test_the_first_few_on_one_line():
    said = differences.said([diff(0, 1, path=(name,)) for name in "abc"])
    assert said == "a 0 → 1, b 0 → 1 and 1 more"
