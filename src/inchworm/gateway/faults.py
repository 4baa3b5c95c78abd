"""The gateway's own errors, in the shape in which OpenAI's clients read errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from inchworm.domain.outcome import Failed

TYPE = "inchworm_gateway_error"
"""The ``type`` of every error that is the gateway's own and no provider's."""
SERVED = (
    "POST /v1/chat/completions, /v1/responses, /v1/embeddings, /v1/messages and /v1/messages/count_tokens, "
    "GET /v1/models, Azure's /openai/deployments/{deployment}/… and /openai/v1/…"
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
        f"It serves {SERVED}; POST /v1/traces and what Langfuse's and LangSmith's clients call "
        "(docs/telemetry.md); POST /api/v1/scores, POST /ofrep/v1/evaluate/flags, and /-/health, /-/ready, "
        "/-/metrics.",
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


def no_model(name: str) -> Fault:
    """No app gives this model."""
    return Fault(
        status=404,
        code="model_not_found",
        message=f'There is no model "{name[:200]}": no app of that name is served, or its stable '
        "configuration names no model.",
    )


def unusable(message: str) -> Fault:
    """The request cannot be made into one for a provider."""
    return Fault(status=400, code="invalid_request", message=message)


def wrong_protocol(app: str, provider: str, *, speech: str, asked: str) -> Fault:
    """The configuration's provider speaks another protocol than the caller."""
    ways = {"openai": "OpenAI's", "anthropic": "Anthropic's"}
    return Fault(
        status=400,
        code="wrong_protocol",
        message=f"{app} asks {provider}, which speaks {ways[speech]} protocol, and this call is in "
        f"{ways[asked]}; the gateway does not translate between them. Call it in {ways[speech]}, name a call "
        f"of its own for this one (infrastructure.calls), or say infrastructure.upstream: any if that "
        "provider speaks both.",
    )


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


def busy(provider: str, limit: int) -> Fault:
    """All places for requests to the provider are taken, and nobody more may wait."""
    return Fault(
        status=429,
        code="busy",
        message=f"{provider} is sent {limit} requests at once, and as many as may wait for it already.",
        headers=[("retry-after", "1")],
    )


def broken(provider: str, wait_s: float, late: Fault | None) -> Fault:
    """The provider failed so often that it is not asked for a while; by missing deadlines, if ``late``."""
    return Fault(
        status=503,
        code="broken",
        message=f"{provider} failed too often just now, and is not asked for {wait_s:.0f} s.",
        headers=[("retry-after", f"{max(1, math.ceil(wait_s))}")],
        reason=None if late is None else late.reason,
    )


def stopping() -> Fault:
    """The gateway was stopped before the answer was whole."""
    return Fault(status=503, code="stopping", message="The gateway was stopped before the answer was whole.")


def internal() -> Fault:
    """A fault in the gateway; the log says more."""
    return Fault(status=500, code="internal", message="The gateway made a mistake; its log says which.")


def no_memory() -> Fault:
    """The requests that are being answered take all the memory that is for them."""
    return Fault(
        status=429,
        code="no_memory",
        message="The gateway is answering requests as large as it has memory for; send it again soon.",
        headers=[("retry-after", "1")],
    )


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


def unknown_key() -> Fault:
    """A key of ours that opens nothing."""
    return Fault(
        status=401,
        code="unknown_key",
        message="This Inchworm key opens nothing here: it is another installation's, was revoked, or has "
        "expired.",
        headers=[("www-authenticate", "Bearer")],
    )


def key_needed() -> Fault:
    """This gateway serves nobody without a key of ours."""
    return Fault(
        status=401,
        code="key_needed",
        message="This gateway serves nobody without a key. Send one as Authorization: Bearer iw_…, as "
        "x-api-key, or as inchworm-key beside your provider's; make one with: inchworm keys add NAME "
        "--scope ingest.",
        headers=[("www-authenticate", "Bearer")],
    )


def not_its_app(bound: str, named: str) -> Fault:
    """The key sends for one app, and the request is another's."""
    return Fault(
        status=403,
        code="not_its_app",
        message=f"This key sends for {bound} alone, not for {named[:200]!r}: use another key.",
    )


def not_allowed() -> Fault:
    """The bearer is missing or another's."""
    return Fault(status=401, code="unauthorized", message="This needs the gateway's bearer token.")
