"""Files in and out by the command: every form, what is told of it, and eval sets of other tools."""

import json

import pytest
import yaml

QUESTIONS = "question,answer,expected\nWhere is it? I am ana@mailhost.net,Here.,here\nWhen?,Today.,today\n"


@pytest.fixture
def table(tmp_path):
    file = tmp_path / "tickets.csv"
    file.write_text(QUESTIONS + "broken\n", "utf-8")
    return file


def test_a_table_is_imported_and_its_rejects_are_written(empty, table, tmp_path):
    rejects = tmp_path / "rejects.jsonl"
    text = empty("import", str(table), "--rejects", str(rejects)).stdout
    assert "3 rows" in text
    assert "EMAIL 1" in text
    assert [json.loads(line) for line in rejects.read_text("utf-8").splitlines()] == [
        {"line": 4, "reason": "the row has 1 cells, and the head has 3"}
    ]
    (said,) = empty.json("import", str(table), "--again")["files"]
    assert (said["form"], said["new"], said["duplicate"], said["rejected"]) == ("csv", 0, 2, 1)


def test_a_form_may_be_said(empty, tmp_path):
    odd = tmp_path / "odd.txt"
    odd.write_text("ticket;question\n1;Why?\n", "utf-8")
    (said,) = empty.json("import", str(odd), "--format", "csv")["files"]
    assert (said["form"], said["new"]) == ("csv", 1)


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["langfuse"], "--url"),
        (["tickets.csv", "--url", "https://example.invalid"], "inchworm import langfuse"),
        (["langfuse", "--url", "https://example.invalid"], "there is no key at env:LANGFUSE_PUBLIC_KEY"),
        (["langfuse", "--url", "nowhere"], "no address"),
        (["langfuse", "--url", "https://example.invalid", "--secret-key", "sk-1"], "env:NAME"),
    ],
)
def test_a_server_needs_an_address_and_references_to_keys(empty, monkeypatch, words, hint):
    for name in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    if "--secret-key" in words:
        monkeypatch.setenv("LANGFUSE_PUBLIC_KEY", "pk-1")
    assert hint in empty("import", *words, exit_code=2).stderr


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_interactions_are_exported_and_imported_again(shop, empty, tmp_path, form):
    file = tmp_path / f"out.{form}"
    said = shop.json("traces", "export", "--format", form, "-o", str(file), "--outcome", "ok")
    assert said["traces"] == shop.json("traces", "list", "--outcome", "ok")["total"]
    (read,) = empty.json("import", str(file))["files"]
    assert (read["new"], read["rejected"], read["form"]) == (said["traces"], 0, form)
    again = tmp_path / f"again.{form}"
    empty("traces", "export", "--format", "jsonl", "-o", str(again))
    shop("traces", "export", "--format", "jsonl", "-o", str(file), "--outcome", "ok")
    for one, other in zip(lines(again), lines(file), strict=True):
        del one["configuration"], other["configuration"]
        assert one == other


def lines(file):
    found = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    for one in found:  # scored anew where it is imported
        one["scores"] = sorted({(score["metric"], score["source"]) for score in one.get("scores", [])})
        one.setdefault("configuration", None)
        one.get("attributes", {}).clear()
    return found


@pytest.mark.parametrize("form", ["openai-chat", "otlp-json", "langfuse"])
def test_other_forms_are_read_too(shop, empty, tmp_path, form):
    result = shop("traces", "export", "--format", form, "--cluster", "nothing of the kind")
    assert result.stdout == ""
    file = tmp_path / "out.jsonl"
    said = shop.json("traces", "export", "--format", form, "-o", str(file))
    (read,) = empty.json("import", str(file))["files"]
    assert (read["new"], read["rejected"]) == (said["traces"], 0)


def test_shadow_answers_are_not_exported(shop):
    assert "count as traffic" in shop("traces", "export", "--shadow", exit_code=2).stderr


def test_an_eval_set_of_another_tool_is_imported_sanitized_and_written_again(empty, tmp_path):
    file = tmp_path / "tests.yaml"
    tests = [
        {
            "vars": {"question": "I am ana@mailhost.net. Where?"},
            "assert": [{"type": "equals", "value": "Here"}],
        },
        {"vars": {"question": "When?"}, "assert": [{"type": "is-json"}]},
        {"vars": "file:" + 2 * "/" + "others.yaml"},
    ]
    file.write_text(yaml.safe_dump({"prompts": ["{{question}}"], "tests": tests}), "utf-8")
    said = empty.json("evalset", "import", str(file), "--name", "geo")
    assert (said["eval_set"], said["made"], said["format"]) == ("geo@1", True, "promptfoo")
    assert (said["cases"], said["rejected"], said["found"]) == (2, 1, {"EMAIL": 1})
    assert list(said["not_carried_over"]) == [
        "is-json: kept in metadata, not checked; a metric can ask it of all cases: check: json"
    ]
    out = tmp_path / "out.yaml"
    written = empty.json("evalset", "export", "geo@1", "--format", "promptfoo", "-o", str(out))
    assert (written["cases"], written["container"]) == (2, "yaml")
    text = out.read_text("utf-8")
    assert "EMAIL_1" in text
    assert "mailhost" not in text
    assert "nothing was made" in empty("evalset", "import", str(out), "--name", "geo").stdout
    assert "is-json" in empty("evalset", "import", str(out), "--name", "other").stdout


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet", "promptfoo", "inspect", "deepeval"])
def test_a_drawn_eval_set_goes_out_and_comes_in_the_same(shop, tmp_path, form):
    ending = {"promptfoo": "yaml", "inspect": "jsonl", "deepeval": "json"}.get(form, form)
    file = tmp_path / f"cases.{ending}"
    shop("evalset", "export", "main", "--format", form, "-o", str(file))
    said = shop.json("evalset", "import", str(file), "--name", "back")
    before, after = (
        shop.json("evalset", "show", name, "--cases", "9999")["eval_set"] for name in ("main", "back")
    )
    assert said["rejected"] == 0
    assert after["cases"] == before["cases"]


def test_rows_of_questions_make_cases_of_their_answers(empty, table):
    said = empty.json("evalset", "import", str(table))
    assert (said["eval_set"], said["format"], said["cases"]) == ("tickets@1", "interactions", 2)
    shown = empty.json("evalset", "show", "tickets")["eval_set"]["cases"]
    assert {case["reference"] for case in shown} == {"here", "today"}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["import", "nowhere.jsonl"], "there is no file"),
        (["import", "{table}", "--name", "a@1"], "versions are counted"),
        (["import", "{table}", "--format", "promptfoo", "--name", "x"], None),
        (["export", "nothing"], "nothing"),
        (["export", "--json"], "-o FILE"),
    ],
)
def test_what_cannot_be_is_said(empty, table, words, hint):
    result = empty(
        "evalset", *(word.format(table=table) for word in words), exit_code=0 if hint is None else 2
    )
    assert hint is None or hint in result.stderr


def test_a_container_that_no_tool_reads_is_refused(shop, tmp_path):
    result = shop("evalset", "export", "--format", "inspect", "-o", str(tmp_path / "x.parquet"), exit_code=2)
    assert "not written as parquet" in result.stderr
