"""Our own form, ``trace/1``: what the exporter writes and the importer reads is the same trace."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, assert_never

from inchworm.capture.dialects.members import read_outcome, read_usage, refuse_unknown, usage_members
from inchworm.capture.dialects.steps import read_steps, step_members
from inchworm.capture.fields import Fields, Parsed, Place, unit_of, with_derived
from inchworm.capture.stated import APPLICATION_SAID, application_of
from inchworm.capture.values import kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId
from inchworm.domain.outcome import (
    Errored,
    Result,
    Score,
    Scored,
    Unscored,
    encode,
)
from inchworm.domain.span import Span
from inchworm.domain.trace import Arm, Assignment, Trace

NAME = "trace/1"
TELLING = ("schema", "inputs", "outcome")
"""Members that tell this dialect."""
MEMBERS = (
    *("schema", "id", "app", "at", "unit", "configuration", "rollout", "stage", "arm", "probability"),
    *(
        "inputs",
        "output",
        "outcome",
        "finish_reason",
        "latency_ms",
        "usage",
        "reference",
        "scores",
        "application",
        "attributes",
        "spans",
    ),
)
"""All members; others are refused."""
_ASSIGNMENT = ("rollout", "stage", "arm", "probability")
_MAX_STAGE = 2**31 - 1
_WRITER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_LATER = re.compile(r"trace/[0-9]{1,9}")
_DEFAULT_SOURCE = "import"


def recognises(record: Mapping[str, Any]) -> bool:
    """Whether it names our schema, or has a member that only ours has."""
    if isinstance(schema := record.get("schema"), str) and schema.startswith("trace/"):
        return True
    return "messages" not in record and ("inputs" in record or "outcome" in record)


def to_json(trace: Trace, spans: Sequence[Span] = ()) -> str:
    """One line of ``trace/1``, without the line end; what is absent is left out.

    Args:
        trace: the interaction.
        spans: what was done for it.

    Raises:
        InputError: if the trace holds what JSON cannot say: NaN, lone surrogates, other types.
    """
    usage, assignment = trace.usage, trace.assignment
    record: dict[str, Any] = {
        "schema": NAME,
        "id": trace.id,
        "app": str(trace.app),
        "at": trace.at,
        "unit": trace.unit_id,
        "configuration": trace.configuration_id,
    }
    if assignment is not None:
        record |= {
            "rollout": assignment.rollout_id,
            "stage": assignment.stage,
            "arm": assignment.arm.value,
            "probability": assignment.probability,
        }
    record |= {
        "inputs": trace.inputs or None,
        "output": trace.output,
        "outcome": encode(trace.outcome),
        "finish_reason": trace.finish_reason,
        "latency_ms": trace.latency_ms,
        "usage": usage_members(usage) or None,
        "reference": trace.reference,
        "scores": [_from_score(score) for score in trace.scores] or None,
        "attributes": trace.attributes or None,
        "spans": [step_members(span) for span in spans] or None,
    }
    try:
        text = _WRITER.encode(_present(record))
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise InputError(f"trace {trace.id!a} cannot be written as JSON: {error}") from error
    return text


def read(record: Mapping[str, Any], place: Place) -> Parsed:
    """The trace of a ``trace/1`` record.

    Raises:
        InputError: if a member has a wrong type or value, is unknown, or belongs to another app or schema.
    """
    fields = Fields(record)
    _check_schema(fields)
    _check_app(fields, place.app)
    id_, at, unit = fields.identifier("id"), fields.time("at"), fields.identifier("unit")
    configuration = fields.identifier("configuration")
    assignment = _assignment(fields)
    inputs, attributes = fields.mapping("inputs") or {}, dict(fields.mapping("attributes") or {})
    if (application := application_of(fields.text("application"))) is not None:
        attributes[APPLICATION_SAID] = application
    moment = place.at if at is None else at
    usage, scores, outcome = read_usage(fields), _scores(fields, moment), read_outcome(fields)
    output, finish_reason = fields.text("output"), fields.text("finish_reason")
    latency_ms, reference = fields.number("latency_ms", least=0), fields.take("reference")
    trace_id = place.id if id_ is None else TraceId(id_)
    spans = read_steps(fields, app=place.app, trace_id=trace_id)
    refuse_unknown(fields, MEMBERS)
    unit_id, unit_from = unit_of(unit, (attributes,), _first_user_message(inputs), trace_id)
    trace = Trace(
        id=trace_id,
        app=place.app,
        at=moment,
        unit_id=unit_id,
        configuration_id=None if configuration is None else ConfigurationId(configuration),
        assignment=assignment,
        inputs=inputs,
        output=output,
        outcome=outcome,
        finish_reason=finish_reason,
        latency_ms=latency_ms,
        usage=usage,
        reference=reference,
        scores=scores,
        attributes=with_derived(
            attributes, has_id=id_ is not None, has_time=at is not None, unit_from=unit_from
        ),
    )
    return Parsed(trace=trace, dialect=NAME, timed=at is not None, unit_from=unit_from, spans=spans)


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _check_schema(fields: Fields) -> None:
    schema = fields.take("schema")
    if schema is None or schema == NAME:
        return
    if isinstance(schema, str) and _LATER.fullmatch(schema):
        raise InputError(
            f"schema is {quoted(schema)}, which another version of Inchworm wrote; this one reads {NAME}"
        )
    said = quoted(schema) if isinstance(schema, str) else kind_of(schema)
    raise InputError(f'schema is {said}; "{NAME}" is expected')


def _check_app(fields: Fields, app: AppRef) -> None:
    text = fields.text("app")
    if text is not None and AppRef.parse(text) != app:
        raise InputError(
            f"app is {quoted(text)}, and this import is for {app}; leave app out to bring it there"
        )


def _assignment(fields: Fields) -> Assignment | None:
    given = [name for name in _ASSIGNMENT if name in fields.left]
    if not given:
        return None
    if missing := [name for name in _ASSIGNMENT if name not in given]:
        raise InputError(f"{', '.join(missing)} missing: rollout, stage, arm and probability belong together")
    rollout, stage = fields.identifier("rollout"), fields.count("stage", most=_MAX_STAGE)
    arm, probability = fields.text("arm"), fields.number("probability", least=0, most=1)
    if arm not in {Arm.BASELINE.value, Arm.CANDIDATE.value}:
        raise InputError(f'arm is {quoted(arm or "")}; it is "baseline" or "candidate"')
    return Assignment(
        rollout_id=RolloutId(rollout or ""), stage=stage or 0, arm=Arm(arm), probability=probability or 0.0
    )


def _scores(fields: Fields, at: float) -> tuple[Score, ...]:
    scores = []
    for place, one in enumerate(fields.array("scores") or ()):
        path = f"scores[{place}]"
        if not isinstance(one, dict):
            raise InputError(f"{path} is {kind_of(one)}; an object is expected")
        inner = Fields(one, path)
        metric, source, moment = inner.identifier("metric"), inner.identifier("source"), inner.time("at")
        if metric is None:
            raise InputError(f"{path} names no metric")
        result = _result(inner)
        id_, comment = inner.identifier("id"), inner.text("comment")
        refuse_unknown(inner, ("metric", "value", "unscored", "errored", "source", "at", "id", "comment"))
        when = at if moment is None else moment
        given = source or _DEFAULT_SOURCE
        scores.append(Score(metric=metric, result=result, source=given, at=when, id=id_, comment=comment))
    return tuple(scores)


def _result(fields: Fields) -> Result:
    given = [name for name in ("value", "unscored", "errored") if name in fields.left]
    if len(given) != 1:
        raise InputError(f"{fields.path} needs one of value, unscored and errored, and has {len(given)}")
    value = fields.number("value", least=0, most=1)
    if value is not None:
        return Scored(value=value)
    reason = fields.text(given[0]) or ""
    return Unscored(reason=reason) if given[0] == "unscored" else Errored(reason=reason)


def _from_score(score: Score) -> dict[str, Any]:
    rest: dict[str, Any] = {"metric": score.metric, "source": score.source, "at": score.at}
    rest |= {name: value for name in ("id", "comment") if (value := getattr(score, name)) is not None}
    match score.result:
        case Scored(value=value):
            return {"value": value, **rest}
        case Unscored(reason=reason):
            return {"unscored": reason, **rest}
        case Errored(reason=reason):
            return {"errored": reason, **rest}
        case _:
            assert_never(score.result)


def _first_user_message(inputs: Mapping[str, Any]) -> str | None:
    messages = inputs.get("messages")
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            return content if isinstance(content, str) else None
    return None
