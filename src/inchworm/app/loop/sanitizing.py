"""Interactions and spans without personal data: texts are sanitized, ids of people get other names."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Ok, Outcome, Score, Scored
from inchworm.domain.span import Span
from inchworm.domain.trace import Assignment, Trace
from inchworm.domain.whose import says_whose
from inchworm.sanitize import Json, Report, Sanitizer, UnsanitizableError

T = TypeVar("T", Trace, Span)


@dataclass(frozen=True, slots=True)
class Clean(Generic[T]):
    """An interaction or a span without personal data, and what was found in it.

    Attributes:
        what: it.
        report: what was found; of its steps too.
        steps: of an interaction that came with them.
    """

    what: T
    report: Report = field(default_factory=Report)
    steps: tuple[Span, ...] = ()


class Cleaner:
    """Sanitizes interactions and spans, each a unit of its own. Pure, and for one thread.

    Args:
        sanitizer: finds and replaces what is personal in texts.
        pseudonym: another name for an id that holds personal data.
    """

    def __init__(self, sanitizer: Sanitizer, pseudonym: Callable[[UnitId], UnitId]) -> None:
        self._sanitizer = sanitizer
        self._pseudonym = pseudonym

    def trace(self, trace: Trace) -> Clean[Trace]:
        """The interaction with sanitized content, and pseudonyms where ids may be a person's.

        Raises:
            UnsanitizableError: if its content cannot be sanitized.
        """
        value, report = self._sanitized(
            {
                "inputs": trace.inputs,
                "output": trace.output,
                "reference": trace.reference,
                "attributes": trace.attributes,
                "reason": _reason(trace.outcome),
                "finish_reason": trace.finish_reason,
                "sources": [score.source for score in trace.scores],
                "comments": [score.comment for score in trace.scores],
                "reasons": [
                    None if isinstance(score.result, Scored) else score.result.reason
                    for score in trace.scores
                ],
            }
        )
        clean = replace(
            trace,
            id=self._id(trace.id),
            unit_id=self._pseudonym(trace.unit_id),
            shadow_of=None if trace.shadow_of is None else self._id(trace.shadow_of),
            inputs=value["inputs"],
            output=value["output"],
            reference=value["reference"],
            attributes=self._named(trace.attributes, value["attributes"]),
            outcome=_said(trace.outcome, value["reason"]),
            finish_reason=value["finish_reason"],
            scores=tuple(
                replace(
                    _said_anew(score, source, reason),
                    id=None if score.id is None else self._pseudonym(UnitId(score.id)),
                    comment=comment,
                )
                for score, source, reason, comment in zip(
                    trace.scores, value["sources"], value["reasons"], value["comments"], strict=True
                )
            ),
        )
        return Clean(clean, report)

    def span(self, span: Span) -> Clean[Span]:
        """The span with sanitized content, and pseudonyms where ids may be a person's.

        What it becomes depends on nothing else that came: spans come in any order and in any company.

        Raises:
            UnsanitizableError: if its content cannot be sanitized.
        """
        value, report = self._sanitized(
            {
                "name": span.name,
                "inputs": dict(span.inputs),
                "output": span.output,
                "reference": span.reference,
                "attributes": dict(span.attributes),
                "reason": None if span.outcome is None else _reason(span.outcome),
                "finish_reason": span.finish_reason,
                "model": span.model,
            }
        )
        clean = replace(
            span,
            trace_id=self._id(span.trace_id),
            id=self._id(TraceId(span.id)),
            parent_id=None if span.parent_id is None else self._id(TraceId(span.parent_id)),
            name=value["name"],
            outcome=None if span.outcome is None else _said(span.outcome, value["reason"]),
            model=value["model"],
            inputs=value["inputs"],
            output=value["output"],
            finish_reason=value["finish_reason"],
            configuration_id=(
                None
                if span.configuration_id is None
                else ConfigurationId(self._id(TraceId(span.configuration_id)))
            ),
            assignment=None if span.assignment is None else self._assignment(span.assignment),
            people={name: self._pseudonym(UnitId(id_)) for name, id_ in span.people.items()},
            reference=value["reference"],
            attributes=value["attributes"],
        )
        return Clean(clean, report)

    def _named(self, raw: Mapping[str, Any], clean: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes that say by personal data whose it is say it by a pseudonym, which can be looked for."""
        named = dict(clean)
        for name, value in raw.items():
            if isinstance(value, str) and clean.get(name, value) != value and says_whose(name):
                pseudonym = self._pseudonym(UnitId(value))
                if pseudonym != value:
                    named[name] = pseudonym
        return named

    def _assignment(self, given: Assignment) -> Assignment:
        named = RolloutId(self._id(TraceId(given.rollout_id)))
        return given if named == given.rollout_id else replace(given, rollout_id=named)

    def _id(self, id_: TraceId) -> TraceId:
        return TraceId(self._pseudonym(UnitId(id_)))

    def _sanitized(self, content: Mapping[str, Any]) -> tuple[dict[str, Any], Report]:
        _check(content)
        (unit,) = self._sanitizer.sanitize_unit([content])
        value: Any = unit.value
        return value, replace(unit.report, units=1)


def _check(content: Json) -> None:
    """Refuse what JSON cannot say and the sanitizer does not look at: NaN, and half of a character.

    Raises:
        UnsanitizableError: if there is some of that.
    """
    try:
        if _is_json(content):
            return
    except RecursionError:
        pass
    raise UnsanitizableError(
        "An interaction holds what is no JSON value: NaN, a lone surrogate, or a type that JSON lacks.",
        hint="Write numbers, texts, booleans, null, arrays and objects.",
    )


def _is_json(value: Json) -> bool:
    if isinstance(value, str):
        return value.isascii() or _has_bytes(value)
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_json, value)) and all(map(_is_json, value.values()))
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    return value is None or isinstance(value, int)


def _has_bytes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(outcome: Outcome) -> str | None:
    return None if isinstance(outcome, Ok) else outcome.reason


def _said(outcome: Outcome, reason: str | None) -> Outcome:
    if isinstance(outcome, Ok) or reason is None or reason == outcome.reason:
        return outcome
    return replace(outcome, reason=reason)


def _said_anew(score: Score, source: str, reason: str | None) -> Score:
    if isinstance(score.result, Scored) or reason is None:
        return replace(score, source=source)
    return replace(score, source=source, result=replace(score.result, reason=reason))


def clean_each(
    clean: Callable[[T], Clean[T]], given: Sequence[T], refuse: Callable[[T, str], None]
) -> list[Clean[T]]:
    """Sanitize one after the other; those that cannot be sanitized are refused."""
    made: list[Clean[T]] = []
    for one in given:
        try:
            made.append(clean(one))
        except UnsanitizableError as error:
            refuse(one, error.message)
    return made
