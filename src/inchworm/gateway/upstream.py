"""The HTTP client of the hot path: HTTP/1.1 with keep-alive over asyncio, and nothing else.

Measured against pyreqwest and aiohttp in ``benchmarks/http_clients.py``: the client is a large part of what a
gateway costs. Redirects, cookies and HTTP/2 are left out on purpose.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping

from inchworm.gateway.connecting import Connector
from inchworm.gateway.http1 import AnswerError, Head, Reader
from inchworm.gateway.origins import (
    CutError,
    NoConnectionError,
    Origin,
    Target,
    TooLateError,
    UpstreamError,
    request_bytes,
)

__all__ = [
    "Answer",
    "Client",
    "CutError",
    "NoConnectionError",
    "Origin",
    "Target",
    "TooLateError",
    "UpstreamError",
    "request_bytes",
]
IDLE_S = 30.0
"""How long an idle connection is trusted."""
_CROSSED_S = 1.0
"""How soon a connection closes that was closed by the other side before a request reached it."""
_IDLE_LIMIT = 256
_HIGH_WATER = 256 << 10
_ONE_WRITE = 64 << 10


class _Connection(asyncio.Protocol):
    __slots__ = (
        "_buffered",
        "_deadline",
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
        self._deadline = 0.0
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
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
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
        self._deadline = deadline
        if self._timer is None or self._timer.when() > deadline:
            self._set_timer()
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

    def _set_timer(self) -> None:
        """Have the deadline looked at. The timer outlives the exchange: a new one costs more."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._expire)

    def _expire(self) -> None:
        self._timer = None
        if self.reader is None:
            return
        if self._loop.time() < self._deadline:  # of an exchange before this one
            self._set_timer()
        else:
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

    __slots__ = ("_connection", "_reader", "head", "over")

    def __init__(self, connection: _Connection, reader: Reader, head: Head) -> None:
        self._connection: _Connection | None = connection
        self._reader = reader
        self.head = head
        self.over: Callable[[], None] | None = None
        """Called once, when nothing of it is to come any more."""

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
                if self.over is not None:
                    self.over()
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
            if self.over is not None:
                self.over()

    def drop(self) -> None:
        """Nobody wants it; the connection is kept if all of it is here already."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.finish(keep=self._reader.done and self._reader.reusable)
            if self.over is not None:
                self.over()


class Client:
    """Sends requests over pooled connections. Belongs to one running event loop.

    Args:
        environment: names a proxy, perhaps (:class:`inchworm.gateway.connecting.Connector`).
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle: dict[Origin, deque[_Connection]] = {}
        self._connector = Connector(self._loop, {} if environment is None else environment)

    async def send(self, origin: Origin, head: bytes, body: bytes, *, deadline: float) -> Answer:
        """Send a request and wait for the head of its answer.

        A pooled connection that closes at once, before a byte of an answer, was most likely idle for too long
        on the other side; the request is then sent once more, on a new connection. One that closes later is
        taken for a provider that had begun to work.

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
        begun = self._loop.time()
        try:
            while reader.head is None:
                await connection.progress()
        except CutError as error:
            connection.finish(keep=False)
            if reader.begun or self._loop.time() - begun > _CROSSED_S:
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
        return await self._connector.open(lambda: _Connection(self._loop, idle), origin, deadline)


class _UnansweredError(CutError):
    """Not a byte of an answer came."""
