"""Callers: requests as an OpenAI client makes them, on connections of their own."""

import asyncio
import json
import statistics
import time
from collections.abc import Mapping

CALLS_PER_SESSION = 5
SYSTEM = "You help the customers of a shop. Answer from the documents alone, in one sentence. " * 3
KEY = "sk-0123456789"


def request(
    path: str, number: int, *, stream: bool = False, headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one call, as the OpenAI SDK sends it; a session makes a few of them."""
    more = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    body = json.dumps(
        {
            "model": "small-1",
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": f"When does order {number} arrive?"},
            ],
            "temperature": 0.2,
            **({"stream": True} if stream else {}),
        }
    ).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\naccept: application/json\r\n"
        f"accept-encoding: gzip, deflate\r\n"
        f"authorization: Bearer {KEY}\r\nconnection: keep-alive\r\ncontent-type: application/json\r\n"
        f"user-agent: OpenAI/Python 3.54.0\r\nx-stainless-arch: x64\r\nx-stainless-lang: python\r\n"
        f"x-stainless-os: Linux\r\nx-stainless-retry-count: 0\r\nx-stainless-runtime: CPython\r\n"
        f"{more}inchworm-unit: session-{number // CALLS_PER_SESSION}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Caller:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> "Caller":
        """Connect."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def plain(self, data: bytes) -> None:
        """One call and its whole answer."""
        self.writer.write(data)
        head = await self.reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"a call failed: {head!r}")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
        if length:
            await self.reader.readexactly(int(length))
        else:  # in chunks
            await self.reader.readuntil(b"\r\n0\r\n\r\n")

    async def first_content(self, data: bytes) -> float:
        """Seconds until the first content of a stream; it is read to its end."""
        begun = time.perf_counter()
        self.writer.write(data)
        await self.reader.readuntil(b'"content"')
        took = time.perf_counter() - begun
        await self.reader.readuntil(b"0\r\n\r\n")
        return took

    def close(self) -> None:
        """Hang up."""
        self.writer.close()


async def load(
    port: int,
    path: str,
    calls: int,
    at_once: int,
    start: int,
    *,
    headers: Mapping[str, str] | None = None,
) -> None:
    """``calls`` calls, ``at_once`` at a time."""

    async def one(lane: int) -> None:
        caller = await Caller.to(port)
        for number in range(start + lane, start + calls, at_once):
            await caller.plain(request(path, number, headers=headers))
        caller.close()

    await asyncio.gather(*(one(lane) for lane in range(at_once)))


async def latency_ms(port: int, path: str, calls: int, start: int) -> float:
    """Median of one call after the other, milliseconds."""
    caller = await Caller.to(port)
    times: list[float] = []
    for number in range(start, start + calls):
        data = request(path, number)
        begun = time.perf_counter()
        await caller.plain(data)
        times.append(time.perf_counter() - begun)
    caller.close()
    return 1e3 * statistics.median(times)


async def first_ms(port: int, path: str, calls: int, start: int) -> float:
    """Median time to the first content, one stream after the other, milliseconds."""
    caller = await Caller.to(port)
    times = [
        await caller.first_content(request(path, number, stream=True))
        for number in range(start, start + calls)
    ]
    caller.close()
    return 1e3 * statistics.median(times)


async def listening(port: int, patience_s: float = 10.0) -> None:
    """Wait until somebody listens."""
    for _ in range(int(patience_s / 0.02)):
        try:
            (await Caller.to(port)).close()
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return
    raise SystemExit(f"nobody listens on port {port}")
