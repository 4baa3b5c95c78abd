"""Cells of a table to the members of a record, by the names of their columns."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from inchworm.capture.fields import IDS, PEOPLE, TIMES, UNITS
from inchworm.capture.values import quoted
from inchworm.domain.errors import InputError

_INSIDE: Final = frozenset({"inputs", "attributes", "usage", "metadata", "outcome", "request", "response"})
"""Members that are objects: ``usage.input_tokens`` is a member of ``usage``."""
_DEEP: Final = frozenset({"request", "response"})
_NUMBERS: Final = frozenset(
    "latency_ms weight stage probability status status_code input_tokens output_tokens prompt_tokens "
    "completion_tokens total_tokens cost_usd temperature top_p top_k max_tokens max_completion_tokens "
    "seed n".split()
) | set(TIMES)
_TEXTS: Final = frozenset(
    "question input prompt answer output completion finish_reason schema app configuration rollout arm "
    "content reason model group cluster origin call".split()
) | {*IDS, *UNITS, *PEOPLE}
_RIGHT: Final = frozenset({"reference", "expected", "target"})
_NUMBER = re.compile(r"[+-]?(?:\d+|\d+\.\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"[+-]?\d{1,18}")
_decode = msgspec.json.Decoder().decode


def columns(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Where in a record the cells of each column belong.

    Args:
        names: of the columns; one without a name is called by its place.

    Raises:
        InputError: if two have one name.
    """
    paths: list[tuple[str, ...]] = []
    seen: set[str] = set()
    for place, said in enumerate(names, start=1):
        name = said.strip() or f"column_{place}"
        if name in seen:
            raise InputError(f"two columns are called {quoted(name)}", hint="name them differently")
        seen.add(name)
        head, _, rest = name.partition(".")
        if not rest or head not in _INSIDE:
            paths.append((name,))
        else:
            paths.append((head, *(rest.split(".") if head in _DEEP else (rest,))))
    return paths


def members(paths: Iterable[tuple[str, ...]], cells: Iterable[Any], *, texts: bool) -> dict[str, Any]:
    """The record of one row.

    Args:
        paths: as :func:`columns` found them.
        cells: one for each; ``None`` is absent.
        texts: whether all cells are texts, in which an empty one is absent and numbers are written out.

    Raises:
        InputError: if a member is said twice, as a whole and in parts.
    """
    record: dict[str, Any] = {}
    ours = False
    for path, cell in zip(paths, cells, strict=True):
        if cell is None or (texts and cell == ""):
            continue
        ours = ours or (path == ("schema",) and str(cell).startswith(("trace/", "case/")))
        _put(record, path, _value(path[-1], cell, texts=texts) if isinstance(cell, str) else cell)
    if ours and isinstance(said := record.get("reference"), str):
        record["reference"] = _read(said)
    return record


def _put(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    for name in path[:-1]:
        record = record.setdefault(name, {})
        if not isinstance(record, dict):
            raise InputError(f"{quoted(name)} is said as a whole and in parts")
    last = path[-1]
    if isinstance(value, dict) and isinstance(before := record.get(last), dict):
        value = {**before, **value}
    elif last in record:
        raise InputError(f"{quoted(last)} is said as a whole and in parts")
    record[last] = value


def _value(name: str, cell: str, *, texts: bool) -> Any:
    if name in _NUMBERS:
        return _number(cell) if texts else cell
    if name in _TEXTS or cell.lstrip()[:1] not in ("{", "["):
        return cell
    if name in _RIGHT and cell.lstrip()[:1] != "[":
        return cell
    return _read(cell)


def _number(cell: str) -> Any:
    said = cell.strip()
    if _WHOLE.fullmatch(said):
        return int(said)
    return float(said) if _NUMBER.fullmatch(said) else cell


def _read(cell: str) -> Any:
    """What a cell says in JSON; the cell itself if it is none."""
    try:
        return _decode(cell)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return cell
