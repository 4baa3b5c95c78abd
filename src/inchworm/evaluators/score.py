"""From one call to the result of every metric. Pure.

What decides first is the outcome: an errored call has no value anywhere, a failed one is a 0 wherever
absence is failure. Only an answer is looked at by checks and builtins.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from inchworm.domain.errors import UsageError
from inchworm.domain.metric import Absence, Metric
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome, Result, Scored, Unscored
from inchworm.domain.trace import Trace, Usage
from inchworm.evaluators import checks
from inchworm.evaluators.nearest import did_you_mean

BUILTINS: Mapping[str, str] = {
    "success": "1 if the call was answered in time and not refused, otherwise 0.",
    "latency_p95": "1 if the answer took at most threshold_ms, otherwise 0: the share of answers under a "
    "fixed threshold, set from the 95th percentile of the baseline. Not scored without a threshold.",
    "cost": "1 − min(cost, cap) / cap, with cap_usd in US dollars per call: 1 is free of charge, 0 is at the "
    "cap or beyond. Not scored without a cap, or if the cost is not known.",
}
"""Every builtin by its name, and what it measures."""

_NUMBERS = {"success": None, "latency_p95": "threshold_ms", "cost": "cap_usd"}
_COMPUTED = ("check", "builtin")


def computed(metric: Metric) -> bool:
    """Whether this room computes the metric; judges, people and imports score the others."""
    return any(kind in metric.source for kind in _COMPUTED)


def validate(metric: Metric) -> None:
    """Check the source of a metric that this room computes; others are not looked at.

    Raises:
        UsageError: naming the metric and what it probably meant.
    """
    try:
        if "check" in metric.source:
            _known_keys(metric.source, ("check",))
            checks.bind(metric.source["check"])
        elif "builtin" in metric.source:
            name = _builtin(metric.source)
            number = _NUMBERS[name]
            _known_keys(metric.source, ("builtin",) if number is None else ("builtin", number))
            if number is not None:
                _positive(metric.source, number)
    except UsageError as error:
        raise UsageError(f"metric {metric.name}: {error.message}", hint=error.hint) from error


def origin(metric: Metric) -> str | None:
    """Who gives the score, as :class:`inchworm.domain.outcome.Score` says it; ``None`` if this room does not.

    E.g. ``code:contains_reference/1`` with the version of the check, ``builtin:cost``.

    Raises:
        UsageError: if the check does not exist.
    """
    if "check" in metric.source:
        name, _ = checks.parse(metric.source["check"])
        return f"code:{name}/{checks.CHECKS[name].version}"
    return f"builtin:{_builtin(metric.source)}" if "builtin" in metric.source else None


def score(
    metrics: Sequence[Metric],
    *,
    outcome: Outcome,
    output: str | None,
    finish_reason: str | None,
    latency_ms: float | None,
    usage: Usage,
    reference: Any,
) -> dict[str, Result]:
    """The result of every metric for one call, by the metric's name.

    Args:
        metrics: the app's registry.
        outcome: what became of the call.
        output: the answer, if one came.
        finish_reason: the provider's word, if it said one.
        latency_ms: wall time in milliseconds, if known.
        usage: tokens and cost.
        reference: a right answer, if there is one.

    Raises:
        UsageError: if a metric's source is malformed; :func:`validate` says so beforehand.
    """
    call = _Call(
        answer=checks.Answer(output=output or "", reference=reference, finish_reason=finish_reason),
        latency_ms=latency_ms,
        cost_usd=usage.cost_usd,
    )
    return {metric.name: _result(metric, outcome, call) for metric in metrics}


def score_trace(metrics: Sequence[Metric], trace: Trace) -> dict[str, Result]:
    """:func:`score` for an interaction as it was seen."""
    return score(
        metrics,
        outcome=trace.outcome,
        output=trace.output,
        finish_reason=trace.finish_reason,
        latency_ms=trace.latency_ms,
        usage=trace.usage,
        reference=trace.reference,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    answer: checks.Answer
    latency_ms: float | None
    cost_usd: float | None


def _result(metric: Metric, outcome: Outcome, call: _Call) -> Result:
    match outcome:
        case Errored():
            return outcome
        case Failed(reason=reason):
            if metric.absence is Absence.FAILURE or metric.source.get("builtin") == "success":
                return Scored(value=0.0)
            return Unscored(reason=reason)
        case Ok():
            return _measure(metric.source, call)
        case _:
            assert_never(outcome)


def _measure(source: Mapping[str, Any], call: _Call) -> Result:
    if "check" in source:
        return checks.run(source["check"], call.answer)
    if "builtin" not in source:
        return Unscored(reason="not scored by code")
    name = _builtin(source)
    if name == "success":
        return Scored(value=1.0)
    limit = _positive(source, _NUMBERS[name] or "")
    value = call.latency_ms if name == "latency_p95" else call.cost_usd
    if limit is None:
        return Unscored(reason=f"no {_NUMBERS[name]}")
    if value is None:
        return Unscored(
            reason="the latency is not known" if name == "latency_p95" else "the cost is not known"
        )
    if name == "latency_p95":
        return Scored(value=1.0 if value <= limit else 0.0)
    return Scored(value=1.0 - min(value, limit) / limit)


def _builtin(source: Mapping[str, Any]) -> str:
    name = source["builtin"]
    if not isinstance(name, str) or name not in BUILTINS:
        raise UsageError(f'there is no builtin "{name}".' + did_you_mean(str(name), BUILTINS))
    return name


def _positive(source: Mapping[str, Any], key: str) -> float | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise UsageError(f"{key} is a number above 0, not {value!r}")
    return float(value)


def _known_keys(source: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in source:
        if key not in known:
            raise UsageError(f'"{key}" says nothing to this metric.' + did_you_mean(key, known))
