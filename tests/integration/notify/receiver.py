"""A receiver of webhooks on this machine: answers as it is told to, and keeps what it got."""

import base64
import hashlib
import hmac
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECRET = b"0123456789abcdef0123456789abcdef"
WHSEC = f"whsec_{base64.b64encode(SECRET).decode()}"


@dataclass
class Got:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def id(self):
        return self.headers["webhook-id"]

    def signed_by(self, secret):
        """Whether the signature is that of the specification, written here a second time."""
        version, _, said = self.headers["webhook-signature"].partition(",")
        content = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        return version == "v1" and hmac.compare_digest(said, expected)


@dataclass
class Receiver:
    """Answers with the next of ``answers``; with 204 when there are none left.

    An answer is a status, one with headers, or ``None``: no answer until it is closed.
    """

    answers: list[Any] = field(default_factory=list)
    got: list[Got] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.got.append(Got(self.path, headers, body))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                receiver.came.set()
                if answer is None:
                    receiver.released.wait(60)
                    return
                status, more = answer if isinstance(answer, tuple) else (answer, {})
                self.send_response(status)
                for name, value in {"content-length": "0", **more}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *args):
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/hook"
