"""Asking a part of the server, as simply as HTTP can be asked, without a client library's start-up."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """What a part answered.

    Attributes:
        status: the HTTP status.
        body: the body.
    """

    status: int
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


async def ask(
    host: str,
    port: int,
    path: str,
    *,
    method: str = "GET",
    token: str | None = None,
    timeout_s: float = 5.0,
) -> Answer | None:
    """One request on a connection of its own; ``None`` if no whole answer came within ``timeout_s``."""
    name = f"[{host}]" if ":" in host else host
    lines = [
        f"{method} {path} HTTP/1.1",
        f"Host: {name}:{port}",
        "Connection: close",
        "Content-Length: 0",
        *([] if token is None else [f"Authorization: Bearer {token}"]),
    ]
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write("\r\n".join([*lines, "", ""]).encode("ascii"))
                head = await reader.readuntil(b"\r\n\r\n")
                length = _length(head)
                body = await (reader.read() if length is None else reader.readexactly(length))
            finally:
                writer.close()
        return Answer(int(head.split(b" ", 2)[1]), body)
    except (OSError, TimeoutError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):
        return None


def _length(head: bytes) -> int | None:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return None
