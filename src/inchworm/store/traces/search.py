"""Which traces: filters, cursors and pages."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.trace import Arm, Trace

TEXT_SCAN = 200_000
"""A search for text reads the payloads of the newest so many traces that pass the other filters."""

SEEN = "{}shadow_of IS NULL"
"""Of ``traces``: what somebody saw, and not what a candidate answered to a mirrored call."""
_LATEST = "QUALIFY row_number() OVER (PARTITION BY number, {} ORDER BY at_s DESC, sequence DESC) = 1"
LATEST_PER_METRIC = _LATEST.format("metric")
"""Of ``scores``: each trace's latest one on each metric, whoever gave it."""
LATEST_PER_SOURCE = _LATEST.format("metric, source")
"""Of ``scores``: each trace's latest one on each metric from each source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceFilter:
    """Which traces; a trace passes if it passes everything that is set.

    Attributes:
        configuration: answered by this configuration.
        arm: of this arm.
        rollout: part of this rollout.
        cluster: in this cluster.
        outcome: ``ok``, ``failed`` or ``errored``.
        finish_reason: ended with this word of the provider's.
        metric_below: whose latest score on the metric is a value below the number.
        text: inputs, output or reference contain it; case does not matter. Looks at the newest
            :data:`TEXT_SCAN` traces that pass the rest.
        since: at this time or later, seconds since the epoch.
        until: before this time.
        shadow: answers to mirrored calls, which nobody saw, and nothing else; by default none of them.
    """

    configuration: ConfigurationId | None = None
    arm: Arm | None = None
    rollout: RolloutId | None = None
    cluster: str | None = None
    outcome: str | None = None
    finish_reason: str | None = None
    metric_below: tuple[str, float] | None = None
    text: str | None = None
    since: float | None = None
    until: float | None = None
    shadow: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some traces, newest first.

    Attributes:
        traces: at most as many as were asked for.
        next_cursor: hand it in as ``after`` to go on; ``None`` on the last page.
        total: how many pass the filters, on all pages.
    """

    traces: tuple[Trace, ...]
    next_cursor: str | None
    total: int


def where(app: AppRef, filters: TraceFilter) -> tuple[str, list[Any]]:
    """The condition on ``traces t`` that a filter means, with its parameters."""
    seen = "t.shadow_of IS NOT NULL" if filters.shadow else SEEN.format("t.")
    terms, values = ["t.app = ?", seen], [str(app)]
    for column, value in (
        ("configuration_id", filters.configuration),
        ("arm", None if filters.arm is None else filters.arm.value),
        ("rollout_id", filters.rollout),
        ("cluster", filters.cluster),
        ("outcome", filters.outcome),
        ("finish_reason", filters.finish_reason),
    ):
        if value is not None:
            terms.append(f"t.{column} = ?")
            values.append(value)
    return _rest(filters, terms, values)


def _rest(filters: TraceFilter, terms: list[str], values: list[Any]) -> tuple[str, list[Any]]:
    if filters.since is not None:
        terms.append("t.at_s >= ?")
        values.append(filters.since)
    if filters.until is not None:
        terms.append("t.at_s < ?")
        values.append(filters.until)
    if filters.metric_below is not None:
        terms.append(
            "t.number IN (SELECT number FROM "  # noqa: S608  # our own terms
            f"(SELECT number, value FROM scores WHERE metric = ? {LATEST_PER_METRIC}) WHERE value < ?)"
        )
        values.extend(filters.metric_below)
    if filters.text is not None:
        scope = " AND ".join(terms)
        # Inputs and references are JSON text: there, what is sought is written as JSON writes it.
        plain, written = _like(filters.text), _like(json.dumps(filters.text, ensure_ascii=False)[1:-1])
        terms.append(
            "t.number IN (SELECT number FROM payloads WHERE number IN ("  # noqa: S608  # our own terms
            f"SELECT t.number FROM traces t WHERE {scope} ORDER BY t.at_s DESC, t.id DESC LIMIT {TEXT_SCAN}) "
            "AND (output ILIKE ? ESCAPE '\\' OR inputs ILIKE ? ESCAPE '\\' OR reference ILIKE ? ESCAPE '\\'))"
        )
        values.extend([*values, plain, written, written])
    return " AND ".join(terms), values


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def cursor(at: float, id_: str) -> str:
    """Where a page ends, fit for a URL."""
    return urlsafe_b64encode(json.dumps([at, id_]).encode()).decode()


def place(text: str) -> tuple[float, str]:
    """The inverse of :func:`cursor`.

    Raises:
        InputError: if it is none of ours.
    """
    try:
        at, id_ = json.loads(urlsafe_b64decode(text.encode()))
        return float(at), str(id_)
    except (ValueError, TypeError) as error:
        raise InputError("this is no cursor of a page of traces", hint="start at the first page") from error
