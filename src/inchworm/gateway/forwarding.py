"""What of a request goes to the provider, and what of its answer comes back. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from inchworm.capture.headers import CONFIGURATION, OURS, TOKEN, TRACE, UNIT
from inchworm.gateway.http1 import Head
from inchworm.gateway.upstream import Target

# Hop by hop (RFC 9110, section 7.6.1), or said anew for the next hop; and cookies: a browser knows no ports,
# so that those of the pages beside this gateway would go along.
_DROPPED = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"),
        *("te", "trailer", "transfer-encoding", "upgrade", "expect"),
        *("host", "content-length", "accept-encoding", "cookie"),
    }
)
_NAMES_NOTHING = frozenset({"keep-alive", "close"})
_KEYS = ("authorization", "api-key", "x-api-key")
_BACK = frozenset({"content-type", "retry-after", "retry-after-ms", "www-authenticate", "cf-ray"})
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, as the first bytes say
_UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
_BACK_BEGIN = ("x-", "openai-", "anthropic-", "azureml-", "apim-", "ms-azureml-")
_AZURE = "/openai/"
_AZURE_BASES = ("/openai/v1", "/openai", "/v1")
_ENVIRONMENT = "env:"


def sent_headers(items: Iterable[tuple[str, str]], *, key: str | None, azure: bool) -> list[tuple[str, str]]:
    """Headers for the provider: the caller's, without hop-by-hop ones and ours.

    Args:
        items: the caller's, names in lower case.
        key: the configuration's key; used only if the caller has none of its own.
        azure: whether the path is Azure's, which reads ``api-key``.
    """
    out: list[tuple[str, str]] = []
    own = False
    for item in items:
        name = item[0]
        if name in _DROPPED or name.startswith(OURS):
            if name == "connection" and item[1].lower() not in _NAMES_NOTHING:
                return sent_headers(_without_named(items, item[1]), key=key, azure=azure)
            continue
        own = own or name in _KEYS
        out.append(item)
    # What is stored must be readable; packing a small answer saves nobody anything.
    out.append(("accept-encoding", "identity"))
    if key is not None and not own:
        out.append(("api-key", key) if azure else ("authorization", f"Bearer {key}"))
    return out


def _without_named(items: Iterable[tuple[str, str]], connection: str) -> list[tuple[str, str]]:
    """Without ``Connection`` itself and the headers that it names."""
    named = {name.strip().lower() for name in connection.split(",")} | {"connection"}
    return [item for item in items if item[0] not in named]


def key_of(infrastructure: Mapping[str, Any], environment: Mapping[str, str]) -> str | None:
    """The key that ``api_key: env:NAME`` refers to; ``None`` if there is no reference or no such variable."""
    reference = infrastructure.get("api_key")
    if not isinstance(reference, str) or not reference.startswith(_ENVIRONMENT):
        return None
    key = environment.get(reference.removeprefix(_ENVIRONMENT), "").strip()
    return key if key and key.isascii() and key.isprintable() else None


def is_azure(path: str) -> bool:
    """Whether the caller speaks Azure's dialect of paths."""
    return path.startswith(_AZURE)


def sent_path(target: Target, path: str, query: str) -> str:
    """Path and query of the request to the provider.

    ``/v1/chat/completions`` becomes ``BASE/chat/completions``. Azure's paths are put behind the base without
    its ``/openai/v1``, ``/openai`` or ``/v1``, for they bring their own.
    """
    base = target.path
    if is_azure(path):
        for ending in _AZURE_BASES:
            if base.endswith(ending):
                base = base.removesuffix(ending)
                break
        path = base + path
    else:
        path = base + path.removeprefix("/v1")
    queries = "&".join(part for part in (target.query, query) if part)
    path = f"{path}?{queries}" if queries else path
    return (
        path
        if path.isascii() and path.isprintable() and " " not in path
        else quote(path, safe="/?&=%:+,;@!$'()*~")
    )


def returned_headers(head: Head) -> list[tuple[str, str]]:
    """Headers of the provider that the caller gets: what they are, and what clients act on.

    How an answer is packed is among them if it goes on packed (:class:`Unpacker`).
    """
    return [
        (name, value)
        for name, value in head.headers
        if (
            name in _BACK
            or name.startswith(_BACK_BEGIN)
            or (name == "content-encoding" and value.lower() not in _UNPACKED)
        )
        and value.isascii()
        and value.isprintable()
    ]


def said_headers(
    *, trace: str, unit: str, configuration: str | None, token: str | None
) -> list[tuple[str, str]]:
    """Headers with which the gateway says what it did. Names that no header can hold are left out."""
    out = [(TRACE, trace)]
    if unit.isascii() and unit.isprintable():
        out.append((UNIT, unit))
    if configuration is not None:
        out.append((CONFIGURATION, configuration))
    if token is not None:
        out.append((TOKEN, token))
    return out


class Unpacker:
    """Unpacks an answer that came packed although nobody asked for it (gzip, deflate).

    Args:
        limit: bytes that may come out; what is beyond is lost, and the answer broken: a bomb.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit
        self._begun = False
        self._inflate = zlib.decompressobj(_EITHER)

    @classmethod
    def of(cls, head: Head, limit: int) -> Unpacker | None:
        """One for this answer, if it is packed in a way that is known here."""
        coding = (head.get("content-encoding") or "").strip().lower()
        return cls(limit) if coding in _UNPACKED else None

    def feed(self, piece: bytes) -> bytes:
        """What a piece holds.

        Raises:
            zlib.error: if it is not packed that way, or holds too much.
        """
        out = b""
        while piece:
            if self._inflate.eof:
                if not piece.startswith(b"\x1f"):  # filled up
                    break
                self._inflate = zlib.decompressobj(_EITHER)  # packed in several parts (RFC 1952, section 2.2)
            out += self._inflate.decompress(piece, self._left - len(out) + 1)
            if len(out) > self._left:
                msg = "it unpacks to more than is taken here"
                raise zlib.error(msg)
            piece = self._inflate.unused_data
        self._begun = self._begun or bool(out)
        self._left -= len(out)
        return out

    def end(self) -> None:
        """Nothing more comes.

        Raises:
            zlib.error: if something is missing.
        """
        if self._begun and not self._inflate.eof:
            msg = "its end is missing"
            raise zlib.error(msg)
