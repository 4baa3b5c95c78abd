"""Files of cases, unpacked to records and packed again: JSONL, JSON, YAML, CSV, Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import IO, Any, Final

import msgspec
import yaml

from inchworm.capture.files import Form, lines_of
from inchworm.capture.lines import Line, Rejected
from inchworm.capture.values import decode
from inchworm.domain.errors import InputError

MOST: Final = 256 << 20
"""Bytes of a file of cases."""
CONTAINERS: Final = ("jsonl", "json", "yaml", "csv", "parquet")
_ENDINGS: Final = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
}
_TESTS: Final = "tests"


def container_of(name: str) -> str | None:
    """How a file is packed, by what it is called."""
    return _ENDINGS.get(PurePath(name.lower().removesuffix(".gz")).suffix)


def records(file: IO[bytes], container: str) -> Iterator[tuple[int, dict[str, Any] | Rejected]]:
    """The records of a file, each with its line, row or place in the list.

    Raises:
        InputError: if it is not packed so.
    """
    if container in {"json", "yaml"}:
        yield from _listed(file, container)
        return
    for line in lines_of(file, Form(container)):
        if isinstance(line, Rejected):
            yield line.line, line
        elif line.data:
            yield line.number, _decoded(line)


def _decoded(line: Line) -> dict[str, Any] | Rejected:
    try:
        return decode(line.data).members
    except InputError as error:
        return Rejected(line=line.number, reason=error.message, excerpt="")


def _listed(file: IO[bytes], container: str) -> Iterator[tuple[int, dict[str, Any] | Rejected]]:
    data = file.read(MOST + 1)
    if len(data) > MOST:
        raise InputError(f"it is larger than {MOST >> 20} MiB", hint="write it as JSONL")
    try:
        found = yaml.load(data, _Loader) if container == "yaml" else json.loads(data)  # noqa: S506  # a safe one
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        if container == "json" and b"\n{" in data:  # lines, whatever it is called
            yield from records(io.BytesIO(data), "jsonl")
            return
        raise InputError(f"it cannot be read as {container.upper()}: {error}") from error
    cases = found.get(_TESTS, found) if isinstance(found, dict) else found
    if isinstance(cases, dict):
        cases = [cases]
    if not isinstance(cases, list):
        raise InputError("it is no list of cases; where its tests name another file, import that one")
    for place, one in enumerate(cases, start=1):
        try:
            # Through JSON, so that what YAML knows besides (dates) is written as JSON has it.
            plain = decode(msgspec.json.encode(one)).members
        except (InputError, TypeError, ValueError) as error:
            yield place, Rejected(line=place, reason=f"it is no object of JSON: {error}", excerpt="")
        else:
            yield place, plain


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the quick one, if built
    """Reads plain values only."""


def packed(given: Sequence[Mapping[str, Any]], container: str) -> Iterator[bytes]:
    """Records as a file.

    Args:
        given: the records.
        container: how.
    """
    match container:
        case "jsonl":
            for one in given:
                yield json.dumps(one, ensure_ascii=False).encode() + b"\n"
        case "json":
            yield json.dumps(list(given), ensure_ascii=False, indent=1).encode() + b"\n"
        case "yaml":
            text = yaml.safe_dump(list(given), allow_unicode=True, sort_keys=False, width=100)
            yield text.encode()
        case "csv":
            yield from _csv(given)
        case "parquet":
            yield _parquet(given)


def _names(given: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(name for one in given for name in one))


def cell(value: Any) -> Any:
    """A value as a cell: texts as they are, if reading them gives them back, else JSON."""
    if isinstance(value, str):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            if value:
                return value
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)


def _cells(one: Mapping[str, Any]) -> dict[str, Any]:
    plain = {"schema", "id", "call", "cluster", "group", "origin", "weight"}
    return {name: value if name in plain else cell(value) for name, value in one.items()}


def _csv(given: Sequence[Mapping[str, Any]]) -> Iterator[bytes]:
    held = io.StringIO(newline="")
    rows = csv.DictWriter(held, _names(given), lineterminator="\r\n")
    rows.writeheader()
    for one in given:
        rows.writerow(_cells(one))
        yield held.getvalue().encode()
        held.seek(0)
        held.truncate()


def _parquet(given: Sequence[Mapping[str, Any]]) -> bytes:
    import pyarrow as pa  # slow to load, and rare
    import pyarrow.parquet as pq  # the same

    held = io.BytesIO()
    columns = {name: pa.float64() if name == "weight" else pa.string() for name in _names(given)}
    table = pa.Table.from_pylist([_cells(one) for one in given], schema=pa.schema(columns.items()))
    pq.write_table(table, held, compression="zstd")
    return held.getvalue()
