"""The house: its key, its pseudonyms, its stores."""

import multiprocessing
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.pseudonyms import _MADE_UP, _PLAIN, Pseudonyms
from inchworm.capture.keyfile import KEY
from inchworm.domain.errors import NotFoundError, StoreError
from inchworm.domain.ids import UnitId
from inchworm.sanitize import Sanitizer

ADDRESS = UnitId("ann.example@mailhost.net")


def test_the_key_is_its_owners_alone_and_stays(world):
    key = world.house.spec.data / KEY
    assert not key.exists(), "no key is made before one is needed"
    world.house.pseudonym(UnitId("s-17"))
    assert not key.exists()
    world.house.pseudonym(ADDRESS)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    made = key.read_bytes()
    assert len(made) == 32
    world.reopen()
    world.house.pseudonym(ADDRESS)
    assert key.read_bytes() == made
    assert [path.name for path in key.parent.glob(f"{KEY}*")] == [KEY], "nothing is left lying about"


def test_a_data_directory_that_the_key_begins_is_its_owners_alone(world, tmp_path):
    text = (world.folder / "inchworm.yaml").read_text()
    (tmp_path / "inchworm.yaml").write_text(text + "data: elsewhere/data\n")
    house = House(load(tmp_path / "inchworm.yaml"))
    house.pseudonym(ADDRESS)
    assert stat.S_IMODE(house.spec.data.stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", [b"", b"short"])
def test_a_damaged_key_is_refused(world, damage):
    world.house.pseudonym(ADDRESS)
    (world.house.spec.data / KEY).write_bytes(damage)
    world.reopen()
    with pytest.raises(StoreError, match="is damaged"):
        world.house.pseudonym(ADDRESS)


def test_a_key_that_cannot_be_read_says_so(world):
    (world.house.spec.data / KEY).mkdir()
    with pytest.raises(StoreError, match=r"secret\.key cannot be read"):
        world.house.pseudonym(ADDRESS)


def _pseudonym(file: str) -> str:
    """What another process calls the address."""
    return House(load(Path(file))).pseudonym(ADDRESS)


def test_processes_that_make_the_key_at_once_agree(world):
    file = str(world.folder / "inchworm.yaml")
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        named = pool.map(_pseudonym, [file] * 8, chunksize=1)
    assert set(named) == {world.house.pseudonym(ADDRESS)}
    assert len((world.house.spec.data / KEY).read_bytes()) == 32


@given(st.one_of(st.from_regex(_PLAIN, fullmatch=True), st.from_regex(_MADE_UP, fullmatch=True)))
def test_ids_that_are_not_looked_into_hold_nothing(unit_id):
    assert Sanitizer().unit().text(unit_id).findings == ()


@pytest.mark.parametrize(
    "unit_id",
    [
        "ann.example@mailhost.net",
        "+442079460958",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-abcdefghijkl",
        "4111111111111111",
    ],
)
def test_ids_that_are_personal_get_a_name_that_tells_nothing(world, unit_id):
    named = world.house.pseudonym(UnitId(unit_id))
    assert named.startswith("u-")
    assert len(named) == 26
    assert world.house.pseudonym(named) == named


@pytest.mark.parametrize("id_", ["4111111111111111", "be68539007547034"])
def test_ids_like_those_of_spans_that_are_a_card_or_an_account_get_another_name(id_):
    assert Pseudonyms(lambda: bytes(32))(UnitId(id_)).startswith("u-")


@pytest.mark.parametrize("unit_id", ["s-1", "session_123456", "conversation-of-monday", "abc"])
def test_other_ids_stay(world, unit_id):
    assert world.house.pseudonym(UnitId(unit_id)) == unit_id


def test_before_anything_is_stable_it_says_what_to_do(world, tmp_path):
    text = (world.folder / "inchworm.yaml").read_text()
    (tmp_path / "inchworm.yaml").write_text(text)
    with House(load(tmp_path / "inchworm.yaml"), actor="bo") as house:
        with pytest.raises(NotFoundError) as caught:
            house.lineage()
        assert caught.value.hint is not None
        assert "inchworm" in caught.value.hint
        first = house.declare_stable()
        assert first.stable == house.spec.configuration.id
        assert house.declare_stable() == first
        (entry,) = house.control.ledger(house.app)
        assert (entry.actor, entry.kind) == ("bo", "configuration")


def test_closed_it_opens_again(world):
    stable = world.house.lineage()
    world.house.close()
    assert world.house.lineage() == stable
    assert world.house.traces.count(world.house.app) == 0
