"""OpenFeature's remote evaluation protocol, for programs in any language (``docs/assignment.md``).

OFREP 0.3.0, github.com/open-feature/protocol, service/openapi.yaml: one flag, or all of them with an ETag. A
flag is a place in an app's configuration (:mod:`inchworm.domain.flags`), the targeting key is the unit, and
the rest of the context is what a rollout's audience is chosen by. Evaluating a flag exposes the unit, durably
before the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import msgspec

from inchworm.capture.fields import UnitFrom
from inchworm.capture.headers import APP, CALL
from inchworm.domain.calls import for_call
from inchworm.domain.change import Absent
from inchworm.domain.flags import (
    FlagKey,
    Layers,
    Reason,
    keys_of,
    metadata_of,
    read_key,
    reason_of,
    value_of,
    variant_of,
)
from inchworm.domain.ids import ConfigurationId, UnitId
from inchworm.domain.layers import LAYERS
from inchworm.gateway.attributes import attributes_of_request
from inchworm.gateway.exposing import Asked, Exposer
from inchworm.gateway.faults import FaultError, knows_nothing, unknown_app
from inchworm.gateway.recording import durable
from inchworm.gateway.resolving import Decision, ServedApp, Serving, UnknownAppError, unexposed
from inchworm.gateway.serving import Holder
from inchworm.gateway.units import LONGEST, identifier

ALL = "/ofrep/v1/evaluate/flags"
"""All flags; one of them is behind a further slash."""
TARGETING_KEY, CALL_ATTRIBUTE, TOKEN = "targetingKey", "inchworm.call", "inchworm.token"
"""Members of the context, and of what is told beside a value."""
_JSON = ("content-type", "application/json")
_REMEMBERED = 256
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is answered.

    Attributes:
        status: the HTTP status.
        body: its JSON text; empty for 304.
        headers: beside the content type.
    """

    status: int
    body: bytes
    headers: Sequence[tuple[str, str]] = (_JSON,)


class _RefusedError(Exception):
    """The evaluation cannot be made; OpenFeature's code, and why."""

    def __init__(self, code: str, why: str, status: int = 400) -> None:
        super().__init__(why)
        self.code, self.why, self.status = code, why, status


@dataclass(frozen=True, slots=True)
class _Context:
    unit: UnitId
    members: Mapping[str, Any]
    call: str | None


@dataclass(slots=True, kw_only=True)
class Flags:
    """Evaluates flags.

    Attributes:
        holder: what is served.
        exposer: decides, and writes down who is exposed.
        unit_key: ``derive(master, Purpose.UNIT)``.
        clock: what time it is, seconds since the epoch.
    """

    holder: Holder
    exposer: Exposer
    unit_key: bytes = field(repr=False)
    clock: Callable[[], float]
    _layers: dict[tuple[ConfigurationId, str | None], Layers] = field(default_factory=dict)

    async def one(self, key: str, headers: Mapping[str, str], raw: bytes) -> Reply:
        """One flag's value for a unit.

        Args:
            key: as it stands in the path.
            headers: by lower-case names.
            raw: the body.

        Raises:
            FaultError: if nothing is known yet.
        """
        serving = self._serving()
        name = unquote(key)
        try:
            context = self._context(headers, raw)
            place, app = self._place(serving, name, context.call)
            decision = await self._decide(serving, app, headers, context)
        except _RefusedError as refused:
            error = {"key": name, "errorCode": refused.code, "errorDetails": refused.why}
            return Reply(status=refused.status, body=_encode(error))
        told = self._told(serving, app, decision)
        return Reply(status=200, body=_encode(self._evaluated(place, app, decision, context.call, told)))

    async def all(self, headers: Mapping[str, str], raw: bytes) -> Reply:
        """All flags of the app that the header ``inchworm-app`` names, else of every app.

        Args:
            headers: by lower-case names; ``if-none-match`` may hold the ETag of an earlier answer.
            raw: the body.

        Raises:
            FaultError: if nothing is known yet, or the app is not served.
        """
        serving = self._serving()
        try:
            context = self._context(headers, raw)
        except _RefusedError as refused:
            error = {"errorCode": refused.code, "errorDetails": refused.why}
            return Reply(status=refused.status, body=_encode(error))
        try:
            apps = [serving.app(headers[APP])] if headers.get(APP) else serving.apps
        except UnknownAppError as error:
            raise FaultError(unknown_app(f"{error.message}. {error.hint}")) from error
        flags: list[dict[str, Any]] = []
        for app in apps:
            if app.table is None:  # it is only observed
                continue
            decision = await self._decide(serving, app, headers, context)
            told = self._told(serving, app, decision)
            name = app.app.app if serving.app(app.app.app) is app else str(app.app)
            known = [self._of(app, id_, context.call) for id_ in app.configurations]
            flags += (
                self._evaluated(place, app, decision, context.call, told)
                for place in _places(keys_of(name, *known), name)
            )
        body = _encode({"flags": flags})
        tag = f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'
        held = [one.strip().removeprefix("W/") for one in headers.get("if-none-match", "").split(",")]
        if tag in held or "*" in held:
            return Reply(status=304, body=b"", headers=[("etag", tag)])
        return Reply(status=200, body=body, headers=[_JSON, ("etag", tag)])

    def _serving(self) -> Serving:
        serving = self.holder.serving
        if serving is None:
            raise FaultError(knows_nothing())
        return serving

    def _context(self, headers: Mapping[str, str], raw: bytes) -> _Context:
        try:
            body = _decode(raw or b"{}")
        except (msgspec.DecodeError, RecursionError) as error:
            raise _RefusedError("PARSE_ERROR", f"the body is no JSON object: {error}") from error
        if not isinstance(body, dict):
            raise _RefusedError("PARSE_ERROR", "the body is no JSON object")
        members = body.get("context")
        if members is None:
            members = {}
        if not isinstance(members, dict):
            raise _RefusedError("INVALID_CONTEXT", "the context is no JSON object")
        given = members.get(TARGETING_KEY)
        if given is None or given == "":
            raise _RefusedError(
                "TARGETING_KEY_MISSING",
                "the context has no targetingKey; it is the session or user whose arm is kept",
            )
        unit = identifier(given, self.unit_key)
        if unit is None:
            raise _RefusedError("INVALID_CONTEXT", "the targetingKey is no text")
        call = headers.get(CALL) or members.get(CALL_ATTRIBUTE)
        return _Context(unit, members, call[:LONGEST] if isinstance(call, str) and call else None)

    def _place(self, serving: Serving, name: str, call: str | None) -> tuple[FlagKey, ServedApp]:
        place = read_key(name, serving.names())
        if place is None:
            served = ", ".join(str(one.app) for one in serving.apps) or "none"
            raise _RefusedError(
                "FLAG_NOT_FOUND",
                f"{name[:LONGEST]!r} names no app with a layer behind it, as in NAME.parameters.temperature; "
                f"apps: {served}",
                404,
            )
        app = serving.app(place.app)
        known = (self._of(app, id_, call) for id_ in app.configurations)
        if all(isinstance(value_of(place, one), Absent) for one in known):
            what = "only observed" if app.table is None else f"served without anything at {name[:LONGEST]!r}"
            raise _RefusedError("FLAG_NOT_FOUND", f"{app.app} is {what}", 404)
        return place, app

    async def _decide(
        self, serving: Serving, app: ServedApp, headers: Mapping[str, str], context: _Context
    ) -> Decision:
        attributes = attributes_of_request(app.asked, headers, {"metadata": context.members})
        asked = Asked(
            unit=context.unit,
            unit_from=UnitFrom.STATED,
            headers=headers,
            attributes=attributes,
            at=self.clock(),
        )
        decision, exposure = self.exposer.begin(serving, app, asked)
        if exposure is not None and not await durable(exposure):
            return unexposed(app, decision)
        return decision

    def _evaluated(
        self, place: FlagKey, app: ServedApp, decision: Decision, call: str | None, told: Mapping[str, Any]
    ) -> dict[str, Any]:
        value = value_of(place, self._of(app, decision.configuration_id, call))
        reason = reason_of(exposing=app.exposes, assignment=decision.assignment)
        found = {
            "key": str(place),
            "reason": Reason.DEFAULT if isinstance(value, Absent) else reason,
            "variant": variant_of(decision.assignment),
            "metadata": told,
        }
        # Without a value, the default in the caller's code stands (OFREP's decision record 6).
        return found if isinstance(value, Absent) else {**found, "value": value}

    @staticmethod
    def _told(serving: Serving, app: ServedApp, decision: Decision) -> dict[str, Any]:
        assignment = decision.assignment
        told: dict[str, Any] = metadata_of(str(app.app), decision.unit, decision.configuration_id, assignment)
        if assignment is not None:
            told[TOKEN] = serving.token(decision.unit, assignment)
        return told

    def _of(self, app: ServedApp, id_: ConfigurationId | None, call: str | None) -> Layers:
        """A configuration's layers as a call gets them, read once and shared; none if none is applied."""
        if id_ is None:
            return {layer: {} for layer in LAYERS}
        found = self._layers.get((id_, call))
        if found is None:
            if len(self._layers) >= _REMEMBERED:
                self._layers.clear()
            effective = for_call(app.configurations[id_].configuration, call)
            found = self._layers[id_, call] = {layer: effective.layer(layer) for layer in LAYERS}
        return found


def _places(keys: Iterable[str], name: str) -> Iterable[FlagKey]:
    places = (read_key(key, (name,)) for key in keys)
    return (place for place in places if place is not None)
