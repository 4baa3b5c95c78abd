"""The gateway's own errors, in the shape in which OpenAI's clients read errors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from inchworm.domain.outcome import Failed

TYPE = "inchworm_gateway_error"
"""The ``type`` of every error that is the gateway's own and no provider's."""
SERVED = (
    "POST /v1/chat/completions, POST /openai/deployments/{deployment}/chat/completions, "
    "POST /openai/v1/chat/completions"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """An error that is answered.

    Attributes:
        status: the HTTP status.
        code: a word for programs.
        message: a sentence for people.
        headers: headers of the answer beside its content type.
        reason: what is recorded, where every room says it in the same words; else the message is.
    """

    status: int
    code: str
    message: str
    headers: Sequence[tuple[str, str]] = ()
    reason: str | None = None

    def body(self) -> bytes:
        """``{"error": {"message", "type", "param", "code"}}``."""
        error = {"message": self.message, "type": TYPE, "param": None, "code": self.code}
        return msgspec.json.encode({"error": error})

    def event(self) -> bytes:
        """The same as an event of a stream, which OpenAI's clients raise."""
        return b"data: " + self.body() + b"\n\n"


class FaultError(Exception):
    """Ends the handling of a request with a fault as its answer."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def not_found(path: str) -> Fault:
    """Nothing is served under this path."""
    return Fault(
        status=404,
        code="not_found",
        message=f"The gateway does not serve {path[:200]!r}. "
        f"It serves {SERVED}, POST /ofrep/v1/evaluate/flags, and /-/health, /-/ready, /-/metrics.",
    )


def wrong_method(method: str, allowed: str) -> Fault:
    """This path is served, with another method."""
    return Fault(
        status=405,
        code="method_not_allowed",
        message=f"{method[:20]} is not served here; use {allowed}.",
        headers=[("allow", allowed)],
    )


def too_large(limit: int) -> Fault:
    """The request has too many bytes."""
    return Fault(
        status=413,
        code="request_too_large",
        message=f"The request has more than the {limit} bytes that this gateway takes.",
    )


def not_json(why: str) -> Fault:
    """The body cannot be read."""
    return Fault(status=400, code="invalid_json", message=f"The request's body is no JSON object: {why}.")


def wrong_type(found: str, wanted: str) -> Fault:
    """The body has another content type, or is packed."""
    return Fault(
        status=415,
        code="unsupported_media_type",
        message=f"The request's body is {found[:100] or 'of no stated type'}; send {wanted}.",
    )


def knows_nothing() -> Fault:
    """No published document is here, neither fetched nor kept."""
    return Fault(
        status=503,
        code="not_ready",
        message="The gateway does not know yet what to serve: it has not reached the Inchworm server, "
        "and has nothing from an earlier time. It keeps trying.",
        headers=[("retry-after", "1")],
    )


def unknown_app(message: str) -> Fault:
    """The request names an app that is not served."""
    return Fault(status=404, code="unknown_app", message=message)


def unusable(message: str) -> Fault:
    """The request cannot be made into one for a provider."""
    return Fault(status=400, code="invalid_request", message=message)


def misconfigured(message: str) -> Fault:
    """The configuration names no provider that can be asked."""
    return Fault(status=502, code="misconfigured", message=message)


def unreachable(provider: str, said: str) -> Fault:
    """There is no connection to the provider."""
    return Fault(status=502, code="connect", message=f"{provider} {said}.")


def cut_off(provider: str, said: str) -> Fault:
    """The provider's answer broke off."""
    return Fault(status=502, code="cut", message=f"{provider} {said}.")


def too_late(provider: str, deadline_s: float) -> Fault:
    """The deadline passed. OpenAI's clients are told not to try again: late is late."""
    return Fault(
        status=504,
        code="deadline",
        message=f"{provider} did not answer within the {deadline_s:g} s that it has here.",
        headers=[("x-should-retry", "false")],
        reason=Failed.late(deadline_s).reason,
    )


def stopping() -> Fault:
    """The gateway was stopped before the answer was whole."""
    return Fault(status=503, code="stopping", message="The gateway was stopped before the answer was whole.")


def internal() -> Fault:
    """A fault in the gateway; the log says more."""
    return Fault(status=500, code="internal", message="The gateway made a mistake; its log says which.")


def spool_full(message: str) -> Fault:
    """Records cannot be taken now."""
    return Fault(status=429, code="spool_full", message=message, headers=[("retry-after", "1")])


def wrong_host() -> Fault:
    """The caller means somebody else, or was made to."""
    return Fault(
        status=421,
        code="host",
        message="The gateway does not go by the name that it was called by: call it by its address, "
        "or put the name into INCHWORM_HOSTS.",
    )


def not_allowed() -> Fault:
    """The bearer is missing or another's."""
    return Fault(status=401, code="unauthorized", message="This needs the gateway's bearer token.")
