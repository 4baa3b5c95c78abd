"""A provider with faults, on a real socket: an HTTP/1.1 server that does what a header says."""

import asyncio
import contextlib
import gzip
import json
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from tests.integration.gateway import protocols

PATIENCE_S = 20.0


@dataclass(frozen=True)
class Request:
    """What a mock got."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


class Mock:
    """A server of HTTP/1.1 in a thread with an event loop of its own."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self.left = 0
        self.changed = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)

    def call(self, act: Callable[[], object]) -> None:
        self._loop.call_soon_threadsafe(act)

    def wait_for(self, true: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(true, PATIENCE_S)

    def drop_connections(self) -> None:
        """Close every connection that is idle now, as providers do; done when that is done."""
        done = threading.Event()

        def drop() -> None:
            for writer in self._writers:
                writer.transport.abort()
            done.set()

        self.call(drop)
        assert done.wait(PATIENCE_S)

    def notice(self) -> None:
        with self.changed:
            self.changed.notify_all()

    async def handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        raise NotImplementedError

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self.prepare()
        server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def prepare(self) -> None:
        """In the thread, before anybody asks."""

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while (request := await _request(reader)) is not None:
                self.seen.append(request)
                self.notice()
                handling = asyncio.create_task(self.handle(request, writer))
                gone = asyncio.create_task(_gone(reader))
                try:
                    await asyncio.wait((handling, gone), return_when=asyncio.FIRST_COMPLETED)
                    if not handling.done():
                        self.left += 1
                        self.notice()
                finally:
                    handling.cancel()
                    gone.cancel()
                    await asyncio.gather(handling, gone, return_exceptions=True)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    parts = urlsplit(target)
    return Request(method, parts.path, parts.query, headers, body)


async def _gone(reader: asyncio.StreamReader) -> None:
    """Done when the other side closed; a request that comes before its time would be a mistake of ours."""
    while not reader.at_eof():
        with contextlib.suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\0never\0")


def answer(writer: asyncio.StreamWriter, status: int, body: bytes, **headers: str) -> None:
    said = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
    writer.write(f"HTTP/1.1 {status} Some\r\n{lines}\r\n".encode() + body)


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
    made = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
    return b"data: " + json.dumps(made).encode() + b"\n\n"


ERROR = {"error": {"message": "The provider said no.", "type": "provider_error", "param": None, "code": "no"}}
WORDS = ("It ", "comes ", "on ", "Tuesday.")


class Provider(Mock):
    """A provider that does what the header ``x-mock`` says; the model of the request is echoed.

    ``MODE@MODEL`` holds for requests of that model alone.
    """

    def prepare(self) -> None:
        self.go_on = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def release(self) -> None:
        self.call(self.go_on.set)

    async def handle(self, request: Request, writer: asyncio.StreamWriter) -> None:
        mode, _, only = request.headers.get("x-mock", "").partition("@")
        if only and request.json.get("model") != only:
            mode = ""
        stream = bool(request.body and request.json.get("stream"))
        match mode:
            case "400" | "429" | "500":
                answer(
                    writer,
                    int(mode),
                    json.dumps(protocols.error_of(request.path, ERROR)).encode(),
                    retry_after="7",
                    x_request_id="req-9",
                    request_id="req-9",
                    anthropic_ratelimit_requests_limit="50",
                    x_ratelimit_limit_requests="60",
                    openai_organization="org-1",
                    set_cookie="a=b",
                    server="mock",
                )
            case "stall":
                await asyncio.Event().wait()
            case "close":
                writer.transport.abort()
            case "garbage":
                writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            case "bad_json":
                answer(writer, 200, b'{"id": "chatcmpl-1", "choices": [')
            case "huge":
                answer(writer, 200, json.dumps(_completion(request, "x" * (20 << 20))).encode())
            case "gzip":
                packed = gzip.compress(json.dumps(_completion(request, "packed")).encode())
                answer(writer, 200, packed, content_encoding="gzip")
            case "processing":
                milliseconds = request.headers["x-takes-ms"]
                body = json.dumps(_completion(request, "slowly")).encode()
                answer(writer, 200, body, openai_processing_ms=milliseconds)
            case "cut" if not stream:
                body = json.dumps(_completion(request, "half")).encode()
                length = f"content-length: {len(body)}\r\n\r\n"
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}".encode())
                writer.write(body[: len(body) // 2])
                await writer.drain()
                writer.close()
            case _ if stream and (events := protocols.stream_of(request.path, request.json)):
                await self._events(writer, mode, events)
            case _ if stream:
                await self._stream(writer, mode)
            case _ if (other := protocols.answer_of(request.method, request.path, request.body)) is not None:
                answer(writer, 200, json.dumps(other).encode(), x_request_id="req-1", request_id="req-1")
            case _:
                body = json.dumps(_completion(request, "".join(WORDS))).encode()
                answer(writer, 200, body, x_request_id="req-1", openai_processing_ms="12")
        await writer.drain()

    async def _events(self, writer: asyncio.StreamWriter, mode: str, events: list[bytes]) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        writer.write(f"{head}request-id: req-2\r\n\r\n".encode())
        middle = protocols.middle_of(events)
        for number, one in enumerate(events):
            if number == middle and mode == "cut":
                writer.write(chunk(one[:20]))
                await writer.drain()
                writer.close()
                return
            writer.write(chunk(one))
            await writer.drain()
            if number == middle - 1 and mode in {"slow", "hang"}:
                await (self.go_on if mode == "slow" else asyncio.Event()).wait()
        writer.write(b"0\r\n\r\n")

    async def _stream(self, writer: asyncio.StreamWriter, mode: str) -> None:
        head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n"
        writer.write(f"{head}x-request-id: req-2\r\n\r\n".encode())
        writer.write(chunk(event({"role": "assistant", "content": ""})))
        if mode == "malformed":
            writer.write(
                chunk(b"this is no event\n\ndata: {not json\n\ndata: [DON")
                + chunk(b"E]\n\n: end")
                + b"0\r\n\r\n"
            )
            return
        for number, word in enumerate(WORDS):
            writer.write(chunk(event({"content": word})))
            await writer.drain()
            if number == 0 and mode in {"slow", "hang"}:
                await (self.go_on if mode == "slow" else asyncio.Event()).wait()
            if number == 1 and mode == "cut":
                writer.write(chunk(event({"content": "half of this"})[:30]))
                await writer.drain()
                writer.close()
                return
        if mode == "huge":
            for _ in range(18):
                writer.write(chunk(event({"content": "x" * (1 << 20)})))
                await writer.drain()
        writer.write(chunk(event({}, "stop")) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n")


def _completion(request: Request, text: str) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if tools := request.json.get("tools"):
        function = {"name": tools[0]["function"]["name"], "arguments": '{"number": 7}'}
        message = {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call-1", "type": "function", "function": function}],
        }
    elif request.json.get("response_format"):
        message["content"] = '{"arrives": "Tuesday"}'
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": request.json.get("model", "none"),
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14},
    }
