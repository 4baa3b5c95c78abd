"""One app's house: its declaration, its stores and the clock, opened together and closed together."""

from __future__ import annotations

import getpass
import os
import threading
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from inchworm.app.clock import Clock, SystemClock
from inchworm.app.config.load import AppSpec
from inchworm.app.outbox import Outbox
from inchworm.app.pseudonyms import Pseudonyms
from inchworm.app.remote.client import Client
from inchworm.app.remote.server import elsewhere, here
from inchworm.app.remote.stores import RemoteControl, RemoteTraces
from inchworm.capture.keyfile import VARIABLE as MASTER
from inchworm.capture.keyfile import master_key
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, UsageError
from inchworm.domain.ids import UnitId
from inchworm.domain.rollout import LedgerEntry, Lineage
from inchworm.domain.serving import ServingTable
from inchworm.providers.upstream import Upstream
from inchworm.store.control import ControlStore
from inchworm.store.traces import TraceStore

CONTROL, TRACES = "control.sqlite3", "traces.duckdb"


def user() -> str:
    """Who is at the keyboard, for the ledger."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a passwd entry
        return "unknown"


@dataclass(slots=True)
class House(AbstractContextManager["House"]):
    """What every use case needs.

    The trace store is opened on first use: one process owns its file, and commands that do not read
    traces (``apply``, ``rollout pause``) must not wait for it.

    Attributes:
        spec: what ``inchworm.yaml`` says.
        clock: what time it is.
        actor: who acts, for the ledger.
        ordering: held while places in the order of assignment are given out.
        owner: whether this process opens the files whatever runs beside it: the server. Others speak to the
            server that runs, if one does.
        answers: who answers for ``upstream: recorded``, in place of the file that is named; for the demo.
    """

    spec: AppSpec
    clock: Clock = field(default_factory=SystemClock)
    actor: str = field(default_factory=user)
    ordering: threading.Lock = field(default_factory=threading.Lock, repr=False)
    owner: bool = False
    answers: Upstream | None = None
    _pseudonyms: Pseudonyms = field(init=False)
    _open: ExitStack = field(default_factory=ExitStack)
    _control: ControlStore | None = None
    _traces: TraceStore | None = None

    def __post_init__(self) -> None:
        self._pseudonyms = Pseudonyms(self.key, self.spec.sanitize.custom)

    def follow(self, spec: AppSpec) -> None:
        """Go on with what ``inchworm.yaml`` says by now.

        Raises:
            UsageError: if it names another data directory: the stores are open.
        """
        if spec.data != self.spec.data:
            raise UsageError(
                f"{spec.file} names another data directory, {spec.data}, and {self.spec.data} is open",
                hint="stop the server and start it again: inchworm serve",
            )
        if spec.sanitize.custom != self.spec.sanitize.custom:
            self._pseudonyms = Pseudonyms(self.key, spec.sanitize.custom)
        self.spec = spec

    @property
    def app(self) -> AppRef:
        """The app that ``inchworm.yaml`` declares."""
        return self.spec.app

    @property
    def control(self) -> ControlStore:
        """Configurations, rollouts, ledger, eval sets, work.

        Raises:
            StoreError: if it cannot be opened or migrated, or its server cannot be reached.
        """
        if self._control is None:
            far = None if self.owner else elsewhere(os.environ)
            opened = ControlStore.open(self.spec.data / CONTROL) if far is None else RemoteControl(far)
            opened.outbox = Outbox(lambda: self.spec.notify)
            self._control = self._open.enter_context(opened)
        return self._control

    @property
    def traces(self) -> TraceStore:
        """Traces, scores and exposures.

        Raises:
            StoreError: if it cannot be opened, e.g. because another process has it that is no server.
        """
        if self._traces is None:
            server = None if self.owner else elsewhere(os.environ) or here(self.spec.data)
            opened = TraceStore.open(self.spec.data / TRACES) if server is None else RemoteTraces(server)
            self._traces = self._open.enter_context(opened)
        return self._traces

    def acting(self, actor: str) -> House:
        """The same house for somebody else: it shares the stores, which stay open when it is closed."""
        return House(
            spec=self.spec,
            clock=self.clock,
            actor=actor,
            ordering=self.ordering,
            owner=self.owner,
            answers=self.answers,
            _control=self.control,
            _traces=self.traces,
        )

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.clock.now()

    def lineage(self) -> Lineage:
        """What is stable.

        Raises:
            NotFoundError: if nothing is yet.
        """
        found = self.control.lineage(self.app)
        if found is None:
            raise NotFoundError(
                f"nothing is stable for {self.app} yet",
                hint="declare what runs today as stable: inchworm adopt",
            )
        return found

    def pseudonym(self, unit_id: UnitId) -> UnitId:
        """The unit's own id, or a keyed hash of it if it holds personal data such as an e-mail address.

        The installation's key lies in the data directory or the environment, and nowhere else, so that nobody
        can try addresses out.
        """
        return self._pseudonyms(unit_id)

    def key(self) -> bytes:
        """The installation's key.

        Raises:
            UsageError: if the stores are on another machine, whose key it would have to be.
        """
        if not self.owner and not os.environ.get(MASTER) and elsewhere(os.environ) is not None:
            raise UsageError(
                "ids are made pseudonymous with the installation's key, and that lies with its server",
                hint="do it on that machine, or send a file there: POST /api/v1/imports",
            )
        return master_key(self.spec.data)

    def declare_stable(self) -> Lineage:
        """Make the declared configuration stable if nothing is; what is stable then."""
        known = self.control.lineage(self.app)
        if known is not None:
            return known
        now = self.now()
        configuration = self.spec.configuration
        self.control.put_configuration(self.app, configuration, note="declared as stable", at=now)
        self.control.start_lineage(
            Lineage(
                app=self.app,
                stable=configuration.id,
                generation=1,
                in_flight=None,
                since=now,
                note="declared as stable",
            ),
            ServingTable(app=self.app, generation=1, stable=configuration.id),
            LedgerEntry(
                app=self.app,
                at=now,
                kind="configuration",
                actor=self.actor,
                what=f"{configuration.id[:8]} declared as stable.",
                data={"to": configuration.id},
            ),
        )
        return self.lineage()

    def close(self) -> None:
        """Close what was opened; a server that runs beside it is told if something was written."""
        changed = self._control is not None and self._control.changed
        self._open.close()
        self._control = self._traces = None
        server = here(self.spec.data) if changed and not self.owner else None
        if server is not None:
            Client(server).wake()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
