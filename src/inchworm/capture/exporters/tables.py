"""Interactions as rows, in CSV and Parquet: the columns are the members of ``trace/1``."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from inchworm.capture.dialects.trace_1 import to_json
from inchworm.domain.trace import Trace

_TEXT, _NUMBER, _COUNT = pa.string(), pa.float64(), pa.int64()
COLUMNS: Final = {
    "schema": _TEXT,
    "id": _TEXT,
    "app": _TEXT,
    "at": _NUMBER,
    "unit": _TEXT,
    "configuration": _TEXT,
    "rollout": _TEXT,
    "stage": _COUNT,
    "arm": _TEXT,
    "probability": _NUMBER,
    "inputs": _TEXT,
    "output": _TEXT,
    "outcome": _TEXT,
    "finish_reason": _TEXT,
    "latency_ms": _NUMBER,
    "usage.input_tokens": _COUNT,
    "usage.output_tokens": _COUNT,
    "usage.cost_usd": _NUMBER,
    "reference": _TEXT,
    "scores": _TEXT,
    "attributes": _TEXT,
}
"""The columns and their types in Parquet; inputs, outcome, scores and attributes are JSON in a cell."""
_JSON: Final = frozenset({"inputs", "outcome", "scores", "attributes", "reference"})


def csv_pieces(batches: Iterable[Sequence[Trace]], left: Counter[str]) -> Iterator[bytes]:
    """A CSV file (RFC 4180), UTF-8. An answer without a word is an empty cell, as is none."""
    del left
    held = io.StringIO(newline="")
    rows = csv.writer(held, lineterminator="\r\n")
    rows.writerow(COLUMNS)
    yield _taken(held)
    for batch in batches:
        for trace in batch:
            cells = _cells(trace)
            rows.writerow([_said(cells.get(name)) for name in COLUMNS])
        yield _taken(held)


def parquet_pieces(batches: Iterable[Sequence[Trace]], left: Counter[str]) -> Iterator[bytes]:
    """A Parquet file, a row group for each batch."""
    del left
    schema = pa.schema(list(COLUMNS.items()))
    sink = _Sink()
    with pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd") as writer:
        for batch in batches:
            rows = [_cells(trace) for trace in batch]
            columns = [pa.array([row.get(name) for row in rows], kind) for name, kind in COLUMNS.items()]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            yield sink.taken()
    yield sink.taken()


def _cells(trace: Trace) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(to_json(trace))
    usage: Mapping[str, Any] = record.pop("usage", {})
    record |= {f"usage.{name}": value for name, value in usage.items()}
    return {name: _json(name, value) if name in _JSON else value for name, value in record.items()}


def _json(name: str, value: Any) -> str:
    """JSON; a reference that reads as no JSON is written as it is."""
    if name == "reference" and isinstance(value, str) and value:
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _said(value: Any) -> Any:
    return "" if value is None else repr(value) if isinstance(value, float) else value


def _taken(held: io.StringIO) -> bytes:
    text = held.getvalue()
    held.seek(0)
    held.truncate()
    return text.encode()


class _Sink:
    """A file that is only written to, and whose bytes are taken out as they come."""

    closed = False

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._at = 0

    def write(self, data: bytes) -> int:
        """Hold some bytes."""
        self._pieces.append(bytes(data))
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        """How many were written."""
        return self._at

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """What is held can still be taken."""

    def taken(self) -> bytes:
        """What was written since."""
        data = b"".join(self._pieces)
        self._pieces.clear()
        return data
