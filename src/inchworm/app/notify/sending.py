"""Sends what is due: at least once, with one id, until it is taken or given up.

What is due is leased, sent and settled. Killed between sending and settling, the lease ends and it is sent
again under the same ``webhook-id``, by which receivers tell repetitions. Nothing of an answer but its status
is kept: its body may hold anything.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from inchworm import __version__
from inchworm.app.house import House
from inchworm.app.notify.signing import headers, secret_of
from inchworm.app.notify.writing import Around, written
from inchworm.domain.errors import UsageError
from inchworm.domain.notice import Format, Notice, Target

_LOG = logging.getLogger(__name__)
OWNER: Final = "notifications"
"""Who leases notices: there is one server per data directory, so what it left behind is its own."""
DELAYS_S: Final = (5.0, 20.0, 80.0, 320.0, 1_280.0, 5_120.0, *(14_400.0,) * 5)
"""Before each further attempt; together 22 hours. After the last attempt it is given up."""
JITTER: Final = 0.2
"""Delays are longer or shorter by up to this share, so that many notices do not come back at once."""
TIMEOUT_S: Final = 15.0
"""For one attempt, all of it: Standard Webhooks recommends 15 to 30 ("Request timeouts")."""
_LEASE_S = 4 * TIMEOUT_S
_AT_ONCE = 20
_PREFIX = "env:"
_GONE = HTTPStatus.GONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of sending once.

    Attributes:
        status: of the answer; ``None`` if there was none.
        error: why it was not taken, as a sentence without anything of the address or the answer's body;
            ``None`` if it was.
        gone: whether the receiver wants no more.
        wait_s: how long the receiver asks to be left alone, at least.
    """

    status: int | None
    error: str | None
    gone: bool = False
    wait_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends an app's notices.

    Attributes:
        house: whose.
        url: of the pages, where ``inchworm.yaml`` does not say it.
        environ: where addresses and secrets are looked up.
        jitter: a number in [0, 1) at each call.
        timeout_s: for one attempt.
    """

    house: House
    url: str | None = None
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    jitter: Callable[[], float] = random.random
    timeout_s: float = TIMEOUT_S

    async def round(self, *, owner: str = OWNER) -> Counter[str]:
        """Send what is due; how many were ``sent``, are tried ``again``, or were given up (``failed``).

        Raises:
            StoreError: if the control store cannot be used.
        """
        house = self.house
        due = await asyncio.to_thread(
            lambda: house.control.lease_notices(
                house.app, owner=owner, now=house.now(), lease_s=_LEASE_S, limit=_AT_ONCE
            )
        )
        if not due:
            return Counter()
        around = await asyncio.to_thread(self.around)
        targets = {one.key: one for one in house.spec.notify}
        async with session(self.timeout_s) as opened:
            made = await asyncio.gather(
                *(self._one(opened, one, targets.get(one.target), around, owner) for one in due)
            )
        return Counter(made)

    def around(self) -> Around:
        """What is known now of everything."""
        spec = self.house.spec
        return Around(url=spec.public_url or self.url, head=self.house.control.audit_head())

    async def send(
        self, opened: aiohttp.ClientSession, notice: Notice, target: Target, around: Around
    ) -> Attempt:
        """Send once."""
        try:
            url = resolved(target.url, self.environ)
            _check(url)
            secret = None if target.secret is None else secret_of(resolved(target.secret, self.environ))
        except UsageError as error:
            return Attempt(status=None, error=f"{error.message}.")
        body = written(notice, target.format, around)
        said = {"content-type": "application/json", "user-agent": f"inchworm/{__version__}"}
        if target.format is Format.WEBHOOK:
            said |= headers(notice.message_id, int(self.house.now()), body, secret)
        try:
            async with opened.post(url, data=body, headers=said, allow_redirects=False) as answer:
                return _judged(answer.status, answer.headers.get("retry-after"))
        except TimeoutError:
            return Attempt(status=None, error=f"no answer within {self.timeout_s:g} s.")
        except (aiohttp.ClientError, OSError, ValueError) as error:
            # Kind only: texts of such errors repeat the address, which may be a secret.
            return Attempt(status=None, error=f"the connection failed ({type(error).__name__}).")

    async def _one(
        self,
        opened: aiohttp.ClientSession,
        notice: Notice,
        target: Target | None,
        around: Around,
        owner: str,
    ) -> str:
        if target is None:
            attempt = Attempt(status=None, error="its target is in inchworm.yaml no more.", gone=True)
        else:
            attempt = await self.send(opened, notice, target, around)
        wait_s = None if attempt.gone else self._wait_s(notice.attempts, attempt.wait_s)
        again = None if attempt.error is None or wait_s is None else self.house.now() + wait_s
        control = self.house.control
        await asyncio.to_thread(
            lambda: control.settle_notice(notice.id, owner=owner, error=attempt.error, again_at=again)
        )
        if attempt.error is None:
            return "sent"
        _LOG.warning("notice %s of %s was not taken: %s", notice.message_id, notice.event, attempt.error)
        return "failed" if again is None else "again"

    def _wait_s(self, attempts: int, least_s: float) -> float | None:
        """Seconds before the next attempt after ``attempts``; ``None`` if there is none."""
        if attempts > len(DELAYS_S):
            return None
        delay = DELAYS_S[attempts - 1] * (1 + JITTER * (2 * self.jitter() - 1))
        return max(delay, min(least_s, DELAYS_S[-1]))


def session(timeout_s: float = TIMEOUT_S) -> aiohttp.ClientSession:
    """A client that remembers nothing and follows nothing."""
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout_s), cookie_jar=aiohttp.DummyCookieJar()
    )


def resolved(reference: str, environ: Mapping[str, str]) -> str:
    """The value that ``env:NAME`` stands for, or the text itself.

    Raises:
        UsageError: if the variable is not set.
    """
    if not reference.startswith(_PREFIX):
        return reference
    name = reference.removeprefix(_PREFIX)
    value = environ.get(name, "").strip()
    if not value:
        raise UsageError(f"the variable {name} is not set where this is sent from", hint=f"export {name}=…")
    return value


def _check(url: str) -> None:
    try:
        parts = urlsplit(url)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        named = False
    if not named:
        raise UsageError("the variable of its address holds no http or https URL")


def _judged(status: int, retry_after: str | None) -> Attempt:
    """What an answer means ("Delivery success and failure"): 2xx is taken, everything else is not."""
    if 200 <= status < 300:
        return Attempt(status=status, error=None)
    if status == _GONE:
        return Attempt(status=status, error="the receiver wants no more (410).", gone=True)
    moved = " and was not followed: name the new address" if 300 <= status < 400 else ""
    wait_s = float(retry_after) if retry_after is not None and retry_after.isdecimal() else 0.0
    return Attempt(status=status, error=f"it was answered with {status}{moved}.", wait_s=wait_s)
