"""What became of one call, and what it scored. Absence is a type: never NaN, never 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self, assert_never


@dataclass(frozen=True, slots=True, kw_only=True)
class Ok:
    """The call was answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The configuration failed: its own deadline was missed, or the provider refused what it sent.

    It counts: as 0 on every metric where absence is failure.
    """

    reason: str

    @classmethod
    def late(cls, deadline_s: float) -> Self:
        """No whole answer came within its deadline, in seconds."""
        return cls(reason=f"deadline of {deadline_s:g} s missed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errored:
    """The harness or a judge failed. Retried, counted per arm, never a 0."""

    reason: str


Outcome = Ok | Failed | Errored

ACCOUNT_STATUSES = frozenset({401, 402, 403})
"""HTTP statuses of who may ask and who pays."""
PASSING_STATUSES = frozenset({408, 409, 425, 429})
"""HTTP statuses that ask for another try: too slow, at the wrong moment, too early, too often."""
HARNESS_STATUSES = ACCOUNT_STATUSES | PASSING_STATUSES
"""Refusals that say nothing of what was sent, and so nothing of the configuration (RFC 9110, section 15.5;
425: RFC 8470; 429: RFC 6585). All other statuses from 400 to 499 do."""


def word(outcome: Outcome) -> str:
    """An outcome's name."""
    match outcome:
        case Ok():
            return "ok"
        case Failed():
            return "failed"
        case Errored():
            return "errored"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A value on the metric's own scale, in [0, 1], higher is better."""

    value: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.value <= 1.0:
            msg = f"a score lies in [0, 1], not {self.value}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unscored:
    """No value, and why: no reference, not judged yet, the judge abstained."""

    reason: str


Result = Scored | Unscored | Errored


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One score of one trace or trial.

    Attributes:
        metric: name of the metric in the app's registry.
        result: the value, or why there is none.
        source: who gave it: ``code:contains_reference/1``, ``judge:helpful@3``, ``human:ana``, ``user``.
        at: when, seconds since the epoch.
        id: the giver's own id of it, unique in the app: of two with one id the later one stands.
        comment: what was said beside it.
    """

    metric: str
    result: Result
    source: str
    at: float
    id: str | None = None
    comment: str | None = None


def encode(value: Outcome | Result) -> dict[str, object]:
    """The tagged JSON form, pinned by golden vectors: ``{"is": "failed", "reason": "..."}``."""
    match value:
        case Ok():
            return {"is": "ok"}
        case Failed(reason=reason):
            return {"is": "failed", "reason": reason}
        case Errored(reason=reason):
            return {"is": "errored", "reason": reason}
        case Scored(value=number):
            return {"is": "scored", "value": number}
        case Unscored(reason=reason):
            return {"is": "unscored", "reason": reason}
        case _:
            assert_never(value)


def decode_outcome(data: dict[str, object]) -> Outcome:
    """The inverse of :func:`encode` for outcomes.

    Raises:
        ValueError: for an unknown tag.
    """
    match data:
        case {"is": "ok"}:
            return Ok()
        case {"is": "failed", "reason": str(reason)}:
            return Failed(reason=reason)
        case {"is": "errored", "reason": str(reason)}:
            return Errored(reason=reason)
    msg = f"not an outcome: {data!r}"
    raise ValueError(msg)


def decode_result(data: dict[str, object]) -> Result:
    """The inverse of :func:`encode` for results.

    Raises:
        ValueError: for an unknown tag.
    """
    match data:
        case {"is": "scored", "value": int(number) | float(number)}:
            return Scored(value=float(number))
        case {"is": "unscored", "reason": str(reason)}:
            return Unscored(reason=reason)
        case {"is": "errored", "reason": str(reason)}:
            return Errored(reason=reason)
    msg = f"not a result: {data!r}"
    raise ValueError(msg)
