"""Asking a provider: the configuration is put into the request, and the request is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from inchworm.domain.errors import ConfigError, InputError
from inchworm.gateway.applying import apply
from inchworm.gateway.call import Failed, Question, Trouble
from inchworm.gateway.faults import (
    Fault,
    broken,
    busy,
    cut_off,
    misconfigured,
    too_late,
    unreachable,
    unusable,
    wrong_protocol,
)
from inchworm.gateway.forwarding import sent_headers, sent_path
from inchworm.gateway.identity import PROCESSING, stated_ms
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.sending import BrokenError, BusyError, Sender, Way
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import (
    Answer,
    NoConnectionError,
    Target,
    TooLateError,
    UpstreamError,
    request_bytes,
)
from inchworm.gateway.wires import Speech, Wire, spoken
from inchworm.providers.secrets import Secrets

_encode = msgspec.json.Encoder().encode
ATTEMPTS = "provider.attempts"
"""Attribute: how often the provider was sent the request, if that was not once; 0 if not at all."""
_REQUEST_IDS = ("x-request-id", "request-id")  # OpenAI's name, Anthropic's name


@dataclass(slots=True, kw_only=True)
class Asker:
    """Asks providers.

    Attributes:
        settings: what holds where a configuration says nothing.
        sender: sends.
        secrets: looks keys up.
        metrics: counts.
    """

    settings: Settings
    sender: Sender
    secrets: Secrets = field(repr=False)
    metrics: Metrics
    _targets: dict[tuple[str, Speech], Target] = field(default_factory=dict)

    async def ask(self, call: Question) -> Answer | Failed | Fault:
        """The answer's head; or why there is none; or why the request cannot be forwarded at all."""
        fault = self.prepare(call)
        return await self.send(call) if fault is None else fault

    def prepare(self, call: Question) -> Fault | None:
        """Put the configuration into the request; why it cannot be forwarded at all, if it cannot."""
        infrastructure = call.decision.infrastructure
        speech = spoken(infrastructure)
        # What is only observed passes as it came, so it goes where its own protocol is spoken.
        if speech is not None and speech is not call.wire.speech and call.decision.compiled is not None:
            provider = str(infrastructure.get("base_url") or self.default(speech))
            return wrong_protocol(call.app, provider, speech=speech, asked=call.wire.speech)
        try:
            self._apply(call)
        except InputError as error:
            return unusable(error.message)
        return None

    def where(self, infrastructure: Mapping[str, Any], wire: Wire) -> tuple[Target, str | None]:
        """Whom an infrastructure layer means for calls in this protocol, and the key that goes there.

        A provider of another protocol is not meant, and its key is for nobody else.

        Raises:
            ConfigError: if its ``base_url`` is no URL.
        """
        speech = spoken(infrastructure)
        if speech is not None and speech is not wire.speech:
            infrastructure = {}
        target = self._at(str(infrastructure.get("base_url") or self.default(wire.speech)), wire.speech)
        return target, self.secrets(infrastructure.get("api_key"))

    def default(self, speech: Speech) -> str:
        """Where calls go if nothing says where."""
        return self.settings.upstream if speech is Speech.OPENAI else self.settings.anthropic

    async def send(self, call: Question, *, patient: bool = True) -> Answer | Failed:
        """Send what :meth:`prepare` made: the answer's head, or why there is none.

        Args:
            call: what is asked.
            patient: whether it waits for a place where the provider is busy, and is tried again.
        """
        applied = call.applied
        assert applied is not None  # noqa: S101  # prepared
        try:
            target, key = self.where(call.decision.infrastructure, call.wire)
        except ConfigError as error:
            return Failed(Trouble.CONNECT, misconfigured(error.message))
        body = call.raw if call.sent is None else call.sent
        head = request_bytes(
            "POST",
            target.origin,
            sent_path(target, applied.path, call.query),
            sent_headers(call.items, key=key, path=call.path),
            body,
        )
        deadline = asyncio.get_running_loop().time() + call.deadline_s
        decision = call.decision
        way = Way.of(
            target.origin,
            decision.configuration_id,
            decision.infrastructure,
            self.settings.upstream_at_once,
        )
        sent = await self.sender.send(way, head, body, deadline=deadline, patient=patient)
        if sent.attempts != 1:
            call.attributes[ATTEMPTS] = sent.attempts
        answer = sent.answer
        if isinstance(answer, UpstreamError):
            return self.failed(call, answer)
        call.answer = answer
        for name, value in answer.head.headers:
            if name in _REQUEST_IDS:
                call.attributes["provider.request_id"] = value
            elif name == PROCESSING and self.settings.replay:
                call.replayed_ms = stated_ms(value)
        return answer

    def failed(self, call: Question, error: UpstreamError) -> Failed:
        """What went wrong while its provider was asked."""
        provider = self.where(call.decision.infrastructure, call.wire)[0].origin.authority
        match error:
            case TooLateError():
                return Failed(Trouble.DEADLINE, too_late(provider, call.deadline_s))
            case NoConnectionError():
                return Failed(Trouble.CONNECT, unreachable(provider, str(error)))
            case BusyError(limit=limit):
                return Failed(Trouble.BUSY, busy(provider, limit))
            case BrokenError(wait_s=wait_s, late=late):
                # What it is refused for is what it counts as, so that no arm looks better for being refused.
                fault = broken(provider, wait_s, too_late(provider, call.deadline_s) if late else None)
                return Failed(Trouble.DEADLINE if late else Trouble.BROKEN, fault)
            case _:
                return Failed(Trouble.CUT, cut_off(provider, str(error)))

    def _at(self, url: str, speech: Speech) -> Target:
        target = self._targets.get((url, speech))
        if target is None:
            target = Target.of(url)
            if speech is Speech.ANTHROPIC:  # whose clients are told the base without its /v1, or with it
                target = replace(target, path=target.path.removesuffix("/v1") + "/v1")
            self._targets[url, speech] = target
        return target

    def _apply(self, call: Question) -> None:
        decision = call.decision
        call.applied = applied = apply(
            call.body, decision.compiled, wire=call.wire, path=call.path, followed=decision.followed
        )
        call.sent = _encode(applied.body) if applied.changed else None
        stated = applied.deadline_s
        if stated is None and decision.compiled is None:
            told = decision.infrastructure.get("timeout_s")
            stated = float(told) if isinstance(told, int | float) else None
        call.deadline_s = self.settings.deadline_s if stated is None else stated
        for layer in applied.unapplied:
            self.metrics.unapplied.add(call.app, layer)
