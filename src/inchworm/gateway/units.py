"""Whom a request belongs to: the chain by which it gets its unit (DESIGN.md, section 5). Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from inchworm.capture.fields import PEOPLE, UnitFrom, conversation_of, keyed_hash
from inchworm.capture.headers import UNIT
from inchworm.domain.ids import TraceId, UnitId
from inchworm.domain.rollout import UnitKind
from inchworm.gateway.wires import OPENAI_CHAT, Wire

MEMBER = "inchworm"
"""The member of a body that is ours: ``{"inputs": {...}, "unit": ..., "call": ...}``; never forwarded."""
LONGEST = 512
"""Characters of an id that is kept as it is; a longer one stands as its keyed hash."""
_USERS = ("user_id", "user.id", "user", "safety_identifier")
_BY_KIND = {
    UnitKind.SESSION: PEOPLE,
    UnitKind.USER: (*_USERS, *(name for name in PEOPLE if name not in _USERS)),
}


def unit_of_request(
    headers: Mapping[str, str],
    body: Mapping[str, Any],
    *,
    kind: UnitKind,
    trace_id: TraceId,
    key: bytes,
    examples: Collection[str] = (),
    wire: Wire = OPENAI_CHAT,
) -> tuple[UnitId, UnitFrom]:
    """The unit of a request, and where it comes from. What has a wrong type counts as absent.

    The first of: the header ``inchworm-unit``; the body's ``inchworm.unit``; a session or user that the
    body's ``metadata`` or the body itself names (for kind ``user``: users before sessions); the keyed hash of
    the first thing the user said; the trace's own id. For kind ``request`` it is the trace's id at once.

    Of the responses protocol, ``conversation`` names a session. ``prompt_cache_key`` names none: programs
    give the same one to everybody who gets the same prompt.

    Args:
        headers: by lower-case names.
        body: the request's JSON object.
        kind: what is randomised.
        trace_id: the unit of last resort.
        key: ``derive(master, Purpose.UNIT)``.
        examples: user messages that the app's configurations put before the conversation; they say nothing
            of who is talking.
        wire: the protocol of the request.
    """
    if kind is UnitKind.REQUEST:
        return UnitId(trace_id), UnitFrom.TRACE
    if (stated := identifier(headers.get(UNIT), key)) is not None:
        return stated, UnitFrom.STATED
    ours, metadata = body.get(MEMBER), body.get("metadata")
    if isinstance(ours, dict) and (stated := identifier(ours.get("unit"), key)) is not None:
        return stated, UnitFrom.STATED
    named = metadata if isinstance(metadata, dict) else {}
    also = wire.named(body)
    for name in _BY_KIND[kind]:
        if name in named and (found := identifier(named[name], key)) is not None:
            return found, UnitFrom.METADATA
        if name in body and (found := identifier(body[name], key)) is not None:
            return found, UnitFrom.METADATA
        if name in also and (found := identifier(also[name], key)) is not None:
            return found, UnitFrom.METADATA
    if said := _first_said(wire.said(body), examples):
        return conversation_of(said, key), UnitFrom.FIRST_USER_MESSAGE
    return UnitId(trace_id), UnitFrom.TRACE


def identifier(value: Any, key: bytes) -> UnitId | None:
    """A unit's id as it is recorded; ``None`` if the value is none. What is too long stands as its hash."""
    if type(value) is int:
        # Python refuses to write integers of absurd sizes.
        return UnitId(str(value)) if -(10**LONGEST) < value < 10**LONGEST else None
    if not isinstance(value, str) or not value or value.isspace():
        return None
    if len(value) > LONGEST or not (value.isascii() or _encodable(value)):
        return UnitId(f"unit-{keyed_hash(value, key)[:32]}")
    return UnitId(value)


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, which JSON can say and UTF-8 cannot
        return False
    return True


def _first_said(messages: Any, examples: Collection[str]) -> str | None:
    for message in messages if isinstance(messages, list) else ():
        if isinstance(message, dict) and message.get("role") == "user":
            content = message.get("content")
            said = _joined(content) if isinstance(content, list) else content
            if isinstance(said, str) and said and said not in examples:
                return said
    return None


def _joined(content: list[Any]) -> str:
    texts = (part.get("text") for part in content if isinstance(part, dict))
    return "\n".join(text for text in texts if isinstance(text, str))
