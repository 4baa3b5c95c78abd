"""Forms in pieces: however they are cut, the same parts come out; what is not wanted is not held."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.domain.errors import InputError
from inchworm.gateway.ingest.multipart import Form, boundary_of

NAME = st.text("abcdef.-0123456789", min_size=1, max_size=12)
# A line that only begins as a boundary is content; one that is a boundary cannot be.
LIKE = [b"", b"\r\n", b"\r\n--", b"\r\n--BOUND x", b"--BOUN", b"-", b"\r"]
CONTENT = st.one_of(st.binary(max_size=60).filter(lambda one: b"BOUND" not in one), st.sampled_from(LIKE))


def written(parts: list[tuple[str, bytes]]) -> bytes:
    out = b""
    for name, content in parts:
        out += b'--BOUND\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n'
        out += b"Content-Type: application/json\r\n\r\n" + content + b"\r\n"
    return out + b"--BOUND--\r\n"


def read(body: bytes, cuts: list[int], *, most: int = 10_000) -> Form:
    form = Form(boundary=b"BOUND", wanted=lambda name: not name.startswith("a."), most=most)
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, end in pairwise(places):
        form.feed(body[start:end])
    form.close()
    return form


@given(st.lists(st.tuples(NAME, CONTENT), max_size=5), st.lists(st.integers(0, 400), max_size=12))
def test_the_same_parts_come_out_however_the_form_is_cut(
    parts: list[tuple[str, bytes]], cuts: list[int]
) -> None:
    form = read(written(parts), cuts)
    assert form.parts == [one for one in parts if not one[0].startswith("a.")]
    assert form.dropped == sum(name.startswith("a.") for name, _ in parts)


def test_what_is_not_wanted_takes_no_memory() -> None:
    form = Form(boundary=b"BOUND", wanted=lambda name: name != "a.1", most=100)
    form.feed(b'--BOUND\r\ncontent-disposition: form-data; name="a.1"\r\n\r\n')
    for _ in range(100):
        form.feed(bytes(100_000))
        assert len(form._buffer) < 100
    form.feed(b"\r\n--BOUND\r\nContent-Disposition: form-data; name=post.1\r\n\r\n{}\r\n--BOUND--")
    assert form.close() == [("post.1", b"{}")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (written([("post.1", b"x" * 200)]), "more than 100 bytes"),
        (written([("post.1", b"{}")])[:-20], "cut short"),
        (b"", "cut short"),
        (b"--BOUND\r\nContent-Type: a/b\r\n\r\nx\r\n--BOUND--", "no name"),
        (b"--BOUND\r\nX: " + b"x" * 10_000 + b"\r\n\r\n", "headers that are too long"),
        (b"--BOUND " + b" " * 10_000, "cut short"),
    ],
)
def test_what_is_no_form_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why):
        read(body, [], most=100)


def test_the_boundary_stands_in_the_content_type() -> None:
    assert boundary_of('multipart/form-data; boundary="a b"') == b"a b"
    assert boundary_of("multipart/form-data; charset=utf-8; Boundary=xyz") == b"xyz"
    for bad in ("multipart/form-data", "multipart/form-data; boundary=", 'multipart/form-data; boundary="ü"'):
        with pytest.raises(InputError):
            boundary_of(bad)
