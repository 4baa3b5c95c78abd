"""One span as OTLP says it, whatever the encoding: before anything is told from its attributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

OK, ERROR = 1, 2
"""Codes of a span's status (opentelemetry-proto, trace.proto, ``Status.StatusCode``); 0 is unset."""
KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
"""Words for ``Span.SpanKind``."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a span.

    Attributes:
        name: what.
        at: when, seconds since the epoch; ``None`` if it is not said.
        attributes: JSON values by name.
    """

    name: str
    at: float | None
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reported:
    """One span.

    Attributes:
        trace_id: 32 hexadecimal characters, lower case.
        id: 16 of them.
        parent_id: 16 of them; empty for a root.
        name: what the source calls it.
        started_at: seconds since the epoch.
        ended_at: the same; ``None`` if it goes on.
        attributes: JSON values by name.
        events: in the order in which they stand.
        status: 0, :data:`OK` or :data:`ERROR`.
        message: what the status says.
        resource: attributes of what sent it.
        scope: name and version of the library that made it.
        further: what else it says, by the names under which it is kept (``otel.span_kind``, ...).
        cut: what of it was too long or too deep to be kept, by name, and its size.
    """

    trace_id: str
    id: str
    parent_id: str
    name: str
    started_at: float
    ended_at: float | None
    attributes: dict[str, Any]
    events: tuple[Event, ...]
    status: int
    message: str
    resource: Mapping[str, Any]
    scope: tuple[str, str]
    further: Mapping[str, Any]
    cut: Mapping[str, int]


NOBODY = "0" * 32
NONE = "0" * 16


def why_not(trace_id: str, span_id: str, start: int, end: int) -> str | None:
    """Why a span with these ids (hexadecimal) and times (nanoseconds) is none; ``None`` if it is one.

    W3C Trace Context, sections 3.2.2.3 and 3.2.2.4: ids are 16 and 8 bytes, not all of them zero.
    """
    if len(trace_id) != 32 or trace_id == NOBODY:
        return "its trace id is not 16 bytes that are not all zero"
    if len(span_id) != 16 or span_id == NONE:
        return "its span id is not 8 bytes that are not all zero"
    if start <= 0:
        return "it does not say when it started"
    if end and end < start:
        return "it ended before it started"
    return None
