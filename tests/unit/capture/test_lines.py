import gzip
import io
import itertools
import tracemalloc
import zlib

import pytest

from inchworm.capture import Line, Rejected, read_lines
from inchworm.domain.errors import InputError


def lines(source, **options):
    return read_lines(source, **options)


def found(data, **options):
    """Each line as its data, or as the refusal's reason in a tuple."""
    return [
        one.data if isinstance(one, Line) else (one.reason,) for one in lines(io.BytesIO(data), **options)
    ]


class Drip(io.RawIOBase):
    """A stream that hands out what it is given piece by piece, never more, and remembers what was asked."""

    def __init__(self, pieces):
        self.pieces = iter(pieces)
        self.asked = []

    def read(self, size=-1, /):
        self.asked.append(size)
        return next(self.pieces, b"")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"\n", [b""]),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\rb\n", [b"a\rb"]),
        (b"\xef\xbb\xbfa\n", [b"a"]),
        (b"\xef\xbb\xbf\n", [b""]),
        (b"a\n\xef\xbb\xbfb\n", [b"a", b"\xef\xbb\xbfb"]),
        (b"a\n\n \t\r\nb\n", [b"a", b"", b"", b"b"]),
        ("é\n\u2028x\n".encode(), ["é".encode(), "\u2028x".encode()]),
    ],
)
def test_lines_end_with_line_feeds_and_nothing_else(data, expected):
    assert found(data) == expected
    assert found(gzip.compress(data)) == expected


def test_lines_are_numbered_from_one_and_the_last_may_lack_its_end():
    assert list(lines(io.BytesIO(b"a\n\nb"))) == [
        Line(number=1, data=b"a"),
        Line(number=2, data=b""),
        Line(number=3, data=b"b", terminated=False),
    ]


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_the_pieces_that_a_stream_hands_out_do_not_matter(size):
    data = "eins\r\nzwei\n\nüber\nlang-lang-lang\nfünf".encode()
    for source in (data, gzip.compress(data)):
        pieces = [source[start : start + size] for start in range(0, len(source), size)]
        assert list(lines(Drip(pieces), limit=8)) == list(lines(io.BytesIO(source), limit=8))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"ab\xff\n", "byte 2 of the line is 0xff"),
        (b"\xed\xa0\x80\n", "byte 0 of the line is 0xed"),
        (b"a\xc3\n", "byte 1 of the line is 0xc3"),
        (b"a\xc3", "half-written"),
        ("a\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_what_is_no_utf8_is_refused_by_its_place(data, said):
    first = next(lines(io.BytesIO(data)))
    assert isinstance(first, Rejected)
    assert said in first.reason


def test_a_line_of_the_limit_is_read_and_one_byte_more_is_not():
    assert found(b"12345\n123456\nx\n", limit=5) == [
        b"12345",
        ("the line is 6 bytes long, and at most 5 are read",),
        b"x",
    ]


def test_a_line_of_fifty_megabytes_is_read_past_and_never_held():
    # From a stream that makes it up as it is read.
    stream = Drip(itertools.chain([b'{"a": 1}\n'], (b"x" * 50_000 for _ in range(1000)), [b'\n{"b": 2}\n']))
    limit = 1_000_000
    tracemalloc.start()
    try:
        got = list(lines(stream, limit=limit))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [one.data if isinstance(one, Line) else one.reason for one in got] == [
        b'{"a": 1}',
        "the line is 50,000,000 bytes long, and at most 1,000,000 are read",
        b'{"b": 2}',
    ]
    assert peak < 2 * limit
    assert set(stream.asked) == {2**18}


def test_the_lines_around_one_that_is_too_long_are_kept():
    got = list(lines(Drip([b"first\n", *[b"y" * 1000] * 50, b"z\nlast\n"]), limit=10_000))
    assert [type(one) for one in got] == [Line, Rejected, Line]
    assert got[1].reason == "the line is 50,001 bytes long, and at most 10,000 are read"
    assert got[1].excerpt == "y" * 80
    assert got[2] == Line(number=3, data=b"last")


def test_gzip_is_known_by_its_bytes_and_may_have_many_members():
    data = gzip.compress(b"a\nb") + gzip.compress(b"c\n") + gzip.compress(b"") + b"\0" * 9
    assert found(data) == [b"a", b"bc"]


def test_a_small_file_that_unpacks_to_a_huge_line_is_refused():
    data = gzip.compress(b"a\n" + b" " * 5_000_000 + b"\nb\n")
    assert len(data) < 10_000
    assert found(data, limit=1000) == [
        b"a",
        ("the line is 5,000,000 bytes long, and at most 1,000 are read",),
        b"b",
    ]


def test_of_a_truncated_gzip_stream_comes_what_could_be_read():
    text = b"".join(b'{"n": %d, "x": "%x"}\n' % (n, n * 7919**5 % 2**61) for n in range(3000))
    packed = gzip.compress(text)
    *read, damage = lines(io.BytesIO(packed[: len(packed) // 2]))
    assert len(read) > 1000
    assert all(isinstance(one, Line) for one in read)
    assert text.startswith(b"\n".join(one.data for one in read))
    assert damage.line == len(read) + 1
    assert damage.reason == (
        "nothing can be read from here on: the gzip stream ends too early, so the file is not whole"
    )


def test_a_gzip_stream_cut_at_any_byte_says_so():
    packed = gzip.compress(b"a\nb\n")
    for cut in range(2, len(packed)):
        *_, last = lines(io.BytesIO(packed[:cut]))
        assert isinstance(last, Rejected)
        assert "too early" in last.reason


@pytest.mark.parametrize("tail", [b"garbage", zlib.compress(b"x")])
def test_what_follows_a_gzip_stream_and_is_none_is_refused(tail):
    *_, last = lines(io.BytesIO(gzip.compress(b"a\n") + tail))
    assert "damaged" in last.reason


def test_a_disk_that_fails_is_one_refusal():
    class Failing(io.RawIOBase):
        def read(self, _size=-1, /):
            raise OSError(5, "Input/output error")

    assert [str(one) for one in lines(Failing())] == [
        "line 1: nothing can be read from here on: [Errno 5] Input/output error"
    ]


def test_a_path_is_opened_and_closed(tmp_path):
    file = tmp_path / "traffic.jsonl"
    file.write_bytes(gzip.compress(b"a\n"))
    assert [one.data for one in lines(file)] == [b"a"]
    assert [one.data for one in lines(str(file))] == [b"a"]


@pytest.mark.parametrize("name", ["missing.jsonl", ".", "nul\0.jsonl"])
def test_what_cannot_be_opened_is_an_input_error(tmp_path, name):
    with pytest.raises(InputError, match="cannot be opened"):
        next(lines(f"{tmp_path}/{name}"))


@pytest.mark.parametrize(
    ("stream", "said"), [(io.StringIO("a"), "from bytes"), (Drip([None]), "nothing to read yet")]
)
def test_a_stream_of_the_wrong_kind_is_an_input_error(stream, said):
    with pytest.raises(InputError, match=said):
        next(lines(stream))


def test_a_stream_is_left_open():
    stream = io.BytesIO(b"a\n")
    list(lines(stream))
    assert not stream.closed


def test_an_excerpt_is_short_and_does_not_command_the_terminal():
    (refused,) = lines(io.BytesIO(b"\x1b[2J\xff" + b"x" * 100 + b"\n"))
    assert refused.excerpt.startswith("\ufffd[2J\ufffdxx")
    assert len(refused.excerpt) == 80
    assert refused.excerpt not in repr(refused)
