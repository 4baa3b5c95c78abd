"""Which form a file has, by what it is called and how it begins."""

from __future__ import annotations

import re
import zlib
from enum import StrEnum
from typing import Final

from inchworm.capture.lines import Stream
from inchworm.domain.errors import InputError

HEAD_BYTES: Final = 1 << 16
"""Of a file, at most, to tell its form."""
_ENOUGH: Final = 1 << 10
PARQUET_MAGIC: Final = b"PAR1"
_GZIP_MAGIC, _GZIP = b"\x1f\x8b", zlib.MAX_WBITS | 16
_BOM = b"\xef\xbb\xbf"
_MEDIA: Final = {
    "text/csv": "csv",
    "text/tab-separated-values": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/x-parquet": "parquet",
}
_TELEMETRY = re.compile(rb'\s*\{\s*"(?:(resourceSpans|resource_spans)|batch)"\s*:\s*\[')
_COLUMNS = re.compile(
    r"(?:^|[,;\t|])\s*\"?(?:question|input|prompt|messages|inputs|output|answer|request|response|id|at)\"?"
    r"\s*(?:[,;\t|]|$)",
    re.IGNORECASE,
)


class Form(StrEnum):
    """How a file is written."""

    JSONL = "jsonl"
    """A JSON object in each line; telemetry is recognised among them."""
    CSV = "csv"
    """Rows of cells under a head; also with tabs, semicolons or bars between them."""
    PARQUET = "parquet"
    OTLP_JSON = "otlp-json"
    """In each line one OTLP request, as the collector's file exporter writes them."""
    LANGFUSE = "langfuse"
    """In each line one batch of Langfuse's events."""


FORMS: Final = tuple(one.value for one in Form)
"""The names of all forms."""


class Head:
    """A stream of which the beginning was looked at; read from here on, it begins at its beginning.

    Args:
        stream: what is read.
    """

    def __init__(self, stream: Stream) -> None:
        # read1 hands over what a pipe has; read would wait until there is as much as was asked for.
        self._read = getattr(stream, "read1", stream.read)
        self._held = b""
        self.taken = 0
        """Bytes that were read on."""

    def peek(self) -> bytes:
        """What it begins with: at least some bytes, if there are any."""
        while len(self._held) < _ENOUGH:
            more = self._read(HEAD_BYTES)
            if isinstance(more, str):
                raise InputError("a file is read from bytes", hint="hand in a binary stream")
            if not more:
                break
            self._held += more
        return self._held

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if self._held:
            found, self._held = self._held[:size], self._held[size:]
        else:
            found = self._read(size) or b""
        self.taken += len(found)
        return found


def form_of(name: str, head: bytes, media: str = "") -> Form:
    """The form of a file.

    Args:
        name: what it is called.
        head: what it begins with, perhaps gzipped.
        media: its media type, where somebody says one.
    """
    if head.startswith(PARQUET_MAGIC):
        return Form.PARQUET
    plain = _unpacked(head).removeprefix(_BOM)
    begun = plain.lstrip()[:1]
    if begun == b"{":
        if _TELEMETRY.match(plain) is None:
            return Form.JSONL
        return Form.OTLP_JSON if telemetry_of(plain) == "otlp-json" else Form.LANGFUSE
    short = name.lower().removesuffix(".gz")
    if short.endswith((".csv", ".tsv")) or _MEDIA.get(media.partition(";")[0].strip().lower()) == "csv":
        return Form.CSV
    first = plain.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    if not short.endswith((".jsonl", ".ndjson", ".json")) and _COLUMNS.search(first):
        return Form.CSV
    return Form.JSONL


def telemetry_of(data: bytes) -> str | None:
    """The dialect of telemetry that a line of JSON is of, by its beginning; ``None`` for everything else."""
    found = _TELEMETRY.match(data)
    if found is None:
        return None
    return "otlp-json" if found.group(1) else "langfuse"


def _unpacked(head: bytes) -> bytes:
    if not head.startswith(_GZIP_MAGIC):
        return head
    try:
        return zlib.decompressobj(_GZIP).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""
