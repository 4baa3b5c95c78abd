"""What traffic shows of an app: models, parameters, inputs, speed and money: for a first declaration."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from inchworm.app.config.write import Seen
from inchworm.domain.configuration import AppRef
from inchworm.domain.rendering import MESSAGES
from inchworm.domain.trace import Trace

_REQUEST = "gen_ai.request."
_RENAMED = {"stop_sequences": "stop"}
_BY_ITSELF = frozenset({"stop", "end_turn", "stop_sequence", "tool_calls", "tool_use"})
_MOST_VALUES = 50
"""Different values of one parameter that are counted; more say nothing to a reader."""
_LONGEST_VALUE = 200


def survey(app: AppRef, traces: Iterable[Trace]) -> Seen:
    """Count what ``traces`` show, in one pass.

    Latency and cost are kept whole: 16 bytes a trace.
    """
    models: Counter[str] = Counter()
    parameters: defaultdict[str, Counter[str]] = defaultdict(Counter)
    systems: set[str | None] = set()
    inputs: frozenset[str] | None = None
    latencies: list[float] = []
    costs: list[float] = []
    count = references = reasons = complete = 0
    for trace in traces:
        count += 1
        model = trace.attributes.get(f"{_REQUEST}model")
        if isinstance(model, str):
            models[model] += 1
        _count_parameters(trace, parameters)
        if trace.has_content:
            names = frozenset(trace.inputs)
            inputs = names if inputs is None else inputs & names
            if len(systems) < 2:
                systems.add(_system(trace.inputs.get(MESSAGES)))
        latencies += [] if trace.latency_ms is None else [trace.latency_ms]
        costs += [] if trace.usage.cost_usd is None else [trace.usage.cost_usd]
        references += trace.reference is not None
        reasons += trace.finish_reason is not None
        complete += trace.finish_reason in _BY_ITSELF
    return Seen(
        app=app,
        traces=count,
        models=models,
        parameters=parameters,
        inputs=inputs or frozenset(),
        system=next(iter(systems)) if len(systems) == 1 else None,
        latency_p95_ms=_p95(latencies),
        cost_p95_usd=_p95(costs),
        references=references,
        finish_reasons=reasons,
        complete=complete / reasons if reasons else None,
    )


def _count_parameters(trace: Trace, parameters: defaultdict[str, Counter[str]]) -> None:
    for key, value in trace.attributes.items():
        name = key.removeprefix(_REQUEST)
        if name in {key, "model", "parts"}:
            continue
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
        known = parameters[_RENAMED.get(name, name)]
        if text in known or (len(known) < _MOST_VALUES and len(text) <= _LONGEST_VALUE):
            known[text] += 1


def _system(conversation: Any) -> str | None:
    """The system prompt of a recorded conversation, if it has exactly one that is text."""
    if not isinstance(conversation, list):
        return None
    said = [
        one.get("content") for one in conversation if isinstance(one, dict) and one.get("role") == "system"
    ]
    return said[0] if len(said) == 1 and isinstance(said[0], str) else None


def _p95(values: list[float]) -> float | None:
    """The smallest value that at least 95 % do not exceed (type 1 of Hyndman & Fan, 1996)."""
    if not values:
        return None
    return sorted(values)[max(-(-95 * len(values) // 100) - 1, 0)]
