"""What client libraries report: exposures, interactions and feedback, one JSON object per line."""

from __future__ import annotations

import msgspec

from inchworm.capture.records import Assigned, Exposed, Graded, Record, Traced
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.trace import Arm
from inchworm.gateway.ingest.grades import OurScore, ours

_KINDS = ("exposed", "trace", "score")
_MAX_STAGE = 65_535
_YEAR_10000 = 253_402_300_800

_NONE = msgspec.Raw()


class _Exposed(msgspec.Struct, frozen=True):
    app: str
    unit: str
    rollout: str
    stage: int
    arm: Arm
    probability: float
    at: float | None = None


class _Score(msgspec.Struct, frozen=True):
    app: str
    metric: str
    value: bool | int | float | str
    trace: str | None = None
    span: str | None = None
    unit: str | None = None
    id: str | None = None
    source: str = "user"
    comment: str | None = None
    at: float | None = None


class _Line(msgspec.Struct, frozen=True):
    exposed: _Exposed | None = None
    trace: msgspec.Raw = _NONE  # in a union with None, msgspec takes nothing but null
    score: _Score | None = None


class _Traced(msgspec.Struct, frozen=True):
    app: str


_lines = msgspec.json.Decoder(_Line)
_traces = msgspec.json.Decoder(_Traced)


def read_records(body: bytes, *, at: float) -> list[Record]:
    """The records of a request; all or none.

    Args:
        body: NDJSON; each line ``{"exposed": {...}}``, ``{"trace": {...}}`` or ``{"score": {...}}``.
        at: when it arrived, seconds since the epoch; the time of what says none.

    Raises:
        InputError: if a line cannot be used; the message names it.
    """
    out: list[Record] = []
    for number, line in enumerate(body.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            out.append(_record(_lines.decode(line), at))
        except (msgspec.DecodeError, RecursionError, InputError) as error:
            raise InputError(f"line {number}: {error}") from error
    return out


def _record(line: _Line, at: float) -> Record:
    told = bytes(line.trace)
    match line:
        case _Line(exposed=_Exposed() as one, score=None) if not told:
            return _exposed(one, at)
        case _Line(exposed=None, score=_Score() as one) if not told:
            return _graded(one, at)
        case _Line(exposed=None, score=None) if told:
            return Traced(app=_app(_traces.decode(told).app), line=told, at=at)
    raise InputError(f"it has not exactly one of {', '.join(_KINDS)}")


def _graded(one: _Score, at: float) -> Graded:
    said = OurScore(
        metric=one.metric,
        value=one.value,
        id=one.id,
        trace=one.trace,
        span=one.span,
        unit=one.unit,
        source=one.source,
        comment=one.comment,
        at=one.at,
    )
    return ours(said, _app(one.app), at)


def _exposed(one: _Exposed, at: float) -> Exposed:
    if not (0 <= one.probability <= 1 and 0 <= one.stage <= _MAX_STAGE):
        raise InputError(f"an exposure's probability is in [0, 1], its stage from 0 to {_MAX_STAGE}")
    return Exposed(
        app=_app(one.app),
        unit=_named(one.unit, "unit"),
        assigned=Assigned(_named(one.rollout, "rollout"), one.stage, one.arm.value, one.probability),
        at=_time(one.at, at),
    )


def _time(said: float | None, arrived: float) -> float:
    if said is None:
        return arrived
    if not 0 <= said < _YEAR_10000:
        raise InputError(f"at is {said:g}, no time in seconds since 1970; milliseconds are divided by 1000")
    return said


def _app(text: str) -> str:
    return str(AppRef.parse(text))


def _named(text: str, what: str) -> str:
    if not text:
        raise InputError(f"{what} is empty")
    return text
