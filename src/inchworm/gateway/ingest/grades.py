"""Feedback as other people's clients and our own API write it, to records. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from inchworm.capture.records import Graded
from inchworm.domain.errors import InputError

Value = bool | int | float | str
_LONGEST_NAME, _LONGEST_ID, _LONGEST_TEXT = 200, 500, 4_000
_YEAR_10000 = 253_402_300_800


class OurScore(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One score of ``POST /api/v1/scores``; the same members as the server's route."""

    metric: str
    value: Value
    id: str | None = None
    trace: str | None = None
    span: str | None = None
    session: str | None = None
    unit: str | None = None
    source: str = "user"
    comment: str | None = None
    at: float | None = None


class LangfuseScore(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One score of Langfuse's API (``ScoreBody`` of its client, version 5)."""

    name: str
    value: Value
    id: str | None = None
    trace_id: str | None = None
    observation_id: str | None = None
    session_id: str | None = None
    dataset_run_id: str | None = None
    comment: str | None = None
    source: str | None = None
    timestamp: str | None = None


class LangsmithFeedback(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of feedback of LangSmith's API (``FeedbackCreate`` of its client, version 0.15)."""

    key: str
    id: str | None = None
    run_id: str | None = None
    trace_id: str | None = None
    score: bool | int | float | None = None
    value: Any = None
    comment: str | None = None
    created_at: str | None = None
    feedback_source: dict[str, Any] | None = None


def ours(said: OurScore, app: str, arrived: float) -> Graded:
    """A score of our own API.

    Raises:
        InputError: if it says too little, or what no record can hold.
    """
    unit = said.session if said.unit is None else said.unit
    return _graded(
        app=app,
        id_=said.id,
        trace=said.trace,
        span=said.span,
        unit=unit,
        metric=said.metric,
        value=said.value,
        source=said.source,
        comment=said.comment,
        said_at=said.at,
        arrived=arrived,
    )


def of_langfuse(said: LangfuseScore, app: str, arrived: float, *, said_at: str | None = None) -> Graded:
    """A score of Langfuse's.

    Args:
        said: the score.
        app: whose it is.
        arrived: seconds since the epoch.
        said_at: when the event that brought it says that it was, ISO 8601; the score's own time counts more.

    Raises:
        InputError: as :func:`ours`.
    """
    if said.dataset_run_id is not None and said.trace_id is None and said.session_id is None:
        raise InputError(
            "it is of a run over a dataset, and Inchworm takes scores of interactions and sessions"
        )
    return _graded(
        app=app,
        id_=said.id,
        trace=said.trace_id,
        span=said.observation_id,
        unit=said.session_id,
        metric=said.name,
        value=said.value,
        source=f"langfuse:{said.source.lower()}" if said.source else "langfuse",
        comment=said.comment,
        said_at=_moment(said.timestamp or said_at),
        arrived=arrived,
    )


def of_langsmith(said: LangsmithFeedback, app: str, arrived: float) -> Graded:
    """Feedback of LangSmith's: its score, else its value if that is plain.

    Raises:
        InputError: as :func:`ours`.
    """
    value = said.value if said.score is None else said.score
    if not isinstance(value, bool | int | float | str):
        raise InputError("it has neither a score nor a value that is a number, a text, true or false")
    kind = (said.feedback_source or {}).get("type")
    return _graded(
        app=app,
        id_=said.id,
        trace=said.trace_id,
        span=said.run_id,
        unit=None,  # its session is a project, and no conversation
        metric=said.key,
        value=value,
        source=f"langsmith:{kind}" if isinstance(kind, str) and kind else "langsmith",
        comment=said.comment,
        said_at=_moment(said.created_at),
        arrived=arrived,
    )


def _graded(
    *,
    app: str,
    id_: str | None,
    trace: str | None,
    span: str | None,
    unit: str | None,
    metric: str,
    value: Value,
    source: str,
    comment: str | None,
    said_at: float | None,
    arrived: float,
) -> Graded:
    names: Mapping[str, tuple[str | None, int]] = {
        "id": (id_, _LONGEST_ID),
        "trace": (trace, _LONGEST_ID),
        "span": (span, _LONGEST_ID),
        "unit": (unit, _LONGEST_ID),
        "metric": (metric, _LONGEST_NAME),
        "source": (source, _LONGEST_NAME),
    }
    for name, (text, longest) in names.items():
        if text is not None and not 0 < len(text) <= longest:
            raise InputError(f"{name} has {len(text)} characters; it has 1 to {longest}")
    if trace is None and span is None and unit is None:
        raise InputError("it names neither an interaction nor a session or unit")
    if said_at is not None and not 0 <= said_at < _YEAR_10000:
        raise InputError(
            f"at is {said_at:g}, no time in seconds since 1970; milliseconds are divided by 1000"
        )
    return Graded(
        app=app,
        id=id_,
        trace=trace,
        span=span,
        unit=unit,
        metric=metric,
        value=plain_value(value),
        source=source,
        comment=None if comment is None else comment[:_LONGEST_TEXT],
        at=arrived if said_at is None else said_at,
        timed=said_at is not None,
    )


def plain_value(value: Value) -> bool | float | str:
    """A value that a record can hold.

    Raises:
        InputError: if it is too long, or no finite number.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) > _LONGEST_TEXT:
            raise InputError(f"value has {len(value)} characters; it has {_LONGEST_TEXT} at most")
        return value
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InputError("value is no finite number")
    return number


def _moment(text: str | None) -> float | None:
    """Seconds since the epoch of ISO 8601; without a zone it is UTC."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise InputError(f'"{text[:40]}" is no time as ISO 8601 writes it') from error
