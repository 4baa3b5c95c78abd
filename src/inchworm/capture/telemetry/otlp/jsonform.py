"""OTLP in JSON: proto3's mapping, but ids in hexadecimal and enums as numbers (OTLP, "JSON Protobuf").

More is tolerated: snake_case, names of enums, integers as numbers or texts. Unknown members are ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec

from inchworm.capture.telemetry.otlp.jsonvalues import attributes_of, text_in, whole_in
from inchworm.capture.telemetry.plain import ESSENTIAL, MAX_ESSENTIAL, MAX_EVENTS, MAX_RESOURCE, MAX_SCOPE
from inchworm.capture.telemetry.refused import Refused
from inchworm.capture.telemetry.reported import ERROR, KINDS, NOBODY, NONE, OK, Event, Reported, why_not
from inchworm.capture.values import kind_of
from inchworm.domain.errors import InputError

Made = TypeVar("Made")
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_HEX = frozenset("0123456789abcdef")
_STATUS: dict[object, int] = {"STATUS_CODE_OK": OK, "STATUS_CODE_ERROR": ERROR, OK: OK, ERROR: ERROR}
_NAMED: dict[object, str] = {f"SPAN_KIND_{word.upper()}": word for word in KINDS.values()}


class _Ids(msgspec.Struct):
    """A span, as far as checking looks at it."""

    traceId: str | None = None  # noqa: N815 - the wire's name
    trace_id: str | None = None
    spanId: str | None = None  # noqa: N815 - the wire's name
    span_id: str | None = None


class _Part(msgspec.Struct):
    """Spans of one library."""

    spans: list[_Ids] | None = None


class _Group(msgspec.Struct):
    """Spans of one sender."""

    scopeSpans: list[_Part] | None = None  # noqa: N815 - the wire's name
    scope_spans: list[_Part] | None = None


class _Request(msgspec.Struct):
    """A request; all else is passed over without making objects of it."""

    resourceSpans: list[_Group] | None = None  # noqa: N815 - the wire's name
    resource_spans: list[_Group] | None = None


_shape = msgspec.json.Decoder(_Request).decode
_NO_IDS = "none of its spans has a trace id of 32 hexadecimal characters and a span id of 16, not all zero"


def check(body: bytes) -> int:
    """How many spans it holds.

    Raises:
        InputError: if it is no export request, or none of its spans has ids.
    """
    try:
        body.isascii() or body.decode()
        request = _shape(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _checked(_each(body))  # the long way, for tolerance or for words
    count, usable = 0, False
    for group in request.resourceSpans or request.resource_spans or ():
        for part in group.scopeSpans or group.scope_spans or ():
            spans = part.spans or ()
            count += len(spans)
            usable = usable or any(
                _are_ids(span.traceId or span.trace_id, span.spanId or span.span_id) for span in spans
            )
    if count and not usable:
        raise InputError(_NO_IDS)
    return count


def _checked(each: Iterable[tuple[dict[str, Any], dict[str, Any], Any]]) -> int:
    count, usable = 0, False
    for _, _, span in each:
        count += 1
        usable = usable or (
            isinstance(span, dict)
            and _are_ids(_id(span, "traceId", "trace_id"), _id(span, "spanId", "span_id"))
        )
    if count and not usable:
        raise InputError(_NO_IDS)
    return count


def _are_ids(trace_id: str | None, span_id: str | None) -> bool:
    """Whether both look like ids; reading looks closer."""
    return (
        trace_id is not None
        and span_id is not None
        and len(trace_id) == 32
        and len(span_id) == 16
        and trace_id != NOBODY
        and span_id != NONE
    )


def spans(body: bytes, make: Callable[[Reported], Made]) -> Iterator[Made | Refused]:
    """The spans that it holds, one by one.

    Args:
        body: an export request.
        make: what becomes of each; raises InputError for one that cannot be.

    Raises:
        InputError: if it is no export request.
    """
    before: Any = None
    resource: dict[str, Any] = {}
    shared: dict[str, int] = {}
    for group, part, span in _each(body):
        try:
            if group is not before:
                shared = {}
                _lean(group, shared)
                resource = attributes_of(
                    _object(group, "resource").get("attributes"), shared, "otel.resource."
                )
                before = group
            made: Made | Refused = make(_reported(span, resource, _scope(part), shared))
        except InputError as error:
            made = Refused(reason=error.message, body=_alone(group, part, span))
        yield made


def _each(body: bytes) -> Iterator[tuple[dict[str, Any], dict[str, Any], Any]]:
    try:
        request = _decode(body)
    except RecursionError as error:
        raise InputError("it is nested too deeply") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"it is no JSON: {error}") from error
    if not isinstance(request, dict):
        raise InputError(f"an export request is an object, not {kind_of(request)}")
    for group in _list(request, "resourceSpans", "resource_spans"):
        if not isinstance(group, dict):
            raise InputError(f"resourceSpans holds {kind_of(group)}; objects are expected")
        for part in _list(group, "scopeSpans", "scope_spans"):
            if not isinstance(part, dict):
                raise InputError(f"scopeSpans holds {kind_of(part)}; objects are expected")
            for span in _list(part, "spans", "spans"):
                yield group, part, span


def _list(of: dict[str, Any], camel: str, snake: str) -> list[Any]:
    value = _member(of, camel, snake)
    if value is None:
        return []
    if not isinstance(value, list):
        raise InputError(f"{camel} is {kind_of(value)}; an array is expected")
    return value


def _member(of: dict[str, Any], camel: str, snake: str) -> Any:
    value = of.get(camel)
    return of.get(snake) if value is None else value


def _object(of: dict[str, Any], name: str) -> dict[str, Any]:
    value = of.get(name)
    return value if isinstance(value, dict) else {}


def _scope(part: dict[str, Any]) -> tuple[str, str]:
    scope = _object(part, "scope")
    name, version = text_in(scope.get("name"), "scope.name"), text_in(scope.get("version"), "scope.version")
    return name[:MAX_SCOPE], version[:MAX_SCOPE]


def _lean(group: dict[str, Any], cut: dict[str, int]) -> None:
    """Leave the essential of a resource that is too large to be kept with each of its spans."""
    resource = group.get("resource")
    size = len(_encode(resource))
    if size <= MAX_RESOURCE:
        return
    cut["otel.resource"] = size
    pairs = resource.get("attributes") if isinstance(resource, dict) else None
    kept = [
        pair
        for pair in (pairs if isinstance(pairs, list) else ())
        if isinstance(pair, dict)
        and isinstance(pair.get("key"), str)
        and pair["key"].startswith(ESSENTIAL)
        and len(_encode(pair)) <= MAX_ESSENTIAL
    ]
    group["resource"] = {"attributes": kept[: MAX_RESOURCE // MAX_ESSENTIAL]}


def _id(of: dict[str, Any], camel: str, snake: str) -> str:
    value = _member(of, camel, snake)
    text = value.lower() if isinstance(value, str) else ""
    return text if _HEX.issuperset(text) else ""


def _reported(
    span: Any, resource: dict[str, Any], scope: tuple[str, str], shared: dict[str, int]
) -> Reported:
    if not isinstance(span, dict):
        raise InputError(f"a span is an object, not {kind_of(span)}")
    trace_id, span_id = _id(span, "traceId", "trace_id"), _id(span, "spanId", "span_id")
    start = whole_in(_member(span, "startTimeUnixNano", "start_time_unix_nano"), "startTimeUnixNano")
    end = whole_in(_member(span, "endTimeUnixNano", "end_time_unix_nano"), "endTimeUnixNano")
    if (reason := why_not(trace_id, span_id, start, end)) is not None:
        raise InputError(reason)
    status = _object(span, "status")
    cut: dict[str, int] = {}
    attributes = attributes_of(span.get("attributes"), cut, "")
    code = status.get("code")
    return Reported(
        trace_id=trace_id,
        id=span_id,
        parent_id=_id(span, "parentSpanId", "parent_span_id"),
        name=text_in(span.get("name"), "name"),
        started_at=start / 1e9,
        ended_at=end / 1e9 if end else None,
        attributes=attributes,
        events=_events(span.get("events"), cut),
        status=_STATUS.get(code, 0) if isinstance(code, int | str) else 0,
        message=text_in(status.get("message"), "status.message"),
        resource=resource,
        scope=scope,
        further=_further(span, cut),
        cut={**shared, **cut} if shared else cut,
    )


def _further(span: dict[str, Any], cut: dict[str, int]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    kind = span.get("kind")
    word = KINDS.get(kind) if isinstance(kind, int) else _NAMED.get(kind) if isinstance(kind, str) else None
    if word is not None:
        found["otel.span_kind"] = word
    if state := text_in(_member(span, "traceState", "trace_state"), "traceState"):
        found["otel.trace_state"] = state
    links = span.get("links")
    if isinstance(links, list) and links:
        found["otel.links"] = [
            {
                "trace_id": _id(link, "traceId", "trace_id"),
                "span_id": _id(link, "spanId", "span_id"),
                "attributes": attributes_of(link.get("attributes"), cut, "otel.links."),
            }
            for link in links[:MAX_EVENTS]
            if isinstance(link, dict)
        ]
        if len(links) > MAX_EVENTS:
            cut["otel.links"] = len(links)
    for what in ("attributes", "events", "links"):
        member = _member(span, f"dropped{what.capitalize()}Count", f"dropped_{what}_count")
        if dropped := whole_in(member, f"dropped{what.capitalize()}Count", below=2**32):
            found[f"otel.dropped_{what}_count"] = dropped
    return found


def _events(value: Any, cut: dict[str, int]) -> tuple[Event, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError(f"its events are {kind_of(value)}; an array is expected")
    if len(value) > MAX_EVENTS:
        cut["otel.events"] = len(value)
    found: list[Event] = []
    for one in value[:MAX_EVENTS]:
        if not isinstance(one, dict):
            raise InputError(f"an event is an object, not {kind_of(one)}")
        name = text_in(one.get("name"), "event's name")
        at = whole_in(_member(one, "timeUnixNano", "time_unix_nano"), "event's timeUnixNano")
        attributes = attributes_of(one.get("attributes"), cut, f"otel.events.{name}.")
        found.append(Event(name=name, at=at / 1e9 if at else None, attributes=attributes))
    return tuple(found)


def _alone(group: dict[str, Any], part: dict[str, Any], span: Any) -> bytes:
    """A request with this span only."""
    scope = {
        name: value[:MAX_SCOPE] if isinstance(value, str) else kind_of(value)
        for name, value in _object(part, "scope").items()
        if name in {"name", "version"}
    }
    alone = {"resource": group.get("resource"), "scopeSpans": [{"scope": scope, "spans": [span]}]}
    return _encode({"resourceSpans": [alone]})
