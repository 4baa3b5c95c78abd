"""Killed while a unit is taken out of the trace store: the file is the old one or the new one, and whole."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.store.test_erase import R1, fill, found_in
from tests.unit.store.values import APP

from inchworm.store.traces import TraceStore

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("where", "left"), [("half filled", 12), ("before the swap", 12), ("after the swap", 10)]
)
def test_killed_on_the_way_it_is_the_old_file_or_the_new_one_and_ends_the_same(tmp_path, where, left):
    path = tmp_path / "t.duckdb"
    with TraceStore.open(path) as store:
        words = fill(store)
        exposed = store.exposures_count(R1)
    command = [sys.executable, str(Path(__file__).with_name("erasing.py")), str(path), where, words["unit"]]
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    assert subprocess.run(command, env=env, check=False, timeout=60).returncode == -9
    with TraceStore.open(path) as store:
        assert store.count(APP) == left
        assert store.exposures_count(R1) == exposed
        assert [one.name for one in tmp_path.iterdir() if "rebuilt" in one.name] == []
        store.erase(store.theirs([words["unit"]]))
        assert store.count(APP) == 10
        assert store.exposures_count(R1) == exposed
    assert [name for name, word in words.items() if found_in(tmp_path, word)] == []
