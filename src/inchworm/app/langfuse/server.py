"""Asks a Langfuse server: one page at a time, again where it is busy, never more than fits."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from inchworm.domain.errors import InputError, NotFoundError, StoreError, UsageError

TRIES: Final = 8
"""How often a page is asked for, at most."""
_TIMEOUT_S: Final = 60.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 120.0
_LARGEST: Final = 256 << 20
_BUSY: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class _Still(HTTPRedirectHandler):
    """Follows no redirect: the keys are for the server that was named."""

    def redirect_request(self, *_asked: Any) -> None:
        """Do not."""
        return


@dataclass(frozen=True, slots=True, kw_only=True)
class Langfuse:
    """One server, and the keys of a project there.

    Attributes:
        url: its address, without ``/api/public``.
        public_key: of the project.
        secret_key: of the project.
        wait: waits so many seconds.
        now: seconds since the epoch.
        busy: told how long is waited, and why.
    """

    url: str
    public_key: str
    secret_key: str
    wait: Callable[[float], None]
    now: Callable[[], float]
    busy: Callable[[float, str], None] = lambda _seconds, _why: None

    def __repr__(self) -> str:
        """Without the keys."""
        return f"Langfuse({self.url})"

    def get(self, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
        """One page.

        Args:
            path: below the server's address.
            asked: the query; ``None`` is left out.

        Raises:
            NotFoundError: if the server has no such path: it is older.
            UsageError: if it does not take the keys, or the address is none.
            InputError: if it refuses what was asked, or answers with something else.
            StoreError: if it cannot be reached or stays busy, however often it is asked.
        """
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        request = Request(f"{address(self.url)}{path}?{query}", headers=self._headers())  # noqa: S310  # only http
        opener = build_opener(_Still)
        pause = _FIRST_WAIT_S
        for tried in range(1, TRIES + 1):
            try:
                with opener.open(request, timeout=_TIMEOUT_S) as response:
                    return _decoded(response.read(_LARGEST + 1))
            except HTTPError as error:
                with error:
                    if error.code not in _BUSY:
                        raise _refused(error, path) from error
                    why = f"it answered {error.code}"
                    asked_for = _after(error.headers.get("Retry-After"), self.now())
            except (URLError, HTTPException, OSError) as error:
                why, asked_for = f"it cannot be reached: {getattr(error, 'reason', error)}", None
            if tried == TRIES:
                break
            seconds = min(pause if asked_for is None else asked_for, _LONGEST_WAIT_S)
            self.busy(seconds, why)
            self.wait(seconds)
            pause *= 2
        raise StoreError(
            f"{self.url} was asked {TRIES} times, and {why}",
            hint="what was read is stored; the same command goes on from there",
        )

    def _headers(self) -> dict[str, str]:
        said = base64.b64encode(f"{self.public_key}:{self.secret_key}".encode()).decode()
        return {"Authorization": f"Basic {said}", "Accept": "application/json", "User-Agent": "inchworm"}


def address(url: str) -> str:
    """A server's address without what stands behind it.

    Raises:
        UsageError: if it is none of the web's, or holds a password.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise UsageError(f'"{url}" is no address of a server', hint="e.g. --url https://cloud.langfuse.com")
    return url.rstrip("/").removesuffix("/api/public")


def iso(at: float) -> str:
    """A moment as Langfuse reads it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _decoded(body: bytes) -> dict[str, Any]:
    if len(body) > _LARGEST:
        raise InputError(f"a page of the server is larger than {_LARGEST >> 20} MiB")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InputError(
            "the server answered with what is no JSON", hint="is --url Langfuse's own?"
        ) from error
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise InputError("the server answered with what is no page of data", hint="is --url Langfuse's own?")
    return found


def _refused(error: HTTPError, path: str) -> Exception:
    if error.code in {401, 403}:
        return UsageError(
            f"the server does not take the keys ({error.code})",
            hint="say where they are: --public-key env:NAME --secret-key env:NAME",
        )
    if error.code == 404:
        return NotFoundError(f"the server has no {path}")
    if error.code in range(300, 400):
        return UsageError("the server sends us elsewhere", hint="give --url the address that it sends to")
    return InputError(f"the server refuses {path} with {error.code}")


def _after(said: str | None, now: float) -> float | None:
    """How long it asks us to wait (RFC 9110, section 10.2.3), in seconds."""
    if said is None:
        return None
    try:
        return max(float(said), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(said).timestamp() - now, 0.0)
    except ValueError:
        return None
