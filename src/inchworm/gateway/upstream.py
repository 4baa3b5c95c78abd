"""The HTTP client of the hot path: HTTP/1.1 with keep-alive over asyncio, and nothing else.

Measured against pyreqwest and aiohttp in ``benchmarks/http_clients.py``: the client is a large part of what a
gateway costs. Redirects, cookies, proxies and HTTP/2 are left out on purpose.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import ssl
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from inchworm.domain.errors import ConfigError
from inchworm.gateway.http1 import AnswerError, Head, Reader

CONNECT_TIMEOUT_S = 10.0
"""How long a connection, TLS included, may take."""
IDLE_S = 30.0
"""How long an idle connection is trusted."""
_IDLE_LIMIT = 256
_HIGH_WATER = 256 << 10
_ONE_WRITE = 64 << 10


class UpstreamError(Exception):
    """No whole answer came. The text is a sentence without its subject: ``refused the connection``."""


class NoConnectionError(UpstreamError):
    """There was no connection: nothing was asked."""


class CutError(UpstreamError):
    """The answer broke off, or was no HTTP/1.1."""


class TooLateError(UpstreamError):
    """The deadline passed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead.

    Attributes:
        secure: whether TLS is spoken.
        host: name or address, without brackets.
        port: the port.
    """

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The ``Host`` header; the default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL, taken apart.

    Attributes:
        origin: where connections lead.
        path: of the base URL, without the slash at its end.
        query: of the base URL, without the question mark.
    """

    origin: Origin
    path: str
    query: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Take an ``http://`` or ``https://`` URL apart.

        Raises:
            ConfigError: if it is no such URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f'"{url}" is no URL: {error}') from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or " " in url:
            raise ConfigError(f'"{url}" is no URL that begins with http:// or https:// and names a host')
        secure = parts.scheme == "https"
        origin = Origin(secure, parts.hostname, port or (443 if secure else 80))
        return cls(origin, parts.path.rstrip("/"), parts.query)


def request_bytes(
    method: str, origin: Origin, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> bytes:
    """Request line and headers of a request; ``Host`` and ``Content-Length`` are added."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: {origin.authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append(f"content-length: {len(body)}\r\n\r\n" if body or method != "GET" else "\r\n")
    return "".join(lines).encode()


class _Connection(asyncio.Protocol):
    __slots__ = (
        "_buffered",
        "_failure",
        "_idle",
        "_loop",
        "_paused",
        "_timer",
        "_waiter",
        "reader",
        "since",
        "transport",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, idle: deque[_Connection]) -> None:
        self._loop = loop
        self._idle = idle
        self._waiter: asyncio.Future[None] | None = None
        self._failure: UpstreamError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._buffered = 0
        self._paused = False
        self.reader: Reader | None = None
        self.since = 0.0
        self.transport: asyncio.Transport

    # -- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]  # a stream's transport is a Transport

    def data_received(self, data: bytes) -> None:
        reader = self.reader
        if reader is None:  # nobody asked anything
            self.transport.abort()
            return
        try:
            reader.feed(data)
        except AnswerError as error:
            self._fail(CutError(f"sent what is no HTTP/1.1 answer: {error}"))
            return
        self._buffered += len(data)
        if self._buffered > _HIGH_WATER and not self._paused and not reader.done:
            self._paused = True
            self.transport.pause_reading()
        if reader.head is not None:
            self._wake()

    def eof_received(self) -> bool:
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self.reader is None:
            if self in self._idle:
                self._idle.remove(self)
            return
        if self._failure is not None:  # this end of it hung up: an answer that lasts until then is not whole
            return
        try:
            self.reader.end(cut=exc is not None)
        except AnswerError:
            self._fail(CutError("closed the connection before the answer was whole"))
        else:
            self._wake()

    # -- one exchange

    def begin(self, head: bytes, body: bytes, deadline: float) -> Reader:
        self.reader = reader = Reader()
        self._buffered = 0
        self._timer = self._loop.call_at(deadline, self._expire)
        if len(body) <= _ONE_WRITE:
            self.transport.write(head + body)
        else:
            self.transport.writelines((head, body))
        return reader

    async def progress(self) -> None:
        """Wait until more came than was taken, or it ended."""
        if self._failure is None:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if (failure := self._failure) is not None:
            # A copy, for what is raised holds the frames that it passed, and would keep them alive here.
            raise type(failure)(str(failure))

    def taken(self) -> None:
        """What came was taken: more may come."""
        self._buffered = 0
        if self._paused:
            self._paused = False
            self.transport.resume_reading()

    def finish(self, *, keep: bool) -> None:
        """The exchange is over: the connection waits for the next one, or is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.reader = None
        self.taken()
        if (
            keep
            and self._failure is None
            and not self.transport.is_closing()
            and not self.transport.get_write_buffer_size()  # it answered before it heard everything
            and len(self._idle) < _IDLE_LIMIT
        ):
            self.since = self._loop.time()
            self._idle.append(self)
        else:
            self.transport.abort()

    def _expire(self) -> None:
        self._fail(TooLateError("did not answer in time"))

    def _fail(self, failure: UpstreamError) -> None:
        if self._failure is None:
            self._failure = failure
        self._wake()
        self.transport.abort()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Answer:
    """An answer whose head is here and whose body comes. Read it to its end, or :meth:`abort` it."""

    __slots__ = ("_connection", "_reader", "head")

    def __init__(self, connection: _Connection, reader: Reader, head: Head) -> None:
        self._connection: _Connection | None = connection
        self._reader = reader
        self.head = head

    async def piece(self) -> bytes:
        """What came since the last time, at least a byte; empty at the end.

        Raises:
            CutError: if it broke off; what came before was handed out.
            TooLateError: if the deadline passed.
        """
        reader = self._reader
        connection = self._connection
        while connection is not None:
            if reader.pieces:
                got = reader.pieces[0] if len(reader.pieces) == 1 else b"".join(reader.pieces)
                reader.pieces.clear()
                connection.taken()
                if got:
                    return got
            elif reader.done:
                self._connection = None
                connection.finish(keep=reader.reusable)
                break
            else:
                try:
                    await connection.progress()
                except UpstreamError:
                    if not reader.pieces:
                        self.abort()
                        raise
        return b""

    @property
    def whole(self) -> bool:
        """Whether all of it is here, taken or not."""
        return self._reader.done

    def abort(self) -> None:
        """Nobody wants the rest: the connection is closed. Does nothing after the end."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(keep=False)


class Client:
    """Sends requests over pooled connections. Belongs to one running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def send(self, origin: Origin, head: bytes, body: bytes, *, deadline: float) -> Answer:
        """Send a request and wait for the head of its answer.

        A pooled connection that closes before it answers a byte was most likely idle for too long on the
        other side; the request is then sent once more, on a new connection.

        Args:
            origin: where to.
            head: see :func:`request_bytes`.
            body: the body.
            deadline: time of the event loop by which the whole answer must be here, seconds.

        Raises:
            NoConnectionError: if there is no connection to be had.
            CutError: if the connection closes before it answers, or what comes is no HTTP/1.1.
            TooLateError: if the deadline passes.
        """
        connection = self._pooled(origin)
        if connection is not None:
            try:
                return await self._exchange(connection, head, body, deadline)
            except _UnansweredError:
                pass
        return await self._exchange(await self._connect(origin, deadline), head, body, deadline)

    def close(self) -> None:
        """Close what is idle."""
        for idle in self._idle.values():
            for connection in tuple(idle):
                connection.transport.abort()

    async def _exchange(self, connection: _Connection, head: bytes, body: bytes, deadline: float) -> Answer:
        reader = connection.begin(head, body, deadline)
        try:
            while reader.head is None:
                await connection.progress()
        except CutError as error:
            connection.finish(keep=False)
            if reader.begun:
                raise
            raise _UnansweredError(str(error)) from error
        except BaseException:  # cancelled, too late: nobody reads what is still to come
            connection.finish(keep=False)
            raise
        return Answer(connection, reader, reader.head)

    def _pooled(self, origin: Origin) -> _Connection | None:
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if not connection.transport.is_closing() and self._loop.time() - connection.since < IDLE_S:
                return connection
            connection.transport.abort()
        return None

    async def _connect(self, origin: Origin, deadline: float) -> _Connection:
        idle = self._idle.setdefault(origin, deque())
        limit = self._loop.time() + CONNECT_TIMEOUT_S
        try:
            async with asyncio.timeout_at(min(limit, deadline)):
                _, connection = await self._loop.create_connection(
                    lambda: _Connection(self._loop, idle),
                    origin.host,
                    origin.port,
                    ssl=self._context() if origin.secure else None,
                )
        except TimeoutError as error:
            if deadline < limit:
                raise TooLateError("did not accept a connection in time") from error
            raise NoConnectionError(f"did not accept a connection within {CONNECT_TIMEOUT_S:g} s") from error
        except ssl.SSLError as error:
            raise NoConnectionError(f"could not be trusted: {_said(error)}") from error
        except OSError as error:
            raise NoConnectionError(f"could not be reached: {_said(error)}") from error
        return connection

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls


class _UnansweredError(CutError):
    """Not a byte of an answer came."""


def tls_context() -> ssl.SSLContext:
    """Verifies against the system's certificates (``SSL_CERT_FILE`` is heeded), else against certifi's."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    system = paths.cafile is not None or (paths.capath is not None and any(Path(paths.capath).iterdir()))
    if not system and importlib.util.find_spec("certifi") is not None:
        context.load_verify_locations(importlib.import_module("certifi").where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _said(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
