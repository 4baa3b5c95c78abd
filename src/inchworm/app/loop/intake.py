"""The drain: batches of raw interactions in; sanitized, scored, clustered and stored interactions out.

A list of batch → batch functions. Nothing raw reaches a store: sanitizing comes first, and what
cannot be sanitized is refused with its reason.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from inchworm.app.house import House
from inchworm.app.loop.exposing import record
from inchworm.app.loop.noticing import Noticing
from inchworm.app.loop.observing import Observing
from inchworm.app.loop.sanitizing import Cleaner, clean_each
from inchworm.app.loop.topics import Topics
from inchworm.capture.fields import DERIVED
from inchworm.capture.telemetry.folding import INCOMPLETE, SPANS
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId, TraceId
from inchworm.domain.metric import Metric
from inchworm.domain.outcome import Score
from inchworm.domain.rollout import StageKind, UnitKind
from inchworm.domain.trace import Assignment, Trace
from inchworm.evaluators.score import origin, score_trace
from inchworm.sanitize import Memo, Report, Sanitizer

BATCH = 2_000

Refused = Callable[[Trace, str], None]
"""Told of an interaction that is not stored, and why."""


@dataclass(slots=True)
class Intake:
    """What became of the interactions that came in; the counts add up.

    Attributes:
        new: stored.
        anew: known already, and stored anew with what is known of them by now.
        duplicate: known already, by id.
        refused: could not be sanitized, or name a rollout wrongly, by reason.
        report: what sanitizing found, by kind. No raw value.
        sanitized: interactions in which something was found, duplicates included.
    """

    new: int = 0
    anew: int = 0
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
        memo = Memo(secrets.token_bytes(8))
        sanitizer = Sanitizer(kinds=settings.kinds, custom=settings.custom, memo=memo)
        self._cleaner = Cleaner(sanitizer, house.pseudonym)
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
            possible = self._possible(batch, refuse)
            clean: list[Trace] = []
            for one in clean_each(self._cleaner.trace, possible, refuse):
                intake.report += one.report
                intake.sanitized += one.report.total > 0
                clean.append(one.what)
            self._add(clean, intake)
        return intake

    def take_clean(self, traces: Sequence[Trace], *, refused: Refused) -> Intake:
        """Drain interactions that were sanitized already, as one batch.

        Where telemetry told one under the same id, this one takes its place: it knows what was assigned.

        Args:
            traces: sanitized ones.
            refused: called with each one that is not stored, and the reason.
        """
        intake = Intake()
        told = self._add(self._possible(traces, refused), intake)
        if intake.duplicate:
            put = self._house.traces.put_traces(told, over=SPANS)
            intake.anew, intake.duplicate = put.replaced, intake.duplicate - put.replaced
        return intake

    def take_anew(self, traces: Sequence[Trace]) -> Intake:
        """Drain interactions of which some are told anew, as one batch: what was told of spans is replaced.

        What a gateway or a client reported as a whole under the same id stays as it is.

        Args:
            traces: sanitized ones, whose assignments are possible.
        """
        intake = Intake()
        told, clusters = self._told(traces)
        put = self._house.traces.put_traces(told, cluster=clusters, over=SPANS)
        intake.new, intake.anew, intake.duplicate = put.new, put.replaced, put.duplicate
        return intake

    def finish(self, *, at_once: bool = True) -> None:
        """Keep what was learned of configurations; to be called when nothing more comes for now.

        Args:
            at_once: now; else only if it was kept a few seconds ago.
        """
        self._observing.finish(at_once=at_once)
        self._noticing.finish(at_once=at_once)

    def _add(self, clean: Sequence[Trace], intake: Intake) -> list[Trace]:
        told, clusters = self._told(clean)
        added = self._house.traces.add_traces(told, cluster=clusters)
        intake.new += added.new
        intake.duplicate += added.duplicate
        return told

    def _told(self, clean: Sequence[Trace]) -> tuple[list[Trace], dict[TraceId, str]]:
        """With configuration, scores and topic; what they say of exposures is stored by then."""
        now = self._house.now()
        # What nobody saw says nothing of the traffic: not which configuration answers it, nor its topics.
        shadows = [trace for trace in clean if trace.shadow_of is not None]
        seen = self._observing([trace for trace in clean if trace.shadow_of is None])
        self._noticing(seen)
        scored = [self._score(trace, now) for trace in (*seen, *shadows)]
        record(
            self._house,
            [
                (one.unit_id, one.assignment, one.at)
                for one in scored
                if one.assignment is not None and not self._is_provisional(one)
            ],
        )
        return scored, self._topics.assign(scored[: len(seen)])

    def _is_provisional(self, trace: Trace) -> bool:
        """Whether its unit may be told yet: some of its spans did not come, and nobody else said whose it is.

        A place in the order of assignment is for ever; nothing would ever be known of a unit that is none.
        """
        derived = trace.attributes.get(DERIVED)
        return (
            trace.attributes.get(INCOMPLETE) is True
            and isinstance(derived, dict)
            and "unit" in derived
            and self._house.spec.policy.unit is not UnitKind.REQUEST
        )

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


class Scorer:
    """Adds the scores that code can give; what the data brought stays."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = [metric for metric in metrics if "check" in metric.source]
        self._origins = {metric.name: origin(metric) or "" for metric in self._metrics}

    def __call__(self, trace: Trace, now: float) -> Trace:
        """The interaction with one more score per check; as it is if its content was deleted for its age."""
        if trace.is_expired:
            return trace
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
