"""What takes long: hundreds of streams for a minute, and hundreds of thousands of requests."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from typing import Any

from gateways.calling import Caller, load, request
from gateways.starting import Proc

PATH = "/v1/chat/completions"
PAUSE_S = 0.1
"""Between two events of a stream that lasts."""
SETTLED = 20_000
"""Requests after which a gateway has all that it needs."""


@dataclass
class Flow:
    """How streams flowed.

    Attributes:
        first_s: seconds until the first event, per stream.
        gaps_s: the longest pause between two pieces, seconds, per stream.
        events: that came, over all.
        broken: streams that ended before their end.
        rss_mb: memory of the gateway, sampled.
    """

    first_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)
    events: int = 0
    broken: int = 0
    rss_mb: list[float] = field(default_factory=list)

    def figures(self, name: str) -> dict[str, Any]:
        """As they are written down."""
        return {
            f"{name}_first_ms": round(1e3 * statistics.median(self.first_s), 2),
            f"{name}_longest_gap_ms": round(1e3 * max(self.gaps_s), 1),
            f"{name}_median_of_longest_gaps_ms": round(1e3 * statistics.median(self.gaps_s), 1),
            f"{name}_events": self.events,
            f"{name}_broken": self.broken,
        }


async def flow(port: int, streams: int, process: Proc | None) -> Flow:
    """That many streams at once, each to its end."""
    found = Flow()
    # They do not all begin in one moment, as callers do not.
    await asyncio.gather(
        *(_stream(port, number, number * PAUSE_S / streams, found) for number in range(streams)),
        _watch(found, process, streams),
    )
    return found


async def _stream(port: int, number: int, after_s: float, found: Flow) -> None:
    await asyncio.sleep(after_s)
    caller = await Caller.to(port)
    begun = last = time.perf_counter()
    caller.writer.write(request(PATH, number, stream=True))
    longest, kept, first = 0.0, b"", True
    while b"[DONE]" not in kept:
        piece = await caller.reader.read(1 << 16)
        now = time.perf_counter()
        if not piece:
            found.broken += 1
            break
        events = piece.count(b"data: ")
        found.events += events
        if first and events:
            found.first_s.append(now - begun)
            first = False
        elif events:
            longest = max(longest, now - last)
        last, kept = now, kept[-16:] + piece
    found.gaps_s.append(longest)
    caller.close()


async def _watch(found: Flow, process: Proc | None, streams: int) -> None:
    while process is not None and len(found.gaps_s) < streams:
        found.rss_mb.append(process.rss_mb())
        await asyncio.sleep(1)


async def growth(port: int, process: Proc, requests: int, at_once: int) -> dict[str, Any]:
    """What memory a gateway has after :data:`SETTLED` requests, and after all of them."""
    begun = time.perf_counter()
    started_mb = process.rss_mb()
    await load(port, PATH, SETTLED, at_once, 0)
    settled_mb = process.rss_mb()
    await load(port, PATH, requests - SETTLED, at_once, SETTLED)
    return {
        "memory_requests": requests,
        "memory_started_mb": round(started_mb, 1),
        f"memory_after_{SETTLED}_mb": round(settled_mb, 1),
        "memory_after_all_mb": round(process.rss_mb(), 1),
        "memory_took_s": round(time.perf_counter() - begun, 1),
    }
