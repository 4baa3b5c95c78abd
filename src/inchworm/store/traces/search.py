"""Which traces: filters, cursors and pages."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Any

from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.trace import Arm, Trace

TEXT_SCAN = 100_000
"""A search for text reads the payloads of the newest so many traces that pass the other filters."""

SEEN = "{}shadow_of IS NULL"
"""Of ``traces``: what somebody saw, and not what a candidate answered to a mirrored call."""
_FACETS = {
    "configuration": "configuration_id",
    "arm": "arm",
    "rollout": "rollout_id",
    "cluster": "cluster",
    "outcome": "outcome",
    "finish_reason": "finish_reason",
    "model": "model",
    "call": "call",
    "source": "source",
    "incomplete": "incomplete",
    "scored": "scored",
}
_SCORED = "t.number IN (SELECT number FROM scores WHERE number >= {} AND metric = ? AND latest AND {})"
_SPANS = "t.key IN (SELECT trace_key FROM spans WHERE app = ? AND {})"
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
        metric_between: whose latest score on the metric is a value from the first number to the second one,
            both included.
        scored: with any score (``True``), or with none (``False``).
        unit: of this unit.
        call: of the app's call with this name.
        model: answered by this model.
        source: that came by this wire or dialect.
        attribute: with this attribute, of this value, as text. Looks at the newest :data:`TEXT_SCAN` traces
            that pass the rest.
        not_ok: that failed or errored.
        min_latency_ms: that took so long or longer.
        incomplete: of which spans are missing (``True``) or not (``False``).
        span_kind: with a span of this kind.
        span_name: with a span of this name.
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
    metric_between: tuple[str, float, float] | None = None
    scored: bool | None = None
    unit: UnitId | None = None
    call: str | None = None
    model: str | None = None
    source: str | None = None
    attribute: tuple[str, str] | None = None
    not_ok: bool = False
    min_latency_ms: float | None = None
    incomplete: bool | None = None
    span_kind: str | None = None
    span_name: str | None = None

    @property
    def counted(self) -> bool:
        """Whether the rollups know how many pass: all that is set is a facet or a time."""
        return self == TraceFilter(
            **{name: getattr(self, name) for name in (*_FACETS, "since", "until", "shadow", "not_ok")}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some traces, newest first.

    Attributes:
        traces: at most as many as were asked for.
        next_cursor: hand it in as ``after`` to go on; ``None`` on the last page.
        total: how many pass the filters, on all pages.
        searched: where text or an attribute is sought, among how many traces: the newest ones that pass the
            rest, :data:`TEXT_SCAN` at most. ``None`` where all were looked at.
    """

    traces: tuple[Trace, ...]
    next_cursor: str | None
    total: int
    searched: int | None = None


def facets(app: AppRef, filters: TraceFilter) -> tuple[str, list[Any]]:
    """The condition on ``combinations c`` that a filter means, with its parameters."""
    terms, values = ["c.app = ?", "c.shadow = ?"], [str(app), filters.shadow]
    for name, column in _FACETS.items():
        value = getattr(filters, name)
        if value is not None:
            terms.append(f"c.{column} = ?")
            values.append(value.value if isinstance(value, Arm) else value)
    if filters.not_ok:
        terms.append("c.outcome <> 'ok'")
    return " AND ".join(terms), values


def rest(app: AppRef, filters: TraceFilter, *, least: int = 0) -> tuple[str, list[Any]]:
    """The condition on ``traces t`` that all but the facets of a filter mean, and all but what is sought.

    Args:
        app: whose.
        filters: which.
        least: no trace with a lower number is asked for; its scores are not looked at then.
    """
    terms: list[str] = ["TRUE"]
    values: list[Any] = []

    def add(term: str, *given: Any) -> None:
        if given[0] is not None:
            terms.append(term)
            values.extend(given)

    add("t.at_s >= ?", filters.since)
    add("t.at_s < ?", filters.until)
    add("t.unit_id = ?", filters.unit)
    add("t.latency_ms >= ?", filters.min_latency_ms)
    if filters.metric_below is not None:
        add(_SCORED.format(least, "value < ?"), *filters.metric_below)
    if filters.metric_between is not None:
        add(_SCORED.format(least, "value BETWEEN ? AND ?"), *filters.metric_between)
    if filters.span_kind is not None:
        add(_SPANS.format("kind = ?"), str(app), filters.span_kind)
    if filters.span_name is not None:
        add(_SPANS.format("name = ?"), str(app), filters.span_name)
    return " AND ".join(terms), values


def sought(filters: TraceFilter) -> tuple[str, list[Any]] | None:
    """The condition on ``payloads`` that text or an attribute means; ``None`` if neither is sought."""
    terms: list[str] = []
    values: list[Any] = []
    if filters.text is not None:
        # Inputs and references are JSON text: there, what is sought is written as JSON writes it.
        plain, written = filters.text, json.dumps(filters.text, ensure_ascii=False)[1:-1]
        found = " OR ".join(
            f"contains(lower({column}), lower(?))" for column in ("output", "inputs", "reference")
        )
        terms.append(f"({found})")
        values.extend([plain, written, written])
    if filters.attribute is not None:
        name, value = filters.attribute
        # The name as text first: most attributes need not be read as JSON then.
        terms.append("contains(attributes, ?) AND json_extract_string(attributes, ?) = ?")
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        values.extend([json.dumps(name, ensure_ascii=False), pointer, value])
    return (" AND ".join(terms), values) if terms else None


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
