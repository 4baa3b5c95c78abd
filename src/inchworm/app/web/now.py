"""``/``: the first page, and its JSON twin."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from inchworm.app.serve.state import ServerState
from inchworm.app.web import drawing
from inchworm.app.web.frame import page
from inchworm.app.web.views.now import now_page
from inchworm.app.web.views.words import content


def router(state: ServerState) -> APIRouter:
    """The first page."""
    routes = APIRouter()

    @routes.get("/")
    def now(request: Request) -> Response:
        return page(
            request, state, "now.html", active="now", context={"view": now_page(state), "draw": drawing}
        )

    @routes.get("/now.json")
    def now_json() -> Response:
        return JSONResponse(content(now_page(state)), headers={"Cache-Control": "no-store"})

    return routes
