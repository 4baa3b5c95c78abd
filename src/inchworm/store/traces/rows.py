"""Traces, exposures and scores to and from rows. A batch fits as a whole or is refused as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import pyarrow as pa
import pyarrow.compute as pc

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Result, Score, Scored, Unscored
from inchworm.domain.trace import SOURCE, Arm, Assignment, Exposure, Trace, Usage
from inchworm.store.codec import from_text, to_text

TRACES = pa.schema(
    [
        ("number", pa.int64()),
        ("app", pa.string()),
        ("id", pa.string()),
        ("at_s", pa.float64()),
        ("unit_id", pa.string()),
        ("configuration_id", pa.string()),
        ("rollout_id", pa.string()),
        ("stage", pa.int32()),
        ("arm", pa.string()),
        ("probability", pa.float64()),
        ("outcome", pa.string()),
        ("reason", pa.string()),
        ("finish_reason", pa.string()),
        ("latency_ms", pa.float64()),
        ("input_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("cost_usd", pa.float64()),
        ("cluster", pa.string()),
        ("shadow_of", pa.string()),
        ("model", pa.string()),
        ("call", pa.string()),
        ("source", pa.string()),
        ("incomplete", pa.bool_()),
        ("scored", pa.bool_()),
    ]
)
PAYLOADS = pa.schema(
    [
        ("number", pa.int64()),
        ("inputs", pa.large_string()),
        ("output", pa.large_string()),
        ("reference", pa.large_string()),
        ("attributes", pa.large_string()),
    ]
)
SCORES = pa.schema(
    [
        ("sequence", pa.int64()),
        ("number", pa.int64()),
        ("metric", pa.string()),
        ("result", pa.string()),
        ("value", pa.float64()),
        ("reason", pa.string()),
        ("source", pa.string()),
        ("at_s", pa.float64()),
        ("id", pa.string()),
        ("comment", pa.string()),
    ]
)
SCORE_COLUMNS = "s.metric, s.result, s.value, s.reason, s.source, s.at_s, s.id, s.comment"
"""What :func:`to_score` reads, from ``scores s``."""
EXPOSURES = pa.schema(
    [
        ("rollout_id", pa.string()),
        ("place", pa.int64()),
        ("unit_id", pa.string()),
        ("stage", pa.int32()),
        ("arm", pa.string()),
        ("probability", pa.float64()),
        ("at_s", pa.float64()),
        ("draw", pa.int32()),
    ]
)
MODELS = ("gen_ai.response.model", "gen_ai.request.model")
"""The attributes that name the model which answered: the first one that a trace has."""
INCOMPLETE = "inchworm.incomplete"
"""The attribute that says, if it is true, that spans of the trace are missing."""
TRACE_COLUMNS = (
    "t.number, t.id, t.at_s, t.unit_id, t.configuration_id, t.rollout_id, t.stage, t.arm, t.probability, "
    "t.outcome, t.reason, t.finish_reason, t.latency_ms, t.input_tokens, t.output_tokens, t.cost_usd, "
    "t.shadow_of, p.inputs, p.output, p.reference, p.attributes"
)
"""What :func:`to_trace` reads, from ``traces t JOIN payloads p``."""


def table(schema: pa.Schema, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    """An Arrow table of rows whose members stand in the order of ``schema``.

    Raises:
        ValueError: if a value does not fit its column (text with a lone surrogate, an integer beyond
            64 bits, NaN or an infinity); UnicodeEncodeError is one.
    """
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    try:
        arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    except (OverflowError, TypeError) as error:
        raise ValueError(str(error)) from error
    for array, field in zip(arrays, schema, strict=True):
        if pa.types.is_floating(field.type) and pc.all(pc.is_finite(array)).as_py() is False:
            raise ValueError(f"{field.name} is not a finite number")
    return pa.Table.from_arrays(arrays, schema=schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Traces as two tables, row by row the same trace; ``number`` counts from the given one."""

    traces: pa.Table
    payloads: pa.Table


def trace_batch(
    traces: Sequence[Trace], keys: Sequence[str], cluster: Mapping[TraceId, str], *, start: int
) -> Batch:
    """Tables for traces whose apps have these keys.

    Raises:
        InputError: if a trace cannot be stored exactly; it names the first one.
    """
    try:
        return _batch(traces, keys, cluster, start)
    except (ValueError, InputError) as error:
        for trace, key in zip(traces, keys, strict=True):
            try:
                _batch([trace], [key], cluster, start)
            except (ValueError, InputError) as reason:
                raise refused("trace", trace.id, reason) from error
        raise


def _batch(traces: Sequence[Trace], keys: Sequence[str], cluster: Mapping[TraceId, str], start: int) -> Batch:
    rows = [
        _trace_row(number, key, trace, cluster.get(trace.id))
        for number, (trace, key) in enumerate(zip(traces, keys, strict=True), start=start)
    ]
    payloads = [
        (
            number,
            to_text(trace.inputs),
            trace.output,
            None if trace.reference is None else to_text(trace.reference),
            to_text(trace.attributes),
        )
        for number, trace in enumerate(traces, start=start)
    ]
    return Batch(traces=table(TRACES, rows), payloads=table(PAYLOADS, payloads))


def _trace_row(number: int, key: str, trace: Trace, cluster: str | None) -> tuple[Any, ...]:
    assignment, usage = trace.assignment, trace.usage
    assigned: tuple[Any, ...] = (None, None, None, None)
    if assignment is not None:
        assigned = (assignment.rollout_id, assignment.stage, assignment.arm.value, assignment.probability)
    return (
        number,
        key,
        trace.id,
        trace.at,
        trace.unit_id,
        trace.configuration_id,
        *assigned,
        *outcome_row(trace.outcome),
        trace.finish_reason,
        trace.latency_ms,
        usage.input_tokens,
        usage.output_tokens,
        usage.cost_usd,
        cluster,
        trace.shadow_of,
        next(filter(None, (_text(trace, name) for name in MODELS)), None),
        trace.call,
        _text(trace, SOURCE),
        trace.attributes.get(INCOMPLETE) is True,
        bool(trace.scores),
    )


def _text(trace: Trace, name: str) -> str | None:
    value = trace.attributes.get(name)
    return value if isinstance(value, str) and value else None


def score_table(rows: Sequence[tuple[int, Score]], *, start: int) -> pa.Table:
    """A table of scores, each with its trace's number; ``sequence`` counts from ``start``.

    Raises:
        InputError: if a score cannot be stored exactly; it names the first one's metric.
    """
    try:
        return _scores(rows, start)
    except ValueError as error:
        for row in rows:
            try:
                _scores([row], start)
            except ValueError as reason:
                raise refused("score", row[1].metric, reason) from error
        raise


def _scores(rows: Sequence[tuple[int, Score]], start: int) -> pa.Table:
    return table(
        SCORES,
        [
            (
                *(sequence, number, score.metric, *_result(score.result)),
                *(score.source, score.at, score.id, score.comment),
            )
            for sequence, (number, score) in enumerate(rows, start=start)
        ],
    )


def exposure_table(exposures: Sequence[Exposure]) -> pa.Table:
    """A table of exposures.

    Raises:
        InputError: if one cannot be stored exactly.
    """
    rows = [
        (one.rollout_id, one.order, one.unit_id, one.stage, one.arm.value, one.probability, one.at, one.draw)
        for one in exposures
    ]
    try:
        return table(EXPOSURES, rows)
    except ValueError as error:
        raise InputError(f"an exposure cannot be stored: {error}; none of its batch was") from error


def refused(what: str, name: str, reason: Exception) -> InputError:
    """Why a batch with something of this name is not stored."""
    # The name may be what is wrong with it.
    said = ascii(name) if isinstance(reason, UnicodeEncodeError) else f'"{name}"'
    why = "it has text with a lone surrogate" if isinstance(reason, UnicodeEncodeError) else str(reason)
    return InputError(
        f"{what} {said} cannot be stored: {why}; none of its batch was stored",
        hint="leave it out or mend it, and hand the batch in again",
    )


def outcome_row(outcome: Outcome) -> tuple[str, str | None]:
    """The name of an outcome, and its reason."""
    match outcome:
        case Ok():
            return "ok", None
        case Failed(reason=reason):
            return "failed", reason
        case Errored(reason=reason):
            return "errored", reason
        case _:
            assert_never(outcome)


def _result(result: Result) -> tuple[str, float | None, str | None]:
    match result:
        case Scored(value=value):
            return "scored", value, None
        case Unscored(reason=reason):
            return "unscored", None, reason
        case Errored(reason=reason):
            return "errored", None, reason
        case _:
            assert_never(result)


def to_assignment(
    rollout_id: RolloutId | None, stage: int, arm: str, probability: float
) -> Assignment | None:
    """The assignment that a row tells of, if it was part of a rollout."""
    if rollout_id is None:
        return None
    return Assignment(rollout_id=rollout_id, stage=stage, arm=Arm(arm), probability=probability)


def to_trace(row: tuple[Any, ...], app: AppRef, scores: Sequence[Score]) -> Trace:
    """The trace of one row of :data:`TRACE_COLUMNS`."""
    (
        _number,
        id_,
        at,
        unit_id,
        configuration_id,
        rollout_id,
        stage,
        arm,
        probability,
        outcome,
        reason,
        finish_reason,
        latency_ms,
        input_tokens,
        output_tokens,
        cost_usd,
        shadow_of,
        inputs,
        output,
        reference,
        attributes,
    ) = row
    return Trace(
        id=id_,
        app=app,
        at=at,
        unit_id=unit_id,
        configuration_id=configuration_id,
        assignment=to_assignment(rollout_id, stage, arm, probability),
        inputs=from_text(inputs),
        output=output,
        outcome=to_outcome(outcome, reason),
        finish_reason=finish_reason,
        latency_ms=latency_ms,
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens, cost_usd=cost_usd),
        reference=None if reference is None else from_text(reference),
        scores=tuple(scores),
        attributes=from_text(attributes),
        shadow_of=shadow_of,
    )


def to_score(row: Sequence[Any]) -> Score:
    """The score of one row of :data:`SCORE_COLUMNS`."""
    metric, result, value, reason, source, at, id_, comment = row
    kept: Result
    if value is not None:
        kept = Scored(value=value)
    elif result == "unscored":
        kept = Unscored(reason=reason or "")
    else:
        kept = Errored(reason=reason or "")
    return Score(metric=metric, result=kept, source=source, at=at, id=id_, comment=comment)


def to_outcome(outcome: str, reason: str | None) -> Outcome:
    """The inverse of :func:`outcome_row`."""
    if outcome == "ok":
        return Ok()
    return Failed(reason=reason or "") if outcome == "failed" else Errored(reason=reason or "")
