"""The model routes: who is meant, what they get, the provider's answer, and the record of it all.

Two rules order everything here. A unit's exposure is durable before any byte of its answer goes out; if it
cannot be made durable, the unit gets stable without an assignment. And a call's record is durable before
the last byte of its answer goes out; if it cannot be made durable, that is counted and the caller is served.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import assert_never

import msgspec

from inchworm.capture.stated import stated
from inchworm.domain.ids import UnitId
from inchworm.domain.mistakes import MISTAKES
from inchworm.domain.trace import Assignment
from inchworm.gateway.asking import Asker
from inchworm.gateway.attributes import attributes_of_request
from inchworm.gateway.call import Call, Failed, Trouble
from inchworm.gateway.exposing import Asked, Exposer
from inchworm.gateway.faults import (
    Fault,
    FaultError,
    internal,
    knows_nothing,
    not_json,
    stopping,
    unknown_app,
)
from inchworm.gateway.forwarding import (
    Unpacker,
    returned_headers,
    said_headers,
)
from inchworm.gateway.identity import Ids, Repeats, stated_at, trace_id
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.mirroring import Mirrors
from inchworm.gateway.recording import Recorder, durable
from inchworm.gateway.resolving import Decision, UnknownAppError, unexposed
from inchworm.gateway.rsgi import Closed, Exchange, Scope
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings
from inchworm.gateway.sse import Events, Plain
from inchworm.gateway.units import unit_of_request
from inchworm.gateway.upstream import (
    Answer,
    TooLateError,
    UpstreamError,
)
from inchworm.gateway.watching import Watch

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_JSON = ("content-type", "application/json")
_TOKENS = 4096
_STREAM = "text/event-stream"


@dataclass(slots=True, kw_only=True)
class Calls:
    """Serves the model routes.

    Attributes:
        settings: limits, and whether a recording is played.
        holder: what is served.
        recorder: writes down.
        asker: asks providers.
        mirrors: asks candidates too, for nobody to see.
        unit_key: ``derive(master, Purpose.UNIT)``.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
        watches: of the calls in flight.
    """

    settings: Settings
    holder: Holder
    recorder: Recorder
    asker: Asker
    mirrors: Mirrors
    unit_key: bytes = field(repr=False)
    clock: Callable[[], float]
    metrics: Metrics
    watches: set[Watch] = field(default_factory=set)
    _ids: Ids = field(default_factory=lambda: Ids(os.urandom))
    _repeats: Repeats = field(default_factory=Repeats)
    _tokens: dict[tuple[UnitId, Assignment], str] = field(default_factory=dict)
    _exposer: Exposer = field(init=False)

    def __post_init__(self) -> None:
        self._exposer = Exposer(holder=self.holder, recorder=self.recorder, metrics=self.metrics)

    async def serve(self, scope: Scope, proto: Exchange, headers: Mapping[str, str], raw: bytes) -> None:
        """Answer one call.

        Raises:
            FaultError: if it is none that can be forwarded.
        """
        call = self._begin(scope, proto, headers, raw)
        watch = call.watch
        self.watches.add(watch)
        try:
            await self._answer(call)
        except asyncio.CancelledError:
            if not watch.caught():
                raise
            await self._abandon(call)
        except Closed:
            await self._abandon(call)
        except MISTAKES:  # that the configuration of an arm led to, perhaps: it must not look like silence
            if not call.recorded:
                await self._record(call, Failed(Trouble.CUT, internal()))
            raise
        finally:
            self.watches.discard(watch)
            watch.close()
            call.transport = None  # granian ends the answer when nobody holds this any more
            if call.answer is not None:
                call.answer.abort()
            self.mirrors.go(call)
            self.metrics.requests.add(call.app, f"{call.said_status // 100}xx")
            self.metrics.latency.observe(self._now() - call.begun, call.app)

    # -- before the provider

    def _begin(self, scope: Scope, proto: Exchange, headers: Mapping[str, str], raw: bytes) -> Call:
        begun = self._now()
        serving = self.holder.serving
        if serving is None:
            raise FaultError(knows_nothing())
        try:
            body = _decode(raw)
        except (msgspec.DecodeError, RecursionError) as error:
            raise FaultError(not_json(str(error))) from error
        if not isinstance(body, dict):
            raise FaultError(not_json("it is another JSON value"))
        try:
            route = serving.route(headers, body)
        except UnknownAppError as error:
            raise FaultError(unknown_app(f"{error.message}. {error.hint}")) from error
        app = route.app
        fresh = self._ids()
        id_ = trace_id(headers, fresh=fresh)
        if id_ != fresh:
            id_ = self._repeats(id_)
        unit, unit_from = unit_of_request(
            headers, body, kind=app.unit, trace_id=id_, key=self.unit_key, examples=app.examples
        )
        at = (stated_at(headers) if self.settings.replay else None) or self.clock()
        attributes = attributes_of_request(app.asked, headers, body)
        asked = Asked(
            unit=unit, unit_from=unit_from, headers=headers, attributes=attributes, at=at, call=route.call
        )
        decision, exposure = self._exposer.begin(serving, app, asked)
        call = Call(
            id=id_,
            at=at,
            begun=begun,
            path=scope.path,
            query=scope.query_string,
            items=scope.headers.items(),
            raw=raw,
            body=body,
            route=route,
            decision=decision,
            attributes=stated(headers),
            serving=serving,
            proto=proto,
            watch=Watch(proto),
            exposure=exposure,
        )
        call.mirror = self.mirrors.begin(call)
        return call

    # -- the provider

    async def _answer(self, call: Call) -> None:
        got = await self.asker.ask(call)
        if call.exposure is not None and not await durable(call.exposure):
            before, call.decision = call.decision, unexposed(call.route.app, call.decision)
            if before.compiled is not call.decision.compiled:
                call.forget_answer()
                got = await self.asker.ask(call)
        match got:
            case Answer():
                await self._pass_on(call, got)
            case Failed():
                await self._fail(call, got)
            case Fault():  # the gateway's own refusal belongs to the unit's outcome all the same
                await self._record(call, None, refused=got)
                self._respond(call, got)
            case _:
                assert_never(got)

    # -- the way back

    async def _pass_on(self, call: Call, answer: Answer) -> None:
        if call.replayed_ms is not None and call.replayed_ms > 1e3 * call.deadline_s:
            answer.abort()
            call.answer = None
            await self._fail(call, self.asker.failed(call, TooLateError()))
            return
        content_type = answer.head.get("content-type") or ""
        unpacker = Unpacker.of(answer.head, self.settings.max_body * 8)
        call.streamed = content_type.startswith(_STREAM)
        if call.streamed:
            await self._relay(call, answer, unpacker)
            return
        try:
            while piece := await answer.piece():
                call.collect(piece if unpacker is None else unpacker.feed(piece), sys.maxsize)
                if call.size > self.settings.recorded_bytes:
                    await self._relay(call, answer, unpacker)
                    return
            if unpacker is not None:
                unpacker.end()
        except (UpstreamError, zlib.error) as error:
            await self._fail(call, self.asker.failed(call, _as_upstream(error)))
            return
        await self._record(call, None)
        call.watch.close()
        headers = [*returned_headers(answer.head), *self._said(call)]
        call.said_status = answer.head.status
        call.proto.response_bytes(answer.head.status, headers, b"".join(call.pieces))

    async def _relay(self, call: Call, answer: Answer, unpacker: Unpacker | None) -> None:
        """Pass an answer on as it comes, and hold its end until the record is durable."""
        call.watch.now()
        limit = self.settings.recorded_bytes
        events = Events() if call.streamed else Plain()
        headers = [*returned_headers(answer.head), *self._said(call)]
        length = answer.head.get("content-length")
        if length is not None and unpacker is None and not call.streamed:
            headers.append(("content-length", length))
        call.said_status = answer.head.status
        call.transport = call.proto.response_stream(answer.head.status, headers)
        failed: Failed | None = None
        begun = b"".join(call.pieces)
        if begun:
            call.pieces, call.size = [], 0
            call.collect(begun, limit)
            await call.transport.send_bytes(events.feed(begun))
        try:
            while piece := await answer.piece():
                if unpacker is not None:
                    piece = unpacker.feed(piece)
                call.collect(piece, limit)
                out = events.feed(piece)
                if call.ttft_s is None and events.first_content:
                    call.ttft_s = self._now() - call.begun
                    self.metrics.ttft.observe(call.ttft_s, call.app)
                if out:
                    await call.transport.send_bytes(out)
            if unpacker is not None:
                unpacker.end()
        except (UpstreamError, zlib.error) as error:
            failed = self.asker.failed(call, _as_upstream(error))
        await self._record(call, failed)
        if failed is None:
            last = events.rest()
        else:
            self.metrics.faults.add(failed.fault.code)
            last = events.cut() + (failed.fault.event() if call.streamed else b"")
        if last:
            await call.transport.send_bytes(last)

    async def _fail(self, call: Call, failed: Failed) -> None:
        await self._record(call, failed)
        self._respond(call, failed.fault)

    async def _abandon(self, call: Call) -> None:
        """The caller left, or the gateway stops: the provider is let go at once, and it is written down."""
        if call.answer is not None:
            call.answer.abort()
        stopped = call.watch.stopped
        if stopped:
            failed = Failed(Trouble.CUT, stopping())
        else:
            fault = Fault(
                status=499, code="caller_left", message="The caller left before the answer was whole."
            )
            failed = Failed(Trouble.CALLER_LEFT, fault)
        if not call.recorded:
            await self._record(call, failed)
        if stopped and call.transport is None:
            self._respond(call, failed.fault)
        elif stopped and call.transport is not None and call.streamed:
            await call.transport.send_bytes(failed.fault.event())

    def _respond(self, call: Call, fault: Fault) -> None:
        self.metrics.faults.add(fault.code)
        call.said_status = fault.status
        headers = [_JSON, *fault.headers, *self._said(call)]
        call.proto.response_bytes(fault.status, headers, fault.body())

    async def _record(self, call: Call, failed: Failed | None, *, refused: Fault | None = None) -> None:
        call.recorded = True
        if failed is not None:
            call.trouble = failed.trouble
            self.metrics.troubles.add(call.app, failed.trouble.value)
        await self.recorder.record(call.record(self._now(), failed, refused=refused))

    def _said(self, call: Call) -> list[tuple[str, str]]:
        decision: Decision = call.decision
        assignment = decision.assignment
        return said_headers(
            trace=call.id,
            unit=decision.unit,
            configuration=decision.configuration_id,
            token=None if assignment is None else self._token(call, assignment),
        )

    def _token(self, call: Call, assignment: Assignment) -> str:
        """A unit's token; signing costs more than remembering, and a session makes several calls."""
        name = (call.decision.unit, assignment)
        token = self._tokens.get(name)
        if token is None:
            if len(self._tokens) >= _TOKENS:
                self._tokens.clear()
            token = self._tokens[name] = call.serving.token(*name)
        return token

    @staticmethod
    def _now() -> float:
        return time.perf_counter()  # the loop's own clock counts whole milliseconds


def _as_upstream(error: Exception) -> UpstreamError:
    return (
        error if isinstance(error, UpstreamError) else UpstreamError(f"sent what cannot be unpacked: {error}")
    )
