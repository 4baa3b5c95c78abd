"""One request for an ingestion route, and what is said to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from inchworm.capture.headers import APP
from inchworm.gateway.access import caller_of
from inchworm.gateway.faults import Fault, FaultError, knows_nothing, not_json, too_large, unknown_app
from inchworm.gateway.ingest.packing import unpack
from inchworm.gateway.ingest.room import Share
from inchworm.gateway.resolving import ServedApp, Serving, UnknownAppError
from inchworm.gateway.rsgi import Exchange
from inchworm.gateway.settings import Settings

T = TypeVar("T")
JSON = "application/json"
PATIENCE_S = 60.0
"""Seconds that a body may take to arrive."""
_LINGER = 4  # times the limit
_SMALL = 128 << 10
"""Bytes up to which a body is worked on where it came: a thread would cost more than it frees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is answered.

    Attributes:
        status: the HTTP status.
        body: the whole of it.
        kind: its content type.
        headers: beside the content type.
    """

    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: Sequence[tuple[str, str]] = ()

    @classmethod
    def json(cls, value: object, status: int = 200) -> Said:
        """A JSON answer."""
        return cls(status=status, body=msgspec.json.encode(value))


@dataclass(slots=True, kw_only=True)
class Asked:
    """One request.

    Attributes:
        method: in capitals.
        path: without the query.
        query: as it came.
        headers: by lower-case names.
        proto: the exchange.
        settings: limits.
        serving: what is served.
        app: whose data it is.
        share: of the memory for bodies.
        executor: works on large bodies, so that nobody else waits.
        at: when it came, seconds since the epoch.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    proto: Exchange = field(repr=False)
    settings: Settings
    serving: Serving
    app: ServedApp
    share: Share
    executor: Executor
    at: float

    @property
    def kind(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    async def body(self) -> bytes:
        """The body, unpacked.

        Raises:
            FaultError: if it is too large, cannot be unpacked, or there is no memory for it now.
        """
        raw = await self._raw()
        encoding = self.headers.get("content-encoding", "")
        if encoding in {"", "identity"}:
            return raw
        most = self.settings.max_body
        body = await self.work(raw, lambda packed: unpack(packed, encoding, most=most))
        self.share.take(len(body))
        return body

    async def work(self, body: bytes, act: Callable[[bytes], T]) -> T:
        """Do something with a body, in a thread if it is large."""
        if len(body) <= _SMALL:
            return act(body)
        return await asyncio.get_running_loop().run_in_executor(self.executor, act, body)

    async def _raw(self) -> bytes:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self._received()
        except TimeoutError as error:
            raise FaultError(too_slow()) from error

    async def _received(self) -> bytes:
        limit = self.settings.max_body
        said = self.headers.get("content-length", "")
        length = int(said) if said.isdecimal() and len(said) < 16 else None  # more is no length
        if length is not None and length <= min(_SMALL, limit):
            body = await self.proto()
            self.share.take(len(body))
            return body
        refused: FaultError | None = None
        pieces: list[bytes] = []
        size = 0
        # Who has not finished sending would not see the answer: what is too much is read, and thrown away.
        if length is not None:
            refused = self._refused(length, length)
        async for piece in self.proto:
            size += len(piece)
            if size > _LINGER * limit:
                break
            if refused is None and length is None:
                refused = self._refused(len(piece), size)
            if refused is None:
                pieces.append(piece)
            else:
                pieces.clear()
        if refused is not None:
            raise refused
        return b"".join(pieces)

    def _refused(self, more: int, size: int) -> FaultError | None:
        """Make room for more of a body, of which there is so much then; why that cannot be."""
        refused = FaultError(too_large(self.settings.max_body))
        if size <= self.settings.max_body:
            try:
                self.share.take(more, large=True)
            except FaultError as error:
                refused = error
            else:
                return None
        self.share.give()
        return refused


def too_slow() -> Fault:
    """The body did not come to its end."""
    return Fault(
        status=408,
        code="too_slow",
        message=f"The request's body did not come to its end within {PATIENCE_S:g} s.",
    )


def whose(
    headers: Mapping[str, str], serving: Serving | None, settings: Settings
) -> tuple[Serving, ServedApp]:
    """What is served, and whose data a request brings: by its key, else by the header, else the first app's.

    Raises:
        FaultError: if nothing is served yet, the key opens nothing, or the app is not served.
    """
    if serving is None:
        raise FaultError(knows_nothing())
    caller = caller_of(headers, serving, settings)
    try:
        return serving, serving.app(headers.get(APP, ""), caller.app)
    except UnknownAppError as error:
        raise FaultError(unknown_app(error.message)) from error


def decoded(decoder: msgspec.json.Decoder[T], body: bytes) -> T:
    """A JSON body as what is expected.

    Raises:
        FaultError: 400, with what is wrong with it.
    """
    try:
        body.decode()  # what is skipped over is not looked at otherwise
        return decoder.decode(body)
    except RecursionError as error:
        raise FaultError(not_json("it is nested too deeply")) from error
    except UnicodeDecodeError as error:
        raise FaultError(not_json("it is no UTF-8")) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise FaultError(not_json(str(error)[:300])) from error
