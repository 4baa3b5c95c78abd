"""Rollouts: watched, acted on by people, replayed; and what units get."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Request

from inchworm.app import asjson, names
from inchworm.app.api import models
from inchworm.app.api.deps import After, Limit, ToDeploy, ToView, changed, paged
from inchworm.domain.errors import UsageError
from inchworm.domain.ids import UnitId
from inchworm.rollout.transitions import Act


def router() -> APIRouter:
    """Routes of rollouts."""
    routes = APIRouter(tags=["rollouts"])

    @routes.get("/rollouts", summary="List rollouts, the latest first")
    def rollouts(house: ToView, limit: Limit = 50, after: After = None) -> models.Rollouts:
        every = house.control.rollouts(house.app)[::-1]
        found, following = paged(every, lambda one: one.id, after, limit)
        rows = [asjson.rollout(one) for one in found]
        return models.Rollouts.model_validate({"rollouts": rows, "after": following})

    @routes.get("/rollouts/{name}", summary="Show exposures, evidence and decisions")
    def rollout(house: ToView, name: str) -> models.Rollout:
        from inchworm.app.loop.seeing import Seen

        seen = Seen.of(house, names.rollout(house, name))
        return models.Rollout.model_validate(asjson.seen(seen))

    @routes.get("/rollouts/{name}/decisions", summary="List decisions with the evidence that each saw")
    def decisions(house: ToView, name: str, limit: Limit = 20, after: After = None) -> models.Anything:
        """Oldest first. The evidence has the format `evidence/1`: all that the decision was computed from."""
        found, every = names.decisions(house, name)
        some, following = paged(every, lambda one: one.id, after, limit)
        rows = [asjson.data_of(one) for one in some]
        return models.told(rollout=found.id, decisions=rows, after=following)

    @routes.get("/rollouts/{name}/replay", summary="Recompute decisions from their stored evidence")
    def replay(house: ToView, name: str) -> models.Anything:
        found, every = names.decisions(house, name)
        results = [asjson.replayed(one) for one in every]
        identical = all(one["identical"] for one in results)
        return models.told(rollout=found.id, identical=identical, decisions=results)

    @routes.get("/rollouts/{name}/approvals", summary="List who agreed to it")
    def approvals(house: ToView, name: str) -> models.Anything:
        found = names.rollout(house, name)
        rows = [asjson.approval(one) for one in house.control.approvals([found.id])]
        return models.told(rollout=found.id, approvals=rows)

    @routes.post("/rollouts/{name}/approve", summary="Agree to somebody else's rollout going on")
    def approve(
        request: Request,
        house: ToDeploy,
        name: str,
        asked: Annotated[models.Act | None, Body()] = None,
    ) -> models.Anything:
        """About the next stage that needs it. The word of whoever applied it does not count."""
        from inchworm.app.loop.approving import approve as agree

        found = names.rollout(house, name)
        done = agree(house, found, reason="" if asked is None else asked.reason)
        changed(request)
        return models.told(**asjson.approved(done))

    @routes.post("/rollouts/{name}/retry", status_code=201, summary="Try one again that did not stay")
    def retry(
        request: Request,
        house: ToDeploy,
        name: str,
        asked: Annotated[models.Act | None, Body()] = None,
    ) -> models.Anything:
        """The same values as a new rollout, queued on what is stable when its turn comes."""
        from inchworm.app.loop.changing import retry as again

        made = again(house, names.rollout(house, name), reason="" if asked is None else asked.reason)
        changed(request)
        return models.told(**asjson.retried(made))

    @routes.post("/rollouts/{name}/{act}", summary="Pause, resume, promote, abort or undo")
    def act(
        request: Request,
        house: ToDeploy,
        name: str,
        act: Act,
        asked: Annotated[models.Wish | None, Body()] = None,
    ) -> models.Acted:
        """Each act is a decision, with its sentence, and tells how to take it back."""
        from inchworm.app.loop.freezing import freezes
        from inchworm.rollout.commands import act as do

        acted = do(
            house.control,
            names.rollout(house, name).id,
            act,
            actor=house.actor,
            reason="" if asked is None else asked.reason,
            now=house.now(),
            to=None if asked is None else asked.to,
            frozen=freezes(house),
        )
        changed(request)
        return models.Acted.model_validate(asjson.acted(acted))

    @routes.post("/units", summary="Say which configuration units get, and record it")
    def resolve(request: Request, house: ToDeploy, asked: models.Units) -> models.Anything:
        """The exposure is on the disk before the answer, for good. Asking again changes nothing."""
        from inchworm.app.loop.exposing import expose

        if not all(unit.strip() for unit in asked.units):
            raise UsageError("a unit needs a name: the id of a session, a user or a request")
        now = house.now()
        answers = expose(house, [(UnitId(unit), now) for unit in asked.units], asked.attributes)
        changed(request)
        rows = [asjson.resolved(unit, one) for unit, one in zip(asked.units, answers, strict=True)]
        return models.told(app=str(house.app), units=rows)

    return routes
