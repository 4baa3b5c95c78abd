"""Segments as a gateway writes them, and records to put into them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.unit.app.loop.world import NOW, World

from inchworm.capture.places import SPOOL
from inchworm.capture.records import Assigned, Called, Exposed, Rated, Record, Traced, encode
from inchworm.capture.spool import Spool

KEY = bytes(range(32))
APP = "small-shop/production"


def root(world: World) -> Path:
    return world.house.spec.data / SPOOL


def spool(world: World, *records: Record | bytes, gateway: str = "gateway", at: float = NOW) -> None:
    """Write one closed segment."""
    asyncio.run(_spool(root(world) / gateway, records, at))


async def _spool(folder: Path, records: Sequence[Record | bytes], at: float) -> None:
    writer = Spool.open(folder, KEY, clock=lambda: at, rotate_s=3600.0)
    waits = [writer.add(one if isinstance(one, bytes) else encode(one)) for one in records]
    await asyncio.gather(*waits)
    await writer.close()


def called(name: str, *, assigned: Assigned | None = None, **changes: Any) -> Called:
    """A call about parcels, answered."""
    request = {"model": "tiny", "messages": [{"role": "user", "content": f"Where is parcel {name}?"}]}
    response = {
        "id": "c-1",
        "object": "chat.completion",
        "model": "tiny",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Here."}}
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2},
    }
    given: dict[str, Any] = {
        "id": f"t-{name}",
        "app": APP,
        "at": NOW,
        "unit": f"s-{name}",
        "unit_from": "stated",
        "dialect": "openai-chat",
        "assigned": assigned,
        "request": json.dumps(request).encode(),
        "response": json.dumps(response).encode(),
        "status": 200,
        "latency_ms": 120.0,
    }
    return Called(**(given | changes))


def arm(rollout: str = "r-1", which: str = "baseline", *, stage: int = 0, p: float = 0.2) -> Assigned:
    return Assigned(rollout=rollout, stage=stage, arm=which, probability=p)


def exposed(name: str, assigned: Assigned | None = None, *, at: float = NOW - 1, **changes: Any) -> Exposed:
    given: dict[str, Any] = {"app": APP, "unit": f"s-{name}", "assigned": assigned or arm(), "at": at}
    return Exposed(**(given | changes))


def rated(name: str, value: float = 1.0, *, metric: str = "helpful", **changes: Any) -> Rated:
    given: dict[str, Any] = {
        "app": APP,
        "trace": f"t-{name}",
        "metric": metric,
        "value": value,
        "source": "user",
        "at": NOW,
    }
    return Rated(**(given | changes))


def traced(line: dict[str, Any] | bytes, **changes: Any) -> Traced:
    text = line if isinstance(line, bytes) else json.dumps(line).encode()
    given: dict[str, Any] = {"app": APP, "line": text, "at": NOW}
    return Traced(**(given | changes))
