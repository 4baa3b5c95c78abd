"""Asking a provider: the configuration is put into the request, and the request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from inchworm.domain.errors import ConfigError, InputError
from inchworm.gateway.applying import apply
from inchworm.gateway.call import Failed, Question, Trouble
from inchworm.gateway.faults import Fault, cut_off, misconfigured, too_late, unreachable, unusable
from inchworm.gateway.forwarding import is_azure, key_of, sent_headers, sent_path
from inchworm.gateway.identity import PROCESSING, stated_ms
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import (
    Answer,
    Client,
    NoConnectionError,
    Target,
    TooLateError,
    UpstreamError,
    request_bytes,
)

_encode = msgspec.json.Encoder().encode
_REQUEST_ID = "x-request-id"


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks providers.

    Attributes:
        settings: what holds where a configuration says nothing.
        client: sends.
        environment: where references to keys are looked up.
        metrics: counts.
    """

    settings: Settings
    client: Client
    environment: Mapping[str, str] = field(repr=False)
    metrics: Metrics
    _targets: dict[str, Target] = field(default_factory=dict)

    async def ask(self, call: Question) -> Answer | Failed | Fault:
        """The answer's head; or why there is none; or why the request cannot be forwarded at all."""
        fault = self.prepare(call)
        return await self.send(call) if fault is None else fault

    def prepare(self, call: Question) -> Fault | None:
        """Put the configuration into the request; why it cannot be forwarded at all, if it cannot."""
        try:
            self._apply(call)
        except InputError as error:
            return unusable(error.message)
        return None

    async def send(self, call: Question) -> Answer | Failed:
        """Send what :meth:`prepare` made: the answer's head, or why there is none."""
        applied, infrastructure = call.applied, call.decision.infrastructure
        assert applied is not None  # noqa: S101  # prepared
        try:
            target = self._target(call)
        except ConfigError as error:
            return Failed(Trouble.CONNECT, misconfigured(error.message))
        body = call.raw if call.sent is None else call.sent
        key = key_of(infrastructure, self.environment)
        head = request_bytes(
            "POST",
            target.origin,
            sent_path(target, applied.path, call.query),
            sent_headers(call.items, key=key, azure=is_azure(call.path)),
            body,
        )
        deadline = asyncio.get_running_loop().time() + call.deadline_s
        try:
            answer = await self.client.send(target.origin, head, body, deadline=deadline)
        except UpstreamError as error:
            return self.failed(call, error)
        call.answer = answer
        for name, value in answer.head.headers:
            if name == _REQUEST_ID:
                call.attributes["provider.request_id"] = value
            elif name == PROCESSING and self.settings.replay:
                call.replayed_ms = stated_ms(value)
        return answer

    def failed(self, call: Question, error: UpstreamError) -> Failed:
        """What went wrong while its provider was asked."""
        provider = self._target(call).origin.authority
        match error:
            case TooLateError():
                return Failed(Trouble.DEADLINE, too_late(provider, call.deadline_s))
            case NoConnectionError():
                return Failed(Trouble.CONNECT, unreachable(provider, str(error)))
            case _:
                return Failed(Trouble.CUT, cut_off(provider, str(error)))

    def _target(self, call: Question) -> Target:
        url = str(call.decision.infrastructure.get("base_url") or self.settings.upstream)
        target = self._targets.get(url)
        if target is None:
            target = self._targets[url] = Target.of(url)
        return target

    def _apply(self, call: Question) -> None:
        decision = call.decision
        call.applied = applied = apply(
            call.body, decision.compiled, path=call.path, followed=decision.followed
        )
        call.sent = _encode(applied.body) if applied.changed else None
        stated = applied.deadline_s
        if stated is None and decision.compiled is None:
            told = decision.infrastructure.get("timeout_s")
            stated = float(told) if isinstance(told, int | float) else None
        call.deadline_s = self.settings.deadline_s if stated is None else stated
        for layer in applied.unapplied:
            self.metrics.unapplied.add(call.app, layer)
