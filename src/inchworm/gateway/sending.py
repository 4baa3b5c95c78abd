"""Sending to providers: a place for the request, a breaker before it, and another try where that is safe."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inchworm.domain.ids import ConfigurationId
from inchworm.gateway.breaker import Admitted, Breaker, Refused, Result, Rules
from inchworm.gateway.gates import Gate
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.origins import NoConnectionError, Origin, TooLateError, UpstreamError
from inchworm.gateway.retrying import asked_to_wait_s, backoff_s
from inchworm.gateway.upstream import Answer, Client

_SERVER_ERROR = 500
_REMEMBERED = 512
"""Gates and breakers beyond which those that stand idle are forgotten."""


class BusyError(UpstreamError):
    """All places were taken, and nobody more may wait.

    Attributes:
        limit: how many places there are.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(f"is sent {limit} requests at once, and as many as may wait for it already")
        self.limit = limit


class BrokenError(UpstreamError):
    """The provider failed too often just before, and was not asked.

    Attributes:
        wait_s: seconds until it may be asked again.
        late: whether it missed deadlines; then the call counts as one that did.
    """

    def __init__(self, refused: Refused) -> None:
        super().__init__("failed too often just now, and is not asked for a while")
        self.wait_s, self.late = refused.wait_s, refused.late


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How requests of one configuration go to one provider.

    Attributes:
        origin: the provider.
        configuration: whose requests they are; ``None`` if none is applied.
        limit: requests in flight at once.
        retries: how often it is asked again, at most.
    """

    origin: Origin
    configuration: ConfigurationId | None
    limit: int
    retries: int

    @classmethod
    def of(
        cls,
        origin: Origin,
        configuration: ConfigurationId | None,
        infrastructure: Mapping[str, Any],
        at_once: int,
    ) -> Way:
        """As an infrastructure layer says it; ``at_once`` if it does not say how many."""
        limit, retries = infrastructure.get("max_concurrency"), infrastructure.get("retries")
        return cls(
            origin=origin,
            configuration=configuration,
            limit=limit if isinstance(limit, int) and limit > 0 else at_once,
            retries=retries if isinstance(retries, int) else 0,
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending.

    Attributes:
        answer: its head is here; or why there is none.
        attempts: how often the provider was asked.
    """

    answer: Answer | UpstreamError
    attempts: int


@dataclass(slots=True, kw_only=True)
class Sender:
    """Sends requests to providers. Belongs to one running event loop.

    Configurations that name the same provider and the same number of requests at once share the places. Each
    has a breaker of its own.

    Attributes:
        client: has the connections.
        random: gives numbers in [0, 1), which spread what is tried again.
        metrics: counts.
        clock: what time it is, seconds since the epoch.
        rules: when a breaker opens.
    """

    client: Client
    random: Callable[[], float]
    metrics: Metrics
    clock: Callable[[], float] = time.time
    rules: Rules = field(default_factory=Rules)
    _gates: dict[tuple[Origin, int], Gate] = field(default_factory=dict)
    _breakers: dict[tuple[Origin, ConfigurationId | None], Breaker] = field(default_factory=dict)

    async def send(
        self, way: Way, head: bytes, body: bytes, *, deadline: float, patient: bool = True
    ) -> Sent:
        """Send a request: the answer's head, or why there is none.

        Args:
            way: how it goes.
            head: see :func:`inchworm.gateway.origins.request_bytes`.
            body: the body.
            deadline: time of the event loop by which the whole answer must be here, waiting included.
            patient: whether it waits for a place, and is tried again.
        """
        loop = asyncio.get_running_loop()
        attempts = 0
        while True:
            asked, got = await self._once(way, head, body, deadline, patient=patient)
            attempts += asked
            if not patient or attempts > way.retries or not asked:
                return Sent(got, attempts)
            match got:
                case Answer():
                    wait = asked_to_wait_s(got.head, self.random(), self.clock())
                    why = str(got.head.status)
                case NoConnectionError():
                    wait, why = backoff_s(attempts, self.random()), "connect"
                case _:
                    wait, why = None, ""
            if wait is None or loop.time() + wait >= deadline:
                return Sent(got, attempts)
            if isinstance(got, Answer):
                got.drop()
            self.metrics.retries.add(way.origin.authority, why)
            await asyncio.sleep(wait)

    def gates(self) -> Iterator[tuple[tuple[str, str], Gate]]:
        """Each gate with its provider and its limit."""
        for (origin, limit), gate in self._gates.items():
            yield (origin.authority, str(limit)), gate

    def breakers(self) -> Iterator[tuple[tuple[str, str], Breaker]]:
        """Each breaker with its provider and its configuration."""
        for (origin, configuration), breaker in self._breakers.items():
            yield (origin.authority, configuration or ""), breaker

    async def _once(
        self, way: Way, head: bytes, body: bytes, deadline: float, *, patient: bool
    ) -> tuple[bool, Answer | UpstreamError]:
        """Whether it was sent, and what came."""
        gate, breaker = self._of(way)
        now = asyncio.get_running_loop().time
        refused = breaker.refuses(now())
        if refused is None:
            if gate.free:
                gate.take()
            elif gate.full or not patient:
                self.metrics.not_sent.add(way.origin.authority, "busy")
                return False, BusyError(way.limit)
            elif not await gate.wait(deadline):
                self.metrics.not_sent.add(way.origin.authority, "waited")
                return False, TooLateError("had no place for it in time")
            admitted = breaker.admit(now())
            if isinstance(admitted, Admitted):
                return True, await self._ask(way.origin, (head, body), deadline, gate, (breaker, admitted))
            gate.leave()
            refused = admitted
        self.metrics.not_sent.add(way.origin.authority, "broken")
        return False, BrokenError(refused)

    async def _ask(
        self,
        origin: Origin,
        request: tuple[bytes, bytes],
        deadline: float,
        gate: Gate,
        admission: tuple[Breaker, Admitted],
    ) -> Answer | UpstreamError:
        result = Result.UNKNOWN
        answer: Answer | None = None
        try:
            answer = await self.client.send(origin, *request, deadline=deadline)
            result = Result.DOWN if answer.head.status >= _SERVER_ERROR else Result.ANSWERED
        except TooLateError as error:
            result = Result.LATE
            return error
        except UpstreamError as error:
            result = Result.DOWN
            return error
        finally:
            breaker, admitted = admission
            breaker.tell(admitted, result, asyncio.get_running_loop().time())
            if answer is None:
                gate.leave()
            else:
                answer.over = gate.leave
        return answer

    def _of(self, way: Way) -> tuple[Gate, Breaker]:
        gate = self._gates.get((way.origin, way.limit))
        if gate is None:
            if len(self._gates) >= _REMEMBERED:
                self._gates = {name: one for name, one in self._gates.items() if one.in_flight}
            gate = self._gates[way.origin, way.limit] = Gate(way.limit)
        breaker = self._breakers.get((way.origin, way.configuration))
        if breaker is None:
            if len(self._breakers) >= _REMEMBERED:
                now = asyncio.get_running_loop().time()
                self._breakers = {name: one for name, one in self._breakers.items() if not one.idle(now)}
            breaker = self._breakers[way.origin, way.configuration] = Breaker(self.rules)
        return gate, breaker
