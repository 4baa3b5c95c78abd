"""``/queue``: what runs, what waits, and the calendar of it; and its JSON twin."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from inchworm.app.serve.state import ServerState
from inchworm.app.web import drawing
from inchworm.app.web.frame import page
from inchworm.app.web.views.queueing import queue_page
from inchworm.app.web.views.words import content


def router(state: ServerState) -> APIRouter:
    """The page of the queue."""
    routes = APIRouter()

    @routes.get("/queue")
    def queue(request: Request) -> Response:
        context = {"view": queue_page(state), "draw": drawing}
        return page(request, state, "queue.html", active="queue", context=context)

    @routes.get("/queue.json")
    def queue_json() -> Response:
        return JSONResponse(content(queue_page(state)), headers={"Cache-Control": "no-store"})

    return routes
