"""What a unit gets, with its exposure on the way to the disk: the same for calls and for flags."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from inchworm.capture.fields import UnitFrom
from inchworm.domain.errors import InchwormError
from inchworm.domain.ids import UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.domain.trace import Assignment
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.recording import Recorder
from inchworm.gateway.resolving import Decision, ServedApp, Serving, unexposed
from inchworm.gateway.serving import Holder


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks.

    Attributes:
        unit: whose arm it is.
        unit_from: where that comes from.
        headers: of the request, by lower-case names.
        attributes: what is known of the unit before it is assigned.
        at: when, seconds since the epoch.
        call: the name of the call, if the caller named one.
    """

    unit: UnitId
    unit_from: UnitFrom
    headers: Mapping[str, str]
    attributes: Mapping[str, str]
    at: float
    call: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposer:
    """Decides for units, and begins to write down who is exposed.

    Attributes:
        holder: knows whether the server watches.
        recorder: remembers and writes down.
        metrics: counts.
    """

    holder: Holder
    recorder: Recorder
    metrics: Metrics

    def begin(
        self, serving: Serving, app: ServedApp, asked: Asked
    ) -> tuple[Decision, asyncio.Future[None] | None]:
        """What the unit gets, and what is done once its exposure is durable; ``None`` if that is so already.

        Whoever answers waits for that first, and answers with stable if it fails. A unit that cannot be
        written down at all, or that nobody would watch over, gets stable at once.
        """
        decision, kept = self._decide(serving, app, asked)
        if decision.fresh and decision.unit != asked.unit:
            # A token said who it is, with an arm of a stage before: it may have one of this stage too.
            named = replace(asked, unit=decision.unit, unit_from=decision.unit_from)
            decision, kept = self._decide(serving, app, named)
        if decision.fresh and not self.holder.attended():
            decision = unexposed(app, decision)
            self.metrics.unattended.add(str(app.app))
        assignment = decision.assignment
        if assignment is None:
            return decision, None
        if not decision.fresh:
            if assignment is not kept:
                self.recorder.remember(decision.unit, assignment)
            return decision, self.recorder.awaited(assignment, decision.unit)
        once = app.unit is UnitKind.REQUEST
        try:
            return decision, self.recorder.expose(app.app, decision.unit, assignment, asked.at, once=once)
        except InchwormError:
            return unexposed(app, decision), None

    def _decide(self, serving: Serving, app: ServedApp, asked: Asked) -> tuple[Decision, Assignment | None]:
        rollout = app.rollout_id
        kept = None if rollout is None else self.recorder.kept(rollout, asked.unit)
        decision = serving.decide(
            app,
            asked.unit,
            asked.unit_from,
            asked.headers,
            kept,
            attributes=asked.attributes,
            call=asked.call,
        )
        return decision, kept
