"""What others may import changes only on purpose."""

from scripts import public_api


def test_the_public_names_are_those_that_were_pinned():
    # A deliberate change: make api, and commit the difference.
    assert public_api.current() == public_api.pinned()


def test_the_snapshot_is_as_make_api_writes_it():
    assert public_api.SNAPSHOT.read_text("utf-8") == public_api.to_toml(public_api.pinned())
