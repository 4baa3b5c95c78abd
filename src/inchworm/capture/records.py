"""What the spool holds: records as the data plane made them, raw. Versioned by their tags, pinned by tests.

A record is small work for the hot path: bytes stay bytes. The drain makes interactions of them
(:mod:`inchworm.capture.calls`) after the seal is opened, and sanitizes before anything reaches a store.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Assigned(msgspec.Struct, frozen=True, array_like=True):
    """A unit's assignment, as :class:`inchworm.domain.trace.Assignment` says it."""

    rollout: str
    stage: int
    arm: str
    probability: float


class Exposed(msgspec.Struct, frozen=True, tag="exposed/1", tag_field="k", kw_only=True):
    """A unit was assigned; durable before anything is known of its outcome.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        unit: the unit's id, as the caller or the chain gave it.
        assigned: what it got.
        at: when, seconds since the epoch.
    """

    app: str
    unit: str
    assigned: Assigned
    at: float


class Called(msgspec.Struct, frozen=True, tag="called/1", tag_field="k", kw_only=True):
    """One call that went through a gateway.

    Attributes:
        id: the trace's id.
        app: ``NAME/ENVIRONMENT``.
        call: the call's name, if the caller named one.
        at: when the request came, seconds since the epoch.
        unit: the unit's id.
        unit_from: where it comes from, a value of :class:`inchworm.capture.fields.UnitFrom`.
        dialect: the shape of request and response: ``openai-chat``, ``openai-responses``,
            ``openai-embeddings`` or ``anthropic-messages``.
        configuration: id of the configuration that answered, if one was applied.
        assigned: its assignment, if it was part of a rollout.
        inputs: what the prompt's variables took, if the caller said so or a template told.
        reference: a right answer, if the caller said one (``inchworm.reference`` in the body).
        request: the body as the caller sent it.
        sent: the body as it was forwarded; ``None`` if that is the same.
        response: the body of the answer, as far as it came; for a stream, the events.
        streamed: whether the answer is a stream of server-sent events.
        status: the HTTP status of the provider's answer; ``None`` if there was none.
        trouble: what went wrong beside it: ``deadline``, ``connect``, ``cut`` or ``caller_left``; ``busy``
            and ``broken`` of a call that was not sent, as too many wait for the provider or it failed too
            often just before; of a mirrored call that was not sent also ``unapplied``, for it would not have
            been the candidate's, and ``uncompared``, for stable's answer says nothing of stable.
        trouble_said: the same in a sentence.
        ttft_ms: milliseconds until the first content of a stream.
        latency_ms: milliseconds until the last byte, or until it was given up.
        unapplied: layers of the configuration that could not be applied to this request.
        attributes: what else the gateway knows, JSON values (``provider.request_id``, ...).
    """

    id: str
    app: str
    call: str | None = None
    at: float
    unit: str
    unit_from: str
    dialect: str
    configuration: str | None = None
    assigned: Assigned | None = None
    inputs: dict[str, Any] | None = None
    reference: Any = None
    request: bytes
    sent: bytes | None = None
    response: bytes = b""
    streamed: bool = False
    status: int | None = None
    trouble: str | None = None
    trouble_said: str | None = None
    ttft_ms: float | None = None
    latency_ms: float | None = None
    unapplied: tuple[str, ...] = ()
    attributes: dict[str, Any] = {}


class Mirrored(msgspec.Struct, frozen=True, tag="mirrored/1", tag_field="k", kw_only=True):
    """A call is answered by the candidate too, for nobody to see; durable before the candidate is asked.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        unit: the unit's id, as the caller or the chain gave it.
        rollout: the rollout whose candidate is asked.
        stage: its 0-based stage.
        trace: id of the call that stable answers.
        shadow: id of the call that the candidate answers.
        probability: the share of the units whose calls are mirrored, in (0, 1].
        at: when the call came, seconds since the epoch.
    """

    app: str
    unit: str
    rollout: str
    stage: int
    trace: str
    shadow: str
    probability: float
    at: float


class Shadowed(Called, frozen=True, tag="shadowed/1", tag_field="k", kw_only=True):
    """What the candidate answered to a mirrored call.

    A tag of its own, because a reader that does not know it must not take it for traffic.

    Attributes:
        shadow_of: id of the call that stable answered.
    """

    shadow_of: str


class Traced(msgspec.Struct, frozen=True, tag="traced/1", tag_field="k", kw_only=True):
    """One interaction that the client library reports.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        line: the interaction as one JSON object in the dialect ``trace/1``.
        at: when it arrived, seconds since the epoch; its time if it says none.
    """

    app: str
    line: bytes
    at: float


class Rated(msgspec.Struct, frozen=True, tag="rated/1", tag_field="k", kw_only=True):
    """Feedback: a score for an interaction that was, is or will be recorded.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        trace: the interaction's id.
        metric: name of the metric.
        value: in [0, 1].
        source: who gave it, e.g. ``user``.
        at: when, seconds since the epoch.
    """

    app: str
    trace: str
    metric: str
    value: float
    source: str
    at: float


class Graded(msgspec.Struct, frozen=True, tag="graded/1", tag_field="k", kw_only=True):
    """Feedback as it was given: on its own scale, and perhaps of what the giver knows by another name.

    Of trace, span and unit at least one is there; the first of them that is says what is meant.

    Attributes:
        app: ``NAME/ENVIRONMENT``.
        id: the giver's own id of this feedback, by which it counts once; else its content tells it.
        trace: the interaction's id.
        span: id of a span in it, or of the interaction itself where the giver does not tell them apart.
        unit: a session or user: its latest interaction by then is meant.
        metric: name of the metric.
        value: what was given; the app says how it is read.
        source: who gave it, e.g. ``user``.
        comment: what was said beside it.
        at: when, seconds since the epoch.
        timed: whether the giver said when; else it is when it arrived.
    """

    app: str
    id: str | None = None
    trace: str | None = None
    span: str | None = None
    unit: str | None = None
    metric: str
    value: bool | float | str
    source: str
    comment: str | None = None
    at: float
    timed: bool = True


class Exported(msgspec.Struct, frozen=True, tag="exported/1", tag_field="k", kw_only=True):
    """What a tracing client sent in one request, with as many spans as there are in it.

    Attributes:
        app: ``NAME/ENVIRONMENT``; spans may name another.
        dialect: the shape of ``body``: ``otlp-protobuf``, ``otlp-json``, ``langfuse`` or ``langsmith``.
        body: the request's body, unpacked; as it came, or the part of it that is spans.
        at: when it arrived, seconds since the epoch.
    """

    app: str
    dialect: str
    body: bytes
    at: float


Record = Exposed | Called | Traced | Rated | Mirrored | Shadowed | Exported | Graded

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


def encode(record: Record) -> bytes:
    """One record as MessagePack."""
    return _encoder.encode(record)


def decode(data: bytes) -> Record:
    """The inverse of :func:`encode`.

    Raises:
        msgspec.ValidationError: for another version or a wrong shape.
        msgspec.DecodeError: for what is no MessagePack.
    """
    record: Record = _decoder.decode(data)
    return record
