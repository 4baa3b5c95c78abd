"""The model routes: who is meant, what they get, the provider's answer, and the record of it all.

Two rules order everything here. A unit's exposure is durable before any byte of its answer goes out; if it
cannot be made durable, the unit gets stable without an assignment. And a call's record is durable before
the last byte of its answer goes out; if it cannot be made durable, that is counted and the caller is served.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from inchworm.capture.fields import UnitFrom
from inchworm.capture.stated import stated
from inchworm.domain.ids import UnitId
from inchworm.domain.mistakes import MISTAKES
from inchworm.domain.rollout import UnitKind
from inchworm.domain.trace import Assignment
from inchworm.gateway.access import caller_of
from inchworm.gateway.asking import Asker
from inchworm.gateway.attributes import attributes_of_request
from inchworm.gateway.bodies import read_object
from inchworm.gateway.call import Call, Failed, Trouble
from inchworm.gateway.continuing import Continued
from inchworm.gateway.exposing import Asked, Exposer
from inchworm.gateway.faults import (
    Fault,
    FaultError,
    internal,
    knows_nothing,
    stopping,
    unknown_app,
)
from inchworm.gateway.forwarding import (
    Unpacker,
    returned_headers,
    said_headers,
)
from inchworm.gateway.identity import Ids, Repeats, stated_at, trace_id
from inchworm.gateway.kept import Kept, Memory
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
from inchworm.gateway.watching import Watch, Watches
from inchworm.gateway.wires import Wire

_JSON = ("content-type", "application/json")
_TOKENS = 4096
_STREAM = "text/event-stream"
_BEGINNING = 2048
"""Bytes of an answer in which its id stands."""


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
        memory: for what is kept of answers.
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
    memory: Memory = field(default_factory=Memory)
    watches: Watches = field(default_factory=Watches)
    _ids: Ids = field(default_factory=lambda: Ids(os.urandom))
    _repeats: Repeats = field(default_factory=Repeats)
    _tokens: dict[tuple[UnitId, Assignment], str] = field(default_factory=dict)
    _continued: Continued = field(default_factory=Continued)
    _exposer: Exposer = field(init=False)

    def __post_init__(self) -> None:
        self._exposer = Exposer(holder=self.holder, recorder=self.recorder, metrics=self.metrics)

    async def serve(
        self, wire: Wire, scope: Scope, proto: Exchange, items: Sequence[tuple[str, str]], raw: bytes
    ) -> None:
        """Answer one call.

        Args:
            wire: its protocol.
            scope: the request.
            proto: takes the answer.
            items: its headers, names in lower case.
            raw: the body.

        Raises:
            FaultError: if it is none that can be forwarded.
        """
        call = self._begin(wire, scope, proto, items, raw)
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
            call.kept.release()
            self.mirrors.go(call)
            self.metrics.requests.add(call.app, f"{call.said_status // 100}xx")
            self.metrics.latency.observe(self._now() - call.begun, call.app)

    # -- before the provider

    def _begin(
        self, wire: Wire, scope: Scope, proto: Exchange, items: Sequence[tuple[str, str]], raw: bytes
    ) -> Call:
        begun = self._now()
        headers = dict(items)
        serving = self.holder.serving
        if serving is None:
            raise FaultError(knows_nothing())
        caller = caller_of(headers, serving, self.settings)
        body = read_object(raw)
        try:
            route = serving.route(headers, body, caller.app)
        except UnknownAppError as error:
            raise FaultError(unknown_app(f"{error.message}. {error.hint}")) from error
        app = route.app
        fresh = self._ids()
        id_ = trace_id(headers, fresh=fresh)
        if id_ != fresh:
            id_ = self._repeats(id_)
        unit, unit_from = unit_of_request(
            headers, body, kind=app.unit, trace_id=id_, key=self.unit_key, examples=app.examples, wire=wire
        )
        if unit_from is UnitFrom.TRACE and app.unit is not UnitKind.REQUEST:
            unit, unit_from = self._continued.unit(str(app.app), wire.continues(body)) or (unit, unit_from)
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
            items=items,
            raw=raw,
            body=body,
            wire=wire,
            route=route,
            decision=decision,
            kept=Kept(self.memory),
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
                call.kept.hold(piece if unpacker is None else unpacker.feed(piece))
                if call.kept.size > self.settings.recorded_bytes or self.memory.full:
                    await self._relay(call, answer, unpacker)
                    return
            if unpacker is not None:
                unpacker.end()
        except (UpstreamError, zlib.error) as error:
            await self._fail(call, self.asker.failed(call, _as_upstream(error)))
            return
        await self._record(call, None)
        self._continue(call)
        call.watch.close()
        headers = [*returned_headers(answer.head), *self._said(call)]
        call.said_status = answer.head.status
        call.proto.response_bytes(answer.head.status, headers, call.kept.whole())

    async def _relay(self, call: Call, answer: Answer, unpacker: Unpacker | None) -> None:
        """Pass an answer on as it comes, and hold its end until the record is durable."""
        call.watch.now()
        limit = self.settings.recorded_bytes
        events = Events(call.wire) if call.streamed else Plain()
        headers = [*returned_headers(answer.head), *self._said(call)]
        length = answer.head.get("content-length")
        if length is not None and unpacker is None and not call.streamed:
            headers.append(("content-length", length))
        call.said_status = answer.head.status
        call.transport = call.proto.response_stream(answer.head.status, headers)
        failed: Failed | None = None
        begun = call.kept.whole()
        if begun:
            call.kept.release()
            call.kept.add(begun, limit)
            await call.transport.send_bytes(events.feed(begun))
        try:
            while piece := await answer.piece():
                if unpacker is not None:
                    piece = unpacker.feed(piece)
                call.kept.add(piece, limit)
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
            self._continue(call)
            last = events.rest()
        else:
            self.metrics.faults.add(failed.fault.code)
            last = events.cut() + (call.wire.fault_event(failed.fault) if call.streamed else b"")
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
            await call.transport.send_bytes(call.wire.fault_event(failed.fault))

    def _respond(self, call: Call, fault: Fault) -> None:
        self.metrics.faults.add(fault.code)
        call.said_status = fault.status
        headers = [_JSON, *fault.headers, *self._said(call)]
        call.proto.response_bytes(fault.status, headers, call.wire.fault_body(fault))

    async def _record(self, call: Call, failed: Failed | None, *, refused: Fault | None = None) -> None:
        call.recorded = True
        if failed is not None:
            call.trouble = failed.trouble
            self.metrics.troubles.add(call.app, failed.trouble.value)
        if call.kept.crowded:
            self.metrics.capture_troubles.add("answer")
        await self.recorder.record(call.record(self._now(), failed, refused=refused))

    def _continue(self, call: Call) -> None:
        """The next request of the conversation may name this answer, and nothing else of whose it is."""
        if not call.wire.holds:
            return
        answered = call.wire.answer_id(call.kept.beginning(_BEGINNING))
        if answered is not None:
            self._continued.remember(call.app, answered, call.decision.unit, call.decision.unit_from)

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
