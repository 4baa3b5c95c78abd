"""A provider for real clients: OpenAI's and Anthropic's wires, streamed and plain, tools, structure, errors.

What it answers follows from what it is asked, so that a client is told nothing about tests:

- a last message that ends with ``fail 429`` (or 400, 500) gets that error, in the shape of the wire;
- tools that were not used yet are called, with as much of :data:`answers.STRUCTURE` as they take;
- a schema that is asked for is filled with ``{"city": "Bern", "days": 2}``;
- everything else is answered with :data:`answers.TEXT`.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.answers import WIRES, Events, last_text


@dataclass(frozen=True)
class Asked:
    """What the provider got."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Provider:
    """A provider that runs."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def about(self, text: str) -> list[Asked]:
        """The requests that say this, anywhere."""
        return [one for one in self.asked if text in json.dumps(one.body)]


@contextmanager
def provider() -> Iterator[Provider]:
    """One on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    made = Provider(f"http://127.0.0.1:{server.server_address[1]}")
    server.made = made  # type: ignore[attr-defined]  # what a handler has of its server
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._note({})
        names = ("gpt-4o-mini", "gpt-4o")
        listed = [{"id": name, "object": "model", "created": 1, "owned_by": "mock"} for name in names]
        self._json(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body: dict[str, Any] = json.loads(raw)
        self._note(body)
        wire = self.path.rsplit("/v1/", 1)[-1]
        *_, before, status = ["", "", *last_text(body).split()]
        if before == "fail":
            self._fail(wire, int(status))
            return
        plain, streamed = WIRES[wire]
        if body.get("stream"):
            self._stream(streamed(body), done=wire == "chat/completions")
        else:
            self._json(200, plain(body))

    def _note(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        made: Provider = self.server.made  # type: ignore[attr-defined]  # set where it is made
        made.asked.append(Asked(self.command, self.path, headers, body))

    def _fail(self, wire: str, status: int) -> None:
        message = f"The provider says {status}."
        kind = {400: "invalid_request_error", 429: "rate_limit_error", 500: "api_error"}[status]
        if wire == "messages":
            self._json(status, {"type": "error", "error": {"type": kind, "message": message}})
        else:
            self._json(
                status, {"error": {"message": message, "type": kind, "param": None, "code": f"c{status}"}}
            )

    def _json(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self._ids()
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        if status == 429:
            self.send_header("retry-after", "7")
        self.end_headers()
        self.wfile.write(data)

    def _ids(self) -> None:
        self.send_header("x-request-id", "req_mock_1")
        self.send_header("request-id", "req_mock_1")
        self.send_header("openai-processing-ms", "3")

    def _stream(self, events: Events, *, done: bool) -> None:
        self.send_response(200)
        self._ids()
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for name, event in events:
            head = "" if name is None else f"event: {name}\n"
            self._chunk(f"{head}data: {json.dumps(event)}\n\n")
        if done:
            self._chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
