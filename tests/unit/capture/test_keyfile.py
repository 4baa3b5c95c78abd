"""The installation's key; what the house makes of it is tested there."""

import stat

import pytest

from inchworm.capture.keyfile import KEY, VARIABLE, master_key
from inchworm.domain.errors import StoreError, UsageError


@pytest.fixture(autouse=True)
def _no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


def test_it_is_made_once_for_its_owner_alone(tmp_path):
    data = tmp_path / "data"
    key = master_key(data)
    assert (len(key), master_key(data)) == (32, key)
    assert stat.S_IMODE((data / KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_the_environment_wins_and_makes_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "0F" * 32)
    assert master_key(tmp_path / "data") == bytes([15]) * 32
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", ["", "0f" * 31, "0f" * 33, "0g" * 32, " " + "0f" * 32, "0f" * 32 + "\n"])
def test_another_value_is_refused_and_not_repeated(tmp_path, monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(UsageError, match="holds no key of 64 hexadecimal digits") as refused:
        master_key(tmp_path)
    assert not value.strip() or value.strip() not in f"{refused.value} {refused.value.hint}"


@pytest.mark.parametrize("damage", [b"", bytes(31), bytes(33)])
def test_a_damaged_file_is_refused(tmp_path, damage):
    (tmp_path / KEY).write_bytes(damage)
    with pytest.raises(StoreError, match="is damaged"):
        master_key(tmp_path)
