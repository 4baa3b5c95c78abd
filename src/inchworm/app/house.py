"""One app's house: its declaration, its stores and the clock, opened together and closed together."""

from __future__ import annotations

import getpass
import hashlib
import hmac
import os
import re
import secrets
import tempfile
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from inchworm.app.clock import Clock, SystemClock
from inchworm.app.config.load import AppSpec
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import NotFoundError, StoreError
from inchworm.domain.ids import UnitId
from inchworm.domain.rollout import LedgerEntry, Lineage
from inchworm.domain.serving import ServingTable
from inchworm.sanitize import Sanitizer
from inchworm.store.control import ControlStore
from inchworm.store.locks import make_folder
from inchworm.store.traces import TraceStore

CONTROL, TRACES, KEY = "control.sqlite3", "traces.duckdb", "secret.key"
_REMEMBERED = 100_000
_PLAIN = re.compile(r"(?:[A-Za-z]{1,7}[_-])?[0-9]{1,6}")
"""Ids in which no built-in detector finds anything (too short for a telephone number or a key), so that the
common case costs nothing."""
_DERIVED = re.compile(r"(conversation)-[0-9a-f]{16}|(line)-[0-9a-f]{24}")
"""Ids that capture derives from raw content: a plain hash, by which telephone numbers could be tried out."""
_KEY_BYTES = 32


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
    """

    spec: AppSpec
    clock: Clock = field(default_factory=SystemClock)
    actor: str = field(default_factory=user)
    _plain_ids: Sanitizer = field(init=False)
    _pseudonyms: dict[UnitId, UnitId] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)
    _control: ControlStore | None = None
    _traces: TraceStore | None = None

    def __post_init__(self) -> None:
        # All built-in kinds, whatever the content is searched for: an id is never worth a person.
        self._plain_ids = Sanitizer(custom=self.spec.sanitize.custom)

    @property
    def app(self) -> AppRef:
        """The app that ``inchworm.yaml`` declares."""
        return self.spec.app

    @property
    def control(self) -> ControlStore:
        """Configurations, rollouts, ledger, eval sets, work.

        Raises:
            StoreError: if it cannot be opened or migrated.
        """
        if self._control is None:
            self._control = self._open.enter_context(ControlStore.open(self.spec.data / CONTROL))
        return self._control

    @property
    def traces(self) -> TraceStore:
        """Traces, scores and exposures.

        Raises:
            StoreError: if it cannot be opened, e.g. because another process has it.
        """
        if self._traces is None:
            self._traces = self._open.enter_context(TraceStore.open(self.spec.data / TRACES))
        return self._traces

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

        An id that was derived from what somebody said is hashed with the key too: all but the personal data
        of that text is stored beside it.

        The key lies in the data directory and nowhere else, so that nobody can try addresses out.
        """
        if _PLAIN.fullmatch(unit_id) and not self.spec.sanitize.custom:
            return unit_id
        if unit_id not in self._pseudonyms:
            if len(self._pseudonyms) > _REMEMBERED:
                self._pseudonyms.clear()
            named = hmac.digest(self._key(), unit_id.encode(), hashlib.sha256).hex()
            if derived := _DERIVED.fullmatch(unit_id):
                # Of another length than what it stands for, so that it is its own pseudonym.
                self._pseudonyms[unit_id] = UnitId(f"{derived[1] or derived[2]}-{named[:20]}")
            else:
                found = self._plain_ids.unit().text(unit_id).findings
                self._pseudonyms[unit_id] = UnitId(f"u-{named[:24]}") if found else unit_id
        return self._pseudonyms[unit_id]

    def _key(self) -> bytes:
        """The installation's key, made at first use; 32 bytes that only the owner can read."""
        path = self.spec.data / KEY
        try:
            if not path.exists():
                self._make_key(path)
            key = path.read_bytes()
        except OSError as error:
            raise StoreError(
                f"the key {path} cannot be read or written: {error.strerror}",
                hint="make it readable for this user; without it pseudonyms would change",
            ) from error
        if len(key) != _KEY_BYTES:  # with a key that is cut short, anybody could try addresses out
            raise StoreError(f"the key {path} is damaged", hint="restore it from a backup")
        return key

    def _make_key(self, path: Path) -> None:
        make_folder(path.parent)
        handle, name = tempfile.mkstemp(prefix=f"{KEY}.", dir=path.parent)  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was first; its key counts
                os.link(name, path)
        finally:
            Path(name).unlink()

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
        """Close what was opened."""
        self._open.close()
        self._control = self._traces = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
