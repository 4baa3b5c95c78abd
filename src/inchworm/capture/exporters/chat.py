"""Interactions as OpenAI's chat logs: what was asked as messages, the answer as the last of them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, Final

from inchworm.domain.outcome import Failed, Ok
from inchworm.domain.trace import Trace

_MODELS: Final = ("gen_ai.response.model", "gen_ai.request.model")
LEFT: Final = "without a question or messages: there is nothing to write as a chat"


def line(trace: Trace, left: Counter[str]) -> str | None:
    """The line of an interaction; ``None`` if it does not say what was asked as a chat does."""
    messages = messages_of(trace)
    if messages is None:
        left[LEFT] += 1
        return None
    record: dict[str, Any] = {"id": trace.id, "timestamp": trace.at, "unit": trace.unit_id}
    model = next((trace.attributes[name] for name in _MODELS if name in trace.attributes), None)
    if trace.output is not None:
        record["messages"] = [*messages, {"role": "assistant", "content": trace.output}]
        record["model"] = model if isinstance(model, str) else None
        record["finish_reason"] = trace.finish_reason
    else:  # among messages alone, the last one of an assistant would be taken for the answer
        record["request"] = {"messages": messages, **({"model": model} if isinstance(model, str) else {})}
    if not isinstance(trace.outcome, Ok):
        kind = "invalid_request_error" if isinstance(trace.outcome, Failed) else "server_error"
        record["error"] = {"type": kind, "message": trace.outcome.reason}
    record |= {"reference": trace.reference, "latency_ms": trace.latency_ms}
    present = {name: value for name, value in record.items() if value is not None}
    return json.dumps(present, ensure_ascii=False, separators=(",", ":"))


def messages_of(trace: Trace) -> list[dict[str, Any]] | None:
    """What was asked, as messages: as they were, or of a question with its documents."""
    messages = trace.inputs.get("messages")
    if isinstance(messages, list) and all(isinstance(one, dict) for one in messages) and messages:
        return [dict(one) for one in messages]
    question = trace.inputs.get("question")
    if not isinstance(question, str):
        return None
    documents = trace.inputs.get("documents")
    texts = [one for one in documents if isinstance(one, str)] if isinstance(documents, list) else []
    return [{"role": "user", "content": "\n\n".join([*texts, question])}]
