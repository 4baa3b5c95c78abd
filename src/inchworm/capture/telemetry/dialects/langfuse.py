"""Langfuse's attributes, as its clients 3 to 5 write them over OTLP."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.items import time_of
from inchworm.capture.telemetry.plain import amount_of, count_of, json_of, said
from inchworm.capture.telemetry.reported import Reported
from inchworm.capture.telemetry.told import Told
from inchworm.domain.errors import InputError
from inchworm.domain.span import SpanKind

_O = "langfuse.observation."
TYPE, INPUT, OUTPUT, LEVEL = f"{_O}type", f"{_O}input", f"{_O}output", f"{_O}level"
_PARAMETERS = f"{_O}model.parameters"
KINDS = {
    "generation": SpanKind.LLM,
    "embedding": SpanKind.EMBEDDING,
    "span": SpanKind.CHAIN,
    "event": SpanKind.EVENT,
    "agent": SpanKind.AGENT,
    "tool": SpanKind.TOOL,
    "chain": SpanKind.CHAIN,
    "retriever": SpanKind.RETRIEVER,
    "evaluator": SpanKind.EVALUATOR,
    "guardrail": SpanKind.GUARDRAIL,
}
"""What each type of observation is."""
_SESSIONS = (
    "langfuse.session.id",
    "langfuse.trace.session_id",
    "langfuse.observation.metadata.langfuse_session_id",
)
_USERS = ("langfuse.user.id", "langfuse.trace.user_id", "langfuse.observation.metadata.langfuse_user_id")


def tell(span: Reported) -> Told:
    """What Langfuse's attributes tell."""
    given = span.attributes
    told = Told()
    word = given.get(TYPE)
    told.kind = KINDS.get(word) if isinstance(word, str) else None
    chat = told.kind is SpanKind.LLM
    told.asked = told.model = said(given.get(f"{_O}model.name", given.get("langfuse.observation.model")))
    if _PARAMETERS in given and told.parameters(given[_PARAMETERS]):
        told.read.append(_PARAMETERS)
    for name, take in ((INPUT, told.went_in), (OUTPUT, told.came_out)):
        if name in given:
            take(given[name], chat=chat)
            told.read.append(name)
    if not span.parent_id:  # of a trace that has no observation of its own
        for name, take in (("langfuse.trace.input", told.went_in), ("langfuse.trace.output", told.came_out)):
            if name in given:
                take(given[name], chat=False)
                told.read.append(name)
    usage(told, given.get(f"{_O}usage_details"), given.get(f"{_O}cost_details"))
    if (first := _unquoted(given.get(f"{_O}completion_start_time"))) is not None:
        told.first_at(_moment(first), span.started_at)
    if given.get(LEVEL) == "ERROR":
        told.trouble = said(given.get(f"{_O}status_message")) or "its level is ERROR"
    for name in _SESSIONS:
        told.person("session", _unquoted(given.get(name)))
    for name in _USERS:
        told.person("user", _unquoted(given.get(name)))
    for part in ("name", "version"):
        if (text := said(given.get(f"{_O}prompt.{part}"))) is not None:
            told.attributes[f"gen_ai.prompt.{part}"] = text
    expected = given.get("langfuse.experiment.item.expected_output")
    if expected is not None:
        told.reference = found if (found := json_of(expected)) is not None else _unquoted(expected)
    return told


def usage(told: Told, usage_details: Any, cost_details: Any) -> None:
    """Note what Langfuse says of tokens and cost.

    Its buckets need not overlap: ``input`` beside ``cache_read_input_tokens`` may or may not hold it. Where
    the total tells, it decides; without a total they are taken apart, as Langfuse's server adds them up.
    """
    found = json_of(usage_details)
    if isinstance(found, dict):
        told.usage({name: value for name, value in found.items() if name not in {"input", "output"}})
        for side, kept in (("input", names.INPUT_TOKENS), ("output", names.OUTPUT_TOKENS)):
            told.tokens(kept, _side(found, side))
        for name in ("cache_read_input_tokens", "input_cached_tokens", "input_cache_read"):
            told.tokens(names.CACHE_READ, found.get(name))
        for name in ("output_reasoning_tokens", "output_reasoning"):
            told.tokens(names.REASONING, found.get(name))
    costs = json_of(cost_details)
    if isinstance(costs, dict):
        total = amount_of(costs.get("total"))
        if total is None:
            parts = [amount for one in costs.values() if (amount := amount_of(one)) is not None]
            total = sum(parts) if parts else None
        if total or any(count_of(costs.get(name)) is None for name in ("input", "output")):
            told.cost(total)  # all zeros: the client's way of saying that it does not know


def _side(found: Mapping[str, Any], side: str) -> int | None:
    plain = count_of(found.get(side))
    if plain is None:
        return None
    parts = sum(
        count
        for name, value in found.items()
        if name != side and side in name and (count := count_of(value)) is not None
    )
    total = count_of(found.get("total"))
    other = count_of(found.get("output" if side == "input" else "input")) or 0
    return plain if total is not None and total <= plain + other else plain + parts


def _moment(value: Any) -> float | None:
    try:
        return time_of(value, "completion_start_time")
    except InputError:
        return None


def _unquoted(value: Any) -> Any:
    """A text that was written as JSON once more: metadata are."""
    if isinstance(value, str) and len(value) > 1 and value[0] == value[-1] == '"':
        return value[1:-1]
    return value
