"""Every page in one router."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from inchworm.app.api.auth import page_user
from inchworm.app.serve.state import ServerState
from inchworm.app.web import assets, events, now, queue, rollout, traces


def router(state: ServerState) -> APIRouter:
    """The pages, their JSON twins, ``/events`` and ``/static/``.

    Args:
        state: what is shown.
    """

    async def note_pulse(request: Request) -> None:
        # Before anything is read: what changes after this is told by /events.
        request.state.pulse = state.pulse.count

    routes = APIRouter(include_in_schema=False)
    routes.include_router(assets.router())
    for room in (events, now, rollout, queue, traces):
        routes.include_router(room.router(state), dependencies=[Depends(page_user), Depends(note_pulse)])
    return routes
