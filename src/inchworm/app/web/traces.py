"""The Traces page: facets in the address, the list beside one trace, and the JSON twins of both."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from inchworm.app import asjson
from inchworm.app.serve.state import ServerState
from inchworm.app.web.frame import page, problem
from inchworm.app.web.views.asked import PATH, Asked
from inchworm.app.web.views.found import Held, Listing, listing
from inchworm.app.web.views.trace import TraceView, view
from inchworm.domain.errors import InchwormError, NotFoundError, UsageError
from inchworm.domain.layers import LAYERS
from inchworm.domain.trace import Trace

_JSON = ".json"
_HELD = "x-inchworm-held"


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
            found = listing(state.house, asked, _held(request))
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
            spans = state.house.traces.spans(state.house.app, [one.id]).get(one.id, ())
            return JSONResponse({"version": 1, "trace": asjson.whole_trace(one, cluster, shadow, spans)})

        def href(span: str | None) -> str:
            return _opening(_address(one.id), "?", span)

        peek = view(state.house, one, cluster, span=request.query_params.get("span"), href=href)
        context = {"peek": peek, **_around(state, Asked())}
        return page(request, state, "trace.html", active="traces", context=context)

    return routes


def twin(found: Listing) -> dict[str, Any]:
    """The list as JSON: the same numbers as on the page."""
    return {
        "version": 1,
        "title": found.title,
        "total": found.total,
        "searched": found.page.searched,
        "recorded": found.recorded,
        "outcomes": found.counts,
        "facets": {
            facet.name: [{"value": value.title, "count": value.count} for value in facet.values]
            for facet in found.facets
            if facet.counted
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

    def href(span: str | None) -> str:
        return _opening(asked.looking_at(one.id).href(), "&", span)

    return view(state.house, one, _cluster(state, one), span=asked.span, href=href), None


def _opening(href: str, separator: str, span: str | None) -> str:
    """An address with a span open, and in view."""
    if span is None:
        return href
    return f"{href}{separator}{urlencode({'span': span}, quote_via=quote)}#span-{quote(span, safe='')}"


def _held(request: Request) -> Held | None:
    """Where the list begins that is on the screen, if the page asks to be drawn again."""
    again = request.headers.get("hx-request") == "true"
    return Held.of(request.headers.get(_HELD)) if again else None


def _cluster(state: ServerState, one: Trace) -> str | None:
    return state.house.traces.clusters(state.house.app, [one.id]).get(one.id)


def _address(id_: str) -> str:
    return f"{PATH}/{quote(id_, safe='')}"


def _around(state: ServerState, asked: Asked) -> dict[str, Any]:
    def of_unit(unit: str) -> str:
        return Asked(unit=unit, shadow=asked.shadow).href()

    return {
        "layers": LAYERS,
        "gateway": state.gateway_url,
        "here": asked.href(),
        "close": asked.looking_at(None).href(),
        "twin": asked.href(PATH + _JSON),
        "everything": PATH,
        "address": _address,
        "of_unit": of_unit,
    }
