"""What the gateway writes down: exposures before their outcome, and every call (DESIGN.md, section 7)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from inchworm.capture.records import Assigned, Called, Exposed, Mirrored, encode
from inchworm.capture.spool import Spool, SpoolFullError
from inchworm.domain.configuration import AppRef
from inchworm.domain.errors import InchwormError, StoreError
from inchworm.domain.ids import RolloutId, UnitId
from inchworm.domain.trace import Assignment
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.sessions import Sessions

_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class _Pending:
    assignment: Assignment
    durable: asyncio.Future[None]


class Recorder:
    """Hands records to the spool. What goes wrong is counted and logged, and costs no caller an answer.

    Args:
        spool: takes them.
        sessions: remembers who was exposed.
        clock: what time it is, seconds since the epoch.
        metrics: counts.
        log: says; the same trouble once, until it is over.
    """

    def __init__(
        self, spool: Spool, sessions: Sessions, *, clock: Callable[[], float], metrics: Metrics, log: Log
    ) -> None:
        self._spool, self._sessions = spool, sessions
        self._clock, self._metrics, self._log = clock, metrics, log
        self._pending: dict[tuple[RolloutId, UnitId], _Pending] = {}
        self._latest: asyncio.Future[None] | None = None
        self._trouble: str | None = None

    def kept(self, rollout_id: RolloutId, unit: UnitId) -> Assignment | None:
        """What the unit got when it was exposed first, also if the disk has not confirmed it yet."""
        pending = self._pending.get((rollout_id, unit))
        return self._sessions.kept(rollout_id, unit) if pending is None else pending.assignment

    def remember(self, unit: UnitId, assignment: Assignment) -> None:
        """Keep what a token or a client says; its exposure is durable already."""
        self._sessions.keep(unit, assignment)

    def awaited(self, assignment: Assignment, unit: UnitId) -> asyncio.Future[None] | None:
        """The exposure of a unit that somebody else is making durable right now, if so."""
        pending = self._pending.get((assignment.rollout_id, unit))
        return None if pending is None else pending.durable

    def expose(
        self, app: AppRef, unit: UnitId, assignment: Assignment, at: float, *, once: bool = False
    ) -> asyncio.Future[None]:
        """Write down that a unit was assigned; it is remembered once that is on the disk.

        Args:
            app: whose unit.
            unit: the unit.
            assignment: what it got.
            at: when, seconds since the epoch.
            once: whether it will not come again, as a request does not: then it need not be remembered.

        Returns:
            Done when it is durable; fails if it could not be written. To be awaited behind a shield, for
            others may wait for it too.

        Raises:
            InchwormError: if the spool takes nothing now; the unit is not exposed then.
        """
        record = Exposed(app=str(app), unit=unit, assigned=assigned(assignment), at=at)
        try:
            durable = self._spool.add(encode(record))
        except InchwormError as error:
            self.failed("exposure", error)
            raise
        name = (assignment.rollout_id, unit)
        pending = self._pending[name] = _Pending(assignment, durable)

        def settled(future: asyncio.Future[None]) -> None:
            if self._pending.get(name) is pending:  # and not one of the next stage, drawn meanwhile
                del self._pending[name]
            if not future.cancelled() and future.exception() is None:
                if not once:
                    self._sessions.keep(unit, assignment)
                self._metrics.exposures.add(str(app), assignment.arm.value)

        durable.add_done_callback(settled)
        return durable

    def mirror(self, record: Mirrored) -> asyncio.Future[None]:
        """Write down that the candidate is asked too.

        Returns:
            Done when it is durable; fails if it could not be written.

        Raises:
            InchwormError: if the spool takes nothing now; the candidate is not to be asked then.
        """
        try:
            return self._spool.add(encode(record))
        except InchwormError as error:
            self.failed("mirrored", error)
            raise

    async def record(self, called: Called) -> bool:
        """Make a call's record durable; whether it is."""
        try:
            data = encode(called)
        except OverflowError:  # an integer beyond 64 bits; the caller said it, so the request has it too
            data = encode(msgspec.structs.replace(called, inputs=None, reference=None))
        try:
            await self._added(data)
        except InchwormError as error:
            self.failed("call", error)
            return False
        if self._trouble is not None:
            self._trouble = None
            self._log.info("capture_works_again")
        return True

    async def _added(self, data: bytes) -> None:
        """Wait until a record is durable, and before that for room, while what came before is being written.

        Many long answers may end in one moment: when their provider goes away, or this gateway is stopped.

        Raises:
            InchwormError: if it cannot be written.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE_S
        while True:
            try:
                written = self._spool.add(data)
            except SpoolFullError:
                before, left = self._latest, end - loop.time()
                if before is None or before.done() or left <= 0:
                    raise
                await asyncio.wait((before,), timeout=left)
            else:
                self._latest = written
                await written
                return

    def failed(self, kind: str, error: InchwormError) -> None:
        """Count, and say, that something could not be recorded."""
        self._metrics.capture_troubles.add(kind)
        if self._trouble != error.message:
            self._trouble = error.message
            self._log.alarm("capture_trouble", kind=kind, why=error.message)


async def durable(future: asyncio.Future[None]) -> bool:
    """Wait for an exposure; whether it is on the disk."""
    try:
        await asyncio.shield(future)
    except StoreError:
        return False
    return True


def assigned(assignment: Assignment) -> Assigned:
    """An assignment as records say it."""
    return Assigned(assignment.rollout_id, assignment.stage, assignment.arm.value, assignment.probability)
