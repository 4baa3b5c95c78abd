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
from inchworm.gateway.calls import Calls
from inchworm.gateway.client_records import read_records
from inchworm.gateway.faults import (
    Fault,
    FaultError,
    internal,
    knows_nothing,
    not_allowed,
    not_found,
    spool_full,
    too_large,
    unusable,
    wrong_host,
    wrong_method,
    wrong_type,
)
from inchworm.gateway.hosts import Hosts
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import CONTENT_TYPE, Metrics
from inchworm.gateway.ofrep import ALL, Flags
from inchworm.gateway.recording import Recorder
from inchworm.gateway.rsgi import Closed, Exchange, Scope
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings

MODEL_ROUTES = re.compile(r"/v1/chat/completions|/openai/(?:deployments/[^/]+|v1)/chat/completions")
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
        flags: evaluates feature flags.
        holder: what is served.
        recorder: remembers exposures.
        spool: takes what clients report.
        hosts: the names that it is called by.
        bearer: what the server shows to order something.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
        log: says.
    """

    settings: Settings
    calls: Calls
    flags: Flags
    holder: Holder
    recorder: Recorder
    spool: Spool
    hosts: Hosts
    bearer: str = field(repr=False)
    clock: Callable[[], float]
    metrics: Metrics
    log: Log

    async def __call__(self, scope: Scope, proto: Exchange) -> None:
        """Answer one request (RSGI)."""
        try:
            await self._dispatch(scope, proto)
        except FaultError as error:
            self._say(proto, error.fault)
        except Closed:  # who asked has left
            return
        except Exception as error:  # noqa: BLE001  # the outermost edge: granian would drop the caller without a word
            self.log.alarm("mistake", what=where(error))
            self._say(proto, internal())

    def _say(self, proto: Exchange, fault: Fault) -> None:
        self.metrics.faults.add(fault.code)
        proto.response_bytes(fault.status, [_JSON, *fault.headers], fault.body())

    async def _dispatch(self, scope: Scope, proto: Exchange) -> None:
        # HTTP/2 has no Host header; it says the same as the authority.
        if not self.hosts.knows(scope.headers.get("host") or scope.authority):
            raise FaultError(wrong_host())
        path, method = scope.path, scope.method
        if path == "/v1/chat/completions" or MODEL_ROUTES.fullmatch(path):
            _only(method, "POST")
            headers = dict(scope.headers.items())
            _typed(headers, _JSON_TYPE, "application/json")
            raw = await self._body(proto, headers)
            await self.calls.serve(scope, proto, headers, raw)
            return
        if path == ALL or path.startswith(f"{ALL}/"):
            _only(method, "POST")
            await self._flags(scope, proto)
            return
        match path:
            case "/inchworm/v1/serving":
                _only(method, "GET")
                await self._serving(scope, proto)
            case "/inchworm/v1/records":
                _only(method, "POST")
                await self._records(scope, proto)
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

    async def _records(self, scope: Scope, proto: Exchange) -> None:
        headers = dict(scope.headers.items())
        _typed(headers, _LINES_TYPE, "application/x-ndjson")
        body = await self._body(proto, headers)
        try:
            records = read_records(body, at=self.clock())
        except InputError as error:
            raise FaultError(unusable(error.message)) from error
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
