"""Bodies of the dialects that arrive: checked on the hot path, read in the drain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from inchworm.capture.records import Exported
from inchworm.capture.telemetry import langfuse_events, langsmith
from inchworm.capture.telemetry.otlp import jsonform, protobuf
from inchworm.capture.telemetry.refused import Refused
from inchworm.capture.telemetry.spans import span_of
from inchworm.capture.values import quoted
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.span import Span

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """How bodies of a dialect are checked and read."""

    check: Callable[[bytes], int]
    read: Callable[[bytes, AppRef, Callable[[Span], Any]], Iterator[Any]]


def _protobuf(body: bytes, app: AppRef, then: Callable[[Span], Made]) -> Iterator[Made | Refused]:
    return protobuf.spans(body, lambda reported: then(span_of(reported, app)))


def _json(body: bytes, app: AppRef, then: Callable[[Span], Made]) -> Iterator[Made | Refused]:
    return jsonform.spans(body, lambda reported: then(span_of(reported, app)))


_FORMS: Final = {
    "otlp-protobuf": _Form(check=protobuf.check, read=_protobuf),
    "otlp-json": _Form(check=jsonform.check, read=_json),
    "langfuse": _Form(check=langfuse_events.check, read=langfuse_events.spans),
    "langsmith": _Form(check=langsmith.check, read=langsmith.spans),
}
_YEAR_2000: Final = 946_684_800.0
_AHEAD_S: Final = 86_400.0
DIALECTS: Final = tuple(_FORMS)
"""What a body can be."""


def check(dialect: str, body: bytes) -> int:
    """How many spans a body holds; cheap, for the hot path: ids are looked at, and nothing else.

    Args:
        dialect: one of :data:`DIALECTS`.
        body: as it came, unpacked.

    Raises:
        InputError: for a body of which nothing can ever be read, and for an unknown dialect.
    """
    return _form(dialect).check(body)


def read(exported: Exported) -> Iterator[Span | Refused]:
    """The spans of a body, and what of it could not be read.

    A body that cannot be read at all is one refusal, with all of it.
    """
    return read_each(exported, _itself)


def read_each(exported: Exported, then: Callable[[Span], Made]) -> Iterator[Made | Refused]:
    """What becomes of each span of a body, and what of it could not be read, each refused alone.

    Args:
        exported: the body.
        then: what becomes of a span; raises InputError for one that cannot be taken in.
    """
    try:
        yield from _form(exported.dialect).read(exported.body, AppRef.parse(exported.app), then)
    except InputError as error:
        yield Refused(reason=error.message, body=exported.body)


def check_clock(span: Span, arrived: float) -> None:
    """Refuse what nobody would find again: it stands in no window of time, and no retention gets to it.

    Raises:
        InputError: if it started before the year 2000, or more than a day after it arrived.
    """
    at = span.started_at
    if at is None:
        return
    if at < _YEAR_2000:
        raise InputError("it started before the year 2000: times of OTLP are nanoseconds since 1970")
    if at > arrived + _AHEAD_S:
        raise InputError("it started more than a day after it arrived: the clock of its sender is ahead")


def _itself(span: Span) -> Span:
    return span


def _form(dialect: str) -> _Form:
    form = _FORMS.get(dialect)
    if form is None:
        raise InputError(
            f"there is no dialect {quoted(dialect)} of telemetry", hint=f"send {', '.join(DIALECTS)}"
        )
    return form
