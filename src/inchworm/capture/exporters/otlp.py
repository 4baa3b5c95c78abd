"""Interactions as OTLP-JSON, a request in each line, under OpenInference's and OpenTelemetry's names.

A trace id of OTLP has 32 hexadecimal digits (opentelemetry-proto, ``trace.proto``). An interaction whose own
id is none gets one that is told from it, and keeps its own as an attribute.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from typing import Any, Final

from inchworm.domain.outcome import Ok
from inchworm.domain.trace import Trace

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
OWN_ID: Final = "inchworm.trace.id"
_TOLD: Final = ("inchworm.derived", "inchworm.spans", "inchworm.name", "inchworm.contentless")


def line(trace: Trace, left: Counter[str]) -> str:
    """The request of an interaction, with one span."""
    left["scores, which OTLP has no words for"] += bool(trace.scores)
    digest = hashlib.sha256(f"{trace.app}\n{trace.id}".encode()).hexdigest()
    own = _TRACE_ID.fullmatch(trace.id) is not None and trace.id != "0" * 32
    started = round(trace.at * 1e9)
    span: dict[str, Any] = {
        "traceId": trace.id if own else digest[:32],
        "spanId": digest[32:48],
        "name": str(trace.attributes.get("inchworm.name") or trace.call or "interaction"),
        "kind": 1,
        "startTimeUnixNano": str(started),
        "endTimeUnixNano": str(started + round((trace.latency_ms or 0.0) * 1e6)),
        "attributes": [{"key": name, "value": _value(value)} for name, value in _attributes(trace, own=own)],
        "status": {"code": 1}
        if isinstance(trace.outcome, Ok)
        else {"code": 2, "message": trace.outcome.reason},
    }
    scope = {"scope": {"name": "inchworm.export"}, "spans": [span]}
    request = {"resourceSpans": [{"resource": {"attributes": []}, "scopeSpans": [scope]}]}
    return json.dumps(request, ensure_ascii=False, separators=(",", ":"))


def _attributes(trace: Trace, *, own: bool) -> list[tuple[str, Any]]:
    found: dict[str, Any] = {
        name: value for name, value in trace.attributes.items() if name not in _TOLD and value is not None
    }
    found |= {
        "openinference.span.kind": "LLM",
        "inchworm.app": str(trace.app),
        "inchworm.unit.id": trace.unit_id,
        "inchworm.configuration.id": trace.configuration_id,
        "inchworm.reference": None if trace.reference is None else _json(trace.reference),
        "input.value": _json(trace.inputs) if trace.inputs else None,
        "input.mime_type": "application/json" if trace.inputs else None,
        "output.value": trace.output,
        "output.mime_type": None if trace.output is None else "text/plain",
        "llm.token_count.prompt": trace.usage.input_tokens,
        "llm.token_count.completion": trace.usage.output_tokens,
        "llm.cost.total": trace.usage.cost_usd,
        "gen_ai.response.finish_reasons": None if trace.finish_reason is None else [trace.finish_reason],
        OWN_ID: None if own else trace.id,
    }
    if trace.assignment is not None:
        found |= {
            "inchworm.rollout.id": trace.assignment.rollout_id,
            "inchworm.stage": trace.assignment.stage,
            "inchworm.arm": trace.assignment.arm.value,
            "inchworm.probability": trace.assignment.probability,
        }
    return [(name, value) for name, value in found.items() if value is not None]


def _value(value: Any) -> dict[str, Any]:
    """A value as OTLP's ``AnyValue``; what it has no type for is JSON in a text."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": value}
    if isinstance(value, str):
        return {"stringValue": value}
    if isinstance(value, list) and all(isinstance(one, str | int | float | bool) for one in value):
        return {"arrayValue": {"values": [_value(one) for one in value]}}
    return {"stringValue": _json(value)}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
