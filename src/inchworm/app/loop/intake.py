"""The drain: batches of raw interactions in; sanitized, scored, clustered and stored interactions out.

A list of batch → batch functions. Nothing raw reaches a store: sanitizing comes first, and what
cannot be sanitized is refused with its reason.
"""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from inchworm.app.house import House
from inchworm.app.loop.exposing import record
from inchworm.app.loop.noticing import Noticing
from inchworm.app.loop.observing import Observing
from inchworm.app.loop.sanitizing import Clean, Refusal, Sanitize, one_by_one
from inchworm.app.loop.topics import Topics
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Ok, Score, Scored
from inchworm.domain.rollout import StageKind
from inchworm.domain.trace import Assignment, Trace
from inchworm.evaluators.score import origin, score_trace
from inchworm.sanitize import Report, Sanitizer, UnsanitizableError

BATCH = 2_000
_REMEMBERED = 8_192

Refused = Callable[[Trace, str], None]
"""Told of an interaction that is not stored, and why."""


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
        sanitize: sanitizes many contents at once; in this process by default.
    """

    def __init__(
        self, house: House, metrics: Sequence[Metric] | None = None, *, sanitize: Sanitize | None = None
    ) -> None:
        self._house = house
        settings = house.spec.sanitize
        if sanitize is None:
            sanitize = one_by_one(Sanitizer(kinds=settings.kinds, custom=settings.custom))
        self._clean = Cleaner(sanitize, house.pseudonym)
        self._score = Scorer(house.spec.metrics if metrics is None else metrics)
        self._topics = Topics(house)
        self._observing, self._noticing = Observing(house), Noticing(house)

    def take(self, traces: Iterable[Trace], *, refused: Refused | None = None) -> Intake:
        """Drain all of them, batch by batch.

        Args:
            traces: as they came in.
            refused: called with each one that is not stored, as it came in, and the reason.
        """
        intake = Intake()

        def refuse(trace: Trace, reason: str) -> None:
            intake.refused[reason] += 1
            if refused is not None:
                refused(trace, reason)

        for batch in _batches(traces):
            self._batch(batch, intake, refuse)
        return intake

    def finish(self, *, at_once: bool = True) -> None:
        """Keep what was learned of configurations; to be called when nothing more comes for now.

        Args:
            at_once: now; else only if it was kept a few seconds ago.
        """
        self._observing.finish(at_once=at_once)
        self._noticing.finish(at_once=at_once)

    def _batch(self, batch: Sequence[Trace], intake: Intake, refuse: Refused) -> None:
        clean = self._clean.batch(self._possible(batch, refuse), intake, refuse)
        now = self._house.now()
        # What nobody saw says nothing of the traffic: not which configuration answers it, nor its topics.
        shadows = [trace for trace in clean if trace.shadow_of is not None]
        seen = self._observing([trace for trace in clean if trace.shadow_of is None])
        self._noticing(seen)
        scored = [self._score(trace, now) for trace in (*seen, *shadows)]
        record(
            self._house,
            [(one.unit_id, one.assignment, one.at) for one in scored if one.assignment is not None],
        )
        clusters = self._topics.assign(scored[: len(seen)])
        added = self._house.traces.add_traces(scored, cluster=clusters)
        intake.new += added.new
        intake.duplicate += added.duplicate

    def _possible(self, traces: Sequence[Trace], refuse: Refused) -> list[Trace]:
        """Those whose assignment is possible: a stage that a rollout lacks would stop its monitor."""
        stages = Stages(self._house)
        possible: list[Trace] = []
        for trace in traces:
            problem = None if trace.assignment is None else stages.problem(trace.assignment)
            if problem is None:
                possible.append(trace)
            else:
                refuse(trace, problem)
        return possible


class Stages:
    """Which stages rollouts have, looked up once each."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._known: dict[RolloutId, tuple[StageKind, ...] | None] = {}

    def problem(self, given: Assignment) -> str | None:
        """Why an assignment cannot be one of its rollout, if it cannot."""
        id_ = given.rollout_id
        if id_ not in self._known:
            self._known[id_] = self._look_up(id_)
        stages = self._known[id_]
        if stages is None:
            return None if given.stage >= 0 else f"Its stage is {given.stage}."
        if not 0 <= given.stage < len(stages):
            return f"Its stage is not one of {id_}, which are 0 to {len(stages) - 1}."
        if stages[given.stage] is StageKind.SHADOW:
            return f"Its stage is a shadow stage of {id_}, at which nobody is exposed."
        return None

    def _look_up(self, rollout_id: RolloutId) -> tuple[StageKind, ...] | None:
        """Stages of a rollout with its soak; ``None`` for one that is not known here, which may have any."""
        try:
            stages = self._house.control.rollout(rollout_id).policy.stages
        except NotFoundError:
            return None
        return (*(stage.kind for stage in stages), StageKind.SPLIT)


class Cleaner:
    """Sanitizes interactions, each a unit of its own; remembers what it saw lately."""

    def __init__(self, sanitize: Sanitize, pseudonym: Callable[[UnitId], UnitId]) -> None:
        self._sanitize = sanitize
        self._pseudonym = pseudonym
        self._lately: OrderedDict[str, Clean] = OrderedDict()

    def batch(self, traces: Sequence[Trace], intake: Intake, refuse: Refused) -> list[Trace]:
        """The sanitized interactions; findings are counted in ``intake``."""
        readable: list[tuple[Trace, str]] = []
        contents: dict[str, dict[str, Any]] = {}
        for trace in traces:
            content = _content(trace)
            try:
                key = _text(content)
            except UnsanitizableError as error:
                refuse(trace, error.message)
                continue
            readable.append((trace, key))
            contents[key] = content
        results = self._results(contents)
        clean: list[Trace] = []
        for trace, key in readable:
            result = results[key]
            if isinstance(result, Refusal):
                refuse(trace, result.reason)
                continue
            intake.report += result.report
            intake.sanitized += result.report.total > 0
            clean.append(self._cleaned(trace, result.value))
        return clean

    def _results(self, contents: dict[str, dict[str, Any]]) -> dict[str, Clean | Refusal]:
        """What each content becomes, by its key: remembered, or sanitized now."""
        known: dict[str, Clean | Refusal] = {
            key: self._lately[key] for key in contents if key in self._lately
        }
        fresh = [key for key in contents if key not in known]
        for key, result in zip(fresh, self._sanitize([contents[key] for key in fresh]), strict=True):
            known[key] = result
            if isinstance(result, Clean):
                self._lately[key] = result
                if len(self._lately) > _REMEMBERED:
                    self._lately.popitem(last=False)
        return known

    def _cleaned(self, trace: Trace, value: Any) -> Trace:
        """The interaction with the sanitized content, and pseudonyms where ids may be a person's."""
        clean = replace(
            trace,
            id=TraceId(self._pseudonym(UnitId(trace.id))),
            unit_id=self._pseudonym(trace.unit_id),
            shadow_of=None if trace.shadow_of is None else TraceId(self._pseudonym(UnitId(trace.shadow_of))),
            inputs=value["inputs"],
            output=value["output"],
            reference=value["reference"],
            attributes=value["attributes"],
            finish_reason=value["finish_reason"],
            scores=tuple(
                _said_anew(score, source, reason)
                for score, source, reason in zip(
                    trace.scores, value["sources"], value["reasons"], strict=True
                )
            ),
        )
        if isinstance(clean.outcome, Ok):
            return clean
        return replace(clean, outcome=replace(clean.outcome, reason=value["reason"]))


def _content(trace: Trace) -> dict[str, Any]:
    """Everything in an interaction that somebody wrote."""
    return {
        "inputs": trace.inputs,
        "output": trace.output,
        "reference": trace.reference,
        "attributes": trace.attributes,
        "reason": None if isinstance(trace.outcome, Ok) else trace.outcome.reason,
        "finish_reason": trace.finish_reason,
        "sources": [score.source for score in trace.scores],
        "reasons": [
            None if isinstance(score.result, Scored) else score.result.reason for score in trace.scores
        ],
    }


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
