"""Cases in the forms in which other tools keep them: read and written, and nothing is lost unsaid. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from inchworm.benchmark.exchange import deepeval, inspect_ai, ours, promptfoo
from inchworm.benchmark.exchange.drafts import Draft, Said
from inchworm.domain.evalset import Case

__all__ = ["FORMATS", "Draft", "Format", "Said", "format_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How a tool keeps cases.

    Attributes:
        read: a record of it as a draft; raises InputError for what is no case.
        write: a case as a record of it.
        recognises: whether a record is of it.
        containers: how its files are written, the usual one first; tables of all of them are read.
    """

    read: Callable[[Mapping[str, Any], Said], Draft]
    write: Callable[[Case, Said], dict[str, Any]]
    recognises: Callable[[Mapping[str, Any]], bool]
    containers: tuple[str, ...]


FORMATS: Final[Mapping[str, Format]] = {
    "jsonl": Format(
        read=ours.read, write=ours.write, recognises=ours.recognises, containers=("jsonl", "json", "yaml")
    ),
    "csv": Format(read=ours.read, write=ours.write, recognises=ours.recognises, containers=("csv",)),
    "parquet": Format(read=ours.read, write=ours.write, recognises=ours.recognises, containers=("parquet",)),
    "promptfoo": Format(
        read=promptfoo.read,
        write=promptfoo.write,
        recognises=promptfoo.recognises,
        containers=("yaml", "jsonl", "json"),
    ),
    "inspect": Format(
        read=inspect_ai.read,
        write=inspect_ai.write,
        recognises=inspect_ai.recognises,
        containers=("jsonl", "json"),
    ),
    "deepeval": Format(
        read=deepeval.read,
        write=deepeval.write,
        recognises=deepeval.recognises,
        containers=("json", "jsonl"),
    ),
}
"""All formats by name; the plain ones are our own, ``case/1``, in three containers."""


def format_of(record: Mapping[str, Any]) -> str | None:
    """The format that a record is of; ``None`` if it is none of these, and perhaps an interaction."""
    return next((name for name, one in FORMATS.items() if one.recognises(record)), None)
