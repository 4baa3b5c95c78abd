"""Who is asking: keys, the token of this run, sessions, links to log in by."""

from __future__ import annotations

import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from inchworm.app import keys
from inchworm.app.api.attempts import Attempts
from inchworm.app.api.sessions import LINK_S, LOCAL, SESSION_S, Ticket, cookie_name, csrf, seal, unseal
from inchworm.app.house import user
from inchworm.app.serve.state import ServerState
from inchworm.domain.access import Scope
from inchworm.domain.keys import Purpose, derive

_LINK, _SESSION = "link/1", "session/1"
_COARSE_S = 3_600.0
"""When a key was used is kept to the hour: a write per request would cost more than it tells."""
_MOST_ENDED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is asking, and how much that may do.

    Attributes:
        name: for the ledger and the audit trail.
        scope: what is allowed.
        csrf: what a change has to come with, if a session's cookie says who it is; ``None`` for a bearer.
        key: id of the API key behind it; ``local`` for the user of this machine.
    """

    name: str
    scope: Scope
    csrf: str | None = None
    key: str = LOCAL


class Access:
    """Tells who is asking.

    Args:
        state: of the server.
        clock: seconds since the epoch.
        random: unguessable bytes, as many as asked for.
    """

    def __init__(
        self, state: ServerState, clock: Callable[[], float], random: Callable[[int], bytes]
    ) -> None:
        self.attempts = Attempts()
        self.now = clock
        self._state = state
        self._random = random
        self._key = derive(state.master, Purpose.SESSION)
        self.cookie = cookie_name(self._key)
        self._gateway = derive(state.master, Purpose.GATEWAY).hex()
        # A link is good for one run of the server: which links were used is known to this run only.
        self._link_key = hmac.digest(self._key, state.local_token.encode(), "sha256")
        self._used = _Remembered()
        self._ended = _Remembered()

    def bearer(self, written: str) -> Principal | None:
        """Who has this key, or this run's token; ``None`` if it opens nothing. May read the store."""
        if hmac.compare_digest(written.encode(), self._state.local_token.encode()):
            return Principal(name=user(), scope=Scope.ADMIN)
        parts = keys.read(written)
        if parts is None:
            return None
        id_, secret = parts
        now, control = self.now(), self._state.house.control
        key = control.api_key(id_)
        if key is None or not keys.opens(key, secret, now):
            return None
        if key.used_at is None or now - key.used_at >= _COARSE_S:
            control.touch_api_key(id_, at=now)
        return Principal(name=key.name, scope=key.scope, key=key.id)

    def is_gateway(self, written: str) -> bool:
        """Whether a gateway of this installation shows itself."""
        return hmac.compare_digest(written.encode(), self._gateway.encode())

    def session(self, cookie: str) -> Principal | None:
        """Whose session this is; ``None`` if it is over or no session. May read the store."""
        ticket = unseal(self._key, _SESSION, cookie, now=self.now())
        if ticket is None or ticket.id in self._ended or not self._alive(ticket):
            return None
        token = csrf(self._key, ticket)
        return Principal(name=ticket.name, scope=ticket.scope, csrf=token, key=ticket.key)

    def open_session(self, principal: Principal) -> str:
        """A new session of somebody, as a cookie."""
        return seal(self._key, _SESSION, self._ticket(principal, SESSION_S))

    def end_session(self, cookie: str) -> None:
        """End a session; whoever has a copy of its cookie is out, too."""
        now = self.now()
        ticket = unseal(self._key, _SESSION, cookie, now=now)
        if ticket is not None:
            self._ended.add(ticket.id, ticket.expires_at, now)

    def link(self, principal: Principal) -> str:
        """What a link to log in as somebody carries: good once, and for five minutes."""
        return seal(self._link_key, _LINK, self._ticket(principal, LINK_S))

    def follow(self, link: str) -> Principal | None:
        """Who the link was made for; ``None`` if it was used before, is too old or none of ours."""
        now = self.now()
        ticket = unseal(self._link_key, _LINK, link, now=now)
        if ticket is None or not self._used.add(ticket.id, ticket.expires_at, now) or not self._alive(ticket):
            return None
        return Principal(name=ticket.name, scope=ticket.scope, key=ticket.key)

    def _ticket(self, principal: Principal, lasts_s: float) -> Ticket:
        return Ticket(
            id=self._random(16).hex(),
            key=principal.key,
            name=principal.name,
            scope=principal.scope,
            expires_at=self.now() + lasts_s,
        )

    def _alive(self, ticket: Ticket) -> bool:
        if ticket.key == LOCAL:
            return True
        key = self._state.house.control.api_key(ticket.key)
        return key is not None and key.valid(self.now())


class _Remembered:
    """Ids until they do not matter any more, at most :data:`_MOST_ENDED` of them. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until: OrderedDict[str, float] = OrderedDict()

    def __contains__(self, id_: str) -> bool:
        return id_ in self._until

    def add(self, id_: str, until: float, now: float) -> bool:
        """Remember one; ``False`` if it is remembered already."""
        with self._lock:
            if id_ in self._until:
                return False
            while self._until and (
                len(self._until) >= _MOST_ENDED or next(iter(self._until.values())) <= now
            ):
                self._until.popitem(last=False)
            self._until[id_] = until
            return True
