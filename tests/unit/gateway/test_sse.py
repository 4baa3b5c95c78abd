"""Streams go by unchanged; only their ends wait."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.sse import Events, Plain


def event(**delta: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"index": 0, "delta": delta}]}).encode() + b"\n\n"


ROLE, SAID, DONE = event(role="assistant", content=""), event(content="Hi"), b"data: [DONE]\n\n"
WHOLE = ROLE + SAID + event(content=" data: [DONE] is no end here") + b": a comment\n\n" + DONE


def cut(data: bytes, places: list[int]) -> list[bytes]:
    marks = sorted({min(place, len(data)) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(marks)]


@given(
    st.one_of(
        st.just(WHOLE),
        st.just(WHOLE.replace(b"\n", b"\r\n")),
        st.binary(max_size=100),
        st.text("data: [DONE]{}\r\n", max_size=80).map(str.encode),
    ),
    st.lists(st.integers(0, 400), max_size=20),
)
def test_what_goes_out_is_what_came(data: bytes, places: list[int]) -> None:
    events = Events()
    assert b"".join([events.feed(piece) for piece in cut(data, places)]) + events.rest() == data


@given(st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 400), max_size=20))
def test_the_final_event_waits_and_what_goes_before_is_complete(ends: bytes, places: list[int]) -> None:
    events = Events()
    data, done = (one.replace(b"\n", ends) for one in (WHOLE, DONE))
    sent = b""
    for piece in cut(data, places):
        sent += events.feed(piece)
        assert not sent or sent.endswith(ends * 2)
    assert sent + done == data
    assert events.rest() == done


def test_a_complete_event_does_not_wait_for_the_next() -> None:
    events = Events()
    assert events.feed(SAID) == SAID
    assert events.feed(SAID[:9]) == b""
    assert events.feed(SAID[9:] + ROLE[:5]) == SAID
    assert events.cut() == b""


def test_an_event_without_an_end_passes_when_it_is_long() -> None:
    events = Events()
    long = b"data: " + b"x" * (65 << 10)
    assert events.feed(long) == long


@pytest.mark.parametrize(
    ("piece", "says"),
    [
        (ROLE, False),
        (SAID, True),
        (event(tool_calls=[{"index": 0}]), True),
        (event(refusal="no"), True),
        (event(reasoning_content="hm"), True),
        (b"data: {not json\n\n", False),
        (b"data: [1]\n\n", False),
        (b'data: {"choices": 3}\n\n', False),
        (b'data: {"choices": [3, {"delta": 4}]}\n\n', False),
        (b": comment\n\n", False),
        (SAID[:-2], False),
    ],
)
def test_the_first_content_is_noticed(piece: bytes, says: bool) -> None:
    events = Events()
    events.feed(piece)
    assert events.first_content == says


def test_of_what_is_no_stream_the_last_piece_waits() -> None:
    plain = Plain()
    assert [plain.feed(one) for one in (b"a", b"b", b"c")] == [b"", b"a", b"b"]
    assert (plain.rest(), plain.cut(), plain.first_content) == (b"c", b"c", False)


def test_what_comes_behind_the_end_without_an_end_of_its_own_is_not_all_held() -> None:
    events = Events()
    assert events.feed(b"data: [DONE]\n\n") == b""
    for _ in range(1000):
        assert events.feed(b": more\n\n" * 128) == b""
    assert events.rest().startswith(b"data: [DONE]\n\n: more")
    assert len(events.rest()) < 66_000
