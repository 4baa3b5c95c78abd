"""Streams go by unchanged; only their ends wait."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.sse import Events, Plain
from inchworm.gateway.wires import ANTHROPIC_MESSAGES, OPENAI_RESPONSES, Wire


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


@pytest.mark.parametrize("step", [1 << 10, 60 << 10, 2 << 20])
def test_an_event_without_an_end_passes_when_it_is_very_long_and_is_ended_if_it_is_cut(
    step: int,
) -> None:
    events = Events()
    long = b"data: " + b"x" * (1100 << 10)
    sent = b"".join(events.feed(long[at : at + step]) for at in range(0, len(long), step))
    assert sent
    assert long == sent + events.rest()
    assert events.cut() == b"\n\n"
    assert events.feed(b"\n\n" + SAID).endswith(SAID)
    assert events.cut() == b""


@given(st.lists(st.integers(0, 300_000), max_size=12), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_long_event_waits_until_it_is_whole(places: list[int], ends: bytes) -> None:
    long = b"data: " + b"x" * 250_000 + ends * 2
    events = Events()
    sent = b""
    for piece in cut(long + b"data: y" + ends * 2, places):
        sent += events.feed(piece)
        assert sent in {b"", long, long + b"data: y" + ends * 2}
    assert sent + events.rest() == long + b"data: y" + ends * 2


@given(st.integers(0, 179_000), st.lists(st.integers(0, 180_000), max_size=8))
def test_a_stream_that_is_cut_within_a_long_final_event_leaves_nothing_half(
    at: int, places: list[int]
) -> None:
    done = (
        b'event: response.completed\ndata: {"type": "response.completed", "x": "' + b"y" * 180_000 + b'"}\n\n'
    )
    events = Events(OPENAI_RESPONSES)
    sent = b"".join(
        [events.feed(piece) for piece in cut(said(OPENAI_RESPONSES, "a.delta") + done[:at], places)]
    )
    assert sent + events.cut() == said(OPENAI_RESPONSES, "a.delta")


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


def said(wire: Wire, *kinds: str) -> bytes:
    both = wire is ANTHROPIC_MESSAGES
    return b"".join(
        f"event: {kind}\ndata: {json.dumps({'type': kind, 'delta': {} if both else 'x'})}\n\n".encode()
        for kind in kinds
    )


OTHERS = [
    (
        OPENAI_RESPONSES,
        said(OPENAI_RESPONSES, "response.created", "response.output_text.delta"),
        said(OPENAI_RESPONSES, "response.completed"),
    ),
    (
        ANTHROPIC_MESSAGES,
        said(ANTHROPIC_MESSAGES, "message_start", "content_block_delta", "message_delta"),
        said(ANTHROPIC_MESSAGES, "message_stop"),
    ),
]


@given(
    st.sampled_from(OTHERS),
    st.sampled_from([b"\n", b"\r\n"]),
    st.booleans(),
    st.lists(st.integers(0, 400), max_size=20),
)
def test_the_final_event_of_each_protocol_waits(
    case: tuple[Wire, bytes, bytes], ends: bytes, bare: bool, places: list[int]
) -> None:
    wire, before, done = case
    if bare:  # some servers send no names of events
        before, done = (re.sub(rb"event: .*\n", b"", one) for one in (before, done))
    before, done = (one.replace(b"\n", ends) for one in (before, done))
    events = Events(wire)
    sent = b"".join([events.feed(piece) for piece in cut(before + done, places)])
    assert sent == before
    assert events.rest() == done
    assert events.first_content


@pytest.mark.parametrize("case", OTHERS)
def test_what_only_names_the_end_of_a_stream_does_not_end_it(case: tuple[Wire, bytes, bytes]) -> None:
    wire, before, done = case
    quoted = b"data: " + json.dumps({"type": "x", "text": done.decode()}).encode() + b"\n\n"
    events = Events(wire)
    assert events.feed(before + quoted) == before + quoted


@given(st.lists(st.integers(0, 6_000_000), max_size=12))
def test_a_final_event_that_holds_the_whole_answer_is_not_lost(places: list[int]) -> None:
    held = b'{"type": "response.completed", "x": "' + b"y" * (5 << 20) + b'"}'
    done = b"event: response.completed\ndata: " + held + b"\n\n"
    events = Events(OPENAI_RESPONSES)
    sent = b"".join([events.feed(piece) for piece in cut(done, places)])
    assert sent + events.rest() == done
    assert sent != done
