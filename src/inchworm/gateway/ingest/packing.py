"""Bodies that come packed (``Content-Encoding``), unpacked within bounds. Pure."""

from __future__ import annotations

import zlib

from inchworm.gateway.faults import Fault, FaultError, too_large, wrong_type

MOST_RATIO = 300
"""How many times larger a body may become by unpacking; telemetry comes to some 30, a bomb to 1,000."""
_SLACK = 1 << 20
"""Bytes that a body may become whatever it was: few, so that the ratio says nothing."""
_MOST_MEMBERS = 16
_GZIP, _ZLIB, _BARE = 31, 15, -15  # zlib's names of the formats: RFC 1952, RFC 1950, RFC 1951


def unpack(body: bytes, encoding: str, *, most: int) -> bytes:
    """The body as it was before it was packed.

    Memory is bounded by ``most``: what would become larger is given up on before it is.

    Args:
        body: as it came.
        encoding: the request's ``Content-Encoding``: ``gzip``, ``deflate`` or ``identity``; empty for none.
        most: bytes that it may become.

    Raises:
        FaultError: 415 for another encoding, 400 for what is broken or cut short, 413 for what is too large.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            return _inflated(body, _GZIP, most)
        case "deflate":
            return _inflated(body, _ZLIB if _is_zlib(body) else _BARE, most)
        case other:
            raise FaultError(wrong_type(f"packed ({other[:40]})", "it plain, or packed with gzip or deflate"))


def _inflated(body: bytes, form: int, most: int) -> bytes:
    allowed = min(most, _SLACK + MOST_RATIO * len(body))
    pieces: list[bytes] = []
    left, rest = allowed, body
    for _ in range(_MOST_MEMBERS):
        unpacker = zlib.decompressobj(form)
        try:
            piece = unpacker.decompress(rest, left + 1)
        except zlib.error as error:
            raise FaultError(_broken(f"it is damaged ({error})")) from error
        left -= len(piece)
        if left < 0:
            raise FaultError(_bomb(len(body)) if allowed < most else too_large(most))
        pieces.append(piece)
        if not unpacker.eof:
            raise FaultError(_broken("it is cut short"))
        rest = unpacker.unused_data
        if not rest:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if form != _GZIP:  # only gzip has members that follow each other
            break
    raise FaultError(_broken("something follows behind its end"))


def _is_zlib(body: bytes) -> bool:
    """Whether a body has the header of ``deflate``, which not all senders write (RFC 9110, 8.4.1.2)."""
    return (
        len(body) > 1 and body[0] & 0x0F == 8 and (body[0] << 8 | body[1]) % 31 == 0
    )  # RFC 1950, section 2.2


def _broken(why: str) -> Fault:
    return Fault(
        status=400, code="invalid_encoding", message=f"The request's body cannot be unpacked: {why}."
    )


def _bomb(size: int) -> Fault:
    return Fault(
        status=413,
        code="unpacks_too_large",
        message=f"The request's body of {size} bytes becomes more than {MOST_RATIO} times as large by "
        "unpacking, and this gateway does not unpack that.",
    )
