"""What is kept of an answer is all of it, packed, and bounded over all answers."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.kept import Kept, Memory

EVENT = b'data: {"choices": [{"delta": {"content": "word "}}]}\n\n'
PIECES = st.lists(st.binary(max_size=200).map(lambda one: one * 40), max_size=40)


@given(PIECES, st.integers(0, 100_000))
def test_what_is_kept_is_what_came_up_to_the_limit(pieces: list[bytes], limit: int) -> None:
    memory, whole = Memory(), b"".join(pieces)
    kept = Kept(memory)
    for one in pieces:
        kept.add(one, limit)
    assert kept.whole() == whole[:limit]
    assert (kept.size, kept.truncated, kept.crowded) == (len(whole[:limit]), len(whole) > limit, False)
    assert kept.beginning(100) == whole[:limit][:100]
    kept.release()
    assert (memory.held, kept.whole(), kept.size) == (0, b"", 0)


@given(PIECES)
def test_what_is_held_to_be_passed_on_is_held_whatever_the_others_hold(pieces: list[bytes]) -> None:
    memory = Memory(1)
    kept = Kept(memory)
    for one in pieces:
        kept.hold(one)
    assert kept.whole() == b"".join(pieces)
    assert memory.held == kept.size
    assert memory.full == (kept.size > 0)


def test_a_long_stream_of_like_events_takes_a_fraction_of_its_size() -> None:
    memory = Memory()
    kept = Kept(memory)
    for _ in range(20_000):
        kept.add(EVENT, 16 << 20)
    assert kept.size == 20_000 * len(EVENT)
    assert memory.held < kept.size // 10
    assert kept.whole() == EVENT * 20_000


def test_all_answers_together_have_an_end_and_what_comes_later_leaves_no_hole() -> None:
    memory = Memory(10_000)
    first, second = Kept(memory), Kept(memory)
    first.add(b"x" * 9_000, 16 << 20)
    second.add(b"y" * 900, 16 << 20)
    second.add(b"z" * 200, 16 << 20)
    assert (second.crowded, second.truncated, second.whole()) == (True, True, b"y" * 900)
    first.release()
    second.add(b"z" * 200, 16 << 20)
    assert second.whole() == b"y" * 900
    second.release()
    assert memory.held == 0


def test_what_does_not_pack_is_kept_too() -> None:
    noise = zlib.compress(b"".join(bytes([one * 37 % 251]) for one in range(60_000)), 9) * 30
    kept = Kept(Memory())
    kept.add(noise, 16 << 20)
    assert kept.whole() == noise
