"""What a running server leaves in its data directory."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from inchworm.app.serve.files import FILE, LOCK, ServeFile, running, sole
from inchworm.domain.errors import ConflictError

HOLD = """
import sys, os
from pathlib import Path
from inchworm.app.serve.files import ServeFile, sole
data = Path(sys.argv[1])
with sole(data, wait_s=0, waiting=lambda: None):
    known = dict(url="http://h:1", gateway_url="http://h:2", token="t", started_at=1.0)
    ServeFile(pid=os.getpid(), **known).write(data)
    print("held", flush=True)
    sys.stdin.read()
"""


def held(data: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(data)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def file(**changes: object) -> ServeFile:
    given = {"pid": os.getpid(), "url": "u", "gateway_url": "g", "token": "t", "started_at": 1.0}
    return ServeFile(**(given | changes))  # type: ignore[arg-type]


def test_only_the_owner_reads_it_and_it_is_what_was_written(tmp_path):
    file().write(tmp_path)
    assert ServeFile.read(tmp_path) == file()
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    ServeFile.remove(tmp_path)
    ServeFile.remove(tmp_path)
    assert ServeFile.read(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "null", '{"format": "serve/2"}', json.dumps({"format": "serve/1", "pid": 1})]
)
def test_what_is_none_of_ours_is_no_server(tmp_path, text):
    (tmp_path / FILE).write_text(text)
    assert ServeFile.read(tmp_path) is None
    assert running(tmp_path) is None


def test_a_server_is_running_as_long_as_it_lives(tmp_path):
    assert running(tmp_path) is None
    process = held(tmp_path)
    try:
        found = running(tmp_path)
        assert found is not None
        assert (found.pid, found.url) == (process.pid, "http://h:1")
        with (
            pytest.raises(ConflictError, match=f"process {process.pid}, and is at http://h:1"),
            sole(tmp_path, wait_s=60.0, waiting=lambda: None),
        ):
            pass
    finally:
        end(process)
    assert (tmp_path / FILE).exists()
    assert running(tmp_path) is None, "what a server that was killed left behind is none"
    with sole(tmp_path, wait_s=0, waiting=lambda: None):
        pass


def test_a_part_that_outlives_its_server_is_waited_for(tmp_path):
    process = held(tmp_path)
    try:
        # As after kill -9 of a server whose part still holds the lock: who is named there is no more.
        (tmp_path / LOCK).write_text("999999999\n")
        waited: list[bool] = []
        with (
            pytest.raises(ConflictError, match="still use"),
            sole(tmp_path, wait_s=0.0, waiting=lambda: waited.append(True)),
        ):
            pass
        assert running(tmp_path) is not None

        def let_go() -> None:
            waited.append(True)
            end(process)

        with sole(tmp_path, wait_s=60.0, waiting=let_go):
            assert waited[-1]
    finally:
        end(process)


def test_a_process_id_that_is_ours_by_now_is_not_taken_for_another_server(tmp_path):
    # In a container every server is process 1, and so was the one before it.
    process = held(tmp_path)
    (tmp_path / LOCK).write_text(f"{os.getpid()}\n")

    def let_go() -> None:
        end(process)

    with sole(tmp_path, wait_s=60.0, waiting=let_go):
        pass
