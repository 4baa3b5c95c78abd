"""What the routes of a running server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from inchworm.app.house import House
from inchworm.app.serve.metrics import ServerMetrics


class Pulse:
    """Tells everybody who waits that something changed. Any thread may beat; coroutines wait.

    A beat says nothing of what changed: whoever hears it looks again (level-triggered, as the controller).
    """

    def __init__(self) -> None:
        self._count = 0
        self._stopped = False
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    @property
    def count(self) -> int:
        """How many beats there were."""
        return self._count

    def beat(self) -> None:
        """Something changed."""
        self._count += 1
        for loop, event in tuple(self._waiting):
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

    @property
    def stopped(self) -> bool:
        """Whether the server is about to stop: streams end then, so that it need not wait for them."""
        return self._stopped

    def stop(self) -> None:
        """The server is about to stop. Everybody who waits is woken, a last time."""
        self._stopped = True
        self.beat()

    async def after(self, count: int, *, timeout_s: float) -> int:
        """The count once it exceeds ``count``, or the unchanged one after ``timeout_s`` seconds."""
        event = asyncio.Event()
        mine = (asyncio.get_running_loop(), event)
        self._waiting.add(mine)
        try:
            if self._count <= count:
                async with asyncio.timeout(timeout_s):
                    await event.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.discard(mine)
        return self._count


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySeen:
    """A gateway, as the server heard from it last.

    Attributes:
        name: its name, unique among the gateways of an installation.
        url: where it listens, e.g. ``http://127.0.0.1:4141``.
        holds: version of what it serves (``inchworm.domain.published.version``); ``None`` before the first.
        at: when it asked last, seconds since the epoch.
    """

    name: str
    url: str
    holds: str | None
    at: float


class Publisher(Protocol):
    """What gateways and clients are told to serve, kept up to date."""

    @property
    def version(self) -> str:
        """The version of the present document."""
        ...

    @property
    def document(self) -> bytes:
        """The present signed document."""
        ...

    async def newer_than(self, version: str | None, *, timeout_s: float) -> bytes | None:
        """The document once its version differs from ``version``; ``None`` after ``timeout_s`` seconds."""
        ...

    def heard_from(self, gateway: GatewaySeen) -> None:
        """A gateway asked."""
        ...

    def gateways(self) -> tuple[GatewaySeen, ...]:
        """Every gateway that asked since the server started, by name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerState:
    """What the routes share. Stores may be used from any thread.

    Attributes:
        house: the app and its stores.
        publisher: what is served.
        pulse: beats when something that a page shows may have changed.
        wake: asks the control loop for a round now instead of at its next turn.
        gateway_url: where the installation's own gateway listens; ``None`` if there is none.
        master: the installation's key.
        local_token: the key of this run, for the same user on the same machine; has every scope.
        health: state of the parts, by name, as sentences; empty when all is well.
        metrics: what the server counts.
    """

    house: House
    publisher: Publisher
    pulse: Pulse
    wake: Callable[[], None]
    gateway_url: str | None
    master: bytes
    local_token: str
    health: Callable[[], dict[str, str]] = field(default=dict)
    metrics: ServerMetrics = field(default_factory=ServerMetrics)
