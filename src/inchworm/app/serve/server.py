"""The server process: API and pages on one event loop, and beside it what drains, decides and publishes.

``python -m inchworm.app.serve.server`` takes its orders as one JSON line on standard input, where the key of
the run is not seen by other users, and stops in order when that ends or with SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inchworm.app.serve import child, logs
from inchworm.domain.errors import InchwormError

if TYPE_CHECKING:  # a process that sanitizes for this one imports this module too, and needs none of these
    from inchworm.app.house import House
    from inchworm.app.loop.drained import Backlog
    from inchworm.app.loop.draining import Draining
    from inchworm.app.loop.retaining import Outlived
    from inchworm.app.serve.background import Health
    from inchworm.app.serve.metrics import ServerMetrics
    from inchworm.app.serve.publishing import LivePublisher
    from inchworm.app.serve.state import Pulse
    from inchworm.domain.rollout import Decision
    from inchworm.rollout.fleet import Memo

_LOG = logging.getLogger(__name__)
_DRAIN_S, _DECIDE_S, _PUBLISH_S, _FOLLOW_S = 0.1, 1.0, 0.1, 1.0
_NOTIFY_S, _VERIFY_S, _RETAIN_S = 1.0, 86_400.0, 3_600.0
_LATE_S = 10.0
"""Age of what waits in the spool from which on it is said."""
_LAST_DRAIN_S = 30.0
_MUCH = 500
"""Records of a round of the drain from which on the next one begins at once."""
_LOOK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the supervisor tells the server.

    Attributes:
        file: where ``inchworm.yaml`` is, or would be.
        actor: who acts, if it was said.
        listener: the descriptor of the socket to listen at, which outlives a server that is killed.
        url: its address.
        gateway_url: where the gateway listens.
        token: the key of this run.
    """

    file: str
    actor: str | None
    listener: int
    url: str
    gateway_url: str
    token: str

    def line(self) -> bytes:
        """One line of JSON."""
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Orders:
        """The inverse of :meth:`line`."""
        return cls(**json.loads(line))


class Work:
    """What the server does besides answering.

    Args:
        house: the app, its stores open.
        publisher: what is served.
        draining: takes in what gateways recorded.
        pulse: what pages wait for.
        health: how the parts are.
        metrics: counts what is done.
        url: of the pages.
    """

    def __init__(
        self,
        house: House,
        publisher: LivePublisher,
        draining: Draining,
        pulse: Pulse,
        health: Health,
        *,
        metrics: ServerMetrics,
        url: str,
    ) -> None:
        from inchworm.app.loop.forgetting import Forgetter
        from inchworm.app.serve.background import Background
        from inchworm.app.serve.declared import Following
        from inchworm.app.serve.measuring import Measuring
        from inchworm.app.serve.notifying import Notifying
        from inchworm.rollout.fleet import Memo

        self._house, self._publisher, self._draining, self._pulse = house, publisher, draining, pulse
        self._health, self._metrics = health, metrics
        self._background = Background(health)
        self._following = Following(house, health)
        self._measuring = Measuring(house, health, self.wake)
        self._notifying = Notifying(house, health, metrics, url)
        self._forgetter = Forgetter(house, renew=draining.renew, waiting=draining.waiting)
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(4, "work")
        self._decide_now, self._publish_now, self._never = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._notify_now = asyncio.Event()
        self._memo = Memo()
        self._unpublished = True
        self._quarantined = self._records = 0
        self._looked_at = float("-inf")
        self._drain_until = float("inf")

    def wake(self) -> None:
        """Look at the rollouts, and at what is served, now; from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._decide_now.set)
            self._loop.call_soon_threadsafe(self._publish_now.set)
            self._loop.call_soon_threadsafe(self._notify_now.set)
        self._measuring.wake()

    def start(self) -> None:
        """Begin."""
        self._measuring.start()
        self._notifying.start()
        self._metrics.published(self._house.now())
        self._background.keep("publisher", self._publish, every_s=_PUBLISH_S, wake=self._publish_now)
        self._background.keep("controller", self._decide, every_s=_DECIDE_S, wake=self._decide_now)
        self._background.keep("drain", self._drain_much, every_s=_DRAIN_S, wake=self._never)
        self._background.keep("retention", self._retain, every_s=_RETAIN_S, wake=self._never)
        self._background.keep("inchworm.yaml", self._follow, every_s=_FOLLOW_S, wake=self._never)
        self._background.keep("notifications", self._notifying.send, every_s=_NOTIFY_S, wake=self._notify_now)
        self._background.keep("audit", self._notifying.verify, every_s=_VERIFY_S, wake=self._never)

    async def stop(self) -> None:
        """End what is under way, and drain what is closed."""
        self._drain_until = self._loop.time() + _LAST_DRAIN_S
        self._notifying.stop()
        await self._background.stop()
        while not self._enough() and await self._drain():
            pass
        ended = await asyncio.to_thread(self._measuring.stop, wait_s=1.0)
        if not ended:
            _LOG.info("a benchmark is interrupted; it goes on with the answers that it has at the next start")
        self._draining.close()
        self._threads.shutdown()

    async def _publish(self) -> bool:
        self._unpublished = self._publisher.changed() or self._unpublished
        if self._unpublished:
            # At once and not in a thread: it takes a millisecond, and a rollback must wait for nobody.
            if self._publisher.refresh():
                self._metrics.published(self._house.now())
                _LOG.info("what is served has changed: version %s", self._publisher.version)
            self._unpublished = False
            self._pulse.beat()
        return False

    async def _decide(self) -> bool:
        began = self._loop.time()
        made = await self._loop.run_in_executor(self._threads, _decided, self._house, self._memo)
        self._metrics.ticked(made, self._loop.time() - began, self._house.now())
        for one in made:
            _LOG.info("%s %s: %s", one.rollout_id, one.kind.value, one.because)
        if made:
            self._publish_now.set()
            self._notify_now.set()
            self._measuring.wake()
        return bool(made)

    async def _drain(self) -> bool:
        began = self._loop.time()
        drained = await self._loop.run_in_executor(self._threads, self._draining.round, self._enough)
        self._metrics.drained(drained, self._loop.time() - began)
        self._quarantined += drained.quarantined.total()
        self._records += drained.records
        self._health.say("quarantine", _quarantined(self._quarantined))
        now = self._house.now()
        if now - self._looked_at >= _LOOK_S:
            self._looked_at = now
            backlog = await self._loop.run_in_executor(self._threads, self._draining.backlog)
            self._health.say("spool", _late(backlog, now))
            await self._forget()
        if not drained.idle:
            self._pulse.beat()
        return not drained.idle

    async def _forget(self) -> None:
        """Go on with what is to be forgotten: here, so that nothing is drained meanwhile."""
        try:
            ended = await self._loop.run_in_executor(self._threads, self._forgetter.round)
        except InchwormError as error:
            self._health.say("forgetting", f"It is tried again: {error.message}.")
            raise
        self._health.say("forgetting", None)
        for one in ended:
            _LOG.info("%s is done", one.id)
            self._pulse.beat()

    async def _retain(self) -> bool:
        if self._house.spec.retention.is_set:
            found = await self._loop.run_in_executor(self._threads, _retained, self._house, self._enough)
            if found.payloads or found.traces or found.quarantined:
                _LOG.info(
                    "too old: content of %d interactions, %d interactions, %d in quarantine",
                    found.payloads,
                    found.traces,
                    found.quarantined,
                )
                self._pulse.beat()
        return False

    async def _drain_much(self) -> bool:
        """Drain; at once again only where there was much: a small round costs what a large one does."""
        before = self._records
        await self._drain()
        return self._records - before >= _MUCH

    def _enough(self) -> bool:
        """Whether what is left in the spool waits for the next start."""
        return self._loop.time() > self._drain_until

    async def _follow(self) -> bool:
        if await self._loop.run_in_executor(self._threads, self._following.look):
            self.wake()
            self._pulse.beat()
        return False


def _retained(house: House, enough: Callable[[], bool]) -> Outlived:
    """What was too old is deleted."""
    from inchworm.app.loop.retaining import run

    return run(house, enough=enough)


def _decided(house: House, memo: Memo) -> list[Decision]:
    """One tick: what was decided."""
    from inchworm.app.loop.changing import decide

    return decide(house, memo=memo)


def _quarantined(count: int) -> str | None:
    if not count:
        return None
    return f"{count:,} records since the start could not be taken in; see why: inchworm doctor"


def _late(backlog: Backlog, now: float) -> str | None:
    """What is wrong with the spool, if anything is."""
    said = [f"{path}: {reason}." for path, reason in backlog.unreadable.items()]
    if backlog.segments and backlog.oldest_at is not None and now - backlog.oldest_at > _LATE_S:
        said.append(
            f"{backlog.segments:,} segments ({backlog.bytes / 1e6:.1f} MB) wait to be drained, "
            f"the oldest for {now - backlog.oldest_at:.0f} s."
        )
    return " ".join(said) or None


async def serve(orders: Orders) -> None:
    """Serve until SIGTERM."""
    from inchworm.app.api.build import build
    from inchworm.app.house import House, user
    from inchworm.app.loop.draining import Draining
    from inchworm.app.serve.background import Health
    from inchworm.app.serve.declared import declared
    from inchworm.app.serve.metrics import ServerMetrics
    from inchworm.app.serve.publishing import LivePublisher
    from inchworm.app.serve.state import Pulse, ServerState
    from inchworm.capture.keyfile import master_key
    from inchworm.domain.hosts import configured
    from inchworm.domain.keys import Purpose, derive

    with ExitStack() as stack:
        ports = [int(url.rpartition(":")[2]) for url in (orders.url, orders.gateway_url)]
        spec = declared(Path(orders.file), ports)
        house = stack.enter_context(House(spec=spec, actor=orders.actor or user(), owner=True))
        _ = house.control, house.traces  # opened here, before threads may ask for them
        master = master_key(spec.data)
        pulse, health = Pulse(), Health()
        publisher = LivePublisher(house, master)
        draining = Draining(house, derive(master, Purpose.SPOOL), workers=_workers())
        metrics = ServerMetrics()
        work = Work(house, publisher, draining, pulse, health, metrics=metrics, url=orders.url)
        app = build(
            ServerState(
                house=house,
                publisher=publisher,
                pulse=pulse,
                wake=work.wake,
                gateway_url=orders.gateway_url,
                master=master,
                local_token=orders.token,
                health=health,
                metrics=metrics,
            ),
            hosts=configured(os.environ),
        )
        server = _server(app)
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, stop.set)
        work.start()
        answering = asyncio.create_task(server.serve(sockets=[socket.socket(fileno=orders.listener)]))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([answering, stopping], return_when=asyncio.FIRST_COMPLETED)
        pulse.stop()
        publisher.stop()
        server.should_exit = True
        await answering
        await work.stop()
        publisher.close()
        stopping.cancel()


def _server(app: Any) -> Any:
    import uvicorn

    class Server(uvicorn.Server):
        """One that leaves signals to us: there is more to stop than answering."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    return Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=3,
        )
    )


def _workers() -> int:
    """Processes that sanitize: one processor is left for everything else."""
    return max(1, min(4, (os.cpu_count() or 2) - 1))


def _load() -> None:
    """Load what takes a second, before there are orders: a spare process has that behind it."""
    for module in (
        "uvicorn",
        "inchworm.app.api.build",
        "inchworm.app.web.routes",
        "inchworm.app.loop.changing",
        "inchworm.app.loop.draining",
        "inchworm.app.loop.forgetting",
        "inchworm.app.loop.retaining",
        "inchworm.app.serve.declared",
        "inchworm.app.serve.measuring",
        "inchworm.app.serve.publishing",
    ):
        import_module(module)


def main() -> None:
    """Run the process."""
    logs.configure("server")
    _load()
    line = sys.stdin.buffer.readline()
    if not line:  # a spare that was never needed
        return
    orders = Orders.read(line)
    child.end_with_parent()
    try:
        asyncio.run(serve(orders))
    except InchwormError as error:
        _LOG.error("%s", error.message if error.hint is None else f"{error.message}; {error.hint}")
        sys.exit(2)


if __name__ == "__main__":
    main()
