"""What stands before every route: the check of the host's name, and the headers of every answer.

The outermost layer of the application, so that also the answer to a fault has them.
"""

from __future__ import annotations

import json
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inchworm.app.api.errors import body
from inchworm.domain.hosts import LOCAL, host_name

CSP = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


_TOO_LARGE = json.dumps(
    body("too_large", "the request is larger than what this takes", "send less at a time")
).encode()


class Guard:
    """An ASGI application around another.

    It answers only to the server's own names (:mod:`inchworm.domain.hosts`).

    Args:
        app: what is guarded.
        hosts: names by which the server may be called, besides those of this machine and the address that
            a connection came in at.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] = ()) -> None:
        self._app = app
        self._hosts = LOCAL | {name.lower() for name in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = _with_headers(send)
        host = host_name(Headers(scope=scope).get("host", ""))
        server = scope.get("server")
        if host in self._hosts or (server is not None and host == server[0]):
            await self._app(scope, receive, sent)
            return
        said = body(
            "host", "this server does not go by the name that it was called by", "call it by its address"
        )
        headers = [(b"content-type", b"application/json")]
        await sent({"type": "http.response.start", "status": 421, "headers": headers})
        await sent({"type": "http.response.body", "body": json.dumps(said).encode()})


def _with_headers(send: Send) -> Send:
    too_large = False

    async def sent(message: Message) -> None:
        nonlocal too_large
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _ALWAYS.items():
                headers[name] = value
            # Files that never change say so themselves; whatever says nothing is not to be kept.
            headers.setdefault("cache-control", "no-store")
            # The framework says this one as plain text, past all handlers of errors.
            too_large = message["status"] == 413
            if too_large:
                headers["content-type"] = "application/json"
                headers["content-length"] = str(len(_TOO_LARGE))
        elif too_large:
            message = {"type": "http.response.body", "body": _TOO_LARGE}
        await send(message)

    return sent
