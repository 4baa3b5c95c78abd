"""A Langfuse server on this machine: pages by cursor, as langfuse 5 reads them, or by number, as before."""

import json
import threading
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PUBLIC, SECRET = "pk-lf-1", "sk-lf-2"


def observation(number: int, **more: Any) -> dict[str, Any]:
    """One generation that is a trace by itself, as ``/api/public/v2/observations`` tells it."""
    return {
        "id": f"{number:016x}",
        "traceId": f"{number:032x}",
        "startTime": f"2026-09-20T10:00:{number % 60:02}.250Z",
        "endTime": f"2026-09-20T10:00:{number % 60:02}.750Z",
        "projectId": "p",
        "parentObservationId": None,
        "type": "GENERATION",
        "isRootObservation": True,
        "name": "answer",
        "level": "DEFAULT",
        "userId": f"user-{number}",
        "sessionId": f"session-{number // 2}",
        "input": json.dumps([{"role": "user", "content": f"Where is parcel {number} of ana@mailhost.net?"}]),
        "output": json.dumps({"role": "assistant", "content": "On its way."}),
        "model": "tiny-1",
        "modelParameters": {"temperature": 0.2},
        "usageDetails": {"input": 12, "output": 3, "total": 15},
        "costDetails": {"total": 0.001},
        "metadata": {"shop": "north"},
        **more,
    }


def score(number: int, subject: dict[str, Any], value: Any = 1.0, **more: Any) -> dict[str, Any]:
    """One score, as ``/api/public/v3/scores`` tells it."""
    kind = "BOOLEAN" if isinstance(value, bool) else "NUMERIC" if isinstance(value, float) else "CATEGORICAL"
    return {
        "id": f"s-{number}",
        "projectId": "p",
        "name": "helpful",
        "value": value,
        "dataType": kind,
        "source": "API",
        "timestamp": "2026-09-21T08:00:00.000Z",
        "subject": subject,
        **more,
    }


@dataclass
class Server:
    """Answers from ``lists``, by path; pages of ``size``.

    ``first`` are statuses (with headers) that come before anything else; ``blocked`` is a page, by path and
    number, at which it waits until ``released``.
    """

    lists: dict[str, list[dict[str, Any]]]
    size: int = 3
    first: list[tuple[int, dict[str, str]]] = field(default_factory=list)
    blocked: tuple[str, int] | None = None
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    waits: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def __enter__(self):
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_raised: object) -> None:
        self.released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(handler.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append((parts.path, query))
        expected = "Basic " + b64encode(f"{PUBLIC}:{SECRET}".encode()).decode()
        if handler.headers["Authorization"] != expected:
            self.say(handler, 401, {"error": "no"})
            return
        if self.first:
            status, headers = self.first.pop(0)
            self.say(handler, status, {"error": "busy"}, headers)
            return
        rows = self.lists.get(parts.path)
        if rows is None:
            self.say(handler, 404, {"error": "none"})
            return
        paged = "page" in query
        page = int(query["page"]) - 1 if paged else int(query.get("cursor", "c0")[1:])
        if self.blocked == (parts.path, page):
            self.waits.set()
            self.released.wait(60)
        start = page * self.size
        last = start + self.size >= len(rows)
        if paged:
            meta: dict[str, Any] = {"page": page + 1, "totalPages": -(-len(rows) // self.size)}
        else:
            meta = {} if last else {"cursor": f"c{page + 1}"}
        self.say(handler, 200, {"data": rows[start : start + self.size], "meta": meta})

    def say(self, handler, status, body, headers=None) -> None:
        data = json.dumps(body).encode()
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        with suppress(BrokenPipeError, ConnectionResetError):  # whoever asked was killed
            handler.wfile.write(data)
