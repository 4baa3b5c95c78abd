"""Goldens of DeepEval: ``{input, expected_output, context, ...}`` (deepeval, ``EvaluationDataset``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from inchworm.benchmark.exchange.drafts import (
    OURS,
    QUESTION,
    Draft,
    Said,
    asked,
    beside,
    inputs_of,
    mapping,
    parsed,
    place_of,
    placed,
    right,
    taken_out,
    without,
)
from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case

_KEPT: Final = "deepeval"
_OTHERS: Final = (
    *("actual_output", "retrieval_context", "tools_called", "expected_tools", "comments", "name"),
    *("source_file", "custom_column_key_values", "token_cost", "input_token_count", "output_token_count"),
)
_TELLING: Final = frozenset({"expected_output", "actual_output", "retrieval_context", "additional_metadata"})
_TURNS: Final = ("scenario", "turns", "expected_outcome")


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it has members that only a golden has."""
    return ("input" in record and bool(_TELLING & record.keys())) or "scenario" in record


def write(case: Case, said: Said) -> dict[str, Any]:
    """A case as a golden."""
    ours: dict[str, Any] = place_of(case)
    inputs = dict(case.inputs)
    record: dict[str, Any] = {}
    documents = inputs.get("documents")
    if _texts(documents) and isinstance(inputs.get(QUESTION), str) and inputs[QUESTION].strip():
        record["context"] = inputs.pop("documents")
    record["input"], more = asked(inputs)
    ours |= more
    expected = _expected(case.reference)
    record["expected_output"] = expected
    if case.reference != expected:
        ours["reference"] = case.reference
        said["references of several texts: the first is the expected output, all are kept beside it"] += 1
    metadata = dict(case.metadata)
    record |= taken_out(metadata, _KEPT)
    record.setdefault("name", case.id)
    return record | {"additional_metadata": beside(metadata, ours)}


def read(record: Mapping[str, Any], said: Said) -> Draft:
    """A golden as a case.

    Raises:
        InputError: if it has no input, or is a conversation that is still to be simulated.
    """
    if any(record.get(name) for name in _TURNS):
        raise InputError("it is a scenario to be simulated, and no case with an input")
    text = record.get("input")
    if not isinstance(text, str) or not text.strip():
        raise InputError("it has no input")
    metadata = mapping(record, "additional_metadata")
    ours = mapping(metadata, OURS)
    inputs = inputs_of(text, ours)
    context = _several(record.get("context"))
    if context:
        inputs["documents"] = context
    kept = {name: record[name] for name in _OTHERS if record.get(name) not in (None, "", [], {})}
    if str(kept.get("name", "")).startswith("case-"):
        del kept["name"]
    for name in kept:
        said[f"{name}: kept in metadata, not asked"] += 1
    metadata = without(metadata) | ({_KEPT: kept} if kept else {})
    expected = record.get("expected_output")
    return Draft(inputs=inputs, reference=right(expected, ours, _expected), metadata=metadata, **placed(ours))


def _expected(reference: Any) -> str | None:
    if reference is None or isinstance(reference, str):
        return reference or None
    if _texts(reference):
        return str(reference[0])
    return json.dumps(reference, ensure_ascii=False, sort_keys=True)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _several(value: Any) -> list[Any]:
    """Texts; in a table they stand in one cell, with bars between them."""
    if isinstance(value, str):
        found = parsed(value) if value.startswith("[") else value.split("|")
        value = found if isinstance(found, list) else [value]
        return [one for one in value if one != ""]
    return value if isinstance(value, list) else []
