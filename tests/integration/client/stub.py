"""A gateway and a provider for the client library: small, real servers on real sockets."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import ConfigurationId, RolloutId
from inchworm.domain.published import Published, PublishedApp, version
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import Candidate, ServingTable

STABLE = Configuration.of(
    {
        "model": {"name": "small"},
        "parameters": {"temperature": 0.2},
        "prompt": {"system": "You sell {product}.", "user": "Q: {question}"},
    }
)
CANDIDATE = Configuration.of(
    {
        "model": {"name": "large"},
        "parameters": {"temperature": 0.7},
        "prompt": {"system": "You sell {product}. Be kind.", "user": "Q: {question}"},
    }
)


def published(
    *,
    weight: float | None = None,
    rollout: str = "r-7",
    generation: int = 1,
    unit: UnitKind = UnitKind.SESSION,
    infrastructure: dict[str, Any] | None = None,
    app: str = "shop/production",
    stable: Configuration = STABLE,
    **more: Any,
) -> bytes:
    """A signed document: stable, or a rollout at ``weight``; ``more`` is of its candidate."""
    table = ServingTable(
        app=AppRef.parse(app),
        generation=generation,
        stable=stable.id,
        candidate=None
        if weight is None
        else Candidate(
            rollout_id=RolloutId(rollout),
            configuration_id=CANDIDATE.id,
            stage=generation,
            weight=weight,
            salt=rollout,
            hash_version=1,
            **more,
        ),
    )
    configurations = {ConfigurationId(one.id): one for one in (stable, CANDIDATE)}
    one = PublishedApp(
        app=table.app,
        unit=unit,
        table=table,
        configurations=configurations,
        infrastructure=infrastructure or {},
    )
    return Published(apps=(one,)).sign(b"k" * 32)


_ANSWERS: dict[str, dict[str, Any]] = {
    "/responses": {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "status": "completed",
        "output": [
            {
                "type": "message",
                "id": "m-1",
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": "hello", "annotations": []}],
            }
        ],
    },
    "/embeddings": {
        "object": "list",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
        "usage": {"prompt_tokens": 1, "total_tokens": 1},
    },
    "/messages": {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": "hello"}],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 1, "output_tokens": 1},
    },
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    stub: "Stub"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self.server.stub.opened(self.connection)
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.server.stub.polls.append(asked)
        document = self.server.stub.document_after(asked.get("holds"), float(asked.get("wait", 0)))
        if document is None:
            self._answer(503, b"")
        elif version(document) == asked.get("holds"):
            self._answer(304, b"")
        else:
            self._answer(200, document, ETag=version(document))

    def do_POST(self) -> None:
        self.server.stub.opened(self.connection)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        stub = self.server.stub
        ending = urlsplit(self.path).path.rsplit("/v1", 1)[-1]
        if ending in {"/responses", "/embeddings", "/messages"}:
            said = json.loads(body)
            stub.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, said))
            answer = _ANSWERS[ending] | {"model": said.get("model")}
            self._answer(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})
            return
        if self.path.endswith("/chat/completions"):
            stub.calls.append((self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
            if stub.hangs_up:
                self.close_connection = True
                return
            answer = {
                "id": "c-1",
                "object": "chat.completion",
                "created": 0,
                "model": json.loads(body).get("model"),
                "choices": [
                    {
                        "index": 0,
                        "finish_reason": "stop",
                        "message": {"role": "assistant", "content": stub.says},
                    }
                ],
            }
            self._answer(200, json.dumps(answer).encode(), **{"Content-Type": "application/json"})
            return
        stub.gate.wait()
        lines = body.splitlines()
        stub.batches.append(len(lines))
        if stub.answers:
            status, headers = stub.answers.pop(0)
            self._answer(status, b"{}", **headers)
            return
        read = [json.loads(line) for line in lines]
        if any(stub.poison in line for line in lines) and stub.poison:
            self._answer(400, b"{}")
            return
        with stub.changed:
            stub.lines += read
            stub.changed.notify_all()
        self._answer(200, json.dumps({"accepted": len(lines)}).encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:  # killed, or the client is gone
            self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name
        """Say nothing."""


class Stub:
    """A gateway (or a provider) that can be killed and started again on its port."""

    instances: ClassVar[list["Stub"]] = []

    def __init__(self, document: bytes | None = None, says: str = "hello", port: int = 0) -> None:
        self.document, self.says = document, says
        self.lines: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.polls: list[dict[str, str]] = []
        self.calls: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.poison = b""
        self.hangs_up = False
        self.gate = threading.Event()
        self.gate.set()
        self.changed = threading.Condition()
        self._sockets: list[Any] = []
        self._stopping = False
        self.port = port
        self.start()
        self.instances.append(self)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._stopping = False
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.stub = self
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def kill(self) -> None:
        """Drop everything, at once."""
        if self._stopping:
            return
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
        self.gate.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        for one in self._sockets:
            try:
                one.shutdown(2)
            except OSError:
                continue
        self._sockets.clear()

    def opened(self, sock: Any) -> None:
        self._sockets.append(sock)

    def publish(self, document: bytes) -> None:
        with self.changed:
            self.document = document
            self.changed.notify_all()

    def document_after(self, holds: str | None, wait_s: float) -> bytes | None:
        def newer() -> bool:
            return self._stopping or self.document is None or version(self.document) != holds

        with self.changed:
            self.changed.wait_for(newer, wait_s)
            return self.document

    def wait_for_lines(self, count: int) -> list[dict[str, Any]]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.lines) >= count, 10), self.lines
            return list(self.lines)

    def of(self, kind: str) -> list[dict[str, Any]]:
        with self.changed:
            return [line[kind] for line in self.lines if kind in line]


def until(condition: Any, seconds: float = 10.0) -> None:
    """Wait for something that another thread brings about."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
