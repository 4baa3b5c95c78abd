"""``inchworm rollout simulate``: the plainest call, tables, files, policies and refusals."""

from __future__ import annotations

import json

import pytest
from tests.unit.app.cli.conftest import Cli

PLAIN = [
    *("rollout", "simulate", "--baseline-rate", "0.85", "--candidate-rate", "0.77", "--weight", "0.05"),
    *("--max-units", "100000", "--runs", "1000", "--seed", "1", "--method", "inchworm"),
]


@pytest.fixture
def bare(tmp_path):
    """A folder without inchworm.yaml, and with nothing after a call either."""
    yield Cli(tmp_path)
    assert not (tmp_path / ".inchworm").exists()


def test_the_call_that_scripts_rely_on(bare):
    data = bare.json(*PLAIN)
    assert data["rollback_rate"] > 0.99
    assert data["expand_rate"] == 0.0
    assert data["hold_rate"] == pytest.approx(1 - data["rollback_rate"])
    assert 120 <= data["median_candidate_units"] <= 160
    assert data["median_candidate_units"] < data["p90_candidate_units"] < data["median_units"]
    assert data["expected_hours"] is None
    assert data == bare.json(*PLAIN)


def test_a_table_of_all_methods_with_a_sentence(bare):
    words = ["rollout", "simulate", "--baseline-rate", ".9", "--candidate-rate", ".7", "--weight", ".2"]
    words += ["--runs", "50", "--max-units", "2000", "--method", "all"]
    text = bare(*words).stdout
    assert "growthbook" in text
    assert "obrien-fleming" in text
    assert "half of the runs are rolled back within" in text
    listed = bare.json(*words)["methods"]
    assert [one["method"] for one in listed][:2] == ["inchworm", "oracle"]
    assert len(listed) == 11


def test_several_metrics_stages_and_traffic(bare):
    data = bare.json(
        *("rollout", "simulate", "--metric", "solved:0.9:0.9:0.05", "--metric", "fast:0.95:0.95:0.05"),
        *("--weight", "0.25", "--weight", "0.5", "--harm-margin", "0.02", "--units-per-hour", "500"),
        *("--label-delay", "1", "--missing", "0.05:0.05", "--runs", "100", "--max-units", "20000"),
    )
    assert data["expand_rate"] > 0.9
    assert len(data["reached"]) == 2
    assert data["expected_hours"] == pytest.approx(data["mean_units"] / 500)


def test_outcomes_from_files(bare):
    old, new = bare.folder / "old.jsonl", bare.folder / "new.jsonl"
    old.write_text("".join(f"{json.dumps({'ok': i % 10 > 0})}\n" for i in range(50)), "utf-8")
    new.write_text("".join(f"{json.dumps({'ok': 0.7})}\n" for _ in range(50)) + "\n", "utf-8")
    words = ["rollout", "simulate", "--baseline", str(old), "--candidate", str(new), "--runs", "50"]
    data = bare.json(*words, "--field", "ok", "--weight", "0.5", "--max-units", "5000")
    assert data["rollback_rate"] > 0.9
    paired = bare.json(*words, "--field", "ok", "--shadow", "--max-units", "2000")
    assert paired["rollback_rate"] > 0.9
    assert paired["exposure"] == 0.0
    assert "--field NAME (of ok)" in bare(*words, exit_code=2).stderr
    for line, said in (
        ("2", "from 0 to 1"),
        ("oops", "no JSON"),
        ('"yes"', "from 0 to 1"),
        ("", "no outcome"),
    ):
        new.write_text(f"{line}\n", "utf-8")
        assert said in bare(*words, "--field", "ok", exit_code=2).stderr
    new.write_bytes(b"\xff\n")
    assert "cannot be read as text" in bare(*words, "--field", "ok", exit_code=2).stderr
    new.write_text('{"other": 1}\n', "utf-8")
    assert 'no "ok"' in bare(*words, "--field", "ok", exit_code=2).stderr
    new.write_text("1\n0\n", "utf-8")
    assert "as many lines" in bare(*words, "--field", "ok", "--shadow", exit_code=2).stderr


def test_means_of_bounded_outcomes(bare):
    words = ["rollout", "simulate", "--baseline-mean", ".8", "--candidate-mean", ".6", "--runs", "50"]
    assert bare.json(*words, "--sd", ".2", "--max-units", "3000")["rollback_rate"] == 1.0
    assert "--sd" in bare(*words, exit_code=2).stderr


def test_the_declared_policy(empty):
    words = ["rollout", "simulate", "--policy", "--runs", "20", "--max-units", "3000"]
    refused = empty(*words, "--baseline-rate", ".9", "--candidate-rate", ".6", exit_code=2).stderr
    names = [part.split(":")[0] for part in refused.split("--metric ")[1:]]
    assert names
    given = [word for name in names for word in ("--metric", f"{name}:0.9:0.4")]
    assert empty.json(*words, *given)["rollback_rate"] > 0.9
    assert "leave out" in empty(*words, *given, "--weight", "0.5", exit_code=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "say once what the outcomes"),
        (["--baseline-rate", "0.9"], "both arms are needed"),
        (["--baseline-rate", "0.9", "--candidate-rate", "0.9", "--metric", "a:1:1"], "say once"),
        (["--metric", "a:x:1"], "is no metric"),
        (["--metric", "a:1:1", "--metric", "a:1:1"], "one name"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--method", "guess"], "no method"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--weight", "1.5"], "between 0 and 1"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--label-delay", "1"], "--units-per-hour"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--label-delay", "nan"], "--label-delay"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--icc", ".3"], "--units-per-user"),
        (
            ["--baseline-rate", ".9", "--candidate-rate", ".8", "--alpha", ".7", "--method", "fixed-z"],
            "below 0.5",
        ),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--missing", "x"], "is no share"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--shadow", "--weight", ".5"], "exposes nobody"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--runs", "100000000"], "--runs"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--discordance", ".2"], "--shadow"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--sd", ".2"], "goes with means"),
        (["--baseline-rate", ".9", "--candidate-rate", ".9", "--field", "x"], "read from files"),
        (["--policy", "--baseline-rate", ".9", "--candidate-rate", ".9"], "no such file"),
    ],
)
def test_wrong_calls_get_a_sentence(bare, words, said):
    assert said in bare("rollout", "simulate", *words, exit_code=2).stderr
