"""Interactions as Langfuse's ingestion takes them: a batch of events in each line.

``POST /api/public/ingestion``: ``trace-create``, ``generation-create``, ``score-create``.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any, Final

from inchworm.domain.outcome import Ok, Scored
from inchworm.domain.trace import Trace

_MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model")


def line(trace: Trace, left: Counter[str]) -> str:
    """The events of an interaction."""
    at = _iso(trace.at)
    model = next((trace.attributes[name] for name in _MODELS if name in trace.attributes), None)
    inputs = trace.inputs or None
    metadata = {
        "configuration": trace.configuration_id,
        "reference": trace.reference,
        **trace.attributes,
    }
    about = {name: value for name, value in metadata.items() if value is not None}
    whole = {
        "id": trace.id,
        "timestamp": at,
        "name": trace.call or trace.attributes.get("inchworm.name"),
        "sessionId": trace.unit_id,
        "input": inputs,
        "output": trace.output,
        "metadata": about,
    }
    usage = {"input": trace.usage.input_tokens, "output": trace.usage.output_tokens}
    call = {
        "id": f"{trace.id}-call",
        "traceId": trace.id,
        "name": trace.call,
        "startTime": at,
        "endTime": None if trace.latency_ms is None else _iso(trace.at + trace.latency_ms / 1000),
        "model": model,
        "input": inputs,
        "output": trace.output,
        "usageDetails": _present(usage) or None,
        "costDetails": None if trace.usage.cost_usd is None else {"total": trace.usage.cost_usd},
        "level": "DEFAULT" if isinstance(trace.outcome, Ok) else "ERROR",
        "statusMessage": None if isinstance(trace.outcome, Ok) else trace.outcome.reason,
    }
    events = [
        {"id": f"{trace.id}-t", "type": "trace-create", "timestamp": at, "body": _present(whole)},
        {"id": f"{trace.id}-g", "type": "generation-create", "timestamp": at, "body": _present(call)},
    ]
    for place, score in enumerate(trace.scores):
        if not isinstance(score.result, Scored):
            left["scores without a value"] += 1
            continue
        body = {
            "id": f"{trace.id}-s{place}",
            "traceId": trace.id,
            "name": score.metric,
            "value": score.result.value,
            "dataType": "NUMERIC",
        }
        events.append(
            {"id": f"{trace.id}-e{place}", "type": "score-create", "timestamp": _iso(score.at), "body": body}
        )
    return json.dumps({"batch": events}, ensure_ascii=False, separators=(",", ":"))


def _present(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
