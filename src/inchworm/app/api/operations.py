"""For those who run it: whether the server is well, what it counts, and what the doctor finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inchworm.app.api import models
from inchworm.app.api.auth import state_of
from inchworm.app.api.deps import ToAdminister
from inchworm.app.doctor.server import examined
from inchworm.app.serve.metrics import ServerMetrics
from inchworm.app.serve.readings import Readings
from inchworm.app.serve.state import ServerState

_PUBLIC = {
    "audit": "The audit trail is not what was written.",
    "benchmarks": "A benchmark could not be made.",
    "controller": "Rollouts are not decided.",
    "forgetting": "Somebody who is to be forgotten is not yet.",
    "retention": "What is too old was not deleted.",
    "drain": "What gateways recorded is not taken in.",
    "inchworm.yaml": "A change of the file could not be followed.",
    "notifications": "Some people were not told what they wanted to hear.",
    "publisher": "What gateways are told is not kept up to date.",
    "quarantine": "Some records could not be taken in.",
    "spool": "What gateways recorded waits to be taken in.",
}
"""What anybody may be told of a part that is not well; what exactly is wrong takes a key."""
_OTHER = "It is not well."
_NEEDED = "publisher"
"""The part without which the server is of no use to gateways."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def health_of(sentences: Mapping[str, str], *, stopping: bool) -> tuple[int, dict[str, Any]]:
    """Status and body of ``/-/health``: no paths, no reasons, nothing that takes a key to see.

    Args:
        sentences: what is wrong, by part.
        stopping: whether the server is about to stop.
    """
    parts = {name if name in _PUBLIC else "other": _PUBLIC.get(name, _OTHER) for name in sorted(sentences)}
    if stopping:
        return 503, {"status": "stopping", "parts": parts}
    if _NEEDED in parts:
        return 503, {"status": "down", "parts": parts}
    return 200, {"status": "degraded" if parts else "ok", "parts": parts}


def text_of(state: ServerState) -> bytes:
    """Everything that is counted and read, in Prometheus' text format.

    Raises:
        StoreError: if a store cannot be read.
    """
    readings = Readings(state.house, state.publisher, state.health)
    return generate_latest(state.metrics.registry) + generate_latest(readings)


def router() -> APIRouter:
    """``/-/health`` and ``/-/metrics``: for anybody who reaches the address that the server listens at."""
    routes = APIRouter(include_in_schema=False)

    # On the event loop and from memory: it must answer while every thread is at work.
    @routes.get("/-/health")
    async def health(request: Request) -> Response:
        state = state_of(request)
        status, said = health_of(state.health(), stopping=state.pulse.stopped)
        return JSONResponse(said, status)

    @routes.get("/metrics")
    @routes.get("/-/metrics")
    def metrics(request: Request) -> Response:
        return Response(text_of(state_of(request)), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return routes


def doctor() -> APIRouter:
    """``GET /doctor`` of the API."""
    routes = APIRouter(tags=["status"])

    @routes.get("/doctor", summary="Say what is wrong, and what mends it")
    def examine(
        request: Request,
        house: ToAdminister,
        offline: Annotated[bool, Query(description="Do not try to reach the provider.")] = False,  # noqa: FBT002  # a query
    ) -> models.Anything:
        """As `inchworm doctor --json`, seen from the server."""
        return models.told(**examined(house, state_of(request), offline=offline).plain())

    return routes


class Counted:
    """An ASGI application around another: every answer is counted by its route.

    Args:
        app: what is counted.
        metrics: where.
        prefix: of the API's routes, which name themselves without it.
    """

    def __init__(self, app: ASGIApp, metrics: ServerMetrics, prefix: str) -> None:
        self._app, self._metrics, self._prefix = app, metrics, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                method = scope["method"] if scope["method"] in _METHODS else "other"
                self._metrics.answered(method, self._route(scope), message["status"])
            await send(message)

        await self._app(scope, receive, sent)

    def _route(self, scope: Scope) -> str:
        """The route and not the path: what somebody types must not become a label."""
        path: str | None = getattr(scope.get("route"), "path", None)
        if path is None:
            return "none"
        inside = scope["path"].startswith(f"{self._prefix}/") and not path.startswith(self._prefix)
        return f"{self._prefix}{path}" if inside else path
