"""Opening connections to providers: at once, or through the proxy that the environment names."""

from __future__ import annotations

import asyncio
import base64
import importlib
import importlib.util
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import unquote, urlsplit

from inchworm.domain.errors import ConfigError
from inchworm.gateway.origins import NoConnectionError, Origin, TooLateError

CONNECT_TIMEOUT_S = 10.0
"""How long a connection, TLS and a proxy included, may take."""
_ANSWER_LIMIT = 16 << 10
P = TypeVar("P", bound=asyncio.Protocol)


@dataclass(frozen=True, slots=True)
class Proxy:
    """What TLS connections are made through.

    Attributes:
        host: name or address.
        port: the port.
        authorization: of ``Proxy-Authorization``, if it wants one; a secret.
        spared: names whose connections, and those of names that end in them, go straight; ``*`` spares all.
    """

    host: str
    port: int
    authorization: str | None
    spared: tuple[str, ...]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Proxy | None:
        """What ``HTTPS_PROXY`` and ``NO_PROXY`` say (or their lower-case forms, which count first).

        Raises:
            ConfigError: if it is no ``http://`` URL; the message does not repeat it: it may hold a password.
        """
        url = environment.get("https_proxy") or environment.get("HTTPS_PROXY")
        if not url:
            return None
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            host, port = None, 0
            parts = urlsplit("")
        if parts.scheme != "http" or not host:
            raise ConfigError(
                "HTTPS_PROXY is no URL of a proxy that is spoken to in plain HTTP",
                hint="export HTTPS_PROXY=http://HOST:PORT",
            )
        authorization = None
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
        spared = (environment.get("no_proxy") or environment.get("NO_PROXY") or "").split(",")
        names = tuple(one.strip().lower().removeprefix("*.").removeprefix(".") for one in spared)
        return cls(host, port, authorization, tuple(one for one in names if one))

    def leads_to(self, origin: Origin) -> bool:
        """Whether connections there go through it. Plain HTTP does not: there are no tunnels for it."""
        host = origin.host.lower()
        return origin.secure and not any(
            one in {"*", host} or host.endswith(f".{one}") for one in self.spared
        )


class Connector:
    """Opens connections.

    Args:
        loop: that they belong to.
        environment: names a proxy, perhaps.

    Raises:
        ConfigError: if it names one that cannot be used.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, environment: Mapping[str, str]) -> None:
        self._loop = loop
        self._proxy = Proxy.of(environment)
        self._tls: ssl.SSLContext | None = None

    async def open(self, factory: Callable[[], P], origin: Origin, deadline: float) -> P:
        """A connection.

        Args:
            factory: makes the protocol that gets it.
            origin: where to.
            deadline: time of the event loop by which it must be there.

        Raises:
            NoConnectionError: if there is none to be had.
            TooLateError: if the deadline passes.
        """
        limit = self._loop.time() + CONNECT_TIMEOUT_S
        try:
            async with asyncio.timeout_at(min(limit, deadline)):
                if self._proxy is not None and self._proxy.leads_to(origin):
                    return await self._tunnel(factory, origin, self._proxy)
                _, protocol = await self._loop.create_connection(
                    factory, origin.host, origin.port, ssl=self._context() if origin.secure else None
                )
        except TimeoutError as error:
            if deadline < limit:
                raise TooLateError("did not accept a connection in time") from error
            raise NoConnectionError(f"did not accept a connection within {CONNECT_TIMEOUT_S:g} s") from error
        except ssl.SSLError as error:
            raise NoConnectionError(f"could not be trusted: {_said(error)}") from error
        except OSError as error:
            raise NoConnectionError(f"could not be reached: {_said(error)}") from error
        return protocol

    async def _tunnel(self, factory: Callable[[], P], origin: Origin, proxy: Proxy) -> P:
        """A connection through a proxy (RFC 9110, section 9.3.6)."""
        transport, asked = await self._loop.create_connection(
            lambda: _Tunnel(self._loop), proxy.host, proxy.port
        )
        try:
            host = f"[{origin.host}]" if ":" in origin.host else origin.host
            lines = [f"CONNECT {host}:{origin.port} HTTP/1.1", f"host: {host}:{origin.port}"]
            if proxy.authorization is not None:
                lines.append(f"proxy-authorization: {proxy.authorization}")
            transport.write("\r\n".join([*lines, "", ""]).encode())
            _check(await asked.answered)
            protocol = factory()
            secure = await self._loop.start_tls(
                transport, protocol, self._context(), server_hostname=origin.host
            )
        except BaseException:
            transport.abort()
            raise
        if secure is None:
            raise NoConnectionError("could not be reached: the connection closed")
        protocol.connection_made(secure)  # which start_tls leaves to its caller
        return protocol

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = tls_context()
        return self._tls


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to ``CONNECT``."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answered: asyncio.Future[int] = loop.create_future()
        """Its status; 0 if there is none that can be read."""
        self._kept = b""

    def data_received(self, data: bytes) -> None:
        self._kept += data
        end = self._kept.find(b"\r\n\r\n")
        if end >= 0:
            code = self._kept[:end].partition(b" ")[2][:3]
            self._tell(int(code) if code.isdigit() and self._kept.startswith(b"HTTP/1.") else 0)
        elif len(self._kept) > _ANSWER_LIMIT:
            self._tell(0)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # as asyncio calls it
        self._tell(0)

    def _tell(self, status: int) -> None:
        if not self.answered.done():
            self.answered.set_result(status)


def _check(status: int) -> None:
    if not 200 <= status < 300:
        raise NoConnectionError(f"could not be reached: the proxy answered {status or 'nothing'}")


def tls_context() -> ssl.SSLContext:
    """Verifies against the system's certificates (``SSL_CERT_FILE`` is heeded), else against certifi's."""
    context = ssl.create_default_context()
    paths = ssl.get_default_verify_paths()
    system = paths.cafile is not None or (paths.capath is not None and any(Path(paths.capath).iterdir()))
    if not system and importlib.util.find_spec("certifi") is not None:
        context.load_verify_locations(importlib.import_module("certifi").where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _said(error: OSError) -> str:
    return error.strerror or str(error) or type(error).__name__
