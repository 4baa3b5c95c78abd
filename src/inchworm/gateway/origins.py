"""Where requests lead: base URLs taken apart, the head of a request, and what can go wrong on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from inchworm.domain.errors import ConfigError


class UpstreamError(Exception):
    """No whole answer came. The text is a sentence without its subject: ``refused the connection``."""


class NoConnectionError(UpstreamError):
    """There was no connection: nothing was asked."""


class CutError(UpstreamError):
    """The answer broke off, or was no HTTP/1.1."""


class TooLateError(UpstreamError):
    """The deadline passed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where connections lead.

    Attributes:
        secure: whether TLS is spoken.
        host: name or address, without brackets.
        port: the port.
    """

    secure: bool
    host: str
    port: int
    authority: str = field(init=False, repr=False, compare=False)
    """The ``Host`` header; the default port is left out."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        host = f"[{self.host}]" if ":" in self.host else self.host
        named = host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"
        object.__setattr__(self, "authority", named)
        object.__setattr__(self, "_hash", hash((self.secure, self.host, self.port)))

    def __hash__(self) -> int:  # it is looked up several times per request
        return self._hash


@dataclass(frozen=True, slots=True)
class Target:
    """A base URL, taken apart.

    Attributes:
        origin: where connections lead.
        path: of the base URL, without the slash at its end.
        query: of the base URL, without the question mark.
    """

    origin: Origin
    path: str
    query: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Take an ``http://`` or ``https://`` URL apart.

        Raises:
            ConfigError: if it is no such URL.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise ConfigError(f'"{url}" is no URL: {error}') from error
        if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isascii() or " " in url:
            raise ConfigError(f'"{url}" is no URL that begins with http:// or https:// and names a host')
        secure = parts.scheme == "https"
        origin = Origin(secure, parts.hostname, port or (443 if secure else 80))
        return cls(origin, parts.path.rstrip("/"), parts.query)


def request_bytes(
    method: str, origin: Origin, path: str, headers: Iterable[tuple[str, str]], body: bytes
) -> bytes:
    """Request line and headers of a request; ``Host`` and ``Content-Length`` are added."""
    lines = [f"{method} {path} HTTP/1.1\r\nhost: {origin.authority}\r\n"]
    lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append(f"content-length: {len(body)}\r\n\r\n" if body or method != "GET" else "\r\n")
    return "".join(lines).encode()
