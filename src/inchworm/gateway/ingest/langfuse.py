"""Langfuse's API: events of older clients, scores, and what clients ask before they begin.

Traces of clients since version 3 come as OTLP (``otlp``). Held by langfuse 5.0 for Python, and by its API.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from inchworm import __version__
from inchworm.capture.records import Exported, Graded, Record
from inchworm.capture.telemetry import check
from inchworm.domain.errors import InputError
from inchworm.gateway.faults import Fault, FaultError, wrong_type
from inchworm.gateway.ingest.asked import JSON, Asked, Said, decoded
from inchworm.gateway.ingest.grades import LangfuseScore, of_langfuse
from inchworm.gateway.ingest.groups import grouped
from inchworm.gateway.ingest.keeping import Keeper
from inchworm.gateway.ingest.otlp import MOST_RECORD
from inchworm.gateway.metrics import Metrics

DIALECT = "langfuse"
_WORK = re.compile(r"trace-create|event-create|[a-z]{1,20}-(?:create|update)")
_SCORE, _LOG = "score-create", "sdk-log"
_ERRORS_SHOWN = 100


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    type: str
    id: str = ""
    timestamp: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Id(msgspec.Struct, frozen=True):
    id: Any = None


_batches = msgspec.json.Decoder(_Batch)
_events = msgspec.json.Decoder(_Event)
_ids = msgspec.json.Decoder(_Id)
_scores = msgspec.json.Decoder(LangfuseScore)
_lists = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class _Read:
    """What a batch of events is."""

    work: list[bytes] = field(default_factory=list)
    scores: list[Graded] = field(default_factory=list)
    done: list[dict[str, Any]] = field(default_factory=list)
    wrong: list[dict[str, Any]] = field(default_factory=list)
    spans: int = 0

    def take(self, id_: str) -> None:
        self.done.append({"id": id_, "status": 201})

    def refuse(self, id_: str, why: str) -> None:
        self.wrong.append({"id": id_, "status": 400, "message": "Invalid request data", "error": why})


@dataclass(frozen=True, slots=True, kw_only=True)
class Langfuse:
    """Takes events and scores in.

    Attributes:
        keeper: makes them durable.
        metrics: counts them.
    """

    keeper: Keeper
    metrics: Metrics

    async def ingestion(self, asked: Asked) -> Said:
        """Take a batch of events; the answer says of each what became of it (207).

        Raises:
            FaultError: if it is no batch, or cannot be kept now.
        """
        body = await _json(asked)
        app, at = str(asked.app.app), asked.at
        read = await asked.work(body, lambda whole: _read(whole, app, at))
        bodies = [b'{"batch":[' + b",".join(one) + b"]}" for one in grouped(read.work, MOST_RECORD)]
        work = [Exported(app=app, dialect=DIALECT, body=one, at=at) for one in bodies]
        await self.keeper.keep([*work, *read.scores])
        self.metrics.ingested.add(DIALECT, by=read.spans)
        self.metrics.graded.add(DIALECT, by=len(read.scores))
        self._count(len(read.wrong), "event")
        return Said.json({"successes": read.done, "errors": read.wrong}, 207)

    async def scores(self, asked: Asked) -> Said:
        """Take scores: a list of them, or one.

        Raises:
            FaultError: if they cannot be read, or not be kept now.
        """
        body = await _json(asked)
        is_list = body.lstrip()[:1] == b"["
        each = await asked.work(body, _list) if is_list else [body]
        app = str(asked.app.app)
        taken: list[Record] = []
        wrong: list[str] = []
        for place, one in enumerate(each):
            try:
                taken.append(of_langfuse(_score(one), app, asked.at))
            except InputError as error:
                wrong.append(f"score {place + 1}: {error.message}" if is_list else error.message)
        if not is_list and wrong:
            raise FaultError(Fault(status=400, code="invalid_request", message=wrong[0]))
        await self.keeper.keep(taken)
        self.metrics.graded.add(DIALECT, by=len(taken))
        self._count(len(wrong), "score")
        if not is_list:
            (only,) = taken
            return Said.json({"id": only.id if isinstance(only, Graded) else None})
        if not wrong:
            return Said.json({"message": "Accepted"}, 202)
        errors = [{"message": one} for one in wrong[:_ERRORS_SHOWN]]
        return Said.json({"accepted": len(taken), "rejected": len(wrong), "errors": errors}, 207)

    async def projects(self, asked: Asked) -> Said:
        """Whose project the key is of: the app."""
        app = asked.app.app
        project = {
            "id": str(app),
            "name": app.app,
            "organization": {"id": "inchworm", "name": "Inchworm"},
            "metadata": {"environment": app.environment},
        }
        return Said.json({"data": [project]})

    async def health(self, asked: Asked) -> Said:
        """That it lives."""
        del asked
        return Said.json({"status": "OK", "version": __version__})

    def _count(self, wrong: int, what: str) -> None:
        if wrong:
            self.metrics.ingest_refused.add(DIALECT, f"invalid_{what}", by=wrong)


def _list(body: bytes) -> list[bytes]:
    return [bytes(one) for one in decoded(_lists, body)]


async def _json(asked: Asked) -> bytes:
    if asked.kind != JSON:
        raise FaultError(wrong_type(asked.headers.get("content-type", ""), JSON))
    return await asked.body()


def _read(body: bytes, app: str, at: float) -> _Read:
    read = _Read()
    kept: list[tuple[str, bytes]] = []
    for raw in decoded(_batches, body).batch:
        text = bytes(raw)
        try:
            event = _event(text)
        except InputError as error:
            read.refuse(_id_of(text), error.message)
            continue
        try:
            if event.type == _SCORE:
                read.scores.append(of_langfuse(_score(bytes(event.body)), app, at, said_at=event.timestamp))
            elif event.type == _LOG:  # of the client's own troubles, and no work
                pass
            elif _WORK.fullmatch(event.type):
                kept.append((event.id, text))
                continue
            else:
                read.refuse(event.id, f'"{event.type[:40]}" is no kind of event that is known')
                continue
        except InputError as error:
            read.refuse(event.id, error.message)
        else:
            read.take(event.id)
    _check(kept, read)
    return read


def _check(kept: list[tuple[str, bytes]], read: _Read) -> None:
    """Take what can be read: all at once, and one by one only if that fails."""
    if not kept:
        return
    try:
        read.spans = check(DIALECT, _body(text for _, text in kept))
    except InputError as error:
        if len(kept) == 1:
            read.refuse(kept[0][0], error.message)
            return
        spans = 0
        for one in kept:
            _check([one], read)
            spans += read.spans
            read.spans = 0
        read.spans = spans
        return
    for id_, text in kept:
        read.work.append(text)
        read.take(id_)


def _body(events: Iterable[bytes]) -> bytes:
    return b'{"batch":[' + b",".join(events) + b"]}"


def _event(text: bytes) -> _Event:
    try:
        return _events.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(_why(error)) from error


def _score(text: bytes) -> LangfuseScore:
    try:
        return _scores.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError) as error:
        raise InputError(_why(error)) from error


def _id_of(text: bytes) -> str:
    try:
        found = _ids.decode(text).id
    except (msgspec.MsgspecError, RecursionError, ValueError):
        return ""
    return found[:200] if isinstance(found, str) else ""


def _why(error: Exception) -> str:
    return "it is nested too deeply" if isinstance(error, RecursionError) else str(error)[:300]


def refusal(fault: Fault, kind: str) -> Said:
    """A fault as Langfuse's clients read errors."""
    del kind
    body = msgspec.json.encode({"message": fault.message, "error": fault.code})
    return Said(status=fault.status, body=body, headers=fault.headers)
