"""Who is meant by a request, and which configuration it gets. Pure, and built once per publication."""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from inchworm.capture.fields import UnitFrom
from inchworm.capture.headers import APP, CALL, CONFIGURATION, TOKEN
from inchworm.domain.access import key_digest, read_key
from inchworm.domain.assignment import Token
from inchworm.domain.calls import CALLS, merged
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InputError, NotFoundError
from inchworm.domain.ids import ConfigurationId, RolloutId, UnitId
from inchworm.domain.published import Published, PublishedApp, PublishedKey
from inchworm.domain.rollout import UnitKind
from inchworm.domain.serving import NO_ATTRIBUTES, Candidate, Resolver, ServingTable
from inchworm.domain.trace import Assignment
from inchworm.gateway.applying import SYMBOLIC
from inchworm.gateway.compiled import Compiled, compiled
from inchworm.gateway.units import LONGEST, MEMBER

_MEANT = "production"
_LONGEST_TOKEN = 8_192


class UnknownAppError(NotFoundError):
    """A request names an app that is not served here; the answer is a 404 that says which are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedApp:
    """One app, ready to serve.

    Attributes:
        app: the feature and where it runs.
        unit: what is randomised.
        infrastructure: the declared infrastructure layer, for an app that is only observed.
        table: what is served; ``None`` while the app is only observed.
        configurations: stable and candidate, ready, by id.
        examples: user messages that configurations put before a conversation.
        resolver: answers for units; ``None`` while the app is only observed.
        asked: names of the attributes that the candidate's audience is chosen by.
    """

    app: AppRef
    unit: UnitKind
    infrastructure: Mapping[str, Any]
    table: ServingTable | None
    configurations: Mapping[ConfigurationId, Compiled]
    examples: frozenset[str]
    resolver: Resolver | None = None
    asked: frozenset[str] = frozenset()

    @property
    def candidate(self) -> Candidate | None:
        """What is being exposed, if anything is."""
        return None if self.table is None else self.table.candidate

    @property
    def exposes(self) -> bool:
        """Whether anybody gets the candidate; if its answers are for nobody to see, everybody gets stable."""
        return self.candidate is not None and not self.candidate.shadow

    @property
    def rollout_id(self) -> RolloutId | None:
        """The rollout in flight."""
        return None if self.table is None or self.table.candidate is None else self.table.candidate.rollout_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Who is meant.

    Attributes:
        app: the app.
        call: the name of the call within it, if the caller named one.
    """

    app: ServedApp
    call: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a request gets.

    Attributes:
        unit: its unit; the token's if the request itself named none.
        unit_from: where that comes from.
        compiled: what is applied; ``None`` while the app is only observed.
        assignment: what is recorded of the rollout; ``None`` outside of one.
        fresh: whether it was drawn just now: the exposure must be durable before any byte of the answer.
        infrastructure: where the request goes (``base_url``, ``timeout_s``).
        call: the name of the call, whose own values are in ``compiled``.
        followed: whether the caller says that it followed this very configuration itself.
        token_refused: whether a token came that this installation did not sign; it was ignored.
        shadow: the candidate, if it answers this request too, for nobody to see.
    """

    unit: UnitId
    unit_from: UnitFrom
    compiled: Compiled | None
    assignment: Assignment | None
    fresh: bool
    infrastructure: Mapping[str, Any]
    call: str | None = None
    followed: bool = False
    token_refused: bool = False
    shadow: Compiled | None = None

    @property
    def configuration_id(self) -> ConfigurationId | None:
        """The configuration that is applied."""
        return None if self.compiled is None else self.compiled.configuration.id


class Serving:
    """What is served at the moment, ready for requests.

    Args:
        published: what the control plane says.
        token_key: ``derive(master, Purpose.TOKEN)``.
        clock: what time it is, seconds since the epoch; ends keys.

    Raises:
        InputError: if a table names a configuration that was not published with it.
    """

    def __init__(
        self, published: Published, token_key: bytes, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._keys = {one.id: one for one in published.keys}
        self.apps: tuple[ServedApp, ...] = tuple(_served(one) for one in published.apps)
        self._token_key = token_key
        self._by_ref = {str(one.app): one for one in self.apps}
        self._by_name: dict[str, ServedApp] = {}
        for one in self.apps:
            if one.app.app not in self._by_name or one.app.environment == _MEANT:
                self._by_name[one.app.app] = one

    def names(self) -> frozenset[str]:
        """How the apps may be called: ``NAME/ENVIRONMENT`` each, and ``NAME``."""
        return frozenset((*self._by_ref, *self._by_name))

    def candidates(self) -> dict[RolloutId, Candidate]:
        """What is being exposed, by the rollouts in flight."""
        return {one.candidate.rollout_id: one.candidate for one in self.apps if one.candidate is not None}

    def rollout_ids(self) -> frozenset[RolloutId]:
        """The rollouts in flight, whose kept assignments still count."""
        return frozenset(one.rollout_id for one in self.apps if one.rollout_id is not None)

    def key(self, written: str) -> PublishedKey | None:
        """The key that is written so, if it may send now."""
        parts = read_key(written)
        found = None if parts is None else self._keys.get(parts[0])
        if found is None or parts is None:
            return None
        known = hmac.compare_digest(found.digest, key_digest(parts[1]))
        return found if known and (found.expires_at is None or self._clock() < found.expires_at) else None

    def route(
        self, headers: Mapping[str, str], body: Mapping[str, Any], bound: AppRef | None = None
    ) -> Route:
        """Who is meant: by the header, else a model ``app:NAME/call``, else the key, else the first app.

        ``NAME`` without an environment means ``NAME/production``, or the first environment that is served.
        The call is the header ``inchworm-call``, else the body's ``inchworm.call``, else the model's.

        Args:
            headers: by lower-case names.
            body: the request's JSON object.
            bound: the only app that the caller's key sends for, if it is bound to one.

        Raises:
            UnknownAppError: if that app is not served, the message names those that are; or if it is not the
                key's.
        """
        model = body.get("model")
        name, call = headers.get(APP, ""), None
        if isinstance(model, str) and model.startswith(SYMBOLIC):
            named, _, call = model.removeprefix(SYMBOLIC).partition("/")
            name = name or named
            if not name:
                raise self._unknown(model)
        ours = body.get(MEMBER)
        stated = headers.get(CALL) or (ours.get("call") if isinstance(ours, dict) else None) or call
        return Route(
            app=self.app(name, bound), call=stated[:LONGEST] if isinstance(stated, str) and stated else None
        )

    def app(self, name: str, bound: AppRef | None = None) -> ServedApp:
        """The app by ``NAME/ENVIRONMENT`` or ``NAME``; the key's for an empty name, else the first.

        Raises:
            UnknownAppError: if it is not served, or is not the one that the key is bound to.
        """
        if bound is not None:
            if name not in {"", bound.app, str(bound)}:
                raise UnknownAppError(
                    f'this key sends for {bound} alone, not for "{name[:LONGEST]}"',
                    hint=f"leave the header {APP} out, or use another key",
                )
            name = str(bound)
        found = (
            self._by_ref.get(name)
            or self._by_name.get(name)
            or (self.apps[0] if self.apps and not name else None)
        )
        if found is None:
            raise self._unknown(name)
        return found

    def decide(
        self,
        app: ServedApp,
        unit: UnitId,
        unit_from: UnitFrom,
        headers: Mapping[str, str],
        kept: Assignment | None = None,
        *,
        attributes: Mapping[str, str] = NO_ATTRIBUTES,
        call: str | None = None,
    ) -> Decision:
        """Which configuration the unit gets.

        A token counts before ``kept``, both only for the rollout in flight, and for its present stage where
        units are drawn anew at each. A token for another unit than the
        request names is none; if the request names none, the token says who it is. A token that this
        installation did not sign is ignored.

        Args:
            app: who is meant.
            unit: from :func:`inchworm.gateway.units.unit_of_request`.
            unit_from: where it comes from.
            headers: by lower-case names.
            kept: what :class:`inchworm.gateway.sessions.Sessions` remembers of the unit.
            attributes: from :func:`inchworm.gateway.attributes.attributes_of_request`.
            call: the name of the call, which may have values of its own.
        """
        table, resolver = app.table, app.resolver
        if table is None or resolver is None:
            return Decision(
                unit=unit,
                unit_from=unit_from,
                compiled=None,
                assignment=None,
                fresh=False,
                infrastructure=merged(app.infrastructure, call)
                if CALLS in app.infrastructure
                else app.infrastructure,
            )
        refused = False
        if table.candidate is not None and (text := headers.get(TOKEN)):
            token = self._token(text)
            if token is None:
                refused = True
            elif token.assignment.rollout_id == table.candidate.rollout_id:
                if unit_from.derived and app.unit is not UnitKind.REQUEST:
                    unit, unit_from = UnitId(token.unit_id), UnitFrom.STATED
                if token.unit_id == unit and table.candidate.holds(token.assignment):
                    kept = token.assignment
        resolved = resolver(unit, kept, attributes)
        ready = app.configurations[resolved.configuration_id].of(call)
        return Decision(
            unit=unit,
            unit_from=unit_from,
            compiled=ready,
            assignment=resolved.assignment,
            fresh=resolved.assignment is not None and resolved.assignment is not kept,
            infrastructure=ready.infrastructure,
            call=call,
            followed=headers.get(CONFIGURATION) == resolved.configuration_id,
            token_refused=refused,
            shadow=app.configurations[table.candidate.configuration_id].of(call)
            if resolved.mirrored and table.candidate is not None
            else None,
        )

    def token(self, unit: UnitId, assignment: Assignment) -> str:
        """The token by which the unit keeps its arm."""
        return Token(unit_id=unit, assignment=assignment).sign(self._token_key)

    def _token(self, text: str) -> Token | None:
        if len(text) > _LONGEST_TOKEN or not text.isascii():
            return None
        try:
            return Token.read(self._token_key, text)
        except InputError:
            return None

    def _unknown(self, name: str) -> UnknownAppError:
        served = ", ".join(self._by_ref) or "none"
        return UnknownAppError(
            f'no app "{name[:LONGEST]}" is served here; served: {served}',
            hint=f"send the header {APP}: NAME/ENVIRONMENT, or leave it out for the first app",
        )


def unexposed(app: ServedApp, decision: Decision) -> Decision:
    """The same request on stable, without an assignment: for when its exposure cannot be made durable."""
    if app.table is None:
        return decision
    ready = app.configurations[app.table.stable].of(decision.call)
    return replace(
        decision,
        compiled=ready,
        assignment=None,
        fresh=False,
        infrastructure=ready.infrastructure,
        followed=decision.followed and decision.compiled is ready,
    )


def _served(one: PublishedApp) -> ServedApp:
    table = one.table
    ready: dict[ConfigurationId, Compiled] = {}
    if table is not None:
        named = [table.stable, *([] if table.candidate is None else [table.candidate.configuration_id])]
        if missing := [id_ for id_ in named if id_ not in one.configurations]:
            raise InputError(f"what is published for {one.app} lacks the configuration {missing[0]}")
        stable = one.configurations[table.stable]
        ready = {id_: compiled(one.configurations[id_], stable) for id_ in named}
    return ServedApp(
        app=one.app,
        unit=one.unit,
        infrastructure=one.infrastructure,
        table=table,
        configurations=ready,
        examples=frozenset(
            example["content"]
            for plan in ready.values()
            for each in (plan, *plan.calls.values())
            for example in each.prompt.examples
            if example["role"] == "user"
        ),
        resolver=None if table is None else Resolver(table),
        asked=frozenset()
        if table is None or table.candidate is None
        else frozenset(one.attribute for one in table.candidate.audience),
    )
