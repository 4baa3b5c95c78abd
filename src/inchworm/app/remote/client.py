"""Speaks to a server, for commands: one call, one answer; errors come back as what they were."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from inchworm.app.codes import error_of
from inchworm.app.remote.server import Server
from inchworm.domain.errors import StoreError, UsageError

PREFIX = "/api/v1"
_TIMEOUT_S = 300.0
_SHORT_S = 2.0


class Client(AbstractContextManager["Client"]):
    """Calls to one server. Threads may share it: each has a connection of its own.

    Args:
        server: which.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._mine = threading.local()
        self._every: list[HTTPConnection] = []

    def close(self) -> None:
        """Close every connection."""
        while self._every:
            self._every.pop().close()

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def me(self) -> str:
        """The name under which the server knows us.

        Raises:
            UsageError: if it does not know us.
            StoreError: if it cannot be reached.
        """
        with self._asked("GET", "/me", None, again=True) as response:
            name: str = json.loads(response.read())["name"]
        return name

    def login(self) -> str:
        """An address that logs a browser in as us, once.

        Raises:
            UsageError: if the server does not know us.
            StoreError: if it cannot be reached.
        """
        with self._asked("POST", "/login-links", None, again=False) as response:
            path: str = json.loads(response.read())["path"]
        return self._server.url + path

    def doctor(self, *, offline: bool) -> dict[str, Any]:
        """What the server's own doctor finds, as JSON.

        Args:
            offline: whether the provider is not to be tried.

        Raises:
            UsageError: if the server does not know us, or the key does not allow it.
            StoreError: if it cannot be reached.
        """
        path = f"/doctor?offline={str(offline).lower()}"
        with self._asked("GET", path, None, again=True) as response:
            said: dict[str, Any] = json.loads(response.read())
        return said

    def ask(self, verb: str, path: str, data: Any = None) -> dict[str, Any]:
        """What a route of the API answers.

        Args:
            verb: ``GET`` or ``POST``.
            path: behind ``/api/v1``, e.g. ``/quarantine``.
            data: JSON to send along.

        Raises:
            InchwormError: what went wrong there.
            UsageError: if the server does not know us, or the key does not allow it.
            StoreError: if it cannot be reached.
        """
        with self._asked(verb, path, data, again=verb == "GET") as response:
            said: dict[str, Any] = json.loads(response.read())
        return said

    def call(self, store: str, method: str, said: dict[str, Any], *, again: bool) -> Any:
        """What a method of a store returns, packed.

        Args:
            store: ``traces`` or ``control``.
            method: its name.
            said: its arguments by name, packed.
            again: whether it may be called twice, where a kept connection turns out to be closed.

        Raises:
            InchwormError: what the method raised there.
            ValueError: the same.
            UsageError: if the key does not allow it.
            StoreError: if the server cannot be reached.
        """
        with self._asked("POST", f"/stores/{store}/{method}", {"arguments": said}, again=again) as response:
            return json.loads(response.read())["result"]

    def each(self, store: str, method: str, said: dict[str, Any]) -> Iterator[Any]:
        """What a method yields, packed, item by item; nothing is held but the present one.

        Raises:
            InchwormError: as :meth:`call`.
            StoreError: as :meth:`call`, and if the connection ends before the last item.
        """
        # On a connection of its own, because the caller may well call something else in between.
        connection = self._connect()
        with closing(connection):
            try:
                response = self._send(connection, "POST", f"/stores/{store}/{method}", {"arguments": said})
                _raise_for(response)
                for line in response:
                    row = json.loads(line)
                    if "error" in row:
                        raise _error(row)
                    if "end" in row:
                        return
                    yield row["item"]
            except (OSError, HTTPException) as error:
                raise self._unreachable(error) from error
        raise StoreError(
            f"{self._server.url} stopped in the middle of an answer",
            hint="see the server's log, and try again",
        )

    def wake(self) -> None:
        """Ask the control loop and the pages to look. One that cannot be reached looks by itself later."""
        connection = self._connect(_SHORT_S)
        with closing(connection):
            try:
                self._send(connection, "POST", "/wake", {}).read()
            except (OSError, HTTPException):
                return

    @contextmanager
    def _asked(self, verb: str, path: str, data: Any, *, again: bool) -> Iterator[HTTPResponse]:
        kept: HTTPConnection | None = getattr(self._mine, "connection", None)
        try:
            if kept is None or not again:
                response = self._send(self._fresh(), verb, path, data)
            else:
                try:
                    response = self._send(kept, verb, path, data)
                except (OSError, HTTPException):  # the server closes what was silent for some seconds
                    response = self._send(self._fresh(), verb, path, data)
            _raise_for(response)
            yield response
        except (OSError, HTTPException) as error:
            raise self._unreachable(error) from error

    def _fresh(self) -> HTTPConnection:
        before: HTTPConnection | None = getattr(self._mine, "connection", None)
        if before is not None:
            before.close()
            self._every.remove(before)
        self._mine.connection = made = self._connect()
        self._every.append(made)
        return made

    def _connect(self, timeout_s: float = _TIMEOUT_S) -> HTTPConnection:
        parts = urlsplit(self._server.url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        return kind(parts.hostname or "", parts.port, timeout=timeout_s)

    def _send(self, connection: HTTPConnection, verb: str, path: str, data: Any) -> HTTPResponse:
        # Escaped, so that also what no store would take gets there, and comes back as the store's own error.
        body = None if data is None else json.dumps(data).encode()
        headers = {"Authorization": f"Bearer {self._server.token}", "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(verb, urlsplit(self._server.url).path + PREFIX + path, body, headers)
        return connection.getresponse()

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(
            f"the server at {self._server.url} cannot be reached: {str(error) or type(error).__name__}",
            hint="see whether it runs: inchworm doctor, or its log",
        )


def _raise_for(response: HTTPResponse) -> None:
    if response.status < 300:
        return
    said = response.read()
    try:
        row = json.loads(said)
        error = _error(row)
    except (ValueError, KeyError, TypeError):
        raise StoreError(
            f"the server answered {response.status} {response.reason}", hint="is that an Inchworm server?"
        ) from None
    if response.status in {401, 403}:
        raise UsageError(row["error"]["message"], hint=row["error"]["hint"])
    raise error


def _error(row: dict[str, Any]) -> Exception:
    said = row["error"]
    return error_of(said["code"], said["message"], said["hint"])
