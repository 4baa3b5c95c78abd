"""Plain rows: a question, an answer, perhaps the right answer and the documents that were at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.fields import (
    IDS,
    UNITS,
    Fields,
    Parsed,
    Place,
    first_identifier,
    first_time,
    outcome_of,
    unit_of,
    with_derived,
)
from inchworm.domain.errors import InputError
from inchworm.domain.ids import TraceId
from inchworm.domain.trace import Trace

NAME = "question-answer"
QUESTIONS = ("question", "input", "prompt")
ANSWERS = ("answer", "output", "completion")
REFERENCES = ("reference", "expected", "target")
DOCUMENTS = ("documents", "context")
TELLING = (*QUESTIONS, *ANSWERS)
"""Members that tell this dialect."""


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it has a question."""
    return any(name in record for name in QUESTIONS)


def read(record: Mapping[str, Any], place: Place) -> Parsed:
    """The trace of a row; its inputs are ``question`` and, if the row has them, ``documents``.

    Raises:
        InputError: if it has no question or two, or a member has a wrong type.
    """
    fields = Fields(record)
    question = _only(fields, QUESTIONS)
    if question is None:
        raise InputError(f"it has no question: one of {', '.join(QUESTIONS)} is needed")
    inputs: dict[str, Any] = {"question": fields.text(question)}
    if (name := _only(fields, DOCUMENTS)) is not None:
        one_text = isinstance(fields.left[name], str)
        inputs["documents"] = [fields.take(name)] if one_text else fields.array(name)
    answer, reference = _only(fields, ANSWERS), _only(fields, REFERENCES)
    output = None if answer is None else fields.text(answer)
    right = None if reference is None else fields.take(reference)
    id_, at, stated = first_identifier(fields, IDS), first_time(fields), first_identifier(fields, UNITS)
    latency_ms, finish_reason = fields.number("latency_ms", least=0), fields.text("finish_reason")
    outcome = outcome_of(fields.left.get("error"), None)
    attributes = fields.left
    metadata = attributes.get("metadata")
    trace_id = place.id if id_ is None else TraceId(id_)
    named = (attributes, metadata) if isinstance(metadata, dict) else (attributes,)
    # Rows stand alone: an equal question says nothing of who asked, so it is no unit.
    unit_id, unit_from = unit_of(stated, named, None, trace_id)
    trace = Trace(
        id=trace_id,
        app=place.app,
        at=place.at if at is None else at,
        unit_id=unit_id,
        inputs=inputs,
        output=output,
        outcome=outcome,
        finish_reason=finish_reason,
        latency_ms=latency_ms,
        reference=right,
        attributes=with_derived(
            attributes, has_id=id_ is not None, has_time=at is not None, unit_from=unit_from
        ),
    )
    return Parsed(trace=trace, dialect=NAME, timed=at is not None, unit_from=unit_from)


def _only(fields: Fields, names: tuple[str, ...]) -> str | None:
    """Which of these names is there, if not two are."""
    given = [name for name in names if name in fields.left]
    if len(given) > 1:
        raise InputError(f"it has {' and '.join(given)}, which mean the same here; keep one of them")
    return given[0] if given else None
