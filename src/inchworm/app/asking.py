"""Asks servers and gateways: one short question, one answer, no error."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer.

    Attributes:
        status: the HTTP status.
        date: when it was given by the other's clock, to the second, seconds since the epoch; ``None`` if it
            does not say.
        body: its JSON; ``None`` if it is none.
    """

    status: int
    date: float | None
    body: Any


def ask(
    url: str, path: str, *, method: str = "GET", bearer: str | None = None, patience_s: float = PATIENCE_S
) -> Said | None:
    """What is answered; ``None`` if nothing is in time.

    Args:
        url: of a server or gateway.
        path: below it.
        method: of HTTP.
        bearer: a key to show; none if left out.
        patience_s: how long each part of the answer may take, in seconds.
    """
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        with closing(kind(parts.hostname or "", parts.port, timeout=patience_s)) as connection:
            headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
            connection.request(method, parts.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            return Said(
                status=response.status, date=_date(response.getheader("date")), body=_json(response.read())
            )
    except (OSError, HTTPException, ValueError):
        return None


def _date(text: str | None) -> float | None:
    try:
        return None if text is None else parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
