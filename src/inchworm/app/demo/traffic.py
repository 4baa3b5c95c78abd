"""The shop's traffic: sessions drawn with replacement from recorded answers, the same at every run.

A session is one customer message. Which message session n brings, and when, follows from the seed
alone, never from what was answered; what is answered follows from the recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from inchworm.app.demo.shop import CustomerMessage, messages
from inchworm.domain.configuration import AppRef, Configuration
from inchworm.domain.ids import ConfigurationId, TraceId, UnitId
from inchworm.domain.outcome import Failed, Ok
from inchworm.domain.rendering import render
from inchworm.domain.serving import Resolved
from inchworm.domain.trace import Trace
from inchworm.providers.upstream import Completion, Late, Refused, Reply, Upstream

DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One customer with one message.

    Attributes:
        number: place in the traffic, from 0.
        at: when it comes, seconds since the epoch.
        message: position in :func:`inchworm.app.demo.shop.messages`.
    """

    number: int
    at: float
    message: int

    @property
    def unit_id(self) -> UnitId:
        """The unit that is randomised."""
        return UnitId(f"s-{self.number}")


@dataclass(slots=True, kw_only=True)
class Traffic:
    """Sessions at an even pace, and what each is answered.

    Attributes:
        answers: a real model, recorded or live.
        start: when session 0 comes, seconds since the epoch.
        per_day: sessions per day.
        seed: of the draw.
        pool: how many of the customers' messages come up; the first ones.
    """

    answers: Upstream
    start: float
    per_day: int
    seed: int = 7
    pool: int
    _replies: dict[tuple[ConfigurationId, int, int], Reply] = field(default_factory=dict)

    def sessions(self, first: int, count: int) -> list[Session]:
        """Sessions ``first`` to ``first + count - 1``."""
        return [
            Session(number=number, at=self.at(number), message=self._message(number))
            for number in range(first, first + count)
        ]

    def at(self, number: int) -> float:
        """When a session comes."""
        return self.start + number * DAY_S / self.per_day

    def number_at(self, time: float) -> int:
        """The first session that comes at ``time`` or later."""
        return max(0, -int(-(time - self.start) * self.per_day // DAY_S))

    def _message(self, number: int) -> int:
        # one generator per session, so that any session can be drawn without those before it
        return int(np.random.default_rng([self.seed, number]).integers(self.pool))

    def reply(self, configuration: Configuration, message: int, sample: int = 0) -> Reply:
        """What the model answers to a message under a configuration.

        Raises:
            ProviderError: if it was not recorded.
        """
        key = (configuration.id, message, sample)
        if key not in self._replies:
            request = render(configuration, inputs(messages()[message]))
            self._replies[key] = asyncio.run(self.answers.complete(request, sample=sample))
        return self._replies[key]

    def traces(
        self,
        app: AppRef,
        sessions: Sequence[Session],
        resolved: Sequence[Resolved],
        configurations: dict[ConfigurationId, Configuration],
    ) -> list[Trace]:
        """The interactions of ``sessions``, as the shop's application would report them."""
        return [
            self._trace(app, session, answer, configurations[answer.configuration_id])
            for session, answer in zip(sessions, resolved, strict=True)
        ]

    def _trace(
        self, app: AppRef, session: Session, resolved: Resolved, configuration: Configuration
    ) -> Trace:
        message = messages()[session.message]
        reply = self.reply(configuration, session.message)
        fields: dict[str, Any] = {}
        match reply:
            case Completion(text=text, finish_reason=finish, latency_ms=latency, usage=usage):
                fields = {
                    "output": text,
                    "finish_reason": finish,
                    "latency_ms": latency,
                    "usage": usage,
                    "outcome": Ok(),
                }
            case Late(deadline_s=deadline, latency_ms=latency, usage=usage):
                fields = {"latency_ms": latency, "usage": usage, "outcome": Failed.late(deadline)}
            case Refused(status=status, message=said):
                fields = {"outcome": Failed(reason=f"{status}: {said}")}
        return Trace(
            id=TraceId(f"t-{session.number}"),
            app=app,
            at=session.at,
            unit_id=session.unit_id,
            configuration_id=configuration.id,
            assignment=resolved.assignment,
            inputs=inputs(message),
            reference=None if message.fact is None else list(message.fact.accept),
            **fields,
        )


def inputs(message: CustomerMessage) -> dict[str, Any]:
    """The variables of the shop's prompt."""
    return {"question": message.text, "documents": list(message.documents)}
