"""What is served: fetched from the server by long polls, kept on disk, and ready in memory.

A gateway that has served once can start and serve without the server: it holds the last document that it
could verify (DESIGN.md, section 8).
"""

from __future__ import annotations

import asyncio
import hmac
import os
import random
import secrets
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from inchworm.domain.errors import InchwormError, InputError
from inchworm.domain.mistakes import MISTAKES
from inchworm.domain.published import WITNESS, Published, version, witness
from inchworm.gateway.logs import Log
from inchworm.gateway.metrics import Metrics
from inchworm.gateway.resolving import Serving
from inchworm.gateway.settings import Settings
from inchworm.gateway.upstream import Answer, Client, Target, UpstreamError, request_bytes

FILE = "published.json"
"""The last known good document, in the gateway's folder."""
_DOCUMENT_LIMIT = 64 << 20
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.05, 1.0
_SLACK_S = 5.0
_UNVOUCHED = (
    "sent an answer without its witness for this question: it is of an older version than this gateway, "
    "has another key, or somebody stands between who sends old answers again"
)


class Holder:
    """What is served at the moment.

    Args:
        path: where the last known good document is kept.
        published_key: ``derive(master, Purpose.PUBLISHED)``.
        token_key: ``derive(master, Purpose.TOKEN)``.
        clock: what time it is, seconds since the epoch.
        patience_s: seconds without a word from the server after which nobody watches what is served; longer
            than the server keeps a question for news open.
    """

    def __init__(
        self,
        path: Path,
        *,
        published_key: bytes,
        token_key: bytes,
        clock: Callable[[], float],
        patience_s: float,
    ) -> None:
        self._path = path
        self._patience_s = patience_s
        self._published_key, self._token_key = published_key, token_key
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()
        self._released = False
        self.serving: Serving | None = None
        """Ready for requests; ``None`` while nothing is known."""
        self.document: bytes | None = None
        """The signed document that it was made from."""
        self.version: str | None = None
        """Its version."""
        self.confirmed_at: float | None = None
        """When the server said last that this is what is to be served, seconds since the epoch."""

    def take(self, document: bytes) -> None:
        """Serve what a signed document says, from the next request on.

        Raises:
            InputError: if it cannot be read, or was not signed for this installation.
        """
        try:
            published = Published.read(self._published_key, document)
            serving = Serving(published, self._token_key, clock=self._clock)
        except InputError:
            raise
        except (InchwormError, *MISTAKES) as error:
            # Signed, and of a shape that this version does not expect: what is held is served on.
            raise InputError(f"what is published cannot be served: {error}") from error
        self.serving, self.document, self.version = serving, document, version(document)
        self._wake()

    def release(self) -> None:
        """The gateway stops: nobody is kept waiting any more."""
        self._released = True
        self._wake()

    def vouched(self, nonce: str, name: str, said: str | None) -> bool:
        """Whether the server itself said, to this very question, that a version is what is to be served."""
        return said is not None and hmac.compare_digest(said, witness(self._published_key, nonce, name))

    def confirm(self) -> None:
        """The server said that what is held is what is to be served."""
        self.confirmed_at = self._clock()

    def attended(self) -> bool:
        """Whether the server watches what is served; if not, nobody would stop a harmful candidate."""
        return self.attended_for() > 0

    def attended_for(self) -> float:
        """Seconds for which the server's last word holds; 0 while nobody watches."""
        if self.confirmed_at is None:
            return 0.0
        return max(0.0, self.confirmed_at + self._patience_s - self._clock())

    def recall(self) -> bool:
        """Take what is kept on disk, if it is there; whether it is.

        Raises:
            InputError: if it is there, and damaged or another installation's.
        """
        try:
            document = self._path.read_bytes()
        except FileNotFoundError:
            return False
        self.take(document)
        return True

    def keep(self, document: bytes) -> None:
        """Write a document to the disk, whole or not at all.

        Raises:
            OSError: if it cannot be written.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(prefix=f"{FILE}.", dir=self._path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(document)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except OSError:
            with suppress(OSError):
                Path(name).unlink()
            raise

    async def newer_than(self, held: str | None, *, timeout_s: float) -> bytes | None:
        """The document once its version differs from ``held``; ``None`` after ``timeout_s`` seconds."""
        if (self.version == held or self.document is None) and not self._released:
            changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(changed)
            try:
                async with asyncio.timeout(timeout_s):
                    await changed
            except TimeoutError:
                return None
            finally:
                self._waiting.discard(changed)
        return None if self.version == held else self.document

    def _wake(self) -> None:
        for one in self._waiting:
            if not one.done():
                one.set_result(None)


class Fetcher:
    """Asks the server for news, all the time.

    Args:
        holder: takes the news.
        client: asks.
        settings: whom to ask, and who asks.
        bearer: shows that this gateway belongs to the installation.
        taken: called with every new document's serving, right after it took effect.
        metrics: counts.
        log: says.
    """

    def __init__(
        self,
        holder: Holder,
        client: Client,
        settings: Settings,
        *,
        bearer: str,
        taken: Callable[[Serving], None],
        metrics: Metrics,
        log: Log,
    ) -> None:
        self._holder, self._client = holder, client
        self._target = Target.of(settings.control)
        self._poll_s = settings.poll_s
        self._who = f"gateway={quote(settings.name)}&url={quote(settings.url, safe='')}"
        self._headers = [("authorization", f"Bearer {bearer}"), ("accept", "application/json")]
        self._taken, self._metrics, self._log = taken, metrics, log
        self._jitter = random.Random()  # noqa: S311  # spreads retries, keeps no secret
        self._failing: str | None = None

    async def run(self) -> None:
        """Ask until cancelled."""
        wait = _FIRST_WAIT_S
        while True:
            try:
                await self._ask()
            except (UpstreamError, InchwormError, OSError) as error:
                self._say(str(error))
                await asyncio.sleep(wait * self._jitter.uniform(0.5, 1.0))
                wait = min(_LONGEST_WAIT_S, 2 * wait)
            else:
                if self._failing is not None:
                    self._log.info("server_back", version=self._holder.version)
                    self._failing = None
                wait = _FIRST_WAIT_S

    def _say(self, why: str) -> None:
        self._metrics.fetches.add("failed")
        if why != self._failing:  # once, not with every attempt
            self._log.warn("server_unreachable", why=why, version=self._holder.version)
            self._failing = why

    async def _ask(self) -> None:
        holds = self._holder.version or ""
        # After a failure, and after a start from what was kept, the server answers at once: one hears that it
        # is there.
        unheard = self._failing is not None or self._holder.confirmed_at is None
        wait = 0 if unheard else self._poll_s
        nonce = secrets.token_hex(16)
        asked = f"holds={holds}&wait={wait:g}&nonce={nonce}&{self._who}"
        path = f"{self._target.path}/api/v1/serving?{asked}"
        head = request_bytes("GET", self._target.origin, path, self._headers, b"")
        deadline = asyncio.get_running_loop().time() + wait + _SLACK_S
        answer = await self._client.send(self._target.origin, head, b"", deadline=deadline)
        document = await _body(answer)
        said = answer.head.get(WITNESS)
        match answer.head.status:
            case 200:
                if not self._holder.vouched(nonce, version(document), said):
                    raise UpstreamError(_UNVOUCHED)
                await self._take(document)
            case 304:
                if not self._holder.vouched(nonce, holds, said):
                    raise UpstreamError(_UNVOUCHED)
                self._holder.confirm()
                self._metrics.fetches.add("unchanged")
            case status:
                raise UpstreamError(f"answered {status} to a question for what to serve")

    async def _take(self, document: bytes) -> None:
        if (
            version(document) == self._holder.version
        ):  # it should have waited; asking on at once would be a storm
            raise UpstreamError("sent again what it was told is held")
        self._holder.take(document)
        self._holder.confirm()
        self._metrics.fetches.add("changed")
        serving = self._holder.serving
        if serving is not None:
            self._taken(serving)
        self._log.info("serving", version=self._holder.version)
        try:
            await asyncio.to_thread(self._holder.keep, document)
        except OSError as error:  # it serves from memory all the same
            self._metrics.capture_troubles.add("last_known_good")
            self._log.alarm("last_known_good_not_kept", why=str(error))


async def _body(answer: Answer) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await answer.piece():
        pieces.append(piece)
        size += len(piece)
        if size > _DOCUMENT_LIMIT:
            answer.abort()
            raise UpstreamError("sent a document that is too large")
    return b"".join(pieces)
