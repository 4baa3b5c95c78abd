"""``inchworm serve``: from a folder to a gateway and a server that run, until somebody stops them."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import logging
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from inchworm.app.config.load import AppSpec
from inchworm.app.config.observed import ANTHROPIC_URL, pointed
from inchworm.app.serve.declared import declared
from inchworm.app.serve.files import PORT, ServeFile, sole
from inchworm.app.serve.probe import ask
from inchworm.app.serve.server import Orders
from inchworm.app.serve.supervisor import Part, Running
from inchworm.capture.places import GATEWAY_PORT
from inchworm.domain.errors import UsageError
from inchworm.store.locks import make_folder

_LOG = logging.getLogger(__name__)
GATEWAY = "local"
"""Name of the installation's own gateway: of its folder in the spool."""
_WAIT_S = 15.0
_NO_NOISE = "ignore::UserWarning:multiprocessing.resource_tracker"
"""When a server is killed, this helper of its process pool cleans up behind it, and complains."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody asked for.

    Attributes:
        file: where ``inchworm.yaml`` is, or would be.
        actor: who acts, if it was said.
        host: address to listen at.
        port: of pages and API; 0 for any.
        gateway_port: of the gateway; 0 for any.
        require_key: whether the gateway serves nobody without a key.
    """

    file: Path
    actor: str | None = None
    host: str = "127.0.0.1"
    port: int = PORT
    gateway_port: int = GATEWAY_PORT
    require_key: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """What there is to say once everything answers.

    Attributes:
        spec: what is served.
        observing: whether there is no ``inchworm.yaml``.
        known: where it is, as others find it in the data directory.
        login: an address that opens the pages, once.
    """

    spec: AppSpec
    observing: bool
    known: ServeFile
    login: str


def run(asked: Asked, announce: Callable[[Announced], None]) -> None:
    """Serve until SIGINT or SIGTERM; what was accepted is in the stores or in the spool then.

    Raises:
        ConfigError: if ``inchworm.yaml`` is wrong.
        ConflictError: if a server of the same data directory runs.
        StartError: if a part does not start; it has said why.
        UsageError: if an address cannot be listened at.
    """
    if not asked.require_key and not _loopback(asked.host):
        # Containers listen everywhere and are reached from one place, so this is said and not refused.
        _LOG.warning(
            "whoever reaches port %d of %s may call models here: --require-key lets in programs with a key",
            asked.gateway_port,
            asked.host,
        )
    observing = not asked.file.exists()
    spec = declared(asked.file, (asked.port, asked.gateway_port))
    make_folder(spec.data)
    with (
        sole(spec.data, wait_s=_WAIT_S, waiting=_waiting) as lock,
        closing(listener(asked.host, asked.port, "--port")) as listening,
    ):
        port = int(listening.getsockname()[1])
        with closing(listener(asked.host, asked.gateway_port, "--gateway-port")) as tried:
            gateway_port = int(tried.getsockname()[1])
        known = ServeFile(
            pid=os.getpid(),
            url=_url(asked.host, port),
            gateway_url=_url(asked.host, gateway_port),
            token=secrets.token_urlsafe(32),
            started_at=time.time(),
        )
        gateway = _gateway(asked, spec.data, known, gateway_port, lock)
        server = _server(asked, known, listening, port, lock)

        async def ready() -> None:
            known.write(spec.data)
            login = await _login(known, port)
            announce(Announced(spec=spec, observing=observing, known=known, login=login))

        try:
            # The gateway stops first: what it accepted is drained by the server, which stops after it.
            asyncio.run(_supervise([Running(gateway), Running(server)], ready))
        finally:
            ServeFile.remove(spec.data)


async def _supervise(parts: Sequence[Running], ready: Callable[[], Awaitable[None]]) -> None:
    """Keep the parts running until a signal says to stop, and stop them in their order."""
    stop = asyncio.Event()
    asked_before = False

    def on_signal() -> None:
        nonlocal asked_before
        if asked_before:  # whoever asks twice does not want to wait
            for one in parts:
                one.kill()
        asked_before = True
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    keeping = [asyncio.create_task(one.keep()) for one in parts]
    stopping = asyncio.create_task(stop.wait())
    answering = asyncio.create_task(_all_answer(parts))
    try:
        await asyncio.wait([answering, stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
        if answering.done() and not stop.is_set():
            await ready()
        await asyncio.wait([stopping, *keeping], return_when=asyncio.FIRST_COMPLETED)
        if stop.is_set():
            _LOG.info("stopping")
    finally:
        for one in parts:
            await one.stop()
        for task in (answering, stopping):
            task.cancel()
        ended = [task for task in keeping if task.done()]
        for task in keeping:
            task.cancel()
    for task in ended:
        task.result()


async def _all_answer(parts: Sequence[Running]) -> None:
    for one in parts:
        await one.answers.wait()


def _gateway(asked: Asked, data: Path, known: ServeFile, port: int, lock: int) -> Part:
    # Without a declaration calls go where the environment says: OpenAI's are the server's to say, by what it
    # assumes of the folder; for Anthropic's there is no layer then.
    ports = (asked.port, asked.gateway_port, port)
    elsewhere = None if asked.file.exists() else pointed(ANTHROPIC_URL, os.environ, ports)
    arguments = {
        "--data": str(data),
        "--control": known.url,
        "--host": asked.host,
        "--port": str(port),
        "--name": GATEWAY,
    }
    return Part(
        name="the gateway",
        command=(
            *(sys.executable, "-m", "inchworm.app.serve.child", "inchworm.gateway"),
            *(word for pair in arguments.items() for word in pair),
            *(["--require-key"] if asked.require_key else []),
            *(["--anthropic", elsewhere] if elsewhere else []),
        ),
        host=_reachable(asked.host),
        port=port,
        inherited=(lock,),
    )


def _server(asked: Asked, known: ServeFile, listening: socket.socket, port: int, lock: int) -> Part:
    orders = Orders(
        file=str(asked.file),
        actor=asked.actor,
        listener=listening.fileno(),
        url=known.url,
        gateway_url=known.gateway_url,
        token=known.token,
    )
    return Part(
        name="the server",
        command=(sys.executable, "-W", _NO_NOISE, "-m", "inchworm.app.serve.server"),
        host=_reachable(asked.host),
        port=port,
        orders=orders.line(),
        inherited=(listening.fileno(), lock),
        patience_s=60.0,
        spare=True,
    )


def listener(host: str, port: int, option: str) -> socket.socket:
    """A socket that listens at an address.

    Args:
        host: an address of this machine, or its name.
        port: 0 for any that is free.
        option: which option named the port.

    Raises:
        UsageError: if it cannot be had.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server((str(address[0]), int(address[1])), family=family, backlog=2048)
    except OSError as error:
        what = (
            "is taken by another program"
            if error.errno == errno.EADDRINUSE
            else f"cannot be listened at: {error.strerror or error}"
        )
        raise UsageError(
            f"port {port} of {host} {what}", hint=f"name another one: inchworm serve {option} {port + 10}"
        ) from error


async def _login(known: ServeFile, port: int) -> str:
    """An address that opens the pages without typing a key, once; the plain one if there is none."""
    host = known.url.removeprefix("http://").rpartition(":")[0].strip("[]")
    answer = await ask(host, port, "/api/v1/login-links", method="POST", token=known.token)
    if answer is None or answer.status >= 300:
        _LOG.warning("no link to log in could be made; open %s/login", known.url)
        return f"{known.url}/login"
    return f"{known.url}{answer.json()['path']}"


def _reachable(host: str) -> str:
    """Where to call ourselves, if we listen at ``host``: everywhere is here too."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(host: str, port: int) -> str:
    here = _reachable(host)
    return f"http://[{here}]:{port}" if ":" in here else f"http://{here}:{port}"


def _waiting() -> None:
    _LOG.info("waiting for the parts of a server that was ended to finish")
