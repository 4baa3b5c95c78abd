"""What a record of any format says of a case, and what of a case a format cannot say in its own words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from inchworm.domain.errors import InputError
from inchworm.domain.evalset import Case

OURS: Final = "inchworm"
"""The member of a record's metadata in which we keep what the format has no words for."""
QUESTION: Final = "question"
_PLACE: Final = ("call", "cluster", "group", "weight", "origin")

Said = Counter[str]
"""What is not carried over as it is meant, in words, and of how many records."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A case as a file says it, before it is sanitized.

    Attributes:
        inputs: values of the prompt's variables.
        reference: a right answer, if there is one.
        call: the call that it is a case of, if it says so.
        cluster: its topic, if it says so.
        group: what it depends on with others, if it says so.
        weight: how many interactions it stands for.
        origin: where it came from before, if it says so.
        metadata: what else it says, JSON.
    """

    inputs: dict[str, Any]
    reference: Any = None
    call: str | None = None
    cluster: str | None = None
    group: str | None = None
    weight: float = 1.0
    origin: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def place_of(case: Case) -> dict[str, Any]:
    """What a case is in its eval set, for :data:`OURS`."""
    return {name: value for name in _PLACE if (value := getattr(case, name)) is not None}


def placed(said: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`place_of`, as members of a draft.

    Raises:
        InputError: if something is not what it has to be.
    """
    found: dict[str, Any] = {}
    for name in _PLACE:
        value = said.get(name)
        if value is None:
            continue
        if name == "weight":
            if type(value) not in {int, float} or not 0 < value < 1e15:
                raise InputError(f"its weight is {value!r:.40}; it is a number above 0")
            value = float(value)
        elif not isinstance(value, str):
            raise InputError(f"its {name} is no text")
        found[name] = value
    return found


def mapping(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A member that is an object; one written as text, as in tables, is read.

    Raises:
        InputError: if it is something else.
    """
    value = record.get(name)
    if isinstance(value, str) and value.strip():
        value = parsed(value)
    if value in (None, ""):
        return {}
    if not isinstance(value, dict):
        raise InputError(f"its {name} is no object")
    return dict(value)


def parsed(text: str) -> Any:
    """What a text says in JSON; the text itself if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def asked(inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Inputs as one text, for formats that ask one, and the rest for :data:`OURS`."""
    question = inputs.get(QUESTION)
    if isinstance(question, str) and question.strip():
        rest = {name: value for name, value in inputs.items() if name != QUESTION}
        return question, {"inputs": rest} if rest else {}
    return json.dumps(inputs, ensure_ascii=False, sort_keys=True), {"written": "json"}


def inputs_of(text: str, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The inverse of :func:`asked`; the text may have been changed by somebody since.

    Raises:
        InputError: if inputs were written as JSON, and are none now.
    """
    if ours.get("written") == "json":
        found = parsed(text)
        if not isinstance(found, dict):
            raise InputError("its input was written as JSON and is none any more")
        return found
    rest = ours.get("inputs")
    return {QUESTION: text, **(rest if isinstance(rest, dict) else {})}


def right(native: Any, ours: Mapping[str, Any], derived: Any) -> Any:
    """The reference: ours, as long as what the format says of it is what we wrote.

    Args:
        native: what the format says.
        ours: what we kept beside it.
        derived: makes of a reference what the format says of it.
    """
    if "reference" in ours and derived(ours["reference"]) == native:
        return ours["reference"]
    return None if native in (None, "", []) else native


def without(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata without our own member."""
    return {name: value for name, value in metadata.items() if name != OURS}


def beside(metadata: Mapping[str, Any], ours: Mapping[str, Any]) -> dict[str, Any]:
    """The metadata with our own member."""
    return {**metadata, OURS: dict(ours)} if ours else dict(metadata)


def taken_out(metadata: dict[str, Any], name: str) -> dict[str, Any]:
    """What a reader of a format kept of it, taken out of the metadata."""
    if not isinstance(metadata.get(name), dict):
        return {}
    return dict(metadata.pop(name))
