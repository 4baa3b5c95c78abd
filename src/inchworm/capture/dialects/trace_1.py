"""Our own form, ``trace/1``: what the exporter writes and the importer reads is the same trace."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, assert_never

from inchworm.capture.fields import Fields, Parsed, Place, outcome_of, unit_of, with_derived
from inchworm.capture.stated import APPLICATION_SAID, application_of
from inchworm.capture.values import kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId
from inchworm.domain.outcome import (
    Errored,
    Ok,
    Outcome,
    Result,
    Score,
    Scored,
    Unscored,
    decode_outcome,
    encode,
)
from inchworm.domain.trace import UNKNOWN_USAGE, Arm, Assignment, Trace, Usage

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


def to_json(trace: Trace) -> str:
    """One line of ``trace/1``, without the line end; what is absent is left out.

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
        "usage": _present(
            {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cost_usd": usage.cost_usd,
            }
        )
        or None,
        "reference": trace.reference,
        "scores": [_from_score(score) for score in trace.scores] or None,
        "attributes": trace.attributes or None,
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
    usage, scores, outcome = _usage(fields), _scores(fields, moment), _outcome(fields)
    output, finish_reason = fields.text("output"), fields.text("finish_reason")
    latency_ms, reference = fields.number("latency_ms", least=0), fields.take("reference")
    _refuse_unknown(fields)
    trace_id = place.id if id_ is None else TraceId(id_)
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
    return Parsed(trace=trace, dialect=NAME, timed=at is not None, unit_from=unit_from)


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


def _usage(fields: Fields) -> Usage:
    members = fields.mapping("usage")
    if not members:
        return UNKNOWN_USAGE
    inner = Fields(members, "usage")
    usage = Usage(
        input_tokens=inner.count("input_tokens"),
        output_tokens=inner.count("output_tokens"),
        cost_usd=inner.number("cost_usd", least=0),
    )
    _refuse_unknown(inner, ("input_tokens", "output_tokens", "cost_usd"))
    return usage


def _outcome(fields: Fields) -> Outcome:
    value = fields.take("outcome")
    if value is None:
        return outcome_of(None, None)
    if value == "ok":
        return Ok()
    try:
        return decode_outcome(value)
    except ValueError as error:
        raise InputError(
            'outcome is {"is": "ok"}, {"is": "failed", "reason": "..."} or {"is": "errored", "reason": "..."}'
        ) from error


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
        _refuse_unknown(inner, ("metric", "value", "unscored", "errored", "source", "at"))
        when = at if moment is None else moment
        scores.append(Score(metric=metric, result=result, source=source or _DEFAULT_SOURCE, at=when))
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
    rest = {"metric": score.metric, "source": score.source, "at": score.at}
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


def _refuse_unknown(fields: Fields, known: tuple[str, ...] = MEMBERS) -> None:
    for name in fields.left:
        near = get_close_matches(name.lower(), known, n=1)
        hint = f'did you mean "{near[0]}"?' if near else "what else there is to say belongs into attributes"
        where = f"{fields.path} has" if fields.path else "it has"
        raise InputError(f"{where} the unknown {quoted(name)}; {hint}")
