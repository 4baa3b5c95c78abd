"""Everything that the gateway answers: which path leads where, and what its own routes say."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import msgspec

from inchworm.capture.headers import UNATTENDED
from inchworm.capture.records import Exposed, encode
from inchworm.capture.spool import Spool
from inchworm.domain.errors import InchwormError, InputError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.mistakes import where
from inchworm.domain.trace import Arm, Assignment
from inchworm.gateway.access import ANYBODY, Caller, caller_of
from inchworm.gateway.calls import Calls
from inchworm.gateway.client_records import read_records
from inchworm.gateway.faults import (
    Fault,
    FaultError,
    internal,
    knows_nothing,
    no_memory,
    not_allowed,
    not_found,
    not_its_app,
    spool_full,
    too_large,
    unusable,
    wrong_host,
    wrong_method,
    wrong_type,
)
from inchworm.gateway.hosts import Hosts
from inchworm.gateway.ingest import Ingest
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import CONTENT_TYPE, Metrics
from inchworm.gateway.ofrep import ALL, Flags
from inchworm.gateway.passing import Passing, asking_wire, passed_at
from inchworm.gateway.recording import Recorder
from inchworm.gateway.rsgi import Closed, Exchange, Scope
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings
from inchworm.gateway.wires import Wire, wire_at

_JSON_TYPE = re.compile(r"application/(?:[a-z0-9.-]+\+)?json(?:\s*;.*)?", re.IGNORECASE)
_LINES_TYPE = re.compile(r"application/(?:x-ndjson|jsonl|x-jsonlines|json)(?:\s*;.*)?", re.IGNORECASE)
_JSON = ("content-type", "application/json")
_LONGEST_WAIT_S = 60.0
_UNATTENDED_S = 1.0
_LINGER = 4  # times the limit


@dataclass(slots=True, kw_only=True)
class Routes:
    """Dispatches requests, and answers those that are no calls of a model.

    Attributes:
        settings: limits, and who this is.
        calls: serves the model routes.
        passing: serves what is passed on beside them.
        flags: evaluates feature flags.
        ingest: takes in what tracing clients send.
        holder: what is served.
        recorder: remembers exposures.
        spool: takes what clients report.
        hosts: the names that it is called by.
        bearer: what the server shows to order something.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
        log: says.
        held: bytes of the requests for models that are being answered.
    """

    settings: Settings
    calls: Calls
    passing: Passing
    flags: Flags
    ingest: Ingest
    holder: Holder
    recorder: Recorder
    spool: Spool
    hosts: Hosts
    bearer: str = field(repr=False)
    clock: Callable[[], float]
    metrics: Metrics
    log: Log
    held: int = 0

    async def __call__(self, scope: Scope, proto: Exchange) -> None:
        """Answer one request (RSGI)."""
        try:
            await self._dispatch(scope, proto)
        except FaultError as error:
            self._say(scope, proto, error.fault)
        except Closed:  # who asked has left
            return
        except Exception as error:  # noqa: BLE001  # the outermost edge: granian would drop the caller without a word
            self.log.alarm("mistake", what=where(error))
            self._say(scope, proto, internal())

    def _say(self, scope: Scope, proto: Exchange, fault: Fault) -> None:
        """Answer a fault, in the words of the protocol that was called."""
        self.metrics.faults.add(fault.code)
        wire = wire_at(scope.path) or asking_wire(scope.path, dict(scope.headers.items()))
        body = wire.fault_body(fault)
        proto.response_bytes(fault.status, [_JSON, *fault.headers], body)

    async def _dispatch(self, scope: Scope, proto: Exchange) -> None:
        # HTTP/2 has no Host header; it says the same as the authority.
        if not self.hosts.knows(scope.headers.get("host") or scope.authority):
            raise FaultError(wrong_host())
        path, method = scope.path, scope.method
        if (wire := wire_at(path)) is not None:
            _only(method, "POST")
            await self._call(wire, scope, proto)
            return
        if path == ALL or path.startswith(f"{ALL}/"):
            _only(method, "POST")
            self._known(scope)
            await self._flags(scope, proto)
            return
        if (door := self.ingest.door(path)) is not None:
            await self.ingest.serve(door, scope, proto)
            return
        if path.startswith(("/v1/", "/openai/v1/")) and await self._passed(scope, proto):
            return
        match path:
            case "/inchworm/v1/serving":
                _only(method, "GET")
                self._known(scope)
                await self._serving(scope, proto)
            case "/inchworm/v1/records":
                _only(method, "POST")
                await self._records(scope, proto, self._known(scope))
            case "/-/health":
                _only(method, "GET")
                _json(proto, {"status": "ok", "name": self.settings.name})
            case "/-/ready":
                _only(method, "GET")
                _json(proto, self._ready(), 200 if self.holder.serving is not None else 503)
            case "/-/metrics" | "/metrics":
                _only(method, "GET")
                proto.response_str(200, [("content-type", CONTENT_TYPE)], self.metrics.text())
            case "/-/rotate":
                _only(method, "POST")
                self._allowed(scope)
                self.spool.rotate_now()
                _json(proto, {"rotated": True})
            case _:
                raise FaultError(not_found(path))

    async def _call(self, wire: Wire, scope: Scope, proto: Exchange) -> None:
        items = scope.headers.items()
        headers = dict(items)
        _typed(headers, _JSON_TYPE, "application/json")
        size = min(int(headers.get("content-length", "0")), self.settings.max_body)
        try:
            if self.settings.require_key:  # nothing is held for strangers
                self._known(scope)
            # A call that is not recorded is served all the same; one that cannot even be held is not.
            self._check_room(size)
        except FaultError:
            await self._throw_away(proto)
            raise
        self.held += size
        try:
            raw = await self._body(proto, headers)
            self._check_room(len(raw) - size)
            self.held += len(raw) - size
            size = len(raw)
            await self.calls.serve(wire, scope, proto, items, raw)
        finally:
            self.held -= size

    def _check_room(self, size: int) -> None:
        if size > 0 and self.held + size > self.settings.held_bytes:
            raise FaultError(no_memory())

    async def _throw_away(self, proto: Exchange) -> None:
        """Read the body of a request that is refused: who has not finished sending sees no answer."""
        size = 0
        async for piece in proto:
            size += len(piece)
            if size > _LINGER * self.settings.max_body:
                break

    async def _passed(self, scope: Scope, proto: Exchange) -> bool:
        headers = dict(scope.headers.items())
        passed = passed_at(scope.path, headers)
        if passed is None:
            return False
        if scope.method not in passed.methods.split(", "):
            raise FaultError(wrong_method(scope.method, passed.methods))
        raw = b""
        if scope.method == "POST":
            _typed(headers, _JSON_TYPE, "application/json")
            raw = await self._body(proto, headers)
        await self.passing.serve(passed.wire, scope, proto, headers, raw)
        return True

    async def _body(self, proto: Exchange, headers: Mapping[str, str]) -> bytes:
        limit = self.settings.max_body
        length = headers.get("content-length")
        if length is not None and int(length) <= limit:
            return await proto()
        pieces: list[bytes] = []
        size = 0
        async for piece in proto:
            size += len(piece)
            if size <= limit:
                pieces.append(piece)
            elif size > _LINGER * limit:
                break
        # Who has not finished sending would not see the answer: what is too much is read, and thrown away.
        if size > limit:
            raise FaultError(too_large(limit))
        return b"".join(pieces)

    def _known(self, scope: Scope) -> Caller:
        """Who calls; what is refused is the same as for calls of a model."""
        serving = self.holder.serving
        if serving is not None:
            return caller_of(dict(scope.headers.items()), serving, self.settings)
        if self.settings.require_key:  # nobody can be told from anybody yet
            raise FaultError(knows_nothing())
        return ANYBODY

    def _allowed(self, scope: Scope) -> None:
        shown = scope.headers.get("authorization") or ""
        if not hmac.compare_digest(shown.encode(), f"Bearer {self.bearer}".encode()):
            raise FaultError(not_allowed())

    async def _serving(self, scope: Scope, proto: Exchange) -> None:
        query = parse_qs(scope.query_string)
        held = query.get("holds", [None])[0] or (scope.headers.get("if-none-match") or "").strip('"') or None
        # Whoever waits is told when nobody watches any more, and soon after somebody does again.
        longest = self.holder.attended_for() or _UNATTENDED_S
        wait = min(_seconds(query.get("wait", ["0"])[0]), longest)
        document = await self.holder.newer_than(held, timeout_s=wait)
        name = self.holder.version
        said = [("etag", f'"{name}"')]
        if not self.holder.attended():
            said.append((UNATTENDED, "1"))
        if document is not None and name is not None:
            proto.response_bytes(200, [_JSON, *said], document)
        elif name is not None:
            proto.response_empty(304, said)
        else:
            raise FaultError(knows_nothing())

    async def _flags(self, scope: Scope, proto: Exchange) -> None:
        headers = dict(scope.headers.items())
        _typed(headers, _JSON_TYPE, "application/json")
        raw = await self._body(proto, headers)
        key = scope.path.removeprefix(ALL).removeprefix("/")
        said = await (self.flags.one(key, headers, raw) if key else self.flags.all(headers, raw))
        proto.response_bytes(said.status, [*said.headers], said.body)

    async def _records(self, scope: Scope, proto: Exchange, caller: Caller) -> None:
        headers = dict(scope.headers.items())
        _typed(headers, _LINES_TYPE, "application/x-ndjson")
        body = await self._body(proto, headers)
        try:
            records = read_records(body, at=self.clock())
        except InputError as error:
            raise FaultError(unusable(error.message)) from error
        if caller.app is not None and (foreign := {one.app for one in records} - {str(caller.app)}):
            raise FaultError(not_its_app(str(caller.app), min(foreign)))
        try:
            waited = [self.spool.add(encode(record)) for record in records]
            if waited:
                await asyncio.wait(waited)
            for one in waited:
                one.result()
        except InchwormError as error:
            self.recorder.failed("client", error)
            raise FaultError(spool_full(error.message)) from error
        for record in records:
            if isinstance(record, Exposed):
                self._remember(record)
        self.metrics.accepted.add(by=len(records))
        _json(proto, {"accepted": len(records)})

    def _remember(self, record: Exposed) -> None:
        """So that the unit keeps its arm when it comes through the gateway next."""
        serving = self.holder.serving
        said = record.assigned
        rollout_id, unit = RolloutId(said.rollout), UnitId(record.unit)
        candidate = None if serving is None else serving.candidates().get(rollout_id)
        if candidate is None:
            return
        assignment = Assignment(
            rollout_id=rollout_id, stage=said.stage, arm=Arm(said.arm), probability=said.probability
        )
        before = self.recorder.kept(rollout_id, unit)
        # Its first exposure counts; where units are drawn anew at each stage, its first one in this stage.
        if before is None or (candidate.holds(assignment) and not candidate.holds(before)):
            self.recorder.remember(unit, assignment)

    def _ready(self) -> dict[str, Any]:
        serving = self.holder.serving
        apps = () if serving is None else serving.apps
        return {
            "name": self.settings.name,
            "holds": self.holder.version,
            "confirmed_at": self.holder.confirmed_at,
            "apps": {str(one.app): None if one.table is None else one.table.generation for one in apps},
            "spool": self.spool.stats(),
        }


def _only(method: str, allowed: str) -> None:
    if method != allowed:
        raise FaultError(wrong_method(method, allowed))


def _typed(headers: Mapping[str, str], wanted: re.Pattern[str], name: str) -> None:
    # A page of another site cannot send this type without asking first, so it cannot use a local gateway.
    found = headers.get("content-type", "")
    if found != name and wanted.fullmatch(found) is None:
        raise FaultError(wrong_type(found, name))
    packed = headers.get("content-encoding", "identity")
    if packed != "identity":
        raise FaultError(wrong_type(f"packed ({packed})", f"{name}, not packed"))


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return min(max(value, 0.0), _LONGEST_WAIT_S) if math.isfinite(value) else 0.0


def _json(proto: Exchange, value: Any, status: int = 200) -> None:
    proto.response_bytes(status, [_JSON], msgspec.json.encode(value))
