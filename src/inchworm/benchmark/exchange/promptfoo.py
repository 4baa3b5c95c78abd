"""Test cases of promptfoo: ``{vars, assert, metadata, description}``, and rows with ``__expected``.

Shapes: promptfoo's documentation, "Test cases" and "CSV format", and its configuration's JSON schema.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from inchworm.benchmark.exchange.drafts import (
    OURS,
    Draft,
    Said,
    beside,
    mapping,
    place_of,
    placed,
    right,
    taken_out,
    without,
)
from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case

_KEPT: Final = "promptfoo"
_ONE: Final = ("icontains", "contains", "equals")
_ANY: Final = ("icontains-any", "contains-any")
_OURS: Final = {"regex": "regex", "not-regex": "not_regex", "is-json": "json", "not-contains": "not_contains"}
"""Assertions of one case that a metric of ours can ask of all cases."""
_RUBRIC: Final = "llm-rubric"
EXPECTATION: Final = "expectation"
_COLUMN = re.compile(r"__expected\d*")
_WRITTEN = re.compile(
    r"(?P<type>(?:not-)?[a-z][a-z-]*)(?:\((?P<threshold>[0-9.]+)\))?(?::\s*(?P<value>.*))?", re.DOTALL
)
_TYPES: Final = frozenset(
    "equals contains icontains contains-any icontains-any contains-all icontains-all regex starts-with "
    "is-json contains-json is-sql is-xml contains-xml javascript python webhook similar levenshtein "
    "llm-rubric model-graded-closedqa factuality g-eval answer-relevance context-faithfulness context-recall "
    "context-relevance rouge-n bleu gleu meteor latency cost perplexity is-html contains-html is-refusal "
    "moderation classifier select-best word-count".split()
)
_OLD: Final = {"fn": "javascript", "eval": "javascript", "grade": _RUBRIC}
_MEMBERS: Final = (
    "description",
    "options",
    "threshold",
    "provider",
    "providers",
    "prompts",
    "assertScoringFunction",
)


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it has variables, or columns that only promptfoo's rows have."""
    return isinstance(record.get("vars"), dict | str) or any(name.startswith("__") for name in record)


def write(case: Case, said: Said) -> dict[str, Any]:
    """A case as a test case."""
    ours: dict[str, Any] = place_of(case)
    metadata = dict(case.metadata)
    kept = taken_out(metadata, _KEPT)
    asserts: list[Any] = []
    asserted = _asserted(case.reference, kept.pop("reference", None))
    if asserted is not None:
        asserts.append(asserted)
    elif case.reference is not None:
        ours["reference"] = case.reference
        said["references that are neither text nor texts: kept in metadata, nothing is asserted"] += 1
    rubric = metadata.pop(EXPECTATION, None)
    asserts += [
        {"type": _RUBRIC, "value": one} for one in (rubric if isinstance(rubric, list) else [rubric]) if one
    ]
    asserts += kept.pop("assert", [])
    record: dict[str, Any] = {name: kept[name] for name in _MEMBERS if name in kept}
    record.setdefault("description", case.id)
    record["vars"] = case.inputs
    if any(isinstance(one, list) for one in case.inputs.values()):
        # else it would make a case of each of them
        record["options"] = {**(record.get("options") or {}), "disableVarExpansion": True}
    if asserts:
        record["assert"] = asserts
    return record | {"metadata": beside(metadata, ours)}


def read(record: Mapping[str, Any], said: Said) -> Draft:
    """A test case as a case; a row of a table is one too.

    Raises:
        InputError: if it has no variables, or they are in another file.
    """
    if "vars" not in record:
        record = _of_row(record)
    inputs = record.get("vars")
    if not isinstance(inputs, dict) or not inputs:
        raise InputError("it has no vars, or they are in another file")
    for name, value in inputs.items():
        if isinstance(value, str) and value.startswith("file://"):
            raise InputError(f'its variable "{name}" is in another file')
    options = record.get("options")
    whole = isinstance(options, dict) and options.get("disableVarExpansion")
    if not whole and any(isinstance(one, list) for one in inputs.values()):
        said["variables with several values: taken as one value, no case is made of each"] += 1
    metadata = mapping(record, "metadata")
    ours = mapping(metadata, OURS)
    metadata, kept = without(metadata), _others(record, inputs)
    native, rubric = _asserts(record.get("assert"), kept, said)
    for name in kept.keys() - {"assert", "reference", "description"}:
        said[f"{name}: kept in metadata, not applied"] += 1
    if rubric:
        metadata[EXPECTATION] = rubric[0] if len(rubric) == 1 else rubric
    if kept:
        metadata[_KEPT] = kept
    return Draft(
        inputs=dict(inputs),
        reference=right(native, ours, lambda _: None),
        metadata=metadata,
        **placed(ours),
    )


def _others(record: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: record[name] for name in _MEMBERS if record.get(name) not in (None, "", {})}
    if str(kept.get("description", "")).startswith("case-"):
        del kept["description"]
    options = kept.get("options")
    if isinstance(options, dict) and any(isinstance(one, list) for one in inputs.values()):
        options = {name: value for name, value in options.items() if name != "disableVarExpansion"}
        if options:
            kept["options"] = options
        else:
            del kept["options"]
    return kept


def _asserted(reference: Any, kind: Any) -> dict[str, Any] | None:
    """What says that an answer has to be, or hold, the reference."""
    if isinstance(reference, str) and reference:
        return {"type": kind if kind in _ONE else _ONE[0], "value": reference}
    if isinstance(reference, list) and reference and all(isinstance(one, str) and one for one in reference):
        return {"type": kind if kind in _ANY else _ANY[0], "value": reference}
    return None


def _asserts(found: Any, kept: dict[str, Any], said: Said) -> tuple[Any, list[str]]:
    """The reference and the rubrics among assertions; the others are kept.

    Raises:
        InputError: if they are no assertions.
    """
    native: Any = None
    rubric: list[str] = []
    others: list[Any] = []
    for written in [found] if isinstance(found, dict | str) else found or []:
        one = _read_written(written) if isinstance(written, str) else written
        if not isinstance(one, dict) or not isinstance(one.get("type"), str):
            raise InputError("one of its assertions has no type")
        kind, value = one["type"], one.get("value")
        plain = one.keys() <= {"type", "value"}
        if native is None and plain and (read_as := _reference(kind, value)) is not None:
            native = read_as
            if kind not in {_ONE[0], _ANY[0]}:
                kept["reference"] = kind
        elif kind == _RUBRIC and plain and isinstance(value, str) and value:
            rubric.append(value)
            said[f"{_RUBRIC}: kept as the case's expectation"] += 1
        else:
            others.append(one)
            metric = f"; a metric can ask it of all cases: check: {_OURS[kind]}" if kind in _OURS else ""
            said[f"{kind}: kept in metadata, not checked{metric}"] += 1
    if others:
        kept["assert"] = others
    return native, rubric


def _reference(kind: str, value: Any) -> Any:
    if kind in _ONE and isinstance(value, str) and value:
        return value
    if kind in _ANY and isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    if kind in _ANY and isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return value
    return None


def _of_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a table as a test case."""
    record: dict[str, Any] = {"vars": {}, "metadata": {}}
    asserts: list[dict[str, Any]] = []
    for name, value in row.items():
        if not name.startswith("__"):
            record["vars"][name] = value
        elif _COLUMN.fullmatch(name):
            asserts.append(_read_written(str(value)))
        elif name.startswith("__metadata:"):
            key = name.removeprefix("__metadata:")
            several = key.endswith("[]")
            parts = [one.strip() for one in re.split(r"(?<!\\),", str(value))] if several else value
            record["metadata"][key.removesuffix("[]")] = parts
        elif name == "__description":
            record["description"] = value
        elif name == "__threshold":
            record["threshold"] = value
        elif name in {"__prefix", "__suffix"}:
            record.setdefault("options", {})[name.strip("_")] = value
        else:
            record["metadata"][name] = value
    return record | ({"assert": asserts} if asserts else {})


def _read_written(text: str) -> dict[str, Any]:
    """An assertion as a cell says it: ``contains: Paris``, ``similar(0.8): ...``; a bare text is equalled."""
    found = _WRITTEN.fullmatch(text.strip())
    if found is None:
        return {"type": "equals", "value": text}
    kind = _OLD.get(found["type"], found["type"])
    if kind.removeprefix("not-") not in _TYPES or (
        found["value"] is None and not kind.startswith(("is-", "contains-"))
    ):
        return {"type": "equals", "value": text}
    made: dict[str, Any] = {"type": kind}
    if found["value"]:
        made["value"] = found["value"].strip()
    if found["threshold"]:
        made["threshold"] = float(found["threshold"])
    return made
