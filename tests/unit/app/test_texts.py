import pytest

from inchworm.app import texts


@pytest.mark.parametrize("char", ["\x1b", "\x07", "\x9b", "\u202e", "\u2066", "\ud800", "\r"])
def test_what_would_command_a_terminal_is_made_visible(char):
    assert texts.printable(f"a{char}b") == "a�b"


def test_one_line_is_cut_by_columns():
    assert texts.one_line("a\nb  c") == "a b c"
    assert texts.one_line("abcdef", 4) == "abc…"
    assert texts.one_line("日本語", 4) == "日…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (6_720, "1 h 52 min"),
        (7_200, "2 h"),
        (183_600, "2 d 3 h"),
    ],
)
def test_durations(seconds, text):
    assert texts.span(seconds) == text
