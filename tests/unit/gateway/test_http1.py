"""Reading HTTP/1.1 answers: however the bytes are cut, the answer is the same."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.http1 import HEAD_LIMIT, AnswerError, Reader

COUNTED = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A:  b \r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nTrailer: x\r\n\r\n"
)
CLOSED = b"HTTP/1.1 200 OK\r\n\r\nhello world"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"


def read(data: bytes, cuts: list[int], *, closes: bool) -> Reader:
    reader = Reader()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    for start, end in pairwise(places):
        reader.feed(data[start:end])
    if closes:
        reader.end()
    return reader


@given(
    st.sampled_from([(COUNTED, b"hello"), (CHUNKED, b"hello world"), (CLOSED, b"hello world")]),
    st.booleans(),
    st.lists(st.integers(0, 200), max_size=30),
)
def test_an_answer_is_the_same_however_its_bytes_are_cut(
    answer: tuple[bytes, bytes], interim: bool, cuts: list[int]
) -> None:
    data, body = answer
    reader = read((INTERIM if interim else b"") + data, cuts, closes=data == CLOSED)
    assert reader.done
    assert reader.head is not None
    assert reader.head.status == 200
    assert b"".join(reader.pieces) == body
    assert reader.reusable == (data != CLOSED)


@given(st.sampled_from([COUNTED, CHUNKED]), st.data())
def test_an_answer_that_ends_too_early_is_not_whole(data: bytes, drawn: st.DataObject) -> None:
    end = drawn.draw(st.integers(0, len(data) - 1))
    reader = Reader()
    reader.feed(data[:end])
    assert not reader.done
    with pytest.raises(AnswerError, match="before the answer was whole"):
        reader.end()


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_whatever_comes_is_read_or_refused(data: bytes, cuts: list[int]) -> None:
    try:
        reader = read(b"HTTP/1.1 200 OK\r\n" + data, cuts, closes=True)
    except AnswerError:
        return
    assert reader.done


def test_names_of_headers_are_lower_case_and_values_are_trimmed() -> None:
    head = read(COUNTED, [], closes=False).head
    assert head is not None
    assert head.headers == [("content-length", "5"), ("x-a", "b")]
    assert (head.get("x-a"), head.get("x-b")) == ("b", None)


@pytest.mark.parametrize(
    ("head", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
        (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nconnection: Keep-Alive\r\ncontent-length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1", False),
    ],
)
def test_the_head_says_whether_the_connection_lives_on(head: bytes, reusable: bool) -> None:
    reader = Reader()
    reader.feed(head)
    assert reader.done
    assert reader.reusable == reusable


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: b\r\n\r\n",
        b"HTTP/1.1 000 Some\r\n\r\n",
        b"HTTP/1.1 1024 Some\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"f" * 100 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n-1\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nabc",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * HEAD_LIMIT,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + b"0" * 5000,
    ],
)
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(AnswerError):
        Reader().feed(data)


def test_the_length_does_not_count_where_chunks_do() -> None:
    reader = Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n")
    reader.feed(b"5\r\nhello\r\n0\r\n\r\n")
    assert reader.done
    assert b"".join(reader.pieces) == b"hello"


@pytest.mark.parametrize("size", [b"0x5", b"+5", b"-5", b"1_0", b"\x0b5", b"", b"\xd9\xa5"])
def test_a_chunk_whose_size_others_might_read_otherwise_is_refused(size: bytes) -> None:
    reader = Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
    with pytest.raises(AnswerError, match="size of a chunk"):
        reader.feed(size + b"\r\nhello\r\n0\r\n\r\n")


def test_an_answer_with_two_ends_is_read_by_its_chunks_and_the_connection_is_not_used_again() -> None:
    both = CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 5\r\n\r\n", 1)
    reader = read(both, [], closes=False)
    assert reader.done
    assert b"".join(reader.pieces) == b"hello world"
    assert not reader.reusable


def test_an_answer_that_lasts_until_the_end_is_whole_if_the_connection_closed_and_not_if_it_broke() -> None:
    assert read(CLOSED, [], closes=True).done
    reader = read(CLOSED, [], closes=False)
    with pytest.raises(AnswerError, match="before the answer was whole"):
        reader.end(cut=True)


def test_an_interim_answer_is_a_beginning() -> None:
    reader = Reader()
    assert not reader.begun
    reader.feed(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")
    assert reader.begun
    assert reader.head is None
