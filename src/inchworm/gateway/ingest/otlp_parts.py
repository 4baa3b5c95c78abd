"""Large OTLP bodies taken apart, so that no record of the spool is large. Pure.

A request is resources with scopes with spans (opentelemetry-proto 1.x, ``collector/trace/v1``). A part is a
request too: it has the same resource and scope around fewer spans. On the wire a message is its fields one
behind the other, so protobuf is taken apart without being read (protobuf.dev, "Encoding").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from inchworm.domain.errors import InputError

_LENGTH_DELIMITED, _VARINT, _FIXED_64, _FIXED_32 = 2, 0, 1, 5
_INNER = 2
"""The field of ``ResourceSpans`` with its scopes, and the one of ``ScopeSpans`` with its spans."""
_LONGEST_VARINT = 10
_LEVELS = 3
_MOST_HEAD = 4
"""What is repeated around every part is at most one of so many bytes; else nothing is taken apart."""


def protobuf_parts(body: bytes, most: int) -> Iterator[bytes]:
    """An ``ExportTraceServiceRequest`` as several of at most ``most`` bytes, where single spans allow it.

    Raises:
        InputError: if it is no protobuf message.
    """
    if len(body) <= most:
        yield body
        return
    yield from _taken_apart(memoryview(body), most, inner=1, level=_LEVELS)


def _taken_apart(message: memoryview, most: int, *, inner: int, level: int) -> Iterator[bytes]:
    """A message as several, each with all its other fields and some of those numbered ``inner``."""
    around: list[memoryview] = []
    held: list[tuple[memoryview, memoryview]] = []
    for number, whole, content in _fields(message):
        if number == inner and content is not None:
            held.append((whole, content))
        else:
            around.append(whole)
    head = b"".join(around)
    if len(head) > most // _MOST_HEAD:
        yield bytes(message)
        return
    pieces: list[bytes | memoryview] = [head]
    size = len(head)
    for whole, content in held:
        if size + len(whole) > most and len(pieces) > 1:
            yield b"".join(pieces)
            pieces, size = [head], len(head)
        if size + len(whole) > most and level > 1:
            for part in _taken_apart(content, most - size, inner=_INNER, level=level - 1):
                yield b"".join((head, _tag(inner), _varint(len(part)), part))
            continue
        pieces.append(whole)
        size += len(whole)
    if len(pieces) > 1 or not held:
        yield b"".join(pieces)


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview, memoryview | None]]:
    """Each field: its number, the whole of it, and its content if that is a message or bytes."""
    at, end = 0, len(message)
    while at < end:
        start = at
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        content = None
        if kind == _LENGTH_DELIMITED:
            length, at = _read_varint(message, at)
            content = message[at : at + length]
            at += length
        elif kind == _VARINT:
            _, at = _read_varint(message, at)
        elif kind in {_FIXED_64, _FIXED_32}:
            at += 8 if kind == _FIXED_64 else 4
        else:
            raise InputError("it is no protobuf message: it has a field of an unknown kind")
        if at > end or number == 0:
            raise InputError("it is no protobuf message: it is cut short")
        yield number, message[start:at], content


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    for place in range(at, min(at + _LONGEST_VARINT, len(message))):
        byte = message[place]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # the last one has no continuation bit
            return value, place + 1
        shift += 7
    raise InputError("it is no protobuf message: a number in it does not end")


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:  # seven bits each
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED)


_JSON_LEVELS = (("resourceSpans", "resource_spans"), ("scopeSpans", "scope_spans"), ("spans",))
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])


def json_parts(body: bytes, most: int) -> Iterator[bytes]:
    """The same of a request in OTLP's JSON.

    Raises:
        InputError: if it is no JSON object.
    """
    if len(body) <= most:
        yield body
        return
    try:
        yield from _json_apart(body, most, _JSON_LEVELS)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(f"it is no OTLP request in JSON: {error}") from error


def _json_apart(body: bytes, most: int, levels: Sequence[Sequence[str]]) -> Iterator[bytes]:
    members = _object.decode(body)
    name = next((one for one in levels[0] if one in members), levels[0][0])
    held = [bytes(one) for one in _array.decode(members.pop(name, msgspec.Raw(b"[]")))]
    head = b"".join(msgspec.json.encode(key) + b":" + bytes(value) + b"," for key, value in members.items())
    head = b"{" + head + msgspec.json.encode(name) + b":["
    if len(head) > most // _MOST_HEAD:
        yield body
        return
    pieces: list[bytes] = []
    size = len(head)
    for one in held:
        if size + len(one) > most and pieces:
            yield head + b",".join(pieces) + b"]}"
            pieces, size = [], len(head)
        if size + len(one) > most and len(levels) > 1:
            for part in _json_apart(one, most - size, levels[1:]):
                yield head + part + b"]}"
            continue
        pieces.append(one)
        size += len(one)
    if pieces or not held:
        yield head + b",".join(pieces) + b"]}"
