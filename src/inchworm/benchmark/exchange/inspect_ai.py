"""Samples of Inspect: ``{input, target, choices, id, metadata}`` (inspect_ai, ``json_dataset``)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from inchworm.benchmark.exchange.drafts import (
    OURS,
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

_OTHERS: Final = ("sandbox", "files", "setup", "checkpoint", "description")
_KEPT: Final = "inspect"
_ROLES: Final = frozenset({"system", "user", "assistant"})
_CASE = re.compile(r"case-[0-9a-f]{12}")


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it has an input that is a conversation, or members that only a sample has."""
    if "input" not in record or "expected_output" in record:
        return False
    metadata = record.get("metadata")
    kept = isinstance(metadata, dict) and OURS in metadata
    return isinstance(record["input"], list) or kept or any(name in record for name in ("choices", *_OTHERS))


def write(case: Case, said: Said) -> dict[str, Any]:
    """A case as a sample."""
    ours: dict[str, Any] = place_of(case)
    metadata = dict(case.metadata)
    choices = case.inputs.get("choices")
    inputs = dict(case.inputs)
    record: dict[str, Any] = {}
    if _texts(choices):
        record["choices"] = inputs.pop("choices")
    if _conversation(inputs):
        record["input"] = inputs["messages"]
    else:
        record["input"], more = asked(inputs)
        ours |= more
    target = _target(case.reference)
    if target is not None:
        record["target"] = target
    if case.reference is not None and case.reference != target:
        ours["reference"] = case.reference
        said["references that are neither text nor texts: written as JSON"] += target is not None
    record |= taken_out(metadata, _KEPT)
    named = metadata.get("id")
    if isinstance(named, str | int) and not isinstance(named, bool) and not _is_ours(named):
        record["id"] = metadata.pop("id")
    else:
        record["id"] = case.id
    return record | {"metadata": beside(metadata, ours)}


def read(record: Mapping[str, Any], said: Said) -> Draft:
    """A sample as a case.

    Raises:
        InputError: if it has no input, or one that is no conversation.
    """
    found = record.get("input")
    metadata = mapping(record, "metadata")
    ours = mapping(metadata, OURS)
    if isinstance(found, list):
        if not all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in found) or not found:
            raise InputError("its input is no conversation: messages with role and content")
        inputs: dict[str, Any] = {"messages": found}
    elif isinstance(found, str) and found.strip():
        inputs = inputs_of(found, ours)
    else:
        raise InputError("it has no input")
    choices = record.get("choices")
    if choices:
        inputs["choices"] = _choices(choices) if isinstance(choices, str) else choices
    target = record.get("target")
    written = "reference" in ours and _target(ours["reference"]) == target
    if isinstance(target, str) and target.startswith("[") and not written:
        target = parsed(target)
    kept = {name: record[name] for name in _OTHERS if record.get(name)}
    for name in kept:
        said[f"{name}: kept in metadata, not asked"] += 1
    metadata = without(metadata) | ({_KEPT: kept} if kept else {})
    named = record.get("id")
    if named not in (None, "") and not _is_ours(named):
        metadata["id"] = named
    return Draft(inputs=inputs, reference=right(target, ours, _target), metadata=metadata, **placed(ours))


def _target(reference: Any) -> str | list[str] | None:
    if reference is None or (isinstance(reference, str) and not reference.startswith("[")):
        return reference or None
    if _texts(reference):
        return list(reference)
    return json.dumps(reference, ensure_ascii=False, sort_keys=True)


def _texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, str) and one for one in value)


def _conversation(inputs: Mapping[str, Any]) -> bool:
    messages = inputs.get("messages")
    return (
        set(inputs) == {"messages"}
        and isinstance(messages, list)
        and bool(messages)
        and all(
            isinstance(one, dict)
            and set(one) == {"role", "content"}
            and one["role"] in _ROLES
            and isinstance(one["content"], str)
            for one in messages
        )
    )


def _choices(text: str) -> list[str]:
    """As Inspect reads a cell: parts between commas, else between spaces."""
    if text.startswith("[") and isinstance(found := parsed(text), list):
        return [str(one) for one in found]
    return [one.strip() for one in (text.split(",") if "," in text else text.split()) if one.strip()]


def _is_ours(named: Any) -> bool:
    return isinstance(named, str) and _CASE.fullmatch(named) is not None
