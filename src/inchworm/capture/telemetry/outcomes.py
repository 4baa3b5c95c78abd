"""What became of a span, in the words of :mod:`inchworm.domain.outcome`, from what foreign clients say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from inchworm.capture.fields import outcome_of
from inchworm.capture.telemetry import names
from inchworm.capture.telemetry.plain import count_of, said
from inchworm.capture.telemetry.reported import ERROR, Reported
from inchworm.domain.outcome import Errored, Failed, Ok, Outcome

_REASON = 500
_LOOKED_AT = 4_000  # characters of a message
STATUSES: Final = {
    "badrequesterror": 400,
    "invalidrequesterror": 400,
    "contextwindowexceedederror": 400,
    "contentpolicyviolationerror": 400,
    "authenticationerror": 401,
    "permissiondeniederror": 403,
    "notfounderror": 404,
    "conflicterror": 409,
    "requesttoolargeerror": 413,
    "unprocessableentityerror": 422,
    "ratelimiterror": 429,
    "internalservererror": 500,
    "serviceunavailableerror": 503,
    "overloadederror": 529,
}
"""HTTP statuses behind the exceptions of openai, anthropic and litellm, by class name in lower case."""
DEADLINES: Final = frozenset(
    {"timeout", "apitimeouterror", "timeouterror", "readtimeout", "deadlineexceeded"}
)
"""Names of errors by which a caller gave up waiting; that it could not connect in time is none of them."""
_UNCONNECTED: Final = "ConnectTimeout"
"""What openai's and anthropic's ``APITimeoutError`` came from, by its stack trace, if nothing was sent."""
_IN_TEXT = re.compile(
    r"(?:Error code|status(?: code)?|HTTP(?:/[0-9.]+)?)[: ]+([45][0-9]{2})\b", re.IGNORECASE
)
_CLASS = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)*([A-Z][A-Za-z0-9]*(?:Error|Timeout|Exception|Exceeded))\b")


def of_error(
    kind: str | None, message: str | None, status: Any = None, *, stack: str | None = None
) -> Outcome:
    """What an error means for the configuration that met it.

    What was sent was refused (a status of 400 to 499 that says something of it), or nothing came before the
    caller's deadline: failed. All other errors are of the surroundings.

    Args:
        kind: the error's class or type, perhaps with its module.
        message: what it says; the first line is kept.
        status: an HTTP status, if one is told.
        stack: where it came from, if the message does not tell: the same error is raised where no connection
            came about.
    """
    text = (message or "").strip().split("\n", 1)[0][:_LOOKED_AT]
    if kind is None and (found := _CLASS.match(text)) is not None:
        kind = found.group(0)
    short = (kind or "").rsplit(".", 1)[-1]
    number = count_of(status)
    if number is None and short.isdecimal():
        number = count_of(short)
    if number is None:
        number = STATUSES.get(short.lower())
    if number is None and (told := _IN_TEXT.search(text)) is not None:
        number = int(told.group(1))
    words = text if not kind or short in text else f"{short}: {text}" if text else short
    if short.lower() in DEADLINES and _UNCONNECTED not in (stack or message or ""):
        return Failed(reason=f"deadline missed: {words}"[:_REASON])
    if number is None or not 400 <= number <= 599:
        return Errored(reason=(words or "no reason given")[:_REASON])
    return outcome_of({"message": words or "no reason given"}, number)


def of_span(span: Reported, trouble: str | None) -> Outcome | None:
    """What became of a span; ``None`` if it has not ended.

    Args:
        span: as it was reported.
        trouble: why it failed in its dialect's own words, if it has some.
    """
    if span.status != ERROR and trouble is None:
        return None if span.ended_at is None else Ok()
    raised = next((one.attributes for one in reversed(span.events) if one.name == "exception"), {})
    given = span.attributes
    kind = said(raised.get("exception.type")) or said(given.get(names.ERROR_TYPE))
    message = (
        said(raised.get("exception.message")) or trouble or span.message or said(given.get("error.message"))
    )
    return of_error(kind, message, _status(given), stack=said(raised.get("exception.stacktrace")))


def _status(given: Mapping[str, Any]) -> Any:
    return next((given[name] for name in names.HTTP_STATUS if name in given), None)
