"""The server's application: the API, the pages, and what stands before both."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Collection

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp

from inchworm import __version__
from inchworm.app.api import (
    catalogue,
    changing,
    datasets,
    erasing,
    errors,
    handing,
    login,
    looking,
    measuring,
    models,
    operations,
    rollouts,
    scoring,
    simulating,
    stores,
    traces,
    transferring,
)
from inchworm.app.api.access import Access
from inchworm.app.api.guard import Guard
from inchworm.app.serve.metrics import ServerMetrics
from inchworm.app.serve.state import ServerState

PREFIX = "/api/v1"
_MOST_BODY = 1 << 20
"""Bytes of a request, unless its route takes more."""
_ABOUT = """\
Everything that `inchworm` the command does. Send a key as `Authorization: Bearer iw_…`; keys have a scope
(ingest, viewer, labeler, deployer or admin), and each scope may do what those before it may.
What goes wrong is always `{"error": {"code", "message", "hint"}}`.
"""


class _Application(FastAPI):
    """FastAPI inside the guard, so that also the answer to a fault has its headers."""

    hosts: Collection[str] = ()
    metrics: ServerMetrics

    def build_middleware_stack(self) -> ASGIApp:
        """The whole application, outermost layer first: what counts, then the guard."""
        return operations.Counted(Guard(super().build_middleware_stack(), self.hosts), self.metrics, PREFIX)


def build(
    state: ServerState,
    *,
    hosts: Collection[str] = (),
    clock: Callable[[], float] = time.time,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> FastAPI:
    """The application that a server runs.

    Args:
        state: what its routes share.
        hosts: names by which it may be called besides this machine's and the address that it listens at.
        clock: seconds since the epoch, for sessions and keys.
        random: unguessable bytes, as many as asked for.
    """
    # The pages import the API's dependencies, so this module must not import the pages at its top.
    from inchworm.app.web.routes import router as pages

    app = _Application(
        title="Inchworm",
        version=__version__,
        description=_ABOUT,
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        max_body_size=_MOST_BODY,
    )
    app.hosts, app.metrics = frozenset(hosts), state.metrics
    app.state.server = state
    app.state.access = Access(state, clock, random)
    errors.install(app)
    api = APIRouter(
        prefix=PREFIX, responses={code: {"model": models.Wrong} for code in (401, 403, 404, 409, 422)}
    )
    for part in (
        looking,
        catalogue,
        transferring,  # before traces: /traces/export is no trace's id
        traces,
        scoring,
        measuring,
        datasets,
        changing,
        rollouts,
        simulating,
        handing,
        erasing,
        login,
        stores,
    ):
        api.include_router(part.router())
    api.include_router(operations.doctor())
    app.include_router(api)
    app.include_router(operations.router())
    app.include_router(login.pages())
    app.include_router(pages(state))
    return app
