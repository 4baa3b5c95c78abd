"""A call that went through a gateway, as it was recorded, to an interaction. Nothing is sanitized yet."""

from __future__ import annotations

from typing import Any

from inchworm.capture.dialects import openai_chat
from inchworm.capture.fields import DERIVED, Place, UnitFrom, outcome_of
from inchworm.capture.messages import conversation
from inchworm.capture.protocols import PROTOCOLS, Protocol
from inchworm.capture.protocols import Request as Asked
from inchworm.capture.records import Assigned, Called
from inchworm.capture.values import decode, kind_of, quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import ConfigurationId, RolloutId, TraceId, UnitId
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome
from inchworm.domain.trace import CALL, Arm, Assignment, Trace

UNAPPLIED = "inchworm.unapplied"
"""Attribute: the layers that could not be applied to a call."""
TTFT = "gen_ai.response.time_to_first_chunk"
"""Seconds until the first chunk of a stream; OpenTelemetry's name."""
STATUS = "http.response.status_code"
UNREAD = "openai.response.unread"
"""Why an answer, or a part of it, could not be read."""
UNREAD_REQUEST = "openai.request.unread"
"""Why the messages of a request could not be read."""
MALFORMED = "openai.response.malformed_events"
"""How many events of a stream could not be read."""
_PARTS = "openai.response.parts"
_OURS = "inchworm"  # the member of a request that is for the gateway
_SAID = {
    "deadline": "deadline missed",
    "connect": "the provider could not be reached",
    "cut": "the answer was cut off",
    "caller_left": "the caller left before the answer was whole",
}
_ANSWERED = ("choices", "output", "content", "data")  # where the protocols have their answers
_CUT, _UNREADABLE = "the stream ended before its answer did", "the answer is empty or cannot be read"
# What an answer holds beside its text that is no text: the member, and the type that is noted.
_MEDIA = {"audio": "audio", "images": "image_url"}


def trace_of(called: Called) -> Trace:
    """The interaction of a recorded call.

    Inputs are those that the record names, else the messages as the caller sent them. Model and parameters
    are those that the provider got. An answer that cannot be read costs no interaction: it is one without
    output that says why.

    Raises:
        InputError: if the request is no JSON object, or the record's own members are none that we write.
    """
    protocol = PROTOCOLS.get(called.dialect)
    if protocol is None:
        raise InputError(f"there is no dialect {quoted(called.dialect)} of calls")
    attributes: dict[str, Any] = {}
    asked, given = _request(protocol, called, attributes)
    answer, lacking = _answer(protocol, called, attributes)
    base = {"id": called.id, "at": called.at, "unit": called.unit, "latency_ms": called.latency_ms}
    read, understood = _read({**base, "request": asked}, answer, called, attributes)
    error = None if answer is None else answer.get("error")
    because = lacking if understood else _UNREADABLE
    _add_known(called, attributes)
    return Trace(
        id=read.id,
        app=read.app,
        at=read.at,
        unit_id=UnitId(called.unit),
        configuration_id=None if called.configuration is None else ConfigurationId(called.configuration),
        assignment=None if called.assigned is None else _assignment(called.assigned),
        inputs=(read.inputs if given is None else given) if called.inputs is None else called.inputs,
        output=read.output,
        outcome=_outcome(called, error, because),
        finish_reason=read.finish_reason,
        latency_ms=read.latency_ms,
        usage=read.usage,
        reference=called.reference,
        attributes=read.attributes | attributes,
    )


def _request(
    protocol: Protocol, called: Called, attributes: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """What was asked: parameters as they were sent, messages as the caller wrote them; and other inputs."""
    asked = _object(called.request, "the request")
    effective = dict(asked if called.sent is None else _object(called.sent, "the request as it was sent"))
    effective.pop(_OURS, None)
    read = _asked(protocol, asked, effective, attributes)
    effective = read.members
    attributes |= read.attributes
    try:
        effective["messages"] = _messages(read.messages)
    except InputError as error:
        # The provider says what it makes of them; we need not understand them to know what became of it.
        attributes.setdefault(UNREAD_REQUEST, error.message)
        effective["messages"] = []
    # What the dialect would refuse or take for something else is kept as it is.
    for name in ("model", "body"):
        if name in effective and (name == "body" or not isinstance(effective[name], str)):
            attributes[f"openai.request.{name}"] = effective.pop(name)
    return effective, read.inputs


def _asked(
    protocol: Protocol, asked: dict[str, Any], effective: dict[str, Any], attributes: dict[str, Any]
) -> Asked:
    try:
        return protocol.request(asked, effective)
    except InputError as error:
        attributes[UNREAD_REQUEST] = error.message
        members = {name: value for name, value in effective.items() if name not in {"messages", "input"}}
        return Asked(messages=[], members=members)


def _messages(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError(f"messages is {kind_of(value)}; an array is expected")
    conversation(value, "messages")
    return value


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        return decode(data).members
    except InputError as error:
        raise InputError(f"{what} cannot be read: {error.message}") from error


def _answer(
    protocol: Protocol, called: Called, attributes: dict[str, Any]
) -> tuple[dict[str, Any] | None, str | None]:
    """The answer as one completion, ``None`` if there is none to be read; and why it is not whole."""
    body = called.response
    if not body.strip():
        return None, _CUT
    if called.streamed and not body.lstrip().startswith(b"{"):  # errors come as plain JSON even so
        stream = protocol.assemble(body)
        if stream.malformed:
            attributes[MALFORMED] = stream.malformed
        if stream.completion is None:
            attributes[UNREAD] = "the stream has no event that can be read"
            return None, _CUT
        said, whole = stream.completion, stream.whole
    else:
        try:
            said, whole = _object(body, "the answer"), True
        except InputError as error:
            attributes[UNREAD] = error.message
            return None, _CUT
    answer = protocol.answer(_with_error(said))
    attributes |= answer.attributes
    return _without_media(answer.completion, attributes), answer.lacking if whole else _CUT


def _with_error(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer whose error, if it is one in another shape than OpenAI's, stands where OpenAI's does."""
    if answer.get("error") is None and not any(isinstance(answer.get(name), list) for name in _ANSWERED):
        for name in ("message", "detail"):
            if isinstance(said := answer.get(name), str):
                rest = {other: value for other, value in answer.items() if other != name}
                return {**rest, "error": {"message": said}}
    return answer


def _without_media(answer: dict[str, Any], attributes: dict[str, Any]) -> dict[str, Any]:
    """An answer without sound and images; that there were some is noted, a transcript is its text."""
    choices = answer.get("choices")
    if not isinstance(choices, list):
        return answer
    noted: list[dict[str, str]] = []
    kept: list[Any] = []
    for choice in choices:
        said = choice.get("message") if isinstance(choice, dict) else None
        if not isinstance(said, dict) or not (found := [name for name in _MEDIA if said.get(name)]):
            kept.append(choice)
            continue
        noted.extend({"type": _MEDIA[name]} for name in found)
        message = {name: value for name, value in said.items() if name not in found}
        sound = said.get("audio")
        if isinstance(sound, dict) and isinstance(sound.get("transcript"), str):
            message["content"] = message.get("content") or sound["transcript"]
        kept.append({**choice, "message": message})
    if noted:
        attributes[_PARTS] = noted
    return {**answer, "choices": kept}


def _read(
    asked: dict[str, Any], answer: dict[str, Any] | None, called: Called, attributes: dict[str, Any]
) -> tuple[Trace, bool]:
    """Read with as much of the answer as can be read: all, its choices, nothing; whether it was something."""
    place = Place(app=AppRef.parse(called.app), id=TraceId(called.id), at=called.at)
    if answer is not None:
        whole = {name: value for name, value in answer.items() if name not in {"body", "status_code"}}
        choices = {name: value for name, value in whole.items() if name in {"choices", "error"}}
        for part in (whole, choices):
            try:
                return openai_chat.read({**asked, "response": part}, place).trace, True
            except InputError as error:
                attributes.setdefault(UNREAD, error.message)
    return openai_chat.read(asked, place).trace, False


def _outcome(called: Called, error: Any, because: str | None) -> Outcome:
    """What became of it; ``because`` says what is wrong with an answer that the provider thinks right."""
    status, trouble = called.status, called.trouble
    said = called.trouble_said or _SAID.get(trouble or "", trouble)
    if trouble == "deadline":
        return Failed(reason=said or _SAID[trouble])
    if status is not None and (status >= 400 or error):  # an error in a stream has a status of its own
        return outcome_of(error, status if status >= 400 else None)
    if trouble == "caller_left" and status is not None and status < 300 and because is None:
        return Ok()  # it had all of the answer, and did not wait for the end mark
    if said is not None:
        return Errored(reason=said)
    if status is None:
        return Errored(reason="no answer came")
    if status >= 300:
        return Errored(reason=f"status {status}: no answer")
    return Ok() if because is None else Errored(reason=because)


def _assignment(assigned: Assigned) -> Assignment:
    try:
        arm = Arm(assigned.arm)
    except ValueError as error:
        raise InputError(f"there is no arm {quoted(assigned.arm)}") from error
    return Assignment(
        rollout_id=RolloutId(assigned.rollout),
        stage=assigned.stage,
        arm=arm,
        probability=assigned.probability,
    )


def _add_known(called: Called, attributes: dict[str, Any]) -> None:
    """What the gateway knows beside request and answer."""
    attributes |= called.attributes
    if called.status is not None:
        attributes[STATUS] = called.status
    if called.call is not None:
        attributes[CALL] = called.call
    if called.ttft_ms is not None:
        attributes[TTFT] = called.ttft_ms / 1000
    if called.unapplied:
        attributes[UNAPPLIED] = list(called.unapplied)
    try:
        unit_from = UnitFrom(called.unit_from)
    except ValueError as error:
        raise InputError(f"a unit cannot be from {quoted(called.unit_from)}") from error
    if unit_from.derived:
        attributes[DERIVED] = {"unit": unit_from.value}
