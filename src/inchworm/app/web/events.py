"""``/events``: tells open pages that something changed. They then ask for their live fragment again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from inchworm.app.serve.state import Pulse, ServerState

HEARTBEAT_S = 15.0
"""So often a silent stream says that it is alive, so that proxies and browsers keep it."""
SPACING_S = 0.2
"""Beats within so many seconds are told as one."""


async def stream(pulse: Pulse, *, heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[str]:
    """Server-sent events (HTML Living Standard, section 9.2), until the pulse stops.

    The first event comes at once, with the present count: a page that was rendered at another one asks again,
    so that nothing is missed between the page and the stream.
    """
    seen = pulse.count
    yield f"retry: 1000\nevent: pulse\ndata: {seen}\n\n"
    while not pulse.stopped:
        count = await pulse.after(seen, timeout_s=heartbeat_s)
        if pulse.stopped:
            return
        if count == seen:
            yield ": alive\n\n"
            continue
        seen = count
        yield f"event: pulse\ndata: {count}\n\n"
        await asyncio.sleep(SPACING_S)  # what beats meanwhile is told as one


def router(state: ServerState) -> APIRouter:
    """``GET /events``."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(
            stream(state.pulse),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    return routes
