import json

import click
import pytest

from inchworm.app.cli import output
from inchworm.app.texts import columns


@pytest.fixture(autouse=True)
def _narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_columns_line_up():
    lines = output.table([["a", "1"], ["long name", "1,234"]], right={1})
    assert lines == ["  a               1", "  long name   1,234"]


def test_wide_characters_line_up_too():
    lines = output.table([["日本", "x"], ["abcd", "y"]])
    assert [columns(line) for line in lines] == [10, 10]


def test_the_last_column_wraps_under_itself():
    lines = output.table([["key", "word " * 30]])
    assert len(lines) > 1
    assert all(columns(line) <= 80 for line in lines)
    assert all(line.startswith(" " * 7 + "word") for line in lines[1:])


def test_no_rows_are_no_lines():
    assert output.table([]) == []


def test_headings_are_bold_and_only_that():
    head, row = output.table([["x"]], heads=["name"])
    assert click.unstyle(head) == "  name"
    assert head != click.unstyle(head)
    assert row == "  x"


def test_a_narrow_terminal_still_gets_80_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    assert output.width() == 80


def test_moments_name_the_year_only_if_it_is_another():
    at = 1_790_000_000.0
    assert len(output.when(at, at).split()) == 3
    assert "2026" in output.when(at, at + 400 * 86_400)
    assert output.when(at, at, seconds=True).count(":") == 2


def test_json_is_one_object_of_version_1(capsys):
    output.emit({"a": "−"})
    assert json.loads(capsys.readouterr().out) == {"version": 1, "a": "−"}


def test_nan_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        output.emit({"a": float("nan")})


def test_progress_is_silent_where_nobody_watches(capsys):
    progress = output.Progress("read")
    progress(1, 2)
    progress(2, 2)
    progress.clear()
    assert capsys.readouterr().err == ""


def test_progress_draws_one_line_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    progress = output.Progress("answers")
    progress(1, 2)
    progress(2, 2, "  all")
    progress.clear()
    said = capsys.readouterr().err
    assert "1 of 2" in said
    assert "2 of 2" in said
    assert "\n" not in said
