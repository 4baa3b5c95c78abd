"""Controllers that are killed, two of them at once, and two teams that apply at the same moment.

The long version, with its figures, is ``benchmarks/controller.py``.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
KINDS = {
    "abort",
    "cancel",
    "complete",
    "emergency",
    "expand",
    "expose",
    "hold",
    "pause",
    "promote",
    "reject",
    "resume",
    "rollback",
    "soak",
    "start",
    "undo",
}


def faulty(*words):
    """What the program of the same name prints."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "tests.integration.loop.faulty", *map(str, words)]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_killed_at_its_writes_a_controller_decides_what_it_would_have_decided(tmp_path):
    came = faulty("kills", tmp_path, 12, 1)
    assert came["kills"] == 12
    assert set(came["modes"]) == {"before", "inside", "after"}
    assert set(came["kinds"]) == KINDS, "every kind of decision is made in this world"
    assert came["problems"] == []
    assert came["runs_unlike_the_unkilled_one"] == 0
    assert came["audit_broken"] == []


@pytest.mark.slow
def test_two_controllers_at_once_decide_what_one_would_have_decided(tmp_path):
    came = faulty("two", tmp_path, 1)
    assert came["kills"] > 0
    assert came["problems"] == []
    assert not came["unlike_one_controller"]
    assert came["audit_broken"] == []


@pytest.mark.slow
def test_of_two_teams_that_apply_at_once_one_starts_and_the_other_waits_behind_it(tmp_path):
    came = faulty("race", tmp_path, 3)
    assert came["problems"] == []
    assert sum(came["first"].values()) == 3
