"""A unit is taken out of the journals of a gateway that runs."""

import pytest

from inchworm.domain.errors import StoreError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Arm, Assignment
from inchworm.gateway.sessions import Sessions, forget_kept

KEY = bytes(range(32))


def assignment(rollout="r-1", arm=Arm.CANDIDATE):
    return Assignment(rollout_id=RolloutId(rollout), stage=1, arm=arm, probability=0.5)


def kept(folder, unit, rollout="r-1"):
    sessions = Sessions(folder, KEY)
    try:
        return sessions.kept(RolloutId(rollout), UnitId(unit))
    finally:
        sessions.close()


def test_its_entries_are_overwritten_and_all_others_stay(tmp_path):
    running = Sessions(tmp_path, KEY)
    for unit in ("ana", "bob", "ana-2"):
        running.keep(UnitId(unit), assignment())
    running.keep(UnitId("ana"), assignment("r-2"))
    size = (tmp_path / "sessions-r-1.bin").stat().st_size
    assert forget_kept(tmp_path, KEY, [UnitId("ana")]) == 2
    assert (tmp_path / "sessions-r-1.bin").stat().st_size == size
    running.keep(UnitId("eve"), assignment())  # whoever has the file open goes on at its end
    running.close()
    assert kept(tmp_path, "ana") is None
    assert kept(tmp_path, "ana", "r-2") is None
    assert [kept(tmp_path, unit) for unit in ("bob", "ana-2", "eve")] == [assignment()] * 3
    assert forget_kept(tmp_path, KEY, [UnitId("ana")]) == 0


def test_without_a_journal_there_is_nothing_to_do(tmp_path):
    assert forget_kept(tmp_path / "none", KEY, [UnitId("ana")]) == 0
    (tmp_path / "sessions-r-1.bin").write_bytes(b"something else")
    (tmp_path / "other").write_bytes(b"x")
    assert forget_kept(tmp_path, KEY, [UnitId("ana")]) == 0
    assert (tmp_path / "sessions-r-1.bin").read_bytes() == b"something else"


def test_a_journal_that_cannot_be_changed_is_said(tmp_path):
    (tmp_path / "sessions-r-1.bin").mkdir()
    with pytest.raises(StoreError, match="cannot be changed"):
        forget_kept(tmp_path, KEY, [UnitId("ana")])
