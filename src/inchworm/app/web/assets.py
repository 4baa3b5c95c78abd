"""Styles and scripts: read once, named by their content, so that browsers may keep them for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Response

_FOLDER = Path(__file__).parent / "static"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
VENDOR = ("vendor/htmx.min.js", "vendor/uplot.min.js", "vendor/uplot.min.css")
"""What the build fetches (``hatch_build.py``)."""
_A_YEAR_S = 31_536_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """A file that pages refer to.

    Attributes:
        name: its path below ``/static/``.
        content: its bytes.
        kind: its media type.
        digest: the beginning of the SHA-256 of its content, hexadecimal.
    """

    name: str
    content: bytes
    kind: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """Every asset, by name. Read once per process: a changed file shows after a restart."""
    return {
        name: Asset(
            name=name,
            content=content,
            kind=_TYPES[path.suffix],
            digest=hashlib.sha256(content).hexdigest()[:12],
        )
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
        for name, content in [(path.relative_to(_FOLDER).as_posix(), path.read_bytes())]
    }


def missing() -> tuple[str, ...]:
    """What the build should have fetched and did not: a source tree that was never set up."""
    return tuple(name for name in VENDOR if name not in assets())


def url(name: str) -> str:
    """Where an asset is, with its content's name.

    Raises:
        KeyError: if there is none by that name.
    """
    return f"/static/{name}?v={assets()[name].digest}"


def router() -> APIRouter:
    """``/static/``: for anybody, because the page to log in needs it."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/static/{name:path}")
    async def static(name: str, v: str | None = None) -> Response:
        asset = assets().get(name)
        if asset is None:
            return Response("There is no such file.\n", status_code=404, media_type="text/plain")
        # Only under the name of its content may it be kept; else an upgrade would go unseen.
        kept = f"public, max-age={_A_YEAR_S}, immutable" if v == asset.digest else "no-cache"
        return Response(
            asset.content,
            media_type=asset.kind,
            headers={"Cache-Control": kept, "ETag": f'"{asset.digest}"', "X-Content-Type-Options": "nosniff"},
        )

    @routes.get("/favicon.ico")
    async def favicon() -> Response:
        return await static("favicon.svg")

    return routes
