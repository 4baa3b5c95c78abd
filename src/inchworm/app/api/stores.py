"""The stores for commands of other processes: the server's half of :mod:`inchworm.app.remote`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials
from starlette.concurrency import run_in_threadpool

from inchworm.app.api.auth import BEARER, Need, state_of
from inchworm.app.api.deps import changed
from inchworm.app.api.errors import RefusedError, body
from inchworm.app.api.sessions import LOCAL
from inchworm.app.codes import VALUE, code_of
from inchworm.app.remote.methods import METHODS, STORES, actors, least
from inchworm.app.remote.wire import Wire, arguments_of, result_of
from inchworm.domain.access import Scope
from inchworm.domain.errors import InchwormError, NotFoundError

MOST = 256 << 20
"""Bytes of one call."""


def router() -> APIRouter:
    """``POST /stores/{store}/{method}``."""
    routes = APIRouter(tags=["stores"], include_in_schema=False)

    @routes.post("/stores/{store}/{method}", max_body_size=MOST)
    async def call(
        request: Request,
        store: str,
        method: str,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None,
    ) -> Response:
        # Somebody first, so that who is nobody cannot find out what there is.
        principal = await Need(Scope.VIEWER)(request, credentials)
        scope = METHODS.get(store, {}).get(method)
        if scope is None:
            raise NotFoundError(
                f"no method {store}.{method} can be called from outside",
                hint="is the command of another version than the server?",
            )
        await Need(scope)(request, credentials)
        asked = await request.body()
        said = await run_in_threadpool(_read, store, method, asked)
        await Need(least(store, method, said.values))(request, credentials)
        foreign = actors(method, said.values) - {principal.name}
        if foreign and principal.key != LOCAL:
            raise RefusedError(
                403,
                "forbidden",
                f"a key acts under its own name, {principal.name}, and not as {', '.join(sorted(foreign))}",
                hint="leave --actor and INCHWORM_ACTOR out",
            )
        held = state_of(request).house
        bound = getattr(held.traces if store == "traces" else held.control, method)
        if said.streams:
            lines = _lines(bound(**said.values), said.result)
            return StreamingResponse(lines, media_type="application/x-ndjson")
        answer = await run_in_threadpool(_call, bound, said)
        if scope is not Scope.VIEWER:
            changed(request)
        return answer

    return routes


@dataclass(frozen=True, slots=True)
class _Said:
    values: dict[str, Any]
    result: Wire
    streams: bool


def _read(store: str, method: str, asked: bytes) -> _Said:
    """The arguments of a call.

    Raises:
        RefusedError: 422 if they are no arguments of the method; it names the one that is wrong.
    """
    kinds = arguments_of(getattr(STORES[store], method))
    result, streams = result_of(getattr(STORES[store], method))
    try:
        given = json.loads(asked)["arguments"]
        if unknown := given.keys() - kinds.keys():
            raise _wrong(f"{method} has no argument {', '.join(sorted(unknown))}")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _wrong('the body is no {"arguments": {...}}') from error
    values = {}
    for name, packed in given.items():
        try:
            values[name] = kinds[name].unpack(packed)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise _wrong(f"{name}: {error}") from error
    try:
        signature(getattr(STORES[store], method)).bind(None, **values)
    except TypeError as error:
        raise _wrong(f"{method}: {error}") from error
    return _Said(values=values, result=result, streams=streams)


def _wrong(message: str) -> RefusedError:
    return RefusedError(422, "invalid", message, hint="is the command of another version than the server?")


def _call(bound: Any, said: _Said) -> Response:
    try:
        result = bound(**said.values)
    except ValueError as error:  # a store's word for arguments that contradict each other
        return JSONResponse(body(VALUE, str(error)), 400)
    text = json.dumps({"result": said.result.pack(result)})
    return Response(text, media_type="application/json")


def _lines(items: Iterator[Any], item: Wire) -> Iterator[str]:
    """One line per item, and one that says that it was the last: what breaks off is told from what ends."""
    try:
        for one in items:
            yield json.dumps({"item": item.pack(one)}) + "\n"
    except InchwormError as error:
        yield json.dumps(body(code_of(error)[0], error.message, error.hint)) + "\n"
        return
    yield json.dumps({"end": True}) + "\n"
