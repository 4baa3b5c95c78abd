"""What is published is signed, read back exactly, and pinned."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId
from inchworm.domain.keys import KEY_BYTES, Purpose, derive
from inchworm.domain.published import Published, PublishedApp, PublishedKey, version
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import Candidate, ServingTable

MASTER = bytes(range(KEY_BYTES))
KEY = derive(MASTER, Purpose.PUBLISHED)
STABLE = Configuration.of({"model": {"name": "small"}, "parameters": {"temperature": 0}})
CANDIDATE = Configuration.of({"model": {"name": "small"}, "parameters": {"temperature": 0.4}})
APP = AppRef(app="shop", environment="production")
PUBLISHED = Published(
    apps=(
        PublishedApp(app=AppRef(app="search", environment="staging"), unit=UnitKind.REQUEST),
        PublishedApp(
            app=APP,
            infrastructure={"timeout_s": 20},
            table=ServingTable(
                app=APP,
                generation=7,
                stable=STABLE.id,
                candidate=Candidate(
                    rollout_id=RolloutId("r-1"),
                    configuration_id=CANDIDATE.id,
                    stage=0,
                    weight=0.05,
                    salt="grey",
                    hash_version=1,
                ),
            ),
            configurations={STABLE.id: STABLE, CANDIDATE.id: CANDIDATE},
        ),
    )
)


def test_the_derived_keys_are_pinned():
    assert {purpose: derive(MASTER, purpose).hex()[:16] for purpose in Purpose} == {
        Purpose.SPOOL: "23427e2434ae8a22",
        Purpose.TOKEN: "2da6d86ba72e2a1f",
        Purpose.PUBLISHED: "7f7a9f3f42d8cb9b",
        Purpose.GATEWAY: "1a9281523bfc2fb7",
        Purpose.SESSION: "8c538e5e93d06c69",
        Purpose.UNIT: "39a42d4a05e79a59",
        Purpose.FORGET: "79aeafb4c8333134",
    }


def test_every_purpose_has_a_key_of_its_own():
    assert len({derive(MASTER, purpose) for purpose in Purpose}) == len(Purpose)


@pytest.mark.parametrize("length", [0, 16, 31, 33])
def test_a_key_of_another_length_is_refused(length):
    with pytest.raises(ValueError, match=f"has {length} bytes"):
        derive(b"k" * length, Purpose.SPOOL)


def test_the_signed_document_is_pinned():
    document = PUBLISHED.sign(KEY)
    assert version(document) == "870bdf2531334bac"
    assert json.loads(json.loads(document)["content"]) == PUBLISHED.content()


def test_it_reads_back():
    assert Published.read(KEY, PUBLISHED.sign(KEY)) == PUBLISHED


def test_another_key_is_refused():
    with pytest.raises(InputError, match="not signed with this installation's key"):
        Published.read(derive(MASTER, Purpose.TOKEN), PUBLISHED.sign(KEY))


@given(st.data())
def test_no_changed_byte_is_accepted(data):
    document = bytearray(PUBLISHED.sign(KEY))
    place = data.draw(st.integers(0, len(document) - 1))
    document[place] ^= data.draw(st.integers(1, 255))
    try:
        read = Published.read(KEY, bytes(document))
    except InputError:
        return
    assert read == PUBLISHED  # white space between members may be anything


@given(st.binary(max_size=200) | st.sampled_from([b"{}", b"[]", b"null", b'{"content": 1, "mac": 2}']))
def test_anything_else_is_refused(document):
    with pytest.raises(InputError):
        Published.read(KEY, document)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "published/3"}, "reads published/1 and published/2"),
        ({"apps": [{"app": "a/b"}]}, "cannot be read"),
    ],
)
def test_another_shape_is_refused_even_if_it_is_signed(change, said):
    class Other(Published):
        def content(self):
            return PUBLISHED.content() | change

    with pytest.raises(InputError, match=said):
        Published.read(KEY, Other().sign(KEY))


def test_a_configuration_under_a_wrong_id_is_refused():
    content = PUBLISHED.content()
    rows = content["apps"][1]["configurations"]
    rows[STABLE.id] = rows[CANDIDATE.id]
    with pytest.raises(ValueError, match=f"{STABLE.id} has the content of {CANDIDATE.id}"):
        Published.from_content(content)


FREE = PublishedKey(id="0123456789", digest="a" * 64, expires_at=1_800_000_000.0)
BOUND = PublishedKey(id="9876543210", digest="b" * 64, app=APP)


def test_keys_are_pinned_and_a_bound_one_is_nothing_for_older_readers():
    free = Published(apps=PUBLISHED.apps, keys=(FREE,))
    bound = Published(apps=PUBLISHED.apps, keys=(FREE, BOUND))
    assert free.content() == PUBLISHED.content() | {
        "keys": [{"id": "0123456789", "digest": "a" * 64, "expires_at": 1_800_000_000.0}]
    }
    # An older reader would count what comes under a bound key as the first app's.
    assert bound.content()["format"] == "published/2"
    assert bound.content()["keys"][1] == {
        "id": "9876543210",
        "digest": "b" * 64,
        "app": "shop/production",
    }
    assert [version(one.sign(KEY)) for one in (free, bound)] == ["7195cd6d28cc671c", "573868a633dc7a91"]
    for one in (free, bound):
        assert Published.read(KEY, one.sign(KEY)) == one


@pytest.mark.parametrize("keys", [3, [3], [{"id": "x"}], [{"id": "x", "digest": "y", "app": "a/b/c"}]])
def test_keys_of_another_shape_are_refused(keys):
    class Other(Published):
        def content(self):
            return PUBLISHED.content() | {"keys": keys}

    with pytest.raises(InputError, match=r"cannot be read|names no app"):
        Published.read(KEY, Other().sign(KEY))
