"""What people call wrongly: a sentence, a hint where there is one, exit code 2, nothing on stdout."""

import gzip

import pytest

ON_A_SHOP = [
    (["nonsense"], "there is no command"),
    (["--nonsense"], "no option"),
    (["plan", "surplus"], "unexpected extra argument"),
    (["plan"], "nothing to plan"),
    (["plan", "--to", "stable"], "nothing to plan"),
    (["plan", "--to", "abc"], "too short"),
    (["plan", "--to", "ffffffff"], "no configuration"),
    (["apply"], "missing argument"),
    (["apply", "plan-00000000"], "no plan"),
    (["benchmark", "stable"], "missing argument"),
    (["benchmark", "stable", "declared"], "the same configuration"),
    (["benchmark", "stable", "zzzz"], "no configuration"),
    (["benchmark", "stable", "declared", "--evalset", "other"], "no eval set other"),
    (["benchmark", "stable", "declared", "--evalset", "main@x"], "NAME@VERSION"),
    (["benchmark", "stable", "declared", "--evalset", "main@7"], "no eval set main@7"),
    (["benchmark", "stable", "declared", "--repetitions", "0"], "repetitions"),
    (["benchmark", "stable", "declared", "--max-usd", "-1"], "max-usd"),
    (["benchmark", "stable", "declared", "--junit", "nowhere/at/all.xml"], "no folder"),
    (["attribute", "stable", "declared"], "the same configuration"),
    (["attribute", "stable", "stable", "--metric", "x"], "the same configuration"),
    (["traces", "show", "no-such-trace"], "no trace"),
    (["traces", "--below", "answered"], "METRIC=VALUE"),
    (["traces", "--below", "answered=nan"], "METRIC=VALUE"),
    (["traces", "--since", "yesterday"], "is no time"),
    (["traces", "--after", "nonsense"], "cursor"),
    (["traces", "--arm", "other"], "arm"),
    (["traces", "--limit", "0"], "limit"),
    (["evalset", "show", "other"], "no eval set other"),
    (["evalset", "build", "--size", "0"], "size"),
    (["evalset", "build", "--name", "a@2"], "cannot be the name"),
    (["evalset", "accept", "proposal-1"], "no open proposal"),
    (["rollout", "show", "r-9"], "no rollout"),
    (["rollout", "show"], "missing argument"),
    (["rollout", "watch", "--once"], "in flight or queued"),
    (["rollout", "watch", "--interval", "0"], "interval"),
    (["rollout", "abort", "9"], "no rollout"),
    (["rollout", "replay", "r-1/x"], "no rollout"),
    (["rollout", "resolve"], "missing argument"),
    (["rollout", "resolve", " "], "needs a name"),
    (["rollout", "resolve", "u", "--attribute", "acme"], "NAME=VALUE"),
    (["rollout", "resolve", "u", "--attribute", "=acme"], "NAME=VALUE"),
    (["import"], "missing argument"),
    (["import", "missing.jsonl"], "there is no file"),
    (["import", "."], "is a folder"),
    (["import", "--dialect", "klingon", "-"], "no dialect"),
    (["ledger", "--since", "???"], "is no time"),
    (["init"], "is there already"),
    (["init", "--force", "--app", "a/b/c"], "names no app"),
    (["init", "--force", "--from", "missing.jsonl"], "cannot be opened"),
]


@pytest.mark.parametrize(("words", "said"), ON_A_SHOP, ids=[" ".join(words) for words, _ in ON_A_SHOP])
def test_a_wrong_call_says_what_is_wrong(shop, words, said):
    result = shop(*words, exit_code=2)
    assert result.stdout == ""
    last = result.stderr[result.stderr.index("error: ") :]
    assert said in last


NEED_A_FILE = [["status"], ["plan"], ["import", "-"], ["label"], ["rollout", "ls"], ["adopt"], ["ledger"]]


@pytest.mark.parametrize("words", NEED_A_FILE)
def test_without_a_file_init_is_offered(empty, words):
    (empty.folder / "inchworm.yaml").unlink()
    assert "inchworm init" in empty(*words, exit_code=2).stderr


@pytest.mark.parametrize(
    ("words", "then"),
    [
        (["label"], "inchworm import"),
        (["evalset", "build"], ""),
        (["plan"], "inchworm adopt"),
        (["benchmark", "stable", "declared"], "inchworm evalset build"),
        (["rollout", "resolve", "u"], "inchworm adopt"),
    ],
)
def test_too_early_says_what_comes_first(empty, words, then):
    result = empty(*words, exit_code=2)
    assert result.stderr[result.stderr.index("error: ") :].count("\n") >= 1
    assert then in result.stderr


def test_a_wrong_file_is_refused_with_its_line(shop):
    file = shop.folder / "inchworm.yaml"
    file.write_text(file.read_text().replace("temperature", "temprature"))
    said = shop("status", exit_code=2).stderr
    assert 'Did you mean "temperature"?' in said
    assert "inchworm.yaml:6: " in said


@pytest.mark.parametrize("name", ["control.sqlite3", "traces.duckdb"])
def test_a_damaged_store_is_no_traceback(shop, name):
    (shop.folder / ".inchworm" / name).write_bytes(b"nonsense " * 2000)
    assert shop("rollout", "resolve", "u", exit_code=2 if name == "control.sqlite3" else 0)
    assert "error: " in shop("label", exit_code=2).stderr


def test_nothing_readable_is_exit_code_2_and_shows_no_content(shop):
    half = '{"mail": "ann.example@mailhost.net"\n'
    unknown = '{"ann.example@mailhost.net": 1}\n'
    result = shop("import", "-", stdin=half + unknown, exit_code=2)
    assert "line 1" in result.stdout
    assert "line 2" in result.stdout
    assert "ann.example" not in result.output


def test_a_damaged_gzip_is_said(shop, tmp_path):
    file = tmp_path / "cut.jsonl.gz"
    file.write_bytes(gzip.compress(b'{"question": "a", "answer": "b"}\n' * 1000)[:40])
    assert "nothing can be read from here on" in shop("import", str(file), exit_code=2).stdout
