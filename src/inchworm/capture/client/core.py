"""The client: resolves in-process, records in the background, and never stands in its host's way."""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Protocol

from inchworm.capture.client import plain
from inchworm.capture.client.apps import App, apps_of
from inchworm.capture.client.counting import Counts, Quietly
from inchworm.capture.client.listening import Listeners, News, moved
from inchworm.capture.client.resolved import UNKNOWN, Resolved, read_kept, whose
from inchworm.capture.client.scoring import shown
from inchworm.capture.client.shipping import DEFAULT_BOUNDS, Bounds, Shipper
from inchworm.capture.client.watching import Watcher
from inchworm.capture.client.wire import checked
from inchworm.capture.places import GATEWAY_PORT
from inchworm.capture.stated import application_of
from inchworm.domain.errors import UsageError
from inchworm.domain.published import Published
from inchworm.domain.serving import NO_ATTRIBUTES
from inchworm.domain.unitkind import UnitKind

DEFAULT_URL = f"http://127.0.0.1:{GATEWAY_PORT}"
_clients: weakref.WeakSet[Core] = weakref.WeakSet()


class Open(Protocol):
    """A trace that is open in the present context (:mod:`contextvars`)."""

    client: Core
    app: str | None
    unit: str | None
    id: str

    @property
    def headers(self) -> dict[str, str]:
        """Headers that say whose interaction it is."""
        ...

    def note(self, resolved: Resolved) -> None:
        """Something was resolved inside of it."""
        ...


OPEN: ContextVar[Open | None] = ContextVar("inchworm.open", default=None)
"""The innermost trace that is open."""
LAST: ContextVar[Resolved | None] = ContextVar("inchworm.last", default=None)
"""What was resolved outside of a trace, for the next one that begins."""


class Core:
    """Resolves and ships; arguments as of :class:`inchworm.Client`. Its threads start at first use."""

    def __init__(
        self,
        url: str | None = None,
        *,
        app: str | None = None,
        cache: str | os.PathLike[str] | None = None,
        wait_s: float = 2.0,
        exit_s: float = 2.0,
        bounds: Bounds = DEFAULT_BOUNDS,
        application: str | None = None,
    ) -> None:
        self.url = checked(url or os.environ.get("INCHWORM_URL") or DEFAULT_URL)
        """The gateway's address."""
        self.app = app or os.environ.get("INCHWORM_APP") or None
        """The app for calls that name none."""
        said = application if application is not None else os.environ.get("INCHWORM_APPLICATION")
        self.application = application_of(said)
        """The version of this program, e.g. its commit; kept with what it records."""
        self._cache = None if cache is None else Path(cache)
        self._wait_s, self._exit_s, self._bounds = wait_s, exit_s, bounds
        self._apps: dict[str, App] = {}
        self._unknown = self._unexposed = self._direct = self._cut = 0
        self._inherited: dict[str, App] = {}
        self.quietly = Quietly(self._lost)
        """Around what is recorded."""
        self.listeners = Listeners()
        """They are told what the gateway says."""
        self._begin()
        _clients.add(self)

    def _begin(self) -> None:
        self._counting = threading.Lock()
        self._waited = False
        self._watcher = Watcher(self.url, self._cache, self._publish, self._asked)
        self._shipper = Shipper(self.url, self._bounds)

    # --- resolving

    def resolve(
        self,
        app: str | None = None,
        unit: str | None = None,
        *,
        kept: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        call: str | None = None,
    ) -> Resolved:
        """What a unit gets; in-process, and never an error for want of a gateway.

        The very first call waits for the first table, ``wait_s`` seconds at most. While the gateway is away,
        or has no word from its server, units that are known keep their arm, and new ones get stable and do
        not count.

        Args:
            app: ``NAME`` or ``NAME/ENVIRONMENT``; by default the trace's that is open, then the client's.
            unit: the session (or user) as your program knows it; by default the open trace's. Without one
                each call is a unit of its own. For an app whose unit is ``request`` it is the trace.
            kept: :attr:`Resolved.kept` of an earlier call, if your program stored it with the session.
            attributes: what is known of the unit before it is assigned, e.g. ``{"tenant": "acme"}``; a stage
                of a rollout may be for some of them only. Nothing else of them is read, sent or recorded.
            call: which of the app's calls it is for, where layers are keyed by call: the same arm, with that
                call's values.

        Raises:
            UsageError: if no app is named, or app, unit or call is no text.
        """
        # By type(): what a foreign object says of its class, or of its hash, is not asked for.
        found = self._apps.get(app) if type(app) is str else None
        if found is not None and kept is None and type(unit) is str:
            known = found.seen.get(unit)
            if known is None and found.settled:
                known = Resolved(found.stable, found.name, unit, None)
            if known is not None:
                if call is not None:
                    known = known.for_call(call)
                one = OPEN.get()
                if one is None:
                    LAST.set(known)
                elif one.client is self:
                    one.note(known)
                return known
        return self._resolve(app, unit, kept, attributes, call)

    async def aresolve(
        self,
        app: str | None = None,
        unit: str | None = None,
        *,
        kept: str | None = None,
        attributes: Mapping[str, Any] | None = None,
        call: str | None = None,
    ) -> Resolved:
        """As :meth:`resolve`; the first wait does not hold up the event loop.

        Raises:
            UsageError: if no app is named, or app or unit is no text.
        """
        if not self._waited and not self._watcher.heard.is_set():
            import asyncio  # noqa: PLC0415  # who calls this has it already

            await asyncio.to_thread(self._wait)
        return self.resolve(app, unit, kept=kept, attributes=attributes, call=call)

    def _resolve(
        self,
        app: str | None,
        unit: str | None,
        kept: str | None,
        attributes: Mapping[str, Any] | None,
        call: str | None,
    ) -> Resolved:
        one = OPEN.get()
        if one is not None and one.client is not self:
            one = None
        asked = app if app is not None or one is None else one.app
        name = self.app_name(asked)
        unit = whose(unit) if unit is not None else None if one is None else one.unit
        if attributes is not None and not issubclass(type(attributes), Mapping):
            raise UsageError(
                f"attributes are a mapping, not {type(attributes).__name__}",
                hint='e.g. attributes={"tenant": "acme"}',
            )
        if not self._waited:
            self._wait()
            name = self.app_name(asked)
        found = self._apps.get(name)
        if found is not None and found.kind is UnitKind.REQUEST:
            unit = None
        unit = unit or (os.urandom(16).hex() if one is None else one.id)
        if found is None or found.table is None:
            with self._counting:
                self._unknown += 1
            answer = Resolved(UNKNOWN, name, unit, None)
        else:
            given = NO_ATTRIBUTES if attributes is None else plain.named(attributes) or NO_ATTRIBUTES
            answer = self._drawn(found, unit, kept, given)
        if call is not None:
            answer = answer.for_call(call)
        if one is None:
            LAST.set(answer)
        else:
            one.note(answer)
        return answer

    def _drawn(self, app: App, unit: str, kept: str | None, attributes: Mapping[str, Any]) -> Resolved:
        if app.candidate is None or not app.exposes:
            return app.unexposed(unit)
        before = app.seen.get(unit)
        if before is not None and kept is None:
            return before
        given = read_kept(kept)
        if given is not None and not app.candidate.holds(given):
            given = None
        if given is not None:
            drawn = app.draw(unit, given, attributes)
            app.seen.pop(unit, None)
            return app.remember(drawn)
        if before is not None:
            return before
        if self._watcher.away or self._watcher.unattended:
            with self._counting:
                self._unexposed += 1
            return app.unexposed(unit)
        drawn = app.remember(app.draw(unit, None, attributes))
        self._expose(drawn)
        return drawn

    def _expose(self, drawn: Resolved) -> None:
        if drawn.assignment is not None:
            line = plain.exposed(drawn.app, drawn.unit, drawn.assignment, time.time())
            self._shipper.put(line, exposure=True)

    def _wait(self) -> None:
        """The first wait for the first table; whoever comes later waits no more."""
        if self._inherited:
            self._apps, self._inherited = self._inherited, {}
        self._watcher.start()
        self._watcher.heard.wait(self._wait_s)
        self._waited = True

    def _publish(self, published: Published) -> None:
        before, self._apps = self._apps, apps_of(published, self._apps, self.application)
        self.listeners.tell(News(away=self._watcher.away, changed=moved(before, self._apps)))

    def _asked(self) -> None:
        self.listeners.tell(News(away=self._watcher.away))

    def ready(self) -> bool:
        """Wait for the first table, once and ``wait_s`` seconds at most; whether there is one."""
        if not self._waited:
            self._wait()
        return bool(self._apps)

    def names(self) -> frozenset[str]:
        """How the apps that are served may be called: ``NAME`` and ``NAME/ENVIRONMENT``."""
        return frozenset(self._apps)

    # --- what tracing and the direct way need

    def app_name(self, app: Any) -> str:
        """The app that is meant, as ``NAME/ENVIRONMENT``; by default the client's.

        Raises:
            UsageError: if none is, or it is no text.
        """
        name = self.app if app is None else app
        if name is None:
            raise UsageError(
                "no app is named", hint='name it: inchworm.resolve("shop", ...), or set INCHWORM_APP=shop'
            )
        if not issubclass(type(name), str) or not str.__len__(name):
            raise UsageError(f"an app is named by a text, not {shown(name)}")
        name = str.__str__(name)
        known = self._apps.get(name)
        if known is not None:
            return known.name
        return name if "/" in name else f"{name}/production"

    def app_known(self, app: str | None) -> App | None:
        """What was published last for an app; of the first one if ``app`` is ``None``."""
        if app is None:
            return next(iter(self._apps.values()), None)
        return self._apps.get(app)

    def start(self) -> None:
        """Begin to listen to the gateway; ``resolve`` does so by itself."""
        self._watcher.start()

    def went_direct(self) -> None:
        """Count a call that went to the provider."""
        with self._counting:
            self._direct += 1

    def went_short(self) -> None:
        """Count a step that there was no room for."""
        with self._counting:
            self._cut += 1

    def ship(self, kind: str, members: Mapping[str, Any], spans: Sequence[str] = ()) -> None:
        """Send a line to the gateway, when it can be; its members are plain, its spans written already."""
        self._shipper.put(plain.line(kind, members, spans))

    def _lost(self) -> None:
        self._shipper.lost()

    # --- the end

    def counts(self) -> Counts:
        """What this client did so far."""
        shipped = self._shipper.counts()
        with self._counting:
            return Counts(
                connected=not self._watcher.away,
                known=bool(self._apps),
                shipped=shipped.shipped,
                waiting=shipped.waiting,
                dropped=shipped.dropped,
                refused=shipped.refused,
                retries=shipped.retries,
                unknown=self._unknown,
                unexposed=self._unexposed,
                direct=self._direct,
                cut=self._cut,
            )

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Ship what waits; whether that succeeded within ``timeout_s`` seconds."""
        return self._shipper.flush(timeout_s)

    def close(self, timeout_s: float | None = None) -> None:
        """Ship what waits within ``exit_s`` (or ``timeout_s``) seconds, and stop the threads."""
        self._shipper.close(self._exit_s if timeout_s is None else timeout_s)
        self._watcher.close()

    def _after_fork(self) -> None:
        # Threads do not survive a fork, locks may be held by nobody, and what waits is the parent's to ship.
        # The table is put aside, so that the first resolve begins to listen again.
        self._inherited, self._apps = self._apps or self._inherited, {}
        self._begin()


def _in_child() -> None:
    for client in list(_clients):
        client._after_fork()  # noqa: SLF001  # the same module


@atexit.register
def _at_exit() -> None:
    for client in list(_clients):
        client.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
