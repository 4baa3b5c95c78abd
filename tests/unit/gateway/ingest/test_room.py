"""Memory for bodies: bounded, given back whatever happens, and never all of it to large ones."""

import pytest

from inchworm.gateway.faults import FaultError
from inchworm.gateway.ingest.room import Room, Share


def test_who_comes_beyond_the_limit_is_asked_to_come_again() -> None:
    room = Room(100)
    with Share(room) as share:
        share.take(60)
        with pytest.raises(FaultError) as caught, Share(room) as other:
            other.take(41)
        assert (caught.value.fault.status, list(caught.value.fault.headers)) == (503, [("retry-after", "1")])
        assert room.taken == 60
    assert room.taken == 0


def test_large_bodies_leave_room_for_small_ones() -> None:
    room = Room(100)
    with Share(room) as large, Share(room) as small:
        large.take(75, large=True)
        with pytest.raises(FaultError):
            large.take(1, large=True)
        small.take(25)
        large.give()
        assert room.taken == 25


def test_what_fails_gives_its_room_back() -> None:
    room = Room(100)

    def fails() -> None:
        with Share(room) as share:
            share.take(50)
            raise ValueError("a mistake")

    with pytest.raises(ValueError, match="a mistake"):
        fails()
    assert room.taken == 0
