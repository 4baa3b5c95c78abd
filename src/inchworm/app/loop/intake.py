"""The drain: batches of raw interactions in; sanitized, scored, clustered and stored interactions out.

A list of batch → batch functions. Nothing raw reaches a store: sanitizing comes first, and what
cannot be sanitized is refused with its reason.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from inchworm.app.house import House
from inchworm.app.loop.topics import Topics
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Ok, Score, Scored
from inchworm.domain.trace import Assignment, Exposure, Trace
from inchworm.evaluators.score import origin, score_trace
from inchworm.sanitize import Report, Sanitizer, UnsanitizableError

BATCH = 2_000
_REMEMBERED = 8_192


@dataclass(slots=True)
class Intake:
    """What became of the interactions that came in; the counts add up.

    Attributes:
        new: stored.
        duplicate: known already, by id.
        refused: could not be sanitized, or name a rollout wrongly, by reason.
        report: what sanitizing found, by kind. No raw value.
        sanitized: interactions in which something was found, duplicates included.
    """

    new: int = 0
    duplicate: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    report: Report = field(default_factory=Report)
    sanitized: int = 0


class Drain:
    """Takes interactions in, for one app.

    Args:
        house: where they go.
        metrics: what is scored by code; the declared metrics by default.
    """

    def __init__(self, house: House, metrics: Sequence[Metric] | None = None) -> None:
        self._house = house
        settings = house.spec.sanitize
        self._clean = Cleaner(Sanitizer(kinds=settings.kinds, custom=settings.custom), house.pseudonym)
        self._score = Scorer(house.spec.metrics if metrics is None else metrics)
        self._topics = Topics(house)

    def take(self, traces: Iterable[Trace]) -> Intake:
        """Drain all of them, batch by batch."""
        intake = Intake()
        for batch in _batches(traces):
            self._batch(batch, intake)
        return intake

    def _batch(self, batch: Sequence[Trace], intake: Intake) -> None:
        clean = self._assigned(list(self._clean.batch(batch, intake)), intake)
        now = self._house.now()
        scored = [self._score(trace, now) for trace in clean]
        self._expose(scored)
        clusters = self._topics.assign(scored)
        added = self._house.traces.add_traces(scored, cluster=clusters)
        intake.new += added.new
        intake.duplicate += added.duplicate

    def _assigned(self, traces: Sequence[Trace], intake: Intake) -> list[Trace]:
        """Those whose assignment is possible: a stage that a rollout lacks would stop its monitor."""
        stages: dict[RolloutId, int] = {}
        possible: list[Trace] = []
        for trace in traces:
            given = trace.assignment
            if given is not None:
                if given.rollout_id not in stages:
                    stages[given.rollout_id] = self._stages(given.rollout_id)
                if given.stage >= stages[given.rollout_id]:
                    last = stages[given.rollout_id] - 1
                    intake.refused[f"Its stage is not one of {given.rollout_id}, which are 0 to {last}."] += 1
                    continue
            possible.append(trace)
        return possible

    def _stages(self, rollout_id: RolloutId) -> int:
        """Stages of a rollout with its soak; of one that is not known here, as many as can be."""
        try:
            return len(self._house.control.rollout(rollout_id).policy.stages) + 1
        except NotFoundError:
            return sys.maxsize

    def _expose(self, traces: Sequence[Trace]) -> None:
        """Interactions that bring their assignment with them are exposures first."""
        by_rollout: dict[RolloutId, list[tuple[Trace, Assignment]]] = {}
        for trace in sorted(traces, key=lambda trace: (trace.at, trace.id)):
            if trace.assignment is not None:
                members = by_rollout.setdefault(trace.assignment.rollout_id, [])
                members.append((trace, trace.assignment))
        store, now = self._house.traces, self._house.now()
        for rollout_id, members in by_rollout.items():
            first: dict[UnitId, tuple[Trace, Assignment]] = {}
            for trace, assignment in members:
                first.setdefault(trace.unit_id, (trace, assignment))
            known = store.assignments(rollout_id, list(first))
            last = store.last_order(rollout_id)
            store.add_exposures(
                [
                    Exposure(
                        rollout_id=rollout_id,
                        order=order,
                        unit_id=unit_id,
                        stage=assignment.stage,
                        arm=assignment.arm,
                        probability=assignment.probability,
                        # Assigned it was by now at the latest. A clock that is ahead would keep this unit,
                        # and with it all that come after it, from the monitor until then.
                        at=min(trace.at, now),
                    )
                    for order, (unit_id, (trace, assignment)) in enumerate(
                        ((unit, one) for unit, one in first.items() if unit not in known),
                        start=0 if last is None else last + 1,
                    )
                ]
            )


class Cleaner:
    """Sanitizes interactions, each a unit of its own; remembers what it saw lately."""

    def __init__(self, sanitizer: Sanitizer, pseudonym: Callable[[UnitId], UnitId]) -> None:
        self._sanitizer = sanitizer
        self._pseudonym = pseudonym
        self._lately: OrderedDict[str, tuple[Any, Report]] = OrderedDict()

    def batch(self, traces: Sequence[Trace], intake: Intake) -> Iterator[Trace]:
        """The sanitized interactions; refusals and findings are counted in ``intake``."""
        for trace in traces:
            try:
                clean, report = self(trace)
            except UnsanitizableError as error:
                intake.refused[error.message] += 1
                continue
            intake.report += report
            intake.sanitized += report.total > 0
            yield clean

    def __call__(self, trace: Trace) -> tuple[Trace, Report]:
        """One interaction without personal data, and what was found.

        Raises:
            UnsanitizableError: if it holds something that cannot be read.
        """
        scores = trace.scores
        content = {
            "inputs": trace.inputs,
            "output": trace.output,
            "reference": trace.reference,
            "attributes": trace.attributes,
            "reason": None if isinstance(trace.outcome, Ok) else trace.outcome.reason,
            "finish_reason": trace.finish_reason,
            "sources": [score.source for score in scores],
            "reasons": [
                None if isinstance(score.result, Scored) else score.result.reason for score in scores
            ],
        }
        key = _text(content)
        value: Any
        if key in self._lately:
            value, report = self._lately[key]
        else:
            (unit,) = self._sanitizer.sanitize_unit([content])
            value, report = unit.value, replace(unit.report, units=1)
            self._lately[key] = value, report
            if len(self._lately) > _REMEMBERED:
                self._lately.popitem(last=False)
        clean = replace(
            trace,
            id=TraceId(self._pseudonym(UnitId(trace.id))),
            unit_id=self._pseudonym(trace.unit_id),
            inputs=value["inputs"],
            output=value["output"],
            reference=value["reference"],
            attributes=value["attributes"],
            finish_reason=value["finish_reason"],
            scores=tuple(
                _said_anew(score, source, reason)
                for score, source, reason in zip(scores, value["sources"], value["reasons"], strict=True)
            ),
        )
        if not isinstance(clean.outcome, Ok):
            clean = replace(clean, outcome=replace(clean.outcome, reason=value["reason"]))
        return clean, report


def _text(content: dict[str, Any]) -> str:
    """JSON text, the same for the same content; what has none could not be stored either."""
    try:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (TypeError, ValueError, RecursionError) as error:  # UnicodeEncodeError is a ValueError
        raise UnsanitizableError(
            "An interaction holds what is no JSON value: NaN, a lone surrogate, or a type that JSON lacks.",
            hint="Write numbers, texts, booleans, null, arrays and objects.",
        ) from error
    return text


def _said_anew(score: Score, source: str, reason: str | None) -> Score:
    if isinstance(score.result, Scored) or reason is None:
        return replace(score, source=source)
    return replace(score, source=source, result=replace(score.result, reason=reason))


class Scorer:
    """Adds the scores that code can give; what the data brought stays."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = [metric for metric in metrics if "check" in metric.source]
        self._origins = {metric.name: origin(metric) or "" for metric in self._metrics}

    def __call__(self, trace: Trace, now: float) -> Trace:
        """The interaction with one more score per check."""
        results = score_trace(self._metrics, trace)
        added = tuple(
            Score(metric=name, result=result, source=self._origins[name], at=max(now, trace.at))
            for name, result in results.items()
        )
        return replace(trace, scores=(*trace.scores, *added))


def _batches(traces: Iterable[Trace]) -> Iterator[list[Trace]]:
    waiting = iter(traces)
    while batch := list(islice(waiting, BATCH)):
        yield batch
