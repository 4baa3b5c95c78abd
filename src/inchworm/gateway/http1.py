"""Reading HTTP/1.1 answers, without a socket (RFC 9112). Sockets: :mod:`inchworm.gateway.upstream`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

HEAD_LIMIT = 64 << 10
"""Bytes that status line and headers may have."""
_LINE_LIMIT = 4 << 10
_CODE = re.compile(r"[1-9][0-9]{2}")
_NO_BODY = frozenset({204, 304})
_LONGEST_NUMBER = 18
"""Digits of a length; beyond some thousands Python reads none."""
_REMEMBERED = 512
_known: dict[str, str] = {}  # names of headers that were read before, and the same in lower case
_HEXADECIMAL = frozenset(b"0123456789abcdefABCDEF")


class AnswerError(Exception):
    """What came is no HTTP/1.1 answer, or it ended before it was whole."""


@dataclass(frozen=True, slots=True)
class Head:
    """Status and headers of an answer.

    Attributes:
        status: the code.
        headers: in the order in which they came; names in lower case.
    """

    status: int
    headers: list[tuple[str, str]]

    def get(self, name: str) -> str | None:
        """The first value of a header, by its lower-case name."""
        return next((value for known, value in self.headers if known == name), None)


class _Part(Enum):
    HEAD = auto()
    COUNTED = auto()
    CHUNK_SIZE = auto()
    CHUNK = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()
    DONE = auto()


class Reader:
    """Takes an answer apart as its bytes come.

    One reader reads one answer. Interim answers (1xx) are skipped. A body has the length that
    ``Transfer-Encoding: chunked`` or ``Content-Length`` give it, else it lasts until the connection closes
    (RFC 9112, section 6.3). Bytes past the end make the connection unusable for another answer.
    """

    __slots__ = ("_kept", "_left", "_part", "begun", "head", "pieces", "reusable")

    def __init__(self) -> None:
        self._kept = b""
        self._left = 0
        self._part = _Part.HEAD
        self.head: Head | None = None
        """Status and headers, once they are here."""
        self.pieces: list[bytes] = []
        """The body as far as it came; whoever takes it empties the list."""
        self.reusable = True
        """Whether the connection may carry another exchange after this one."""
        self.begun = False
        """Whether a single byte of it came, be it of an interim answer."""

    @property
    def done(self) -> bool:
        """Whether the answer is whole."""
        return self._part is _Part.DONE

    def feed(self, data: bytes) -> None:
        """Take what came.

        Raises:
            AnswerError: if it is no HTTP/1.1.
        """
        self.begun = True
        if self._kept:
            data = self._kept + data
            self._kept = b""
        while data and self._part is not _Part.DONE:
            data, hungry = self._step(data)
            if hungry:
                self._kept = data
                return
        if data:
            self.reusable = False

    def end(self, *, cut: bool = False) -> None:
        """The connection closed.

        Args:
            cut: whether it broke rather than closed.

        Raises:
            AnswerError: if the answer is not whole.
        """
        self.reusable = False
        if self._part is _Part.UNTIL_CLOSE and not cut:
            self._part = _Part.DONE
        if self._part is not _Part.DONE:
            raise AnswerError("the connection closed before the answer was whole")

    def _step(self, data: bytes) -> tuple[bytes, bool]:
        """What is left of ``data``, and whether it takes more bytes to go on."""
        match self._part:
            case _Part.HEAD:
                return self._read_head(data)
            case _Part.COUNTED | _Part.CHUNK:
                return self._read_counted(data)
            case _Part.CHUNK_SIZE:
                return self._read_size(data)
            case _Part.TRAILER:
                return self._read_trailer(data)
            case _Part.UNTIL_CLOSE:
                self.pieces.append(data)
        return b"", False

    def _read_head(self, data: bytes) -> tuple[bytes, bool]:
        end = data.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_LIMIT:
            if len(data) > HEAD_LIMIT:
                raise AnswerError(f"its headers have more than {HEAD_LIMIT} bytes")
            return data, True
        lines = data[:end].decode("latin-1").split("\r\n")
        version, _, rest = lines[0].partition(" ")
        code = rest.partition(" ")[0]
        if not version.startswith("HTTP/1.") or not _CODE.fullmatch(code):
            raise AnswerError("it does not begin as HTTP/1.1 does")
        status = int(code)
        rest_of = data[end + 4 :]
        if status < 200:  # interim; the answer itself is to come
            if status == 101:
                raise AnswerError("it switched protocols, which nobody asked for")
            return rest_of, False
        headers: list[tuple[str, str]] = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            known = _known.get(name)
            if known is None or not colon:
                if not colon or not name or name[-1] in " \t" or name[0] in " \t":
                    raise AnswerError("a line among its headers is no header")
                known = name.lower()
                if len(_known) < _REMEMBERED:
                    _known[name] = known
            headers.append((known, value.strip(" \t")))
        self.head = Head(status, headers)
        self._frame(self.head, version)
        return rest_of, False

    def _frame(self, head: Head, version: str) -> None:
        length: str | None = None
        coding = ""
        connection = ""
        for name, value in head.headers:
            if name == "content-length":
                if length is not None and value != length:
                    raise AnswerError("it gives two lengths")
                length = value
            elif name == "transfer-encoding":
                coding = f"{coding},{value}"
            elif name == "connection":
                connection = f"{connection},{value.lower()}"
        if "close" in connection or (version == "HTTP/1.0" and "keep-alive" not in connection):
            self.reusable = False
        if head.status in _NO_BODY:
            self._part = _Part.DONE
        elif coding:
            if length is not None:  # what ends it is not beyond doubt (RFC 9112, section 6.3)
                self.reusable = False
            chunked = coding.lower().rsplit(",", 1)[-1].strip() == "chunked"
            self._part = _Part.CHUNK_SIZE if chunked else _Part.UNTIL_CLOSE
        elif length is None:
            self._part = _Part.UNTIL_CLOSE
        elif not (length.isascii() and length.isdecimal() and len(length) <= _LONGEST_NUMBER):
            raise AnswerError("its length is no number")
        else:
            self._left = int(length)
            self._part = _Part.COUNTED if self._left else _Part.DONE

    def _read_counted(self, data: bytes) -> tuple[bytes, bool]:
        taken = data if len(data) <= self._left else data[: self._left]
        self._left -= len(taken)
        self.pieces.append(taken)
        rest = data[len(taken) :]
        if self._left:
            return rest, False
        if self._part is _Part.COUNTED:
            self._part = _Part.DONE
        else:
            self._part = _Part.CHUNK_SIZE
            self._left = -1  # the line end that closes the chunk comes before the next size
        return rest, False

    def _read_size(self, data: bytes) -> tuple[bytes, bool]:
        if self._left < 0:
            if len(data) < 2:
                return data, True
            if data[:2] != b"\r\n":
                raise AnswerError("a chunk is longer than it says")
            self._left = 0
            return data[2:], False
        line, rest = _line(data)
        if line is None:
            return data, True
        digits = line.partition(b";")[0].strip(b" \t")
        if not 0 < len(digits) <= _LONGEST_NUMBER or not _HEXADECIMAL.issuperset(
            digits
        ):  # int() takes 0x10 and 1_0, too
            raise AnswerError("the size of a chunk is no number")
        self._left = size = int(digits, 16)
        self._part = _Part.CHUNK if size else _Part.TRAILER
        return rest, False

    def _read_trailer(self, data: bytes) -> tuple[bytes, bool]:
        line, rest = _line(data)
        if line is None:
            return data, True
        if not line:
            self._part = _Part.DONE
        return rest, False


def _line(data: bytes) -> tuple[bytes | None, bytes]:
    end = data.find(b"\r\n")
    if end < 0:
        if len(data) > _LINE_LIMIT:
            raise AnswerError("a line of it has no end")
        return None, data
    return data[:end], data[end + 2 :]
