"""What a Langfuse server answers, to the reports of spans and the feedback that arrive otherwise. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import msgspec

from inchworm.capture.records import Exported, Graded
from inchworm.capture.telemetry import Refused, check_clock, read_each
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.span import Span, SpanKind
from inchworm.gateway.ingest.grades import LangfuseScore, of_langfuse

_NAMES: Final = {"providedModelName": "model", "traceName": "trace_name"}
"""Members that have one name here and another one in what clients send."""
_DROPPED: Final = frozenset(
    "projectId createdAt updatedAt latency timeToFirstToken internalModelId modelId inputPrice outputPrice "
    "totalPrice usagePricingTierName usagePricingTierId isRootObservation bookmarked public htmlPath "
    "observations scores totalCost calculatedInputCost calculatedOutputCost calculatedTotalCost promptId "
    "promptTokens completionTokens totalTokens unit".split()
)
"""What the server makes up of the rest, or knows for itself."""


def spans(
    rows: Sequence[Any], app: AppRef, *, now: float, traces: bool = False, whole: bool = False
) -> Iterator[Span | Refused]:
    """Observations or traces as reports of spans.

    Args:
        rows: of one page.
        app: for which app they are read.
        now: when, seconds since the epoch.
        traces: whether they are traces; else observations.
        whole: whether the server has no traces beside the observations (version 4): what has no parent is
            then the trace's first span.
    """

    def then(span: Span) -> Span:
        check_clock(span, now)
        first = whole and span.kind is not SpanKind.TRACE and span.parent_id == span.trace_id
        return replace(span, parent_id=None) if first else span

    body = msgspec.json.encode([_event(one, traces=traces) for one in rows])
    yield from read_each(Exported(app=str(app), dialect="langfuse", body=body, at=now), then)


def graded(row: Any, app: AppRef, *, now: float) -> Graded | None:
    """A score as feedback; ``None`` for what is no judgement of an interaction (a correction, a run's).

    Raises:
        InputError: if it cannot be read.
    """
    if not isinstance(row, dict):
        raise InputError("a score is an object")
    subject = row.get("subject")
    said = dict(row)
    if isinstance(subject, dict):
        kind, id_ = subject.get("kind"), subject.get("id")
        said |= {
            "traceId": id_ if kind == "trace" else subject.get("traceId"),
            "observationId": id_ if kind == "observation" else None,
            "sessionId": id_ if kind == "session" else None,
            "datasetRunId": id_ if kind == "experiment" else None,
        }
    if said.get("dataType") == "CORRECTION" or said.get("datasetRunId"):
        return None
    if said.get("value") is None and isinstance(said.get("stringValue"), str):
        said["value"] = said["stringValue"]
    try:
        score = msgspec.convert(said, LangfuseScore)
    except msgspec.ValidationError as error:
        raise InputError(f"it cannot be read: {error}") from error
    return of_langfuse(score, str(app), now)


def _event(row: Any, *, traces: bool) -> dict[str, Any]:
    """The event by which a client would have said the same; what is no object is refused where it is read."""
    if not isinstance(row, dict):
        return {"type": "observation-create", "body": row}
    body = {_NAMES.get(name, name): value for name, value in _kept(row).items()}
    if isinstance(body.get("modelParameters"), str):
        body["modelParameters"] = _read(body["modelParameters"])
    word = "trace-create" if traces else "observation-create"
    at = row.get("updatedAt") or row.get("endTime") or row.get("startTime") or row.get("timestamp")
    return {"type": word, "timestamp": at, "body": body}


def _kept(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _DROPPED and value is not None}


def _read(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
