"""An open conversation keeps its arm."""

import os
import signal
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Arm, Assignment
from inchworm.gateway.sessions import MAGIC, Sessions

KEY, R7, R8 = b"k" * 32, RolloutId("r-7"), RolloutId("r-8")


def assignment(rollout=R7, stage=0, arm=Arm.CANDIDATE, probability=0.05):
    return Assignment(rollout_id=rollout, stage=stage, arm=arm, probability=probability)


@pytest.fixture
def open_sessions(tmp_path):
    opened = []

    def make(**options):
        opened.append(Sessions(tmp_path / "gateway", KEY, **options))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_what_was_kept_is_there_and_after_a_restart_too(open_sessions):
    one, other = assignment(), assignment(stage=2, arm=Arm.BASELINE, probability=0.1234)
    first = open_sessions()
    first.keep(UnitId("ana"), one)
    first.keep(UnitId("ben"), other)
    for sessions in (first, open_sessions()):
        assert sessions.kept(R7, UnitId("ana")) == one
        assert sessions.kept(R7, UnitId("ben")) == other
        assert sessions.kept(R7, UnitId("cy")) is None
        assert sessions.kept(R8, UnitId("ana")) is None


def test_no_unit_can_be_read_from_a_journal(open_sessions, tmp_path):
    open_sessions().keep(UnitId("ana@example.com"), assignment())
    (journal,) = (tmp_path / "gateway").iterdir()
    data = journal.read_bytes()
    assert data.startswith(MAGIC)
    assert b"ana" not in data
    assert journal.stat().st_mode & 0o077 == 0


def test_a_unit_is_written_once(open_sessions, tmp_path):
    sessions = open_sessions()
    for _ in range(3):
        sessions.keep(UnitId("ana"), assignment())
    (journal,) = (tmp_path / "gateway").iterdir()
    size = journal.stat().st_size
    sessions.keep(UnitId("ben"), assignment())
    assert journal.stat().st_size - size == size - len(MAGIC)


@pytest.mark.parametrize("torn", [1, 7, 20])
def test_a_torn_tail_is_passed_over_and_appended_behind(open_sessions, tmp_path, torn):
    first = open_sessions()
    for name in ("ana", "ben"):
        first.keep(UnitId(name), assignment())
    (journal,) = (tmp_path / "gateway").iterdir()
    journal.write_bytes(journal.read_bytes()[:-torn])
    second = open_sessions()
    assert second.kept(R7, UnitId("ana")) is not None
    assert second.kept(R7, UnitId("ben")) is None
    second.keep(UnitId("cy"), assignment(stage=1))
    third = open_sessions()
    assert third.kept(R7, UnitId("ana")) is not None
    assert third.kept(R7, UnitId("cy")) == assignment(stage=1)


def test_a_damaged_record_costs_only_itself(open_sessions, tmp_path):
    first = open_sessions()
    for name in ("ana", "ben", "cy"):
        first.keep(UnitId(name), assignment())
    (journal,) = (tmp_path / "gateway").iterdir()
    data = bytearray(journal.read_bytes())
    record = (len(data) - len(MAGIC)) // 3
    data[len(MAGIC) + record + 3] ^= 1
    journal.write_bytes(bytes(data))
    second = open_sessions()
    assert [second.kept(R7, UnitId(name)) is not None for name in ("ana", "ben", "cy")] == [True, False, True]


def test_a_file_of_another_format_is_begun_anew(open_sessions, tmp_path):
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "sessions-r-7.bin").write_bytes(b"something else, and long enough")
    first = open_sessions()
    assert first.stats().units == 0
    first.keep(UnitId("ana"), assignment())
    assert open_sessions().kept(R7, UnitId("ana")) == assignment()


def test_rollouts_that_ended_are_forgotten_with_their_files(open_sessions, tmp_path):
    sessions = open_sessions()
    sessions.keep(UnitId("ana"), assignment())
    sessions.keep(UnitId("ana"), assignment(rollout=R8))
    sessions.only({R8})
    assert sessions.kept(R7, UnitId("ana")) is None
    assert sessions.kept(R8, UnitId("ana")) == assignment(rollout=R8)
    assert [path.name for path in (tmp_path / "gateway").iterdir()] == ["sessions-r-8.bin"]


def test_files_of_others_are_left_alone(open_sessions, tmp_path):
    (tmp_path / "gateway").mkdir()
    (tmp_path / "gateway" / "published.json").write_text("{}")
    open_sessions().only(())
    assert (tmp_path / "gateway" / "published.json").exists()


def test_the_oldest_are_forgotten_and_counted(open_sessions):
    sessions = open_sessions(limit=100)
    for number in range(150):
        sessions.keep(UnitId(f"u-{number}"), assignment())
    stats = sessions.stats()
    assert stats.units <= 100
    assert stats.units + stats.forgotten == 150
    assert sessions.kept(R7, UnitId("u-0")) is None
    assert sessions.kept(R7, UnitId("u-149")) is not None
    assert open_sessions(limit=100).kept(R7, UnitId("u-149")) is not None


def test_a_disk_that_cannot_be_written_is_counted_and_costs_nobody_the_arm(open_sessions, tmp_path):
    sessions = open_sessions()
    (tmp_path / "gateway").rmdir()
    sessions.keep(UnitId("ana"), assignment())
    assert sessions.kept(R7, UnitId("ana")) == assignment()
    assert sessions.stats().unwritten == 1


def test_a_folder_that_is_no_folder_is_said(tmp_path):
    (tmp_path / "gateway").write_text("")
    with pytest.raises(StoreError, match="cannot be read"):
        Sessions(tmp_path / "gateway", KEY)


CHILD = """
import os, signal, sys
from pathlib import Path
from inchworm.domain.trace import Arm, Assignment
from inchworm.gateway.sessions import Sessions
sessions = Sessions(Path(sys.argv[1]), b"k" * 32)
for number in range(500):
    sessions.keep(f"u-{number}", Assignment(rollout_id="r-7", stage=0, arm=Arm.CANDIDATE, probability=0.05))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_survives_kill_9(open_sessions, tmp_path):
    killed = subprocess.run([sys.executable, "-c", CHILD, tmp_path / "gateway"], env=os.environ, check=False)
    assert killed.returncode == -signal.SIGKILL
    sessions = open_sessions()
    assert sessions.stats().units == 500
    assert sessions.kept(R7, UnitId("u-499")) == assignment()


UNITS = st.text(min_size=1)


@settings(max_examples=25)
@given(
    st.dictionaries(
        UNITS,
        st.builds(
            assignment,
            stage=st.integers(0, 12),
            arm=st.sampled_from(Arm),
            probability=st.integers(0, 10_000).map(lambda n: n / 10_000),
        ),
        max_size=20,
    )
)
def test_whatever_was_kept_comes_back_exactly(tmp_path_factory, kept):
    folder = tmp_path_factory.mktemp("sessions")
    for attempt in range(2):
        sessions = Sessions(folder, KEY)
        for unit, one in kept.items():
            if attempt == 0:
                sessions.keep(UnitId(unit), one)
            assert sessions.kept(R7, UnitId(unit)) == one
        sessions.close()
