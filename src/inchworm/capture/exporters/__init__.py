"""Interactions as files, in the forms that importers read: in pieces, with little of them in memory. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from inchworm.capture.dialects.trace_1 import to_json
from inchworm.capture.exporters import chat, langfuse, otlp, tables
from inchworm.domain.ids import TraceId
from inchworm.domain.span import Span
from inchworm.domain.trace import Trace

__all__ = ["EXPORTS", "Export", "written"]

Batches = Iterable[Sequence[Trace]]
Spans = Callable[[Sequence[Trace]], Mapping[TraceId, Sequence[Span]]]
"""Gives what was done for each of some interactions."""
Left = Counter[str]
"""What is left out, in words, and of how many interactions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A form that interactions are written in.

    Attributes:
        write: batches of interactions as pieces of a file.
        media: its media type.
        ending: what its files' names end with.
    """

    write: Callable[[Batches, Left, Spans], Iterator[bytes]]
    media: str
    ending: str


def _lines(one: Callable[[Trace, Left], str | None]) -> Callable[[Batches, Left, Spans], Iterator[bytes]]:
    """A file of lines, a batch of them in each piece."""

    def write(batches: Batches, left: Left, spans: Spans) -> Iterator[bytes]:
        del spans
        for batch in batches:
            lines = [line for trace in batch if (line := one(trace, left)) is not None]
            yield "".join(f"{line}\n" for line in lines).encode()

    return write


def _ours(batches: Batches, left: Left, spans: Spans) -> Iterator[bytes]:
    """Lines that say everything, what was done for an interaction too."""
    del left
    for batch in batches:
        done = spans(batch)
        yield "".join(f"{to_json(trace, done.get(trace.id, ()))}\n" for trace in batch).encode()


def _table(
    pieces: Callable[[Batches, Left], Iterator[bytes]],
) -> Callable[[Batches, Left, Spans], Iterator[bytes]]:
    def write(batches: Batches, left: Left, spans: Spans) -> Iterator[bytes]:
        del spans
        return pieces(batches, left)

    return write


_NDJSON = "application/x-ndjson"
EXPORTS: Final[Mapping[str, Export]] = {
    "jsonl": Export(write=_ours, media=_NDJSON, ending=".jsonl"),
    "openai-chat": Export(write=_lines(chat.line), media=_NDJSON, ending=".jsonl"),
    "csv": Export(write=_table(tables.csv_pieces), media="text/csv; charset=utf-8", ending=".csv"),
    "parquet": Export(
        write=_table(tables.parquet_pieces), media="application/vnd.apache.parquet", ending=".parquet"
    ),
    "otlp-json": Export(write=_lines(otlp.line), media=_NDJSON, ending=".jsonl"),
    "langfuse": Export(write=_lines(langfuse.line), media=_NDJSON, ending=".jsonl"),
}
"""All forms by name."""


def written(form: str, batches: Batches, left: Left, spans: Spans = lambda _: {}) -> Iterator[bytes]:
    """Interactions as a file, in pieces.

    Args:
        form: one of :data:`EXPORTS`.
        batches: the interactions; no more than one batch is held.
        left: told what is left out.
        spans: gives what was done for them; asked once a batch, by forms that can say it.

    Raises:
        InputError: if one holds what JSON cannot say.
    """
    return EXPORTS[form].write(batches, left, spans)
