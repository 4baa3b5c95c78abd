"""A provider with faults and a server that publishes, on real sockets; and real gateways between them."""

import asyncio
import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from tests.integration.gateway.upstream_mock import PATIENCE_S, Mock, Provider, Request, answer

from inchworm.capture.keyfile import master_key
from inchworm.capture.records import Called, Exposed, Record, decode
from inchworm.capture.spool import read_segment
from inchworm.capture.spool.folders import segments
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.errors import NotFoundError
from inchworm.domain.ids import RolloutId
from inchworm.domain.keys import Purpose, derive
from inchworm.domain.published import WITNESS, Published, PublishedApp, version, witness
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import Candidate, ServingTable

APP = AppRef(app="shop", environment="production")


class Control(Mock):
    """The server, as a gateway sees it: it answers when what is published is another version."""

    _news: asyncio.Event

    def __init__(self, key: bytes, bearer: str) -> None:
        super().__init__()
        self._key, self.bearer = key, bearer
        self.document = self.forged = b""

    def witness(self, nonce: str, name: str) -> str:
        return witness(self._key, nonce, name)

    def forge(self, answer: bytes) -> None:
        """From now on somebody else answers, whatever is asked."""

        def tell() -> None:
            self.forged = answer
            news, self._news = self._news, asyncio.Event()
            news.set()

        self.call(tell)

    def again(self) -> "Control":
        """The same server, started anew at the same port."""
        made = Control(self._key, self.bearer)
        made.port = self.port
        made.start()
        return made

    def prepare(self) -> None:
        self._news = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, *apps: PublishedApp, key: bytes | None = None) -> str:
        return self.publish_all(Published(apps=apps), key=key)

    def publish_all(self, published: Published, *, key: bytes | None = None) -> str:
        document = published.sign(self._key if key is None else key)

        def tell() -> None:
            self.document = document
            news, self._news = self._news, asyncio.Event()
            news.set()

        self.call(tell)
        return version(document)

    async def handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if request.headers.get("authorization") != f"Bearer {self.bearer}":
            answer(writer, 401, b"{}")
            return
        asked = parse_qs(request.query)
        held = asked.get("holds", [""])[0]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(float(asked["wait"][0])):
                while not self.forged and (not self.document or version(self.document) == held):
                    await self._news.wait()
        if self.forged:
            writer.write(self.forged)
            await writer.drain()
            return
        nonce = asked.get("nonce", [""])[0]
        if self.document and version(self.document) != held:
            name = version(self.document)
            answer(writer, 200, self.document, etag=name, inchworm_witness=self.witness(nonce, name))
        else:
            head = f"HTTP/1.1 304 Not Modified\r\n{WITNESS}: {self.witness(nonce, held)}\r\n\r\n"
            writer.write(head.encode())
        await writer.drain()


def eventually(true: Callable[[], object]) -> None:
    """Look again and again until it is true."""
    timer = threading.Event()
    for _ in range(int(PATIENCE_S / 0.02)):
        if true():
            return
        timer.wait(0.02)
    pytest.fail("it did not become true")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Reply:
    """What an HTTP request brought back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Gateway:
    """A gateway in a process of its own."""

    data: Path
    control: str
    log: Path
    port: int = field(default_factory=free_port)
    name: str = "g1"
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> None:
        told = [
            "--data",
            str(self.data),
            "--control",
            self.control,
            "--port",
            str(self.port),
            "--name",
            self.name,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "inchworm.gateway", *told, *self.arguments],
                stderr=log,
                env={**os.environ, "PYTHONWARNINGS": "error", **self.environment},
            )

    def start(self, *, ready: bool = True) -> "Gateway":
        """Launch it, and wait until it serves, or at least answers."""
        self.launch()
        until("/-/ready" if ready else "/-/health", self)
        return self

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self) -> int:
        assert self.process is not None
        code = self.process.wait(PATIENCE_S)
        self.process = None
        return code

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()

    def ask(
        self, path: str, body: bytes | None = None, *, method: str | None = None, **headers: str
    ) -> Reply:
        said = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and "content-type" not in said:
            said["content-type"] = "application/json"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, said)
            got = connection.getresponse()
            return Reply(got.status, {name.lower(): value for name, value in got.getheaders()}, got.read())
        finally:
            connection.close()

    def chat(self, text: str = "When?", *, path: str = "/v1/chat/completions", **more: Any) -> Reply:
        headers = more.pop("headers", {})
        body = {"model": "asked", "messages": [{"role": "user", "content": text}], **more}
        return self.ask(path, json.dumps(body).encode(), **{"authorization": "Bearer sk-mine", **headers})

    def holds(self, name: str) -> None:
        """Wait until this version is served."""
        deadline = PATIENCE_S
        reply = self.ask("/-/ready")
        while reply.json["holds"] != name:
            assert deadline > 0, reply.json
            held = reply.json["holds"] or ""
            self.ask(f"/inchworm/v1/serving?holds={held}&wait=5")
            deadline -= 1
            reply = self.ask("/-/ready")

    def records(self) -> list[Record]:
        """All that is durable, in order; open segments too."""
        key = derive(master_key(self.data), Purpose.SPOOL)
        out: list[Record] = []
        read: set[int] = set()
        while True:
            try:
                for number, path, _ in segments(self.data / "spool" / self.name):
                    if number not in read:
                        contents = read_segment(path, key)
                        assert contents.damage is None
                        out += [decode(one) for one in contents.records]
                        read.add(number)
            except NotFoundError:  # renamed between looking and reading
                continue
            return out

    def calls(self) -> list[Called]:
        return [one for one in self.records() if isinstance(one, Called)]

    def exposures(self) -> list[Exposed]:
        return [one for one in self.records() if isinstance(one, Exposed)]

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]


def until(path: str, gateway: Gateway) -> None:
    """Wait until the gateway answers this with 200."""

    def answers() -> bool:
        assert gateway.process is not None
        assert gateway.process.poll() is None, gateway.log.read_text("utf-8")
        with contextlib.suppress(OSError):
            return gateway.ask(path).status == 200
        return False

    eventually(answers)


@dataclass
class World:
    """Everything of one test, or of a module that shares it."""

    folder: Path
    provider: Provider
    control: Control
    gateways: list[Gateway] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def gateway(self, *arguments: str, start: bool = True, ready: bool = True, **more: Any) -> Gateway:
        number = len(self.gateways)
        made = Gateway(
            data=self.data,
            control=self.control.url,
            log=self.folder / f"gateway-{number}.log",
            arguments=arguments,
            **more,
        )
        self.gateways.append(made)
        return made.start(ready=ready) if start else made

    def configuration(self, **layers: Any) -> Configuration:
        infrastructure = {"base_url": self.provider.url, **layers.pop("infrastructure", {})}
        return Configuration.of({"infrastructure": infrastructure, **layers})

    def served(
        self,
        stable: Configuration,
        candidate: Configuration | None = None,
        *,
        weight: float = 0.5,
        stage: int = 0,
        generation: int = 1,
        unit: UnitKind = UnitKind.SESSION,
        **more: Any,
    ) -> PublishedApp:
        """One app; ``more`` is of its candidate (audience, holdout, ...)."""
        exposing = None
        if candidate is not None:
            exposing = Candidate(
                rollout_id=RolloutId("r-1"),
                configuration_id=candidate.id,
                stage=stage,
                weight=weight,
                salt="salt",
                hash_version=1,
                **more,
            )
        table = ServingTable(app=APP, generation=generation, stable=stable.id, candidate=exposing)
        known = [stable] if candidate is None else [stable, candidate]
        return PublishedApp(app=APP, unit=unit, table=table, configurations={one.id: one for one in known})

    def observed(self, **infrastructure: Any) -> PublishedApp:
        return PublishedApp(app=APP, infrastructure={"base_url": self.provider.url, **infrastructure})

    def close(self) -> None:
        for one in self.gateways:
            if one.process is not None:
                one.process.kill()
                one.process.wait(PATIENCE_S)
        for mock in (self.provider, self.control):
            mock.stop()


def _world(folder: Path) -> World:
    data = folder / "data"
    data.mkdir()
    master = master_key(data)
    provider = Provider()
    control = Control(derive(master, Purpose.PUBLISHED), derive(master, Purpose.GATEWAY).hex())
    provider.start()
    control.start()
    return World(folder, provider, control)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = _world(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def observing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One gateway for a whole module, with an app that is only observed."""
    made = _world(tmp_path_factory.mktemp("observing"))
    made.control.publish(made.observed())
    made.gateway()
    yield made
    made.close()
