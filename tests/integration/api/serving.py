"""A server of a small shop on a real socket, and a client that says what it sends."""

import json
import shutil
import socket
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import uvicorn

from inchworm.app.api.build import build
from inchworm.app.config.load import load
from inchworm.app.house import House
from inchworm.app.serve.files import ServeFile, sole
from inchworm.app.serve.state import Pulse, ServerState
from inchworm.domain.keys import Purpose, derive

TOKEN = "the-token-of-this-run"
MASTER = bytes(range(32))
GATEWAY_TOKEN = derive(MASTER, Purpose.GATEWAY).hex()


class Clock:
    """Shows what it is told; what is waited for is not waited for."""

    def __init__(self, now):
        self.at = now

    def __call__(self):
        return self.at


class OneDocument:
    """A publisher of one document."""

    document = b'{"content": "{}", "mac": ""}'

    def __init__(self):
        from inchworm.domain.published import version

        self.version = version(self.document)
        self.seen = {}

    async def newer_than(self, version, *, timeout_s):
        del timeout_s
        return None if version == self.version else self.document

    def heard_from(self, gateway):
        self.seen[gateway.name] = gateway

    def gateways(self):
        return tuple(self.seen.values())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)

    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        """What went wrong; fails unless it has the one shape."""
        said = self.json()
        assert said.keys() == {"error"}
        assert said["error"].keys() == {"code", "message", "hint"}
        return said["error"]


@dataclass
class Api:
    """A server, and calls to it.

    Attributes:
        port: where it listens.
        state: what its routes share.
        app: the application.
        clock: of its keys and sessions.
        woken: how often the control loop was asked to look.
    """

    port: int
    state: ServerState
    app: object
    clock: Clock
    woken: list[bool]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def __call__(self, verb, path, data=None, *, token=TOKEN, headers=None, raw=None, form=None, host=None):
        sent = {"Host": host or f"127.0.0.1:{self.port}"}
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        body = raw
        if data is not None:
            body, sent["Content-Type"] = json.dumps(data).encode(), "application/json"
        if form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request(verb, path, body, sent | (headers or {}))
        response = connection.getresponse()
        answer = Answer(
            response.status,
            {name.lower(): value for name, value in response.getheaders()},
            response.read(),
            response.headers.get_all("set-cookie") or [],
        )
        connection.close()
        return answer

    def get(self, path, **more):
        """What is answered with 200."""
        answer = self("GET", f"/api/v1{path}", **more)
        assert answer.status == 200, answer.body
        said = answer.json()
        assert said["version"] == 1
        return said

    def post(self, path, data=None, *, status=200, **more):
        """What is answered with ``status``."""
        answer = self("POST", f"/api/v1{path}", data, **more)
        assert answer.status == status, answer.body
        return answer.json()

    def key(self, scope, *, name=None, expires_s=None):
        """A new key."""
        asked = {"name": name or f"a {scope}", "scope": scope, "expires_s": expires_s}
        return self.post("/keys", asked, status=201)

    def log_in(self, token=TOKEN):
        """The cookie of a new session."""
        answer = self("POST", "/login", form={"key": token, "next": "/"}, token=None)
        assert answer.status == 303
        return answer.cookies[0].partition(";")[0]


@contextmanager
def serving(folder: Path, *, now: float, hosts=(), announce=False):
    """A server of the shop in ``folder``; with ``announce``, as ``inchworm serve`` would have it found."""
    spec = load(folder / "inchworm.yaml")
    woken: list[bool] = []
    clock = Clock(now)
    with ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as listening:
        if announce:
            stack.enter_context(sole(spec.data, wait_s=0, waiting=lambda: None))
        house = stack.enter_context(House(spec=spec, actor="inchworm", owner=True))
        _ = house.control, house.traces
        state = ServerState(
            house=house,
            publisher=OneDocument(),
            pulse=Pulse(),
            wake=lambda: woken.append(True),
            gateway_url=None,
            master=MASTER,
            local_token=TOKEN,
        )
        app = build(state, hosts=hosts, clock=clock)
        config = uvicorn.Config(app, log_level="critical", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        port = listening.getsockname()[1]
        try:
            if announce:
                ServeFile(
                    pid=_pid(), url=f"http://127.0.0.1:{port}", gateway_url="", token=TOKEN, started_at=0
                ).write(spec.data)
            yield Api(port=port, state=state, app=app, clock=clock, woken=woken)
        finally:
            if announce:
                ServeFile.remove(spec.data)
            state.pulse.stop()
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


def _pid():
    import os

    return os.getpid()


def copied(opened: Path, folder: Path) -> Path:
    """A copy of a shop to act on."""
    shutil.copytree(opened, folder)
    return folder
