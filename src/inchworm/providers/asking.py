"""Asking a model over HTTP for a benchmark, whatever protocol it speaks (never on the hot path).

Retries are the harness's business: they wait outside of the measured latency, and the deadline holds for
each attempt, as the configuration's own users would feel it.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, ClassVar, Self

import aiohttp

from inchworm.domain.errors import ProviderError, UsageError
from inchworm.domain.outcome import ACCOUNT_STATUSES, PASSING_STATUSES
from inchworm.domain.rendering import ModelRequest
from inchworm.providers.secrets import Secrets
from inchworm.providers.upstream import Completion, Late, Refused, Reply, in_time

_SHOWN = 300
_NO_DEADLINE_S = 600.0


@dataclass(frozen=True, slots=True)
class Again:
    """An attempt that may be repeated: why, and in how many seconds the provider wants it."""

    reason: str
    after_s: float | None = None


@dataclass(slots=True, kw_only=True)
class HttpUpstream(ABC):
    """An ``Upstream`` over HTTP; what is said, and where, is the protocol's.

    Attributes:
        base_url: up to and including ``/v1``.
        api_key: the key itself, or ``None`` for servers that ask for none; never shown.
        max_concurrency: requests in flight at once.
        attempts: how often one request is tried.
        backoff_s: wait before the second attempt, in seconds; it doubles with each further one.
        max_wait_s: the longest wait between two attempts, whatever ``Retry-After`` says, in seconds.
    """

    default_base_url: ClassVar[str]
    default_key: ClassVar[str]
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    max_concurrency: int = 16
    attempts: int = 4
    backoff_s: float = 0.5
    max_wait_s: float = 60.0
    _session: aiohttp.ClientSession | None = field(default=None, init=False, repr=False)
    _slots: asyncio.Semaphore | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.max_concurrency < 1 or self.attempts < 1:
            msg = "max_concurrency and attempts are at least 1"
            raise UsageError(msg)

    @classmethod
    def of(cls, infrastructure: Mapping[str, Any], environment: Mapping[str, str]) -> Self:
        """Make one from the infrastructure layer.

        Args:
            infrastructure: ``base_url``, ``api_key`` (``env:NAME`` or ``file:/PATH``), ``max_concurrency``.
            environment: where references are looked up, usually ``os.environ``.

        Raises:
            UsageError: if the key is no reference, or names a variable that is not set.
        """
        return cls(
            base_url=str(infrastructure.get("base_url", cls.default_base_url)).rstrip("/"),
            api_key=_key_of(infrastructure, environment, default=cls.default_key),
            max_concurrency=int(infrastructure.get("max_concurrency", 16)),
        )

    @property
    @abstractmethod
    def path(self) -> str:
        """Behind ``base_url``."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """Who asks."""

    @abstractmethod
    def payload(self, request: ModelRequest) -> dict[str, Any]:
        """The JSON body; never streamed.

        Raises:
            UsageError: if the request cannot be said in this protocol.
        """

    @abstractmethod
    def read(self, text: str, latency_ms: float) -> Completion | Again:
        """What the body of an answer with status 200 says, or why it cannot be read."""

    async def complete(self, request: ModelRequest, *, sample: int) -> Reply:  # noqa: ARG002  # each call is a new sample
        """Ask, and ask again after 429, 5xx, broken connections and unreadable answers.

        Raises:
            ProviderError: when the last attempt failed too, or the key is not accepted.
            UsageError: if the model layer names no model.
        """
        body = self.payload(request)
        session, slots = self._open()
        async with slots:
            wait = self.backoff_s
            got = await self._attempt(session, body, request.deadline_s)
            for _ in range(1, self.attempts):
                if not isinstance(got, Again):
                    break
                await asyncio.sleep(min(self.max_wait_s, max(wait, got.after_s or 0.0)))
                wait *= 2
                got = await self._attempt(session, body, request.deadline_s)
        if not isinstance(got, Again):
            return got
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        msg = f"{self.base_url} could not be asked: tried {times}, the last time {got.reason}"
        raise ProviderError(msg, hint="the trial counts as errored, not as a bad answer; run it again later")

    async def close(self) -> None:
        """Close the connections."""
        session, self._session, self._slots = self._session, None, None
        if session is not None:
            await session.close()

    def _open(self) -> tuple[aiohttp.ClientSession, asyncio.Semaphore]:
        # Both belong to the running event loop, so they are made at the first request and dropped by close().
        if self._session is None or self._slots is None:
            self._session = aiohttp.ClientSession(headers=self.headers())
            self._slots = asyncio.Semaphore(self.max_concurrency)
        return self._session, self._slots

    async def _attempt(
        self, session: aiohttp.ClientSession, body: dict[str, Any], deadline_s: float | None
    ) -> Reply | Again:
        started = time.perf_counter()
        timeout = aiohttp.ClientTimeout(total=_NO_DEADLINE_S if deadline_s is None else deadline_s)
        try:
            async with session.post(f"{self.base_url}{self.path}", json=body, timeout=timeout) as response:
                text = await response.text(errors="replace")
        except TimeoutError:
            waited = (time.perf_counter() - started) * 1000
            if deadline_s is None:
                return Again(f"no answer came in {_NO_DEADLINE_S:g} s")
            return Late(deadline_s=deadline_s, latency_ms=waited)
        except aiohttp.ClientError as error:
            return Again(f"the connection failed ({type(error).__name__}: {error})")
        latency_ms = (time.perf_counter() - started) * 1000
        status = response.status
        if status == HTTPStatus.OK:
            read = self.read(text, latency_ms)
            # aiohttp rounds long timeouts up to whole seconds, so the deadline is held here too.
            return in_time(read, deadline_s) if isinstance(read, Completion) else read
        said = _error_message(text)
        if status in ACCOUNT_STATUSES:  # the harness's business and no trait of the candidate
            msg = f"{self.base_url} answers {status}: {said}"
            raise ProviderError(
                msg, hint="check the API key that infrastructure.api_key names, and its account"
            )
        if (
            status in PASSING_STATUSES
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
            or status < HTTPStatus.BAD_REQUEST
        ):
            return Again(f"it answered {status}: {said}", _retry_after(response.headers))
        return Refused(status=status, message=said)


def named(request: ModelRequest) -> str:
    """The model's name.

    Raises:
        UsageError: if the model layer names no model.
    """
    name = request.target.get("name")
    if not isinstance(name, str) or not name:
        raise UsageError("the model layer names no model", hint="set layers.model.name in inchworm.yaml")
    return name


def _key_of(infrastructure: Mapping[str, Any], environment: Mapping[str, str], *, default: str) -> str | None:
    """The key that an infrastructure layer refers to; ``None`` for a server of one's own that asks for none.

    Raises:
        UsageError: if it is no reference, or refers to nothing.
    """
    reference = infrastructure.get("api_key")
    if reference is None:
        if "base_url" in infrastructure:
            return None  # a server of one's own often asks for none
        reference = default
    scheme, _, name = str(reference).partition(":")
    found = Secrets(environment)(reference)
    if scheme == "file" and name.startswith("/"):
        if found is None:
            msg = f"infrastructure.api_key names the file {name}, and no key can be read from it"
            raise UsageError(msg, hint="put the key into its first line, readable for this user")
        return found
    if scheme != "env" or not name.isidentifier():
        # The value is not shown: it may be a key that was pasted here.
        msg = "infrastructure.api_key must name where the key is, not hold it"
        raise UsageError(
            msg, hint="write api_key: env:OPENAI_API_KEY and set that variable, or file:/PATH of a file"
        )
    if found is None:
        msg = f"infrastructure.api_key names the environment variable {name}, which is not set"
        raise UsageError(msg, hint=f"export {name}=...")
    return found


def count(value: object) -> int | None:
    """A count of tokens, if it is one."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _error_message(text: str) -> str:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return clip(text)
    match value:
        case {"error": {"message": str(message)}} | {"error": str(message)} | {"message": str(message)}:
            return clip(message)
    return clip(text)


def clip(text: str) -> str:
    """The beginning of a text on one line, for a message."""
    line = " ".join(text.split()) or "(nothing)"
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: a number or a date (RFC 9110, section 10.2.3)."""
    value = headers.get("Retry-After", "").strip()
    if value.replace(".", "", 1).isdigit():
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except ValueError:
        return None
