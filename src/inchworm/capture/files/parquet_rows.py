"""Rows of a Parquet file as lines of JSON, one row group and in it a few rows at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import IO, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from inchworm.capture.files.cells import columns, members
from inchworm.capture.lines import LIMIT_BYTES, Line, Rejected
from inchworm.domain.errors import InputError

_ROWS = 500
_encode = msgspec.json.Encoder().encode


def parquet_rows(file: IO[bytes]) -> int:
    """How many rows a file has.

    Raises:
        InputError: if it is no Parquet file.
    """
    return int(_opened(file).metadata.num_rows)


def parquet_lines(file: IO[bytes], *, start: int = 0, limit: int = LIMIT_BYTES) -> Iterator[Line | Rejected]:
    """The rows, each as a line of JSON, counted from 1.

    Args:
        file: one that can be sought in.
        start: rows that are passed over; whole row groups of them are not read.
        limit: longest row, in bytes of JSON.

    Raises:
        InputError: if it is no Parquet file, or two columns have one name.
    """
    opened = _opened(file)
    paths = columns(opened.schema_arrow.names)
    number = 0
    for group in range(opened.metadata.num_row_groups):
        rows = opened.metadata.row_group(group).num_rows
        if number + rows <= start:
            number += rows
            continue
        first = number
        try:
            for batch in opened.iter_batches(batch_size=_ROWS, row_groups=[group]):
                if number + batch.num_rows <= start:
                    number += batch.num_rows
                    continue
                for cells in _rows(batch):
                    number += 1
                    if number > start:
                        yield _line(number, paths, cells, limit)
        except (pa.ArrowException, OSError) as error:
            reason = f"rows {number + 1:,} to {first + rows:,} cannot be read: {error}"
            yield Rejected(line=number + 1, reason=reason, excerpt="")
            number = first + rows


def _opened(file: IO[bytes]) -> pq.ParquetFile:
    try:
        file.seek(0)
        return pq.ParquetFile(file)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"it is no Parquet file that can be read: {error}") from error


def _rows(batch: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
    held = [column.cast(_coarser(column.type), safe=False) for column in batch.columns]
    each = [column.to_pylist(maps_as_pydicts="lossy") for column in held]
    return zip(*each, strict=True) if each else iter(())


def _coarser(kind: pa.DataType) -> pa.DataType:
    """The type with times in microseconds, as Python has them."""
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    if pa.types.is_time(kind):
        return pa.time64("us")
    if pa.types.is_duration(kind):
        return pa.duration("us")
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_coarser(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(_coarser(kind.value_type))
    if pa.types.is_large_list(kind):
        return pa.large_list(_coarser(kind.value_type))
    if pa.types.is_dictionary(kind):
        return _coarser(kind.value_type)
    return kind


def _line(number: int, paths: list[tuple[str, ...]], cells: tuple[Any, ...], limit: int) -> Line | Rejected:
    try:
        data = _encode(members(paths, map(_plain, cells), texts=False))
    except InputError as error:
        return Rejected(line=number, reason=error.message, excerpt="")
    if len(data) > limit:
        reason = f"the row is {len(data):,} bytes long, and at most {limit:,} are read"
        return Rejected(line=number, reason=reason, excerpt="")
    return Line(number=number, data=data if data != b"{}" else b"")


def _plain(value: Any) -> Any:
    """A cell as JSON has it; what is null in an object is absent.

    Raises:
        InputError: if JSON cannot say it.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, dict):
        made = {str(name): _plain(one) for name, one in value.items()}
        return {name: one for name, one in made.items() if one is not None}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return _other(value)


def _other(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InputError("a cell holds bytes that are no UTF-8") from error
    raise InputError(f"a cell holds {type(value).__name__}, which JSON cannot say")


def _finite(value: float) -> float | None:
    """A number; ``None`` for NaN, which is how many programs write that there is none."""
    if math.isinf(value):
        raise InputError("a cell holds an infinity, which is no JSON")
    return None if math.isnan(value) else value
