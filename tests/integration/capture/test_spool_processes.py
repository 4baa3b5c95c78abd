"""The spool among processes that die, and on a disk that refuses."""

import os
import random
import signal
import subprocess
import sys
import threading
from collections import defaultdict
from pathlib import Path

import pytest

from inchworm.capture.spool import adopt_orphans, closed_segments, read_segment

WORKER = Path(__file__).with_name("spool_worker.py")
SRC = Path(__file__).resolve().parents[3] / "src"
KEY = bytes(range(32))
ROUNDS = 16


def start(*words: object) -> subprocess.Popen[str]:
    """A worker of its own."""
    return subprocess.Popen(
        [sys.executable, str(WORKER), *map(str, words)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SRC)},
    )


def killed(root: Path, name: str, adders: int, after: int) -> list[str]:
    """What a worker acknowledged before it was killed with SIGKILL some time behind its ``after``-th word."""
    process = start("endless", root, name, adders)
    said: list[str] = []
    enough = threading.Event()

    def listen() -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # the last one may be cut off
                said.append(line.strip())
            if len(said) == after:
                enough.set()
        enough.set()

    listener = threading.Thread(target=listen)
    listener.start()
    assert enough.wait(60)
    process.send_signal(signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL
    listener.join(30)
    assert process.stdout is not None
    process.stdout.close()
    return said


def drained(root: Path) -> list[str]:
    """All records in the order of the drain."""
    adopt_orphans(root)
    found: list[str] = []
    for path in closed_segments(root):
        read = read_segment(path, KEY)
        assert read.damage is None, "a killed writer damages nothing"
        found.extend(record.decode().strip() for record in read.records)
    return found


def test_killed_at_any_moment_it_loses_nothing_that_it_acknowledged(tmp_path):
    rng = random.Random(1)
    acknowledged: list[str] = []
    for number in range(ROUNDS):
        after = rng.choice([1, 5, 50, 300, 700])
        acknowledged += killed(tmp_path, f"round-{number:02d}", rng.choice([1, 4, 32]), after)
    found = drained(tmp_path)
    assert len(acknowledged) >= ROUNDS
    assert set(acknowledged) <= set(found), "acknowledged is kept"
    assert len(set(found)) == len(found), "nothing is there twice"
    order: dict[tuple[str, str], list[int]] = defaultdict(list)
    for record in found:
        name, adder, count = record.split()
        order[name, adder].append(int(count))
    for counts in order.values():
        assert counts == list(range(len(counts))), "in the order in which they were added, without a gap"
    assert [record.split()[0] for record in found] == sorted(record.split()[0] for record in found)


@pytest.mark.parametrize("most", [3_000, 10_000])
def test_a_file_that_cannot_grow_fails_one_record_and_a_new_segment_takes_the_next(tmp_path, most):
    process = start("limited", tmp_path, most)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    words = [line.split() for line in out.splitlines()]
    kept = [int(number) for what, number, *_ in words if what == "kept"]
    failed = [int(number) for what, number, *_ in words if what == "failed"]
    assert all(rest[0] == "True" for what, _, *rest in words if what == "failed")
    assert sorted(kept + failed) == list(range(40))
    per_segment = most // 1100
    assert len(failed) == 40 // (per_segment + 1)
    contents = [read_segment(path, KEY) for path in closed_segments(tmp_path)]
    assert [one.damage for one in contents] == [None] * len(contents)
    records = [record for one in contents for record in one.records]
    assert [int(record.rstrip(b"\0")) for record in records] == kept
