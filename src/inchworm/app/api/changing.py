"""Changes: what is stable, plans, and their beginning."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from inchworm.app import asjson, names
from inchworm.app.api import models
from inchworm.app.api.deps import After, Limit, ToAdminister, ToDeploy, ToView, changed, paged


def router() -> APIRouter:
    """Routes of how a change begins."""
    routes = APIRouter(tags=["changes"])

    @routes.post("/adopt", summary="Declare what inchworm.yaml says as stable")
    def adopt(request: Request, house: ToDeploy) -> models.Anything:
        """Done once, when nothing is stable yet; after that it changes nothing."""
        before = house.control.lineage(house.app)
        lineage = house.declare_stable()
        changed(request)
        said = {"app": str(lineage.app), "stable": lineage.stable, "since": lineage.since}
        return models.told(**said, adopted=before is None)

    @routes.post("/adopt/undo", summary="Make nothing stable again")
    def take_back(request: Request, house: ToDeploy) -> models.Anything:
        """As long as nothing was rolled out."""
        from inchworm.app.loop.adopting import take_back as undo

        before = undo(house)
        changed(request)
        return models.told(app=str(before.app), was=before.stable)

    @routes.get("/adopt/draft", summary="Tell a configuration from what is seen")
    def drafted(
        house: ToView,
        call: Annotated[str | None, Query(description="Of this call, where the app makes several.")] = None,
    ) -> models.Anything:
        """What `inchworm adopt --from-traffic` would write: `inchworm.yaml`, and the files that it names."""
        from inchworm.app.loop.adopting import drafted as draft
        from inchworm.app.loop.observing import lift
        from inchworm.app.loop.surveying import survey

        lifted = lift(house, call)
        seen = survey(house.app, (one for batch in house.traces.iterate(house.app) for one in batch))
        made = draft(lifted, seen)
        files = {str(path): text for path, text in made.files.items()}
        return models.told(
            app=str(house.app), call=lifted.call or None, requests=lifted.seen, text=made.text, files=files
        )

    @routes.get("/plans", summary="List plans, newest first")
    def plans(house: ToView, limit: Limit = 20, after: After = None) -> models.Anything:
        found, following = paged(house.control.plans(house.app), lambda one: one.id, after, limit)
        return models.told(plans=[asjson.plan(one) for one in found], after=following)

    @routes.post("/plans", status_code=201, summary="Take a change apart into one-layer steps")
    def plan(request: Request, house: ToDeploy, asked: models.Plan) -> models.Planned:
        """Nothing moves before the plan is applied. With `measure` it is answered when all is measured."""
        from inchworm.app.loop.corners import Measuring
        from inchworm.app.loop.planning import look_ahead, make_plan

        made = make_plan(
            house,
            names.configuration(house, asked.to),
            reason=asked.reason,
            via=None if asked.via is None else names.configuration(house, asked.via),
            joint=asked.joint,
            measuring=Measuring(max_usd=asked.max_usd) if asked.measure else None,
        )
        said = asjson.planned(made, look_ahead(house, made))
        changed(request)
        return models.Planned.model_validate(said)

    @routes.get("/plans/{name}", summary="Show a plan, with what carrying it through would take now")
    def planned(house: ToView, name: str) -> models.Planned:
        from inchworm.app.loop.planning import find_plan, look_ahead

        found = house.control.plan(find_plan(house, name))
        return models.Planned.model_validate(asjson.planned(found, look_ahead(house, found)))

    @routes.post("/plans/{name}/apply", status_code=201, summary="Queue the steps of a plan")
    def apply(
        request: Request, house: ToDeploy, name: str, asked: models.Apply | None = None
    ) -> models.Applied:
        """The control loop starts the first step as soon as nothing is before it.

        Refused if stable has moved since the plan was made, if the plan was applied already, or if its policy
        cannot decide at the app's traffic and no reason is given.
        """
        from inchworm.app.loop.changing import ahead_of
        from inchworm.app.loop.changing import apply as queue
        from inchworm.app.loop.planning import find_plan

        reason = None if asked is None else asked.undecided_because
        queued = queue(house, find_plan(house, name), undecided_because=reason)
        changed(request)
        first = queued[0]
        return models.Applied.model_validate(asjson.applied(queued, first, ahead_of(house, first)))

    @routes.post("/plans/{name}/break-glass", status_code=201, summary="EMERGENCY: a whole plan at once")
    def break_glass(
        request: Request, house: ToAdminister, name: str, asked: models.BreakGlass
    ) -> models.Applied:
        """Past the queue, its benchmark, freezes, approvals and stages, to everybody but the holdback.

        What is in flight is aborted. Everybody is told, and the ledger keeps the reason.
        """
        from inchworm.app.loop.emergency import break_glass as emergency
        from inchworm.app.loop.planning import find_plan

        made = emergency(house, find_plan(house, name), asked.reason)
        changed(request)
        said = {**asjson.applied([made], made, None), "emergency": made.emergency}
        return models.Applied.model_validate(said)

    @routes.get("/queue", summary="Show what is in flight, what waits and why, and the freezes ahead")
    def queue(house: ToView) -> models.Anything:
        from inchworm.app.loop.queueing import look

        return models.told(**asjson.queue(look(house)))

    return routes
