"""What the server does for people's trust: tells them, and checks that the audit trail is whole."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from inchworm.app.house import House
from inchworm.app.notify.sending import OWNER, Sender
from inchworm.app.serve.background import Health
from inchworm.app.serve.metrics import ServerMetrics
from inchworm.domain.canonical import digest
from inchworm.domain.notice import Notice, NoticeState
from inchworm.domain.wording import counted
from inchworm.store.control import AuditCheck

_LOG = logging.getLogger(__name__)
NOTIFICATIONS, AUDIT = "notifications", "audit"
"""What these parts are called in logs and health."""


class Notifying:
    """Sends notices, and verifies the audit trail, one app's.

    Args:
        house: whose.
        health: where it is said if people are not told, or the trail is broken.
        metrics: counts what is sent.
        url: of the server's pages.
    """

    def __init__(self, house: House, health: Health, metrics: ServerMetrics, url: str) -> None:
        self._house, self._health, self._metrics = house, health, metrics
        self._sender = Sender(house, url)
        self._stopping = asyncio.Event()

    def start(self) -> None:
        """Begin with what a server that was killed left in the middle."""
        self._house.control.release_notices(owner=OWNER, now=self._house.now())
        self._say()

    def stop(self) -> None:
        """Wait for no answer any more: what is under way is sent again at the next start."""
        self._stopping.set()

    async def send(self) -> bool:
        """One round; whether there may be more to send at once."""
        sending = asyncio.create_task(self._sender.round())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([sending, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not sending.done():
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending
            return False
        made = sending.result()
        self._metrics.noticed(made)
        if made:
            await asyncio.to_thread(self._say)
        return bool(made)

    async def verify(self) -> bool:
        """Walk the audit trail once."""
        check = await asyncio.to_thread(self._house.control.verify_audit)
        self._health.say(AUDIT, None if not check.breaks else f"{check.breaks[0].because}.")
        if check.breaks:
            _LOG.error("the audit trail is broken: %s", check.breaks[0].because)
            await asyncio.to_thread(self._tell, check)
        return False

    def _say(self) -> None:
        failed = self._house.control.notice_counts(self._house.app)[NoticeState.FAILED]
        said = f"{counted(failed, 'notification')} given up; see why: inchworm notify ls" if failed else None
        self._health.say(NOTIFICATIONS, said)

    def _tell(self, check: AuditCheck) -> None:
        """Those who want to hear of it, once per thing that is broken."""
        house = self._house
        because, now = check.breaks[0].because, house.now()
        said = {
            "event": AUDIT,
            "app": str(house.app),
            "sentence": f"the audit trail is broken: {because}.",
            "rollout": None,
            "decision": None,
            "evidence": None,
            "undo": None,
        }
        house.control.add_notices(
            [
                Notice(
                    id=f"audit/{digest(because)[:16]}:{one.key}",
                    app=house.app,
                    target=one.key,
                    event=AUDIT,
                    at=now,
                    data=said,
                    due_at=now,
                )
                for one in house.spec.notify
                if AUDIT in one.events
            ]
        )
