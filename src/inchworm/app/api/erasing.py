"""Deleting: units that are to be forgotten, what is too old, what lies in quarantine."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field

from inchworm.app.api import models
from inchworm.app.api.deps import ToAdminister, ToView, changed
from inchworm.app.asjson import erasing as asjson

_MOST_BODY = 4 << 20


class Forget(models.Asked):
    """Who is to be forgotten."""

    units: list[Annotated[str, Field(min_length=1, max_length=2_000)]] = Field(
        min_length=1,
        max_length=10_000,
        description="Ids of units, sessions or users, as they were sent or as they are stored.",
    )


class Named(models.Asked):
    """Things in quarantine."""

    ids: list[models.Name] = Field(min_length=1, max_length=1_000, description="Their ids; or all.")


class Run(models.Asked):
    """Delete what is too old."""

    compact: bool = Field(default=False, description="Write the file anew in any case.")


def router() -> APIRouter:
    """Routes of what is deleted."""
    routes = APIRouter(tags=["erasure"])

    @routes.post("/forgettings", status_code=202, summary="Forget units", max_body_size=_MOST_BODY)
    def forget(request: Request, house: ToAdminister, asked: Forget) -> models.Anything:
        """Durable when it is answered; done when its `state` is `done`. What that means: docs/erasure.md."""
        from inchworm.app.loop.forgetting import ask

        made = ask(house, asked.units)
        changed(request)
        return models.told(forgetting=asjson.forgetting(made))

    @routes.get("/forgettings", summary="List what was forgotten")
    def forgettings(house: ToAdminister) -> models.Anything:
        """Oldest first; who it was is told as a keyed digest."""
        return models.told(forgettings=[asjson.forgetting(one) for one in house.control.forgettings()])

    @routes.get("/forgettings/{forgetting_id}", summary="Say how far a forgetting is")
    def forgetting(house: ToAdminister, forgetting_id: str) -> models.Anything:
        return models.told(forgetting=asjson.forgetting(house.control.forgetting(forgetting_id)))

    @routes.get("/retention", summary="Say what is too old")
    def retention(house: ToView) -> models.Anything:
        """As `inchworm retention --json`."""
        from inchworm.app.loop.retaining import look

        return models.told(**asjson.retention(house.spec.retention, look(house)))

    @routes.post("/retention/run", summary="Delete what is too old now")
    def run(request: Request, house: ToAdminister, asked: Run) -> models.Anything:
        """The server does it by itself once an hour."""
        from inchworm.app.loop.retaining import run as act

        found = act(house, compact=asked.compact)
        changed(request)
        return models.told(**asjson.retention(house.spec.retention, found))

    @routes.get("/quarantine", summary="List what could not be taken in")
    def quarantine(house: ToView, limit: Annotated[int, Query(ge=1, le=1_000)] = 200) -> models.Anything:
        """Oldest first; `reasons` counts all of it."""
        from inchworm.app.loop.quarantining import everything, reasons

        found = everything(house)
        return models.told(
            quarantine=[asjson.kept(one) for one in found[:limit]], count=len(found), reasons=reasons(found)
        )

    @routes.get("/quarantine/{kept_id}", summary="Show something in quarantine, sanitized")
    def show(house: ToAdminister, kept_id: str) -> models.Anything:
        from inchworm.app.loop.quarantining import show as open_

        return models.told(**asjson.opened(open_(house, kept_id)))

    @routes.post("/quarantine/retry", summary="Try to take it in again")
    def retry(request: Request, house: ToAdminister, asked: Named) -> models.Anything:
        """Exactly once in effect: what is stored already is recognised."""
        from inchworm.app.loop.quarantining import retry as act

        found = act(house, asked.ids)
        changed(request)
        return models.told(retried=[one.id for one in found])

    @routes.post("/quarantine/discard", summary="Delete it, with its bytes")
    def discard(request: Request, house: ToAdminister, asked: Named) -> models.Anything:
        from inchworm.app.loop.quarantining import remove

        found = remove(house, asked.ids)
        changed(request)
        return models.told(discarded=[one.id for one in found])

    return routes
