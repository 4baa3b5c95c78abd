"""The demo as a stranger meets it: told whole, told again, killed in the middle, on another recording."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from inchworm.app.demo.setting import RECORDING
from inchworm.domain.rollout import Rollout
from inchworm.providers.recorded import Recording
from inchworm.store.control import ControlStore

# one worker tells the whole demo once, for all tests here
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]

PATIENCE_S = 600.0
PORTS = ("--port", "0", "--gateway-port", "0")
TOLD = ("Grab", "Sanitize", "Label", "Benchmark", "Deploy", "Feed back", "In short")


def tell(folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "inchworm.app.cli", "demo", *PORTS, "--folder", str(folder), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "100"},
    )


def told(folder: Path, *more: str) -> str:
    process = tell(folder, *more)
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


def outcome(folder: Path) -> list[tuple[Any, ...]]:
    """What was decided in the end, and on which units."""
    with ControlStore.open(folder / ".inchworm" / "control.sqlite3") as store:
        return [
            (
                one.id,
                one.layer,
                one.state,
                one.base,
                one.candidate,
                [(made.kind, made.at, made.because) for made in store.decisions(one.id)],
            )
            for one in store.rollouts()
        ]


def rollouts(folder: Path) -> Sequence[Rollout]:
    with ControlStore.open(folder / ".inchworm" / "control.sqlite3") as store:
        return store.rollouts()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = tmp_path_factory.mktemp("demo") / "whole"
    return folder, told(folder)


def test_it_tells_every_chapter_and_ends_with_the_culprit(whole: tuple[Path, str]) -> None:
    folder, said = whole
    places = [said.index(title) for title in TOLD]
    assert places == sorted(places)
    ended = {one.layer: one.state for one in rollouts(folder)[:3]}
    assert ended == {"parameters": "completed", "context": "rejected", "prompt": "completed"}
    assert rollouts(folder)[3].state == "rolled_back"
    assert re.search(r"Named: context, −\d+\.\d points \(−\d+\.\d … −\d+\.\d\)", said)
    assert re.search(r"It ran for [\d,]+ minutes: [\d,]+ of [\d,]+ sessions saw it", said)
    assert "Traceback" not in said


def test_nothing_personal_lies_in_its_data_directory(whole: tuple[Path, str]) -> None:
    folder, _ = whole
    planted = [b"maria.lindqvist@example.com", b"4111 1111 1111 1111", b"blue-Kettle-77", b"7946 0112"]
    for path in (folder / ".inchworm").rglob("*"):
        if path.is_file():
            held = path.read_bytes()
            assert not [value for value in planted if value in held], path


def test_told_again_it_says_the_same_and_decides_nothing_twice(whole: tuple[Path, str]) -> None:
    folder, first = whole
    before = outcome(folder)
    again = told(folder)
    assert outcome(folder) == before
    first, again = (re.sub(r"http://\S+", "", said) for said in (first, again))  # ports and links are new
    assert again[again.index("4  Benchmark") :].count("named") >= 2
    assert (
        again[again.index("5  Deploy") : again.index("6  Feed")]
        == (first[first.index("5  Deploy") : first.index("6  Feed")])
    )


def test_killed_in_the_middle_of_a_rollout_it_comes_to_the_same_decisions(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "killed"
    for decisions in (3, 8):  # in the first step's canary, and in the third step's
        process = tell(folder)
        _wait_for_decisions(folder, decisions, process)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == -signal.SIGKILL
    told(folder)
    assert outcome(folder) == outcome(whole[0])


def _wait_for_decisions(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    path = folder / ".inchworm" / "control.sqlite3"
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[0]
        if path.exists():
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30) as connection:
                try:
                    (found,) = connection.execute("SELECT count(*) FROM decisions").fetchone()
                except sqlite3.OperationalError:  # before the first migration has landed
                    found = 0
            if found >= count:
                return
        time.sleep(0.05)  # polls another process; nothing depends on its length
    pytest.fail(f"no {count} decisions after {PATIENCE_S:g} s")


def test_another_recording_gives_other_figures(whole: tuple[Path, str], tmp_path: Path) -> None:
    """Half of the model's answers are spoiled, whoever asked for them: it is right less often."""
    recording = Recording.load(RECORDING)
    spoiled = {
        digest: [
            type(sample)(
                text="I do not know.",
                finish_reason="stop",
                latency_ms=sample.latency_ms,
                usage=sample.usage,
            )
            for sample in samples
        ]
        if int(digest[0], 16) < 8
        else samples
        for digest, samples in recording.answers.items()
    }
    path = tmp_path / "spoiled.jsonl.gz"
    Recording(header=recording.header, answers=spoiled).write(path)
    said = told(tmp_path / "spoiled", "--recording", str(path))
    right, usually = (_right_before(text) for text in (said, whole[1]))
    assert 0.3 * usually < right < 0.7 * usually


def _right_before(said: str) -> float:
    """Percent of the answers that were right before anything was changed, as the demo sums it up."""
    found = re.search(r"Shipped at once: ([0-9.]+) %", said)
    assert found is not None
    return float(found[1])


def test_a_recording_that_is_none_leaves_nothing_behind(whole: tuple[Path, str], tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.jsonl.gz"
    wrong.write_bytes(b"no gzip")
    process = tell(tmp_path / "new", "--recording", str(wrong))
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "is no recording" in said
    assert not (tmp_path / "new").exists()

    other = tmp_path / "other.jsonl.gz"
    recording = Recording.load(RECORDING)
    Recording(header=recording.header, answers=dict(list(recording.answers.items())[:5])).write(other)
    process = tell(whole[0], "--recording", str(other))
    said, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 2
    assert "was begun on another recording" in said
