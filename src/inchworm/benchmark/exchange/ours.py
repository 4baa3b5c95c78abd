"""Our own form of a case, ``case/1``: what is written and read again is the same case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from inchworm.benchmark.exchange.drafts import Draft, Said, mapping, place_of, placed
from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case

SCHEMA: Final = "case/1"


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it names our schema."""
    return isinstance(said := record.get("schema"), str) and said.startswith("case/")


def write(case: Case, said: Said) -> dict[str, Any]:
    """The record of a case."""
    del said
    record: dict[str, Any] = {"schema": SCHEMA, "id": case.id, "inputs": case.inputs}
    if case.reference is not None:
        record["reference"] = case.reference
    record |= place_of(case)
    return record | ({"metadata": case.metadata} if case.metadata else {})


def read(record: Mapping[str, Any], said: Said) -> Draft:
    """The inverse of :func:`write`.

    Raises:
        InputError: if it is no case of ours.
    """
    del said
    if record.get("schema") != SCHEMA:
        raise InputError(f"its schema is {record.get('schema')!r:.40}; {SCHEMA} is read")
    inputs = record.get("inputs")
    if not isinstance(inputs, dict) or not inputs:
        raise InputError("it has no inputs: an object with the values of the prompt's variables")
    return Draft(
        inputs=inputs,
        reference=record.get("reference"),
        metadata=mapping(record, "metadata"),
        **placed(record),
    )
