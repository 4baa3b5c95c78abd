"""What is passed on without being a call of an app: counting tokens, looking models and answers up.

Nothing of it is assigned to an arm, and nothing of it is recorded.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import msgspec

from inchworm.capture.headers import APP
from inchworm.domain.errors import ConfigError
from inchworm.gateway.access import Caller, caller_of
from inchworm.gateway.applying import SYMBOLIC
from inchworm.gateway.asking import Asker
from inchworm.gateway.bodies import read_object
from inchworm.gateway.faults import (
    Fault,
    FaultError,
    cut_off,
    knows_nothing,
    misconfigured,
    no_model,
    too_late,
    unknown_app,
    unreachable,
    unusable,
)
from inchworm.gateway.forwarding import Unpacker, returned_headers, sent_headers, sent_path
from inchworm.gateway.listing import listed, named, one_of, with_apps
from inchworm.gateway.resolving import ServedApp, Serving, UnknownAppError
from inchworm.gateway.rsgi import Exchange, Scope
from inchworm.gateway.sending import Way
from inchworm.gateway.serving import Holder
from inchworm.gateway.settings import Settings
from inchworm.gateway.units import MEMBER
from inchworm.gateway.upstream import (
    Answer,
    NoConnectionError,
    TooLateError,
    UpstreamError,
    request_bytes,
)
from inchworm.gateway.wires import ANTHROPIC_MESSAGES, OPENAI_CHAT, Speech, Wire

MODELS = "/v1/models"
COUNT = "/v1/messages/count_tokens"
_PASSED = (
    (COUNT, "POST", ANTHROPIC_MESSAGES),
    (r"(?:/openai)?/v1/responses/[^/]+", "GET, DELETE", OPENAI_CHAT),
    (r"(?:/openai)?/v1/responses/[^/]+/input_items", "GET", OPENAI_CHAT),
    (r"(?:/openai)?/v1/responses/[^/]+/cancel", "POST", OPENAI_CHAT),
    (r"(?:/openai)?/v1/models(?:/.+)?", "GET", None),
)
_ROUTES = tuple((re.compile(pattern), methods, wire) for pattern, methods, wire in _PASSED)
_VERSION = "anthropic-version"
_JSON = ("content-type", "application/json")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Passed:
    """A route of requests that are passed on.

    Attributes:
        methods: that are passed, as the header ``allow`` has them.
        wire: whose they are.
    """

    methods: str
    wire: Wire


def passed_at(path: str, headers: Mapping[str, str]) -> Passed | None:
    """What is passed on at a path; of models, in the protocol of whoever asks."""
    for pattern, methods, wire in _ROUTES:
        if pattern.fullmatch(path):
            return Passed(methods, wire or asking_wire(path, headers))
    return None


def asking_wire(path: str, headers: Mapping[str, str]) -> Wire:
    """In whose words somebody is answered whose path is no call of a model."""
    anthropic = path.startswith("/v1/messages") or _VERSION in headers
    return ANTHROPIC_MESSAGES if anthropic else OPENAI_CHAT


@dataclass(slots=True, kw_only=True)
class Passing:
    """Passes requests on to the provider of the app that is meant.

    Attributes:
        settings: limits.
        holder: what is served.
        asker: knows where and how.
    """

    settings: Settings
    holder: Holder
    asker: Asker

    async def serve(
        self, wire: Wire, scope: Scope, proto: Exchange, headers: Mapping[str, str], raw: bytes
    ) -> None:
        """Answer one request.

        Raises:
            FaultError: if it cannot be passed on, or no answer came.
        """
        serving = self.holder.serving
        if serving is None:
            raise FaultError(knows_nothing())
        caller = caller_of(headers, serving, self.settings)
        models = scope.path.removeprefix("/openai")
        if models == MODELS:
            await self._models(wire, scope, proto, serving, caller)
            return
        if models.startswith((f"{MODELS}/{SYMBOLIC}", f"{MODELS}/app%3A")):
            name = unquote(models.removeprefix(f"{MODELS}/"))
            if name not in named(serving, caller.app):
                raise FaultError(no_model(name))
            proto.response_bytes(200, [_JSON], _encode(one_of(name, wire.speech)))
            return
        app = _app(serving, headers, {}, caller)
        if scope.path == COUNT:
            body = read_object(raw)
            app = _app(serving, headers, body, caller)
            raw = _meant(body, raw, app, serving, headers)
        answer = await self._send(wire, scope, app, raw)
        try:
            await self._relay(answer, proto)
        finally:
            answer.abort()

    async def _models(
        self, wire: Wire, scope: Scope, proto: Exchange, serving: Serving, caller: Caller
    ) -> None:
        """The provider's models behind those of the apps; the apps' alone if the provider cannot be asked."""
        headers = dict(scope.headers.items())
        names = named(serving, caller.app)
        try:
            answer = await self._send(wire, scope, _app(serving, headers, {}, caller), b"")
            try:
                body = await self._whole(answer)
            finally:
                answer.abort()
        except FaultError:
            proto.response_bytes(200, [_JSON], _encode(listed(names, wire.speech)))
            return
        if answer.head.status == 200 and "after_id" not in scope.query_string:
            body = with_apps(body, names, wire.speech) or body
        proto.response_bytes(answer.head.status, returned_headers(answer.head), body)

    async def _send(self, wire: Wire, scope: Scope, app: ServedApp, raw: bytes) -> Answer:
        infrastructure = _infrastructure(app)
        try:
            target, key = self.asker.where(infrastructure, wire)
        except ConfigError as error:
            raise FaultError(misconfigured(error.message)) from error
        anthropic = wire.speech is Speech.ANTHROPIC
        head = request_bytes(
            scope.method,
            target.origin,
            sent_path(target, scope.path, scope.query_string),
            # Which header a key goes into is told by the path; that of models is both protocols'.
            sent_headers(scope.headers.items(), key=key, path=COUNT if anthropic else scope.path),
            raw,
        )
        table = app.table
        way = Way.of(
            target.origin,
            None if table is None else table.stable,
            infrastructure,
            self.settings.upstream_at_once,
        )
        deadline = asyncio.get_running_loop().time() + self.settings.deadline_s
        sent = await self.asker.sender.send(way, head, raw, deadline=deadline)
        if isinstance(sent.answer, UpstreamError):
            raise FaultError(self._fault(target.origin.authority, sent.answer)) from sent.answer
        return sent.answer

    async def _whole(self, answer: Answer) -> bytes:
        unpacker = Unpacker.of(answer.head, self.settings.max_body)
        pieces: list[bytes] = []
        size = 0
        try:
            while piece := await answer.piece():
                pieces.append(piece if unpacker is None else unpacker.feed(piece))
                size += len(pieces[-1])
                if size > self.settings.max_body:
                    raise FaultError(cut_off("The provider", "sent more than is taken here"))
        except (UpstreamError, zlib.error) as error:
            raise FaultError(cut_off("The provider", str(error))) from error
        return b"".join(pieces)

    async def _relay(self, answer: Answer, proto: Exchange) -> None:
        """Pass an answer on as it comes."""
        unpacker = Unpacker.of(answer.head, self.settings.max_body * 8)
        transport = proto.response_stream(answer.head.status, returned_headers(answer.head))
        try:
            while piece := await answer.piece():
                await transport.send_bytes(piece if unpacker is None else unpacker.feed(piece))
        except (UpstreamError, zlib.error):
            return  # what is missing shows: it is no whole JSON, and no whole stream

    def _fault(self, provider: str, error: UpstreamError) -> Fault:
        match error:
            case TooLateError():
                return too_late(provider, self.settings.deadline_s)
            case NoConnectionError():
                return unreachable(provider, str(error))
            case _:
                return cut_off(provider, str(error))


def _app(serving: Serving, headers: Mapping[str, str], body: Mapping[str, Any], caller: Caller) -> ServedApp:
    try:
        return (
            serving.route(headers, body, caller.app).app
            if body
            else serving.app(headers.get(APP, ""), caller.app)
        )
    except UnknownAppError as error:
        raise FaultError(unknown_app(f"{error.message}. {error.hint}")) from error


def _infrastructure(app: ServedApp) -> Mapping[str, Any]:
    table = app.table
    return app.infrastructure if table is None else app.configurations[table.stable].infrastructure


def _meant(
    body: dict[str, Any], raw: bytes, app: ServedApp, serving: Serving, headers: Mapping[str, str]
) -> bytes:
    """A request whose tokens are to be counted, without what is ours in it: of an app, stable's model."""
    name = body.get("model")
    symbolic = isinstance(name, str) and name.startswith(SYMBOLIC)
    if not symbolic and MEMBER not in body:
        return raw
    out = {member: value for member, value in body.items() if member != MEMBER}
    if symbolic:
        call = serving.route(headers, body, app.app).call
        table = app.table
        model = None if table is None else app.configurations[table.stable].of(call).model
        if model is None:
            raise FaultError(unusable(f'The model is "{name}", and stable does not say which model that is.'))
        out["model"] = model
    return _encode(out)
