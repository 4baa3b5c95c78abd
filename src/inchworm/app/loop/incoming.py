"""One record of the spool to what the stores know: an exposure, an interaction, a rating; or why not."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import assert_never

import msgspec

from inchworm.capture.calls import trace_of
from inchworm.capture.dialects import Refused, parse, trace_1
from inchworm.capture.fields import Parsed, Place
from inchworm.capture.records import (
    Assigned,
    Called,
    Exported,
    Exposed,
    Graded,
    Mirrored,
    Rated,
    Shadowed,
    Traced,
    decode,
)
from inchworm.capture.values import decode as decode_json
from inchworm.domain.canonical import canonical
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError
from inchworm.domain.ids import RolloutId, TraceId, UnitId
from inchworm.domain.span import Span
from inchworm.domain.trace import SOURCE, Arm, Assignment, Trace

_CLIENT = "client"
"""By which way an interaction came that the client library reports."""
_MAX_STAGE = 2**31 - 1
_DIGEST = 24
_WIDE = re.compile(rb"[0-9]{16}")


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that is none of ours, and why."""

    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Exposing:
    """A unit was assigned; the unit's id is as it came."""

    raw: bytes
    path: Path
    unit_id: UnitId
    assignment: Assignment
    at: float


@dataclass(frozen=True, slots=True)
class Interaction:
    """An interaction and the steps of it that came with it, not sanitized yet."""

    raw: bytes
    path: Path
    trace: Trace
    steps: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Mirroring:
    """A call is answered by the candidate too; ids are as they came."""

    raw: bytes
    path: Path
    unit_id: UnitId
    rollout_id: RolloutId
    stage: int
    trace_id: TraceId
    shadow_id: TraceId
    at: float


@dataclass(frozen=True, slots=True)
class Rating:
    """Feedback to an interaction; ids are as they came.

    Attributes:
        raw: the record.
        path: the segment that it is in.
        app: whose interaction.
        said: what was given, and of what.
        scaled: whether the value lies in [0, 1] already, whatever scale the app declares.
    """

    raw: bytes
    path: Path
    app: AppRef
    said: Graded
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Exporting:
    """What a tracing client sent in one request, not read and not sanitized yet."""

    raw: bytes
    path: Path
    exported: Exported


Came = Exposing | Exporting | Interaction | Mirroring | Rating


def read_record(raw: bytes, path: Path, apps: Collection[AppRef]) -> Came | Unreadable:
    """What a record says.

    Args:
        raw: the record.
        path: the segment that it is in.
        apps: apps that are taken in; records of another are not.
    """
    try:
        record = decode(raw)
    except msgspec.DecodeError as error:
        return Unreadable(raw, f"It is no record that this version reads: {error}.")
    try:
        app = AppRef.parse(record.app)
        _check(app, record.at, apps)
        match record:
            case Exposed():
                return Exposing(raw, path, _unit(record.unit), _assignment(record.assigned), record.at)
            case Shadowed():
                return Interaction(raw, path, replace(_called(record), shadow_of=_trace(record.shadow_of)))
            case Called():
                return Interaction(raw, path, _called(record))
            case Mirrored():
                return _mirroring(raw, path, record)
            case Traced():
                parsed = _traced(record, app)
                return Interaction(raw, path, parsed.trace, parsed.spans)
            case Rated():
                return Rating(raw, path, app, _given(record), scaled=True)
            case Graded():
                return Rating(raw, path, app, _graded(record))
            case Exported():
                return Exporting(raw, path, record)
            case _:
                assert_never(record)
    except InputError as error:
        return Unreadable(raw, _sentence(error.message))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".removesuffix(".") + "."


def _check(app: AppRef, at: float, apps: Collection[AppRef]) -> None:
    if app not in apps:
        raise InputError(f"it is of {app}, and this is {', '.join(sorted(map(str, apps)))}")
    if not math.isfinite(at):
        raise InputError("its time is no number")


def _unit(unit: str) -> UnitId:
    if not unit:
        raise InputError("it names no unit")
    return UnitId(unit)


def _assignment(given: Assigned) -> Assignment:
    if given.arm not in {arm.value for arm in Arm}:
        raise InputError(f'its arm is "{given.arm}"; it is baseline or candidate')
    if not 0.0 <= given.probability <= 1.0:
        raise InputError(f"its probability is {given.probability}; it lies in [0, 1]")
    if not 0 <= given.stage <= _MAX_STAGE:
        raise InputError(f"its stage is {given.stage}")
    if not given.rollout:
        raise InputError("it names no rollout")
    return Assignment(
        rollout_id=RolloutId(given.rollout),
        stage=given.stage,
        arm=Arm(given.arm),
        probability=given.probability,
    )


def _trace(id_: str) -> TraceId:
    if not id_:
        raise InputError("it does not say which call it mirrors")
    return TraceId(id_)


def _mirroring(raw: bytes, path: Path, record: Mirrored) -> Mirroring:
    if not 0 <= record.stage <= _MAX_STAGE:
        raise InputError(f"its stage is {record.stage}")
    if not record.rollout:
        raise InputError("it names no rollout")
    return Mirroring(
        raw,
        path,
        unit_id=_unit(record.unit),
        rollout_id=RolloutId(record.rollout),
        stage=record.stage,
        trace_id=_trace(record.trace),
        shadow_id=_trace(record.shadow),
        at=record.at,
    )


def _called(record: Called) -> Trace:
    trace = trace_of(record)
    trace.attributes[SOURCE] = record.dialect
    if _WIDE.search(record.request):  # where inputs and reference stand that the caller named
        _check_comparable(trace)
    return trace


def _traced(record: Traced, app: AppRef) -> Parsed:
    """The interaction that a client reports.

    Raises:
        InputError: if it cannot be read.
    """
    try:
        record.line.decode()
    except UnicodeDecodeError as error:
        raise InputError("it is no UTF-8") from error
    line = decode_json(record.line)
    digest = hashlib.sha256(repr(record.at).encode() + b"\n" + record.line).hexdigest()
    place = Place(app=app, id=TraceId(f"line-{digest[:_DIGEST]}"), at=record.at)
    parsed = parse(line.members, place, dialect=trace_1.NAME)
    if isinstance(parsed, Refused):
        raise InputError(parsed.reason)
    if line.wide_integers:
        _check_comparable(parsed.trace)
    parsed.trace.attributes.setdefault(SOURCE, _CLIENT)
    return parsed


def _check_comparable(trace: Trace) -> None:
    """Refuse inputs without a canonical form: a case made of them could not be told from others."""
    for name, value in (("inputs", trace.inputs), ("reference", trace.reference)):
        try:
            canonical(value)
        except ValueError as error:
            raise InputError(f"{name}: {error}; write it as a text") from error


def _given(record: Rated) -> Graded:
    if not 0.0 <= record.value <= 1.0:
        raise InputError(f"its value on {record.metric} is {record.value}; a score lies in [0, 1]")
    return _graded(
        Graded(
            app=record.app,
            trace=record.trace,
            metric=record.metric,
            value=record.value,
            source=record.source,
            at=record.at,
        )
    )


def _graded(record: Graded) -> Graded:
    if not record.metric:
        raise InputError("it names no metric")
    if not (record.trace or record.span or record.unit):
        raise InputError("it names no interaction, and no unit either")
    return record
