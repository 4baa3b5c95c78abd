"""HTTP to the gateway with the standard library: one kept connection, one caller at a time."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from inchworm.domain.errors import UsageError

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from socket import socket

_LONGEST_ANSWER = 64 << 20
_BOTH_WAYS = 2  # socket.SHUT_RDWR, which POSIX and Windows number alike


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: by lower-case names.
        body: all of it.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class UnreachableError(Exception):
    """Nobody answered, or nothing that can be read. Stays inside of the client library."""


def checked(url: str) -> str:
    """The address of a gateway, without a slash at its end.

    Raises:
        UsageError: if it is none.
    """
    parts = urlsplit(url)
    try:
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or parts.query or parts.fragment:
        raise UsageError(
            f'"{url}" is no address of a gateway', hint="write it as in http://127.0.0.1:4141, without /v1"
        )
    return url.rstrip("/")


class Wire:
    """A connection to a gateway, opened when it is needed and again when it broke.

    Args:
        url: as :func:`checked` gives it.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port
        self._secure, self._prefix = parts.scheme == "https", parts.path.rstrip("/")
        self._connection: HTTPConnection | None = None
        self._guard = threading.Lock()
        self._stopped = False

    def ask(
        self,
        method: str,
        path: str,
        *,
        timeout_s: float,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        """Ask once; twice if a kept connection turns out to be closed.

        Raises:
            UnreachableError: if no answer came in time, or none that can be read.
        """
        # Slow to import, and wanted by the threads that ask, not by the program that imports us.
        from http.client import HTTPException  # noqa: PLC0415

        kept = self._connection is not None
        try:
            return self._exchange(method, path, timeout_s, body, headers or {})
        except (OSError, HTTPException) as error:
            self.close()
            if not kept or isinstance(error, TimeoutError):
                raise UnreachableError(f"{type(error).__name__}: {error}") from error
        try:
            return self._exchange(method, path, timeout_s, body, headers or {})
        except (OSError, HTTPException) as error:
            self.close()
            raise UnreachableError(f"{type(error).__name__}: {error}") from error

    def _exchange(
        self, method: str, path: str, timeout_s: float, body: bytes | None, headers: dict[str, str]
    ) -> Answer:
        connection = self._open(timeout_s)
        connection.request(method, self._prefix + path, body=body, headers=headers)
        response = connection.getresponse()
        data = response.read(_LONGEST_ANSWER)
        if not response.isclosed() and response.read(1):  # more than anybody should read
            raise OSError("the answer is too long")
        if response.will_close:
            self.close()
        return Answer(
            status=response.status,
            headers={name.lower(): value for name, value in response.getheaders()},
            body=data,
        )

    def _open(self, timeout_s: float) -> HTTPConnection:
        with self._guard:
            if self._stopped:
                raise OSError("the client is closed")
            if self._connection is None:
                self._connection = self._new(timeout_s)
            connection = self._connection
        connection.timeout = timeout_s
        if connection.sock is None:
            connection.connect()
            # A request is one small write after another: without this each waits for the last one's receipt.
            _at_once(connection.sock)
        else:
            connection.sock.settimeout(timeout_s)
        return connection

    def _new(self, timeout_s: float) -> HTTPConnection:
        from http.client import HTTPConnection, HTTPSConnection  # noqa: PLC0415  # as above

        kind = HTTPSConnection if self._secure else HTTPConnection
        return kind(self._host, self._port, timeout=timeout_s)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        with self._guard:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def stop(self) -> None:
        """Wake whoever waits for an answer, and open nothing more. From any thread."""
        with self._guard:
            self._stopped = True
            sock = None if self._connection is None else self._connection.sock
        if sock is not None:
            with suppress(OSError):  # it was closed meanwhile
                sock.shutdown(_BOTH_WAYS)


def _at_once(sock: socket | None) -> None:
    if sock is not None:
        from socket import IPPROTO_TCP, TCP_NODELAY  # noqa: PLC0415  # as http.client above

        sock.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
