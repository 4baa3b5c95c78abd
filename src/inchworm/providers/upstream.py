"""The port to a model: what can come back, and whose fault it is when nothing does.

What the candidate caused is a value (:class:`Refused`, :class:`Late`) and becomes a ``Failed`` outcome; what
the harness could not do is raised as ``ProviderError`` and becomes an ``Errored`` outcome, never a 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, assert_never

from inchworm.domain.outcome import Failed, Ok
from inchworm.domain.rendering import ModelRequest
from inchworm.domain.trace import Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """An answer in time.

    Attributes:
        text: what was answered; empty if the model said nothing.
        finish_reason: the provider's word, if it said one.
        latency_ms: wall time from the request to the last byte of the answer, in milliseconds.
        usage: tokens; the cost is added by :mod:`inchworm.providers.pricing`.
    """

    text: str
    finish_reason: str | None
    latency_ms: float
    usage: Usage = field(default_factory=Usage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The provider refused what the configuration sent.

    Attributes:
        status: the HTTP status, 4xx.
        message: the provider's words.
    """

    status: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """No complete answer came within the configuration's own deadline.

    Attributes:
        deadline_s: the deadline, in seconds.
        latency_ms: when the answer came, or when the wait was given up, in milliseconds.
        usage: what it used all the same, if known.
    """

    deadline_s: float
    latency_ms: float
    usage: Usage = field(default_factory=Usage)


Reply = Completion | Refused | Late


class Upstream(Protocol):
    """Somebody who answers requests."""

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:
        """Ask once.

        Args:
            request: what is asked.
            sample: which repetition this is, from 0.

        Raises:
            ProviderError: if the harness could not get an answer: nobody there, 429 and 5xx after
                retries, a key that is not accepted, an answer that cannot be read.
            UsageError: if the request cannot be made at all, e.g. for want of an API key.
        """
        ...

    async def close(self) -> None:
        """Give back connections; asking again afterwards opens new ones."""
        ...


def outcome(reply: Reply) -> Ok | Failed:
    """What became of the call, as traces and trials say it."""
    match reply:
        case Completion():
            return Ok()
        case Refused(status=status, message=message):
            return Failed(reason=f"refused with status {status}: {message}")
        case Late(deadline_s=deadline):
            return Failed.late(deadline)
        case _:
            assert_never(reply)


def in_time(completion: Completion, deadline_s: float | None) -> Completion | Late:
    """The completion, or :class:`Late` if it took longer than ``deadline_s`` seconds."""
    if deadline_s is None or completion.latency_ms <= deadline_s * 1000:
        return completion
    return Late(deadline_s=deadline_s, latency_ms=completion.latency_ms, usage=completion.usage)
