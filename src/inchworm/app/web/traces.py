"""The Traces page: facets in the address, the list beside one trace, and the JSON twins of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from inchworm.app import asjson
from inchworm.app.serve.state import ServerState
from inchworm.app.web.frame import page, problem
from inchworm.app.web.views.asked import PATH, Asked
from inchworm.app.web.views.found import Listing, listing
from inchworm.app.web.views.trace import TraceView, view
from inchworm.domain.errors import InchwormError, NotFoundError, UsageError
from inchworm.domain.layers import LAYERS
from inchworm.domain.trace import Trace

_JSON = ".json"


def router(state: ServerState) -> APIRouter:
    """``/traces`` and ``/traces/{id}``, with their twins.

    Args:
        state: what is shown.
    """
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    def traces(request: Request) -> Response:
        asked = Asked.of(request.query_params)
        if (spread := asked.spread()) != asked:  # a person wrote facets among the words
            return RedirectResponse(spread.href(), 303)
        try:
            found = listing(state.house, asked)
        except UsageError as error:
            return problem(request, state, error, active="traces", back=PATH)
        peek, gone = _peek(state, asked)
        context = {"asked": asked, "found": found, "peek": peek, "gone": gone, **_around(state, asked)}
        return page(request, state, "traces.html", active="traces", context=context)

    @routes.get(PATH + _JSON)
    def traces_json(request: Request) -> Response:
        asked = Asked.of(request.query_params).spread()
        return JSONResponse(twin(listing(state.house, asked)))

    @routes.get(PATH + "/{name:path}")
    def trace(request: Request, name: str) -> Response:
        as_json = name.endswith(_JSON)
        try:
            one = state.house.traces.trace(state.house.app, name.removesuffix(_JSON))
        except InchwormError as error:
            if as_json or not isinstance(error, NotFoundError | UsageError):
                raise
            return problem(request, state, error, active="traces", back=PATH)
        cluster = _cluster(state, one)
        if as_json:
            shadow = state.house.traces.shadow_of(state.house.app, one.id)
            return JSONResponse({"version": 1, "trace": asjson.whole_trace(one, cluster, shadow)})
        context = {"peek": view(state.house, one, cluster), **_around(state, Asked())}
        return page(request, state, "trace.html", active="traces", context=context)

    return routes


def twin(found: Listing) -> dict[str, Any]:
    """The list as JSON: the same numbers as on the page."""
    return {
        "version": 1,
        "title": found.title,
        "total": found.total,
        "recorded": found.recorded,
        "outcomes": found.counts,
        "facets": {
            facet.name: [{"value": value.title, "count": value.count} for value in facet.values]
            for facet in found.facets
            if facet.name != "time"
        },
        "traces": [asjson.trace(one, found.clusters.get(one.id)) for one in found.page.traces],
        "after": found.page.next_cursor,
    }


def _peek(state: ServerState, asked: Asked) -> tuple[TraceView | None, str | None]:
    """What stands beside the list; and the sentence that says why not."""
    if asked.peek is None:
        return None, None
    try:
        one = state.house.traces.trace(state.house.app, asked.peek)
    except (NotFoundError, UsageError) as error:
        return None, error.message
    return view(state.house, one, _cluster(state, one)), None


def _cluster(state: ServerState, one: Trace) -> str | None:
    return state.house.traces.clusters(state.house.app, [one.id]).get(one.id)


def _around(state: ServerState, asked: Asked) -> dict[str, Any]:
    def address(id_: str) -> str:
        return f"{PATH}/{quote(id_, safe='')}"

    return {
        "layers": LAYERS,
        "gateway": state.gateway_url,
        "close": replace(asked, peek=None).href(),
        "twin": asked.href(PATH + _JSON),
        "everything": PATH,
        "address": address,
    }
