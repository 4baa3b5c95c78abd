"""Feedback: what somebody thinks of an interaction, a step of one, or a session; on its own scale."""

from __future__ import annotations

import time
from typing import Any

from inchworm.capture.client.core import Core
from inchworm.capture.client.plain import number_of, text_of
from inchworm.capture.client.scoring import metric_named, shown
from inchworm.capture.client.spans import Spanning
from inchworm.capture.client.tracing import Tracing
from inchworm.domain.errors import UsageError

_LONGEST_SOURCE, _LONGEST_ID, _LONGEST_TEXT = 200, 500, 4_000  # as the gateway takes them


def feedback(
    client: Core,
    trace: Tracing | Spanning | str | None,
    name: str,
    value: object,
    *,
    unit: str | None = None,
    source: str = "user",
    comment: str | None = None,
    id_: str | None = None,
    app: str | None = None,
) -> None:
    """See :meth:`inchworm.Client.feedback`.

    Raises:
        UsageError: if no app is named, nothing says what it is about, or the value is none.
    """
    about, known = _about(trace, unit)
    metric = metric_named(name)
    given = _value(metric, value)
    client.ship(
        "score",
        {
            "app": client.app_name(known if app is None else app),
            **about,
            "id": None if id_ is None else _named("id", id_),
            "metric": metric,
            "value": given,
            "source": text_of(source)[:_LONGEST_SOURCE] or "user",
            "comment": None if comment is None else text_of(comment)[:_LONGEST_TEXT],
            "at": time.time(),
        },
    )


def _about(trace: Any, unit: object) -> tuple[dict[str, str], str | None]:
    """What it is about, and whose that is as far as it says so itself."""
    if trace is None and unit is not None:
        return {"unit": _named("unit", unit)}, None
    if issubclass(type(trace), str):
        return {"trace": _named("trace", trace)}, None
    kind = type(trace)
    whole = trace if issubclass(kind, Tracing) else trace.trace if issubclass(kind, Spanning) else None
    if whole is None:
        raise UsageError(
            f"feedback names a trace or its id, or a unit, not {shown(trace)}",
            hint='e.g. feedback(t, "helpful", 1), or feedback(None, "helpful", 1, unit=session_id)',
        )
    said = {"trace": str(whole.id)}
    return (said if whole is trace else said | {"span": str(trace.id)}), whole.app


def _named(what: str, value: object) -> str:
    if not issubclass(type(value), str) or not 0 < len(said := text_of(value)) <= _LONGEST_ID:
        raise UsageError(f"{what} is a text of 1 to {_LONGEST_ID} characters, not {shown(value)}")
    return said


def _value(metric: str, value: object) -> float | str:
    """A number, true or false, or a word; what it is worth stands in ``inchworm.yaml``."""
    number = number_of(value)
    if number is not None:
        return number
    if issubclass(type(value), str) and 0 < len(word := text_of(value)) <= _LONGEST_TEXT:
        return word
    raise UsageError(
        f"feedback is a number, true or false, or a word, and {metric} is {shown(value)}",
        hint="what it is worth stands in inchworm.yaml: metrics: {stars: {feedback: true, range: [1, 5]}}",
    )
