"""One call on its way through the gateway: what is known of it, and the record that it becomes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from inchworm.capture.records import Called
from inchworm.domain.ids import TraceId
from inchworm.gateway.applying import Applied
from inchworm.gateway.faults import Fault
from inchworm.gateway.kept import Kept
from inchworm.gateway.recording import assigned
from inchworm.gateway.resolving import Decision, Route, Serving
from inchworm.gateway.rsgi import Exchange, Pieces
from inchworm.gateway.units import MEMBER
from inchworm.gateway.upstream import Answer
from inchworm.gateway.watching import Watch
from inchworm.gateway.wires import Wire


class Trouble(StrEnum):
    """Why there is no whole answer, as :class:`inchworm.capture.records.Called` says it."""

    DEADLINE = "deadline"
    CONNECT = "connect"
    CUT = "cut"
    CALLER_LEFT = "caller_left"
    BUSY = "busy"
    BROKEN = "broken"
    UNAPPLIED = "unapplied"
    UNCOMPARED = "uncompared"


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no whole answer.

    Attributes:
        trouble: the kind.
        fault: what the caller is told.
    """

    trouble: Trouble
    fault: Fault


@dataclass(frozen=True, slots=True)
class Mirror:
    """A place that is kept for the candidate's answer to a call.

    Attributes:
        id: the id under which that answer is recorded.
        durable: done when the disk knows that the candidate is asked.
        size: bytes that are held for it.
    """

    id: TraceId
    durable: asyncio.Future[None]
    size: int


@dataclass(slots=True, kw_only=True)
class Question:
    """What a provider is asked, and what is known of its answer. Times are of ``time.perf_counter``, seconds.

    Attributes:
        id: the trace's id.
        at: when it came, seconds since the epoch.
        begun: the same by ``time.perf_counter``.
        path: as the caller called it.
        query: behind the question mark.
        items: the caller's headers.
        raw: the body as it came.
        body: its JSON object.
        wire: its protocol.
        route: who is meant.
        decision: what it gets.
        applied: what is forwarded; ``None`` before that is known.
        sent: the body as it is forwarded, if it differs from the caller's.
        deadline_s: seconds that the answer may take.
        answer: the provider's answer, once its head is here.
        kept: what is recorded of its body.
        streamed: whether the answer is a stream of events.
        replayed_ms: how long it took in the recording that is played, milliseconds.
        ttft_s: seconds until the first content of a stream.
        attributes: what else is known, for the record.
    """

    id: TraceId
    at: float
    begun: float
    path: str
    query: str
    items: Sequence[tuple[str, str]]
    raw: bytes
    body: dict[str, Any]
    wire: Wire
    route: Route
    decision: Decision
    kept: Kept
    applied: Applied | None = None
    sent: bytes | None = None
    deadline_s: float = 0.0
    answer: Answer | None = None
    streamed: bool = False
    replayed_ms: float | None = None
    ttft_s: float | None = None
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def app(self) -> str:
        """``NAME/ENVIRONMENT``."""
        return str(self.route.app.app)

    def forget_answer(self) -> None:
        """The answer is nobody's: it is thrown away, and another one will come."""
        if self.answer is not None:
            self.answer.abort()
        self.answer = None
        self.kept.release()
        self.streamed = False
        self.ttft_s = self.replayed_ms = None
        self.attributes.pop("provider.request_id", None)

    def record(self, now: float, failed: Failed | None, *, refused: Fault | None = None) -> Called:
        """What is written down.

        Args:
            now: by ``time.perf_counter``.
            failed: what went wrong, if something did.
            refused: the gateway's own answer, if no provider was asked.
        """
        decision, applied, answer = self.decision, self.applied, self.answer
        ours = self.body.get(MEMBER)
        if self.kept.truncated:
            self.attributes["response.recorded_bytes"] = self.kept.size
        if decision.token_refused:
            self.attributes["token_refused"] = True
        status = None if answer is None else answer.head.status
        replayed = self.replayed_ms
        return Called(
            id=self.id,
            app=self.app,
            call=self.route.call,
            at=self.at,
            unit=decision.unit,
            unit_from=decision.unit_from.value,
            dialect=self.wire.name,
            configuration=decision.configuration_id,
            assigned=None if decision.assignment is None else assigned(decision.assignment),
            inputs=None if applied is None else applied.inputs,
            reference=ours.get("reference") if isinstance(ours, dict) else None,
            request=self.raw,
            sent=self.sent,
            response=self.kept.whole() if refused is None else self.wire.fault_body(refused),
            streamed=self.streamed,
            status=status if refused is None else refused.status,
            trouble=None if failed is None else failed.trouble.value,
            trouble_said=None if failed is None else failed.fault.reason or failed.fault.message,
            ttft_ms=None if self.ttft_s is None or replayed is not None else 1e3 * self.ttft_s,
            latency_ms=1e3 * (now - self.begun) if replayed is None else replayed,
            unapplied=() if applied is None else applied.unapplied,
            attributes=self.attributes,
        )


@dataclass(slots=True, kw_only=True)
class Call(Question):
    """A question that a caller waits for the answer of.

    Attributes:
        serving: what was served when it came.
        proto: takes the answer.
        watch: notices that the caller left.
        exposure: done when its unit's exposure is durable; ``None`` if that is so already.
        mirror: the same question to the candidate, if it is asked too.
        recorded: whether its record was handed over.
        trouble: why there is no whole answer, if there is none.
        transport: takes the rest of an answer that has begun to go out in pieces.
        said_status: the status that the caller got; 499 as long as it got none.
    """

    serving: Serving
    proto: Exchange
    watch: Watch
    exposure: asyncio.Future[None] | None = None
    mirror: Mirror | None = None
    recorded: bool = False
    trouble: Trouble | None = None
    transport: Pieces | None = None
    said_status: int = 499
