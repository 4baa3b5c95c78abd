"""Which server, if any, a command has to speak to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from inchworm.app.serve.files import running
from inchworm.domain.errors import UsageError

URL, KEY = "INCHWORM_SERVER", "INCHWORM_API_KEY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server that runs.

    Attributes:
        url: where its API is, without a slash at the end.
        token: with what to show oneself.
    """

    url: str
    token: str


def elsewhere(environ: Mapping[str, str]) -> Server | None:
    """The server that :data:`URL` names, with the key in :data:`KEY`; ``None`` if it names none.

    Raises:
        UsageError: if it is no address, or there is no key.
    """
    url = environ.get(URL, "").rstrip("/")
    if not url:
        return None
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{URL} is no address of a server", hint=f"{URL}=https://inchworm.example.org")
    token = environ.get(KEY, "")
    if not token:
        raise UsageError(
            f"{URL} is set, and {KEY} is not", hint="have a key made on that machine: inchworm keys add NAME"
        )
    return Server(url=url, token=token)


def here(data: Path) -> Server | None:
    """The server that owns this data directory; ``None`` if none runs."""
    found = running(data)
    return None if found is None else Server(url=found.url.rstrip("/"), token=found.token)
