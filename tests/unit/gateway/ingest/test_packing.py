"""Packed bodies: what was packed comes back, and what would not fit is never unpacked."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inchworm.gateway.faults import FaultError
from inchworm.gateway.ingest.packing import unpack

MOST = 1 << 20


def refused(body: bytes, encoding: str = "gzip", most: int = MOST) -> tuple[int, str]:
    with pytest.raises(FaultError) as caught:
        unpack(body, encoding, most=most)
    return caught.value.fault.status, caught.value.fault.code


def bare(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


@given(st.binary(max_size=5_000))
def test_what_was_packed_comes_back(data: bytes) -> None:
    assert unpack(gzip.compress(data), "gzip", most=MOST) == data
    assert unpack(gzip.compress(data), "X-GZIP", most=MOST) == data
    assert unpack(zlib.compress(data), "deflate", most=MOST) == data
    assert unpack(data, "identity", most=MOST) == data


@given(st.binary(min_size=1, max_size=500))
def test_deflate_without_its_header_is_what_some_clients_send(data: bytes) -> None:
    packed = bare(data)
    # Two bytes that look like a header by chance are read as one.
    if packed[0] & 0x0F != 8 or (packed[0] << 8 | packed[1]) % 31:
        assert unpack(packed, "deflate", most=MOST) == data


def test_members_that_follow_each_other_are_one_body() -> None:
    assert unpack(gzip.compress(b"one ") + gzip.compress(b"two"), "gzip", most=MOST) == b"one two"


@given(st.binary(min_size=1, max_size=500), st.data())
def test_what_is_cut_short_is_refused(data: bytes, draw: st.DataObject) -> None:
    whole = gzip.compress(data)
    cut = draw.draw(st.integers(0, len(whole) - 1))
    assert refused(whole[:cut]) == (400, "invalid_encoding")


def test_a_bomb_is_given_up_on_before_it_takes_memory() -> None:
    bomb = gzip.compress(bytes(200 << 20), 9)
    tracemalloc.start()
    try:
        assert refused(bomb, most=32 << 20) == (413, "request_too_large")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 << 20


def test_a_small_body_that_becomes_many_times_as_large_is_a_bomb_below_the_limit() -> None:
    assert refused(gzip.compress(bytes(16 << 20), 9), most=32 << 20) == (413, "unpacks_too_large")


def test_no_more_than_the_limit_comes_out() -> None:
    assert unpack(gzip.compress(bytes(1_000)), "gzip", most=1_000) == bytes(1_000)
    assert refused(gzip.compress(bytes(1_001)), most=1_000) == (413, "request_too_large")


def test_thousands_of_empty_members_are_refused() -> None:
    assert refused(gzip.compress(b"") * 1_000) == (400, "invalid_encoding")


def test_what_follows_the_end_is_refused() -> None:
    assert refused(zlib.compress(b"x") + b"y", "deflate") == (400, "invalid_encoding")
    assert refused(gzip.compress(b"x") + b"yyyyyyyyyyyyyyyyyyyyyyy") == (400, "invalid_encoding")


@pytest.mark.parametrize("encoding", ["zstd", "br", "gzip, gzip", "nonsense"])
def test_other_encodings_are_named_and_refused(encoding: str) -> None:
    assert refused(b"x", encoding) == (415, "unsupported_media_type")
