"""The demo's machines, on real sockets of this machine: the model's server, the gateway, and the pages.

The gateway is the one that `inchworm serve` starts, in replay mode: the story's clock is simulated, so the
time of a call comes from the caller and the time that the model took from the recording.
"""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inchworm.app.asking import ask
from inchworm.app.house import House
from inchworm.app.loop.drained import Drained
from inchworm.app.loop.draining import Draining
from inchworm.capture.keyfile import master_key
from inchworm.capture.places import SPOOL
from inchworm.capture.spool import adopt_orphans, closed_segments, destroy
from inchworm.domain.errors import InchwormError
from inchworm.domain.keys import Purpose, derive

NAME = "demo"
_PATIENCE_S = 20.0
_LOOK_S = 0.005


@dataclass(slots=True, kw_only=True)
class Machines:
    """What runs beside the story.

    Attributes:
        gateway_url: where the shop's application sends its calls.
        pages: the pages, and what the gateway is told.
    """

    gateway_url: str
    pages: Pages
    _house: House
    _draining: Draining
    _bearer: str

    def publish(self) -> None:
        """Publish what is served, and wait until the gateway has it."""
        version = self.pages.refresh()
        for _ in _until(f"the gateway at {self.gateway_url} does not take what is published"):
            if _holds(self.gateway_url) == version:
                return

    def drain(self) -> Drained:
        """Take in everything that the gateway recorded, at once."""
        root = self._house.spec.data / SPOOL
        _told(self.gateway_url, "/-/rotate", bearer=self._bearer)
        for _ in _until(f"the gateway does not close its segment in {root}"):
            if not _open_segments(root):
                break
        drained = self._draining.round()
        self.pages.pulse()
        return drained

    def close(self) -> None:
        """The drain's processes end."""
        self._draining.close()


class Pages(threading.Thread):
    """Pages and API of the demo's own house, in a thread of the story's process, which owns the stores."""

    def __init__(self, house: House, port: int, gateway_url: str) -> None:
        super().__init__(name="pages", daemon=True)
        import secrets

        from inchworm.app.serve.publishing import LivePublisher
        from inchworm.app.serve.state import Pulse

        self.url = f"http://127.0.0.1:{port}"
        self._port, self._gateway_url, self._house = port, gateway_url, house
        self._master = master_key(house.spec.data)
        self._token = secrets.token_urlsafe(32)
        self._pulse = Pulse()
        self._publisher = LivePublisher(house, self._master)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], None] = lambda: None

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        import uvicorn

        from inchworm.app.api.build import build
        from inchworm.app.serve.state import ServerState

        self._loop = asyncio.get_running_loop()
        state = ServerState(
            house=self._house,
            publisher=self._publisher,
            pulse=self._pulse,
            wake=self._pulse.beat,
            gateway_url=self._gateway_url,
            master=self._master,
            local_token=self._token,
        )
        server = uvicorn.Server(
            uvicorn.Config(
                build(state),
                host="127.0.0.1",
                port=self._port,
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=1,
            )
        )

        def stop() -> None:
            self._pulse.stop()
            self._publisher.stop()
            server.should_exit = True

        self._stop = stop
        await server.serve()

    def refresh(self) -> str:
        """Publish anew if anything changed; the version that is published."""
        loop = self._loop
        if loop is None:
            raise InchwormError("the pages are not up")

        async def refresh() -> str:
            if self._publisher.changed():
                self._publisher.refresh()
            return self._publisher.version

        return asyncio.run_coroutine_threadsafe(refresh(), loop).result(_PATIENCE_S)

    def pulse(self) -> None:
        """Let open pages look again."""
        self._pulse.beat()

    def link(self, path: str) -> str:
        """An address of a page that logs a browser in, once."""
        made = _told(self.url, "/api/v1/login-links", bearer=self._token)
        return f"{self.url}{made['path']}&next={path}"

    def stop(self) -> None:
        """End, and wait for it."""
        if self._loop is not None and self.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
        self.join(_PATIENCE_S)
        self._publisher.close()


@contextmanager
def machines(house: House, model: AbstractContextManager[str], *, ports: Sequence[int]) -> Iterator[Machines]:
    """Start everything, and end it with the block.

    What a demo that was killed left in the spool is thrown away: its slot is played again as it was.

    Args:
        house: the shop's Inchworm.
        model: starts the model's server, and gives its address.
        ports: of the pages and of the gateway, if they are free; 0 for any.

    Raises:
        InchwormError: if one of them does not come up.
    """
    root = house.spec.data / SPOOL
    for _ in _until(f"another gateway writes to {root}; end the demo that it belongs to"):
        adopt_orphans(root)  # none while the gateway of a demo that was killed is still on its way out
        if not _open_segments(root):
            break
    for path in closed_segments(root):
        destroy(path)
    _ = house.control, house.traces  # opened here, before another thread asks for them
    page_port, gateway_port = _free(ports)
    gateway_url = f"http://127.0.0.1:{gateway_port}"
    master = master_key(house.spec.data)
    pages = Pages(house, page_port, gateway_url)
    pages.start()
    draining = Draining(house, derive(master, Purpose.SPOOL))
    made = Machines(
        gateway_url=gateway_url,
        pages=pages,
        _house=house,
        _draining=draining,
        _bearer=derive(master, Purpose.GATEWAY).hex(),
    )
    try:
        with model as model_url, _gateway(house, pages.url, gateway_port, model_url):
            for _ in _until(f"the pages at {pages.url} do not come up"):
                if ask(pages.url, "/-/health") is not None:
                    break
            made.publish()
            yield made
    finally:
        made.close()
        pages.stop()


@contextmanager
def _gateway(house: House, control: str, port: int, upstream: str) -> Iterator[None]:
    data = house.spec.data
    data.mkdir(parents=True, exist_ok=True)
    arguments = ["--data", str(data), "--control", control, "--port", str(port), "--name", NAME]
    # As a child of `inchworm serve` it ends with its standard input, also if this process is killed.
    command = [sys.executable, "-m", "inchworm.app.serve.child", "inchworm.gateway", *arguments]
    command += ["--upstream", upstream, "--replay"]
    with (
        (data / "gateway.log").open("ab") as log,
        subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as process,  # noqa: S603  # our own module
    ):
        try:
            for _ in _until(f"the gateway did not start; {log.name} says why"):
                if process.poll() is not None:
                    raise InchwormError(f"the gateway ended at once; {log.name} says why")
                if ask(f"http://127.0.0.1:{port}", "/-/health") is not None:
                    break
            yield
        finally:
            process.terminate()


def _open_segments(root: Path) -> list[Path]:
    return list(root.glob("*/*.open"))


def _free(ports: Sequence[int]) -> list[int]:
    """These ports, or others in place of those that are taken."""
    found: list[int] = []
    with_others: list[socket.socket] = []
    for port in ports:
        probe = socket.socket()
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with_others.append(probe)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        found.append(probe.getsockname()[1])
    for probe in with_others:
        probe.close()
    return found


def _until(problem: str) -> Iterator[None]:
    """Look again and again, for a while.

    Raises:
        InchwormError: after that.
    """
    end = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end:
        yield
        time.sleep(_LOOK_S)
    raise InchwormError(problem)


def _holds(gateway_url: str) -> str | None:
    ready = ask(gateway_url, "/-/ready", patience_s=_PATIENCE_S)
    held: str | None = ready.body.get("holds") if ready is not None and ready.status == 200 else None
    return held


def _told(url: str, path: str, *, bearer: str) -> Any:
    """What one of ours answers when it is told to do something."""
    said = ask(url, path, method="POST", bearer=bearer, patience_s=_PATIENCE_S)
    if said is None or said.status >= 300:
        raise InchwormError(f"{url}{path} does not answer as it should")
    return said.body
