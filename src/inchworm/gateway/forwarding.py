"""What of a request goes to the provider, and what of its answer comes back. Pure."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from urllib.parse import quote, unquote

from inchworm.capture.headers import CONFIGURATION, OURS, TOKEN, TRACE, UNIT
from inchworm.domain.access import KEY_BEGINS
from inchworm.gateway.access import PLACES, names_key, ours
from inchworm.gateway.http1 import Head
from inchworm.gateway.origins import Target

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
_MESSAGES = "/v1/messages"
_VERSION, _VERSION_MEANT = "anthropic-version", "2023-06-01"
_BACK = frozenset(
    {"content-type", "retry-after", "retry-after-ms", "www-authenticate", "cf-ray", "request-id"}
)
_EITHER = zlib.MAX_WBITS | 32  # gzip or zlib, as the first bytes say
_UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
_BACK_BEGIN = ("x-", "openai-", "anthropic-", "azureml-", "apim-", "ms-azureml-")
_REMEMBERED = 512
_AZURE = "/openai/"
_AZURE_BASES = ("/openai/v1", "/openai", "/v1")


def sent_headers(items: Iterable[tuple[str, str]], *, key: str | None, path: str) -> list[tuple[str, str]]:
    """Headers for the provider: the caller's, without hop-by-hop ones and ours, and without keys of ours.

    Args:
        items: the caller's, names in lower case.
        key: the configuration's key; used only if the caller has none of its own.
        path: as the caller called it; says which header a provider reads the key from.
    """
    out: list[tuple[str, str]] = []
    own = False
    for item in items:
        name = item[0]
        fate = _fates[name] if name in _fates else _fate(name)
        if fate is None:
            if not names_key(item[1]):
                out.append(item)
        elif fate:
            if ours(item[1]) is None and not names_key(item[1]):
                own = True
                out.append(item)
        elif name == "connection" and item[1].lower() not in _NAMES_NOTHING:
            return sent_headers(_without_named(items, item[1]), key=key, path=path)
    # What is stored must be readable; packing a small answer saves nobody anything.
    out.append(("accept-encoding", "identity"))
    if key is not None and not own:
        out.append(_key_header(key, path))
    if path.startswith(_MESSAGES) and not any(item[0] == _VERSION for item in out):
        out.append((_VERSION, _VERSION_MEANT))
    return out


# Of names that came before, for most requests have the same ones: whether a header may be a key (else it is
# dropped), None for one that is sent on; and whether one of an answer goes back.
_fates: dict[str, bool | None] = {}
_backs: dict[str, bool] = {}


def _fate(name: str) -> bool | None:
    fate = False if name in _DROPPED or name.startswith(OURS) else True if name in PLACES else None
    if len(_fates) < _REMEMBERED:
        _fates[name] = fate
    return fate


def _goes_back(name: str) -> bool:
    goes = name in _BACK or name.startswith(_BACK_BEGIN)
    if len(_backs) < _REMEMBERED:
        _backs[name] = goes
    return goes


def _key_header(key: str, path: str) -> tuple[str, str]:
    if is_azure(path):
        return ("api-key", key)
    if path.startswith(_MESSAGES):  # Anthropic's
        return ("x-api-key", key)
    return ("authorization", f"Bearer {key}")


def _without_named(items: Iterable[tuple[str, str]], connection: str) -> list[tuple[str, str]]:
    """Without ``Connection`` itself and the headers that it names."""
    named = {name.strip().lower() for name in connection.split(",")} | {"connection"}
    return [item for item in items if item[0] not in named]


def is_azure(path: str) -> bool:
    """Whether the caller speaks Azure's dialect of paths."""
    return path.startswith(_AZURE)


def sent_path(target: Target, path: str, query: str) -> str:
    """Path and query of the request to the provider.

    ``/v1/chat/completions`` becomes ``BASE/chat/completions``. Azure's paths are put behind the base without
    its ``/openai/v1``, ``/openai`` or ``/v1``, for they bring their own. Of the query a key of ours stays
    here.
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
    if KEY_BEGINS in unquote(query):
        query = "&".join(part for part in query.split("&") if not names_key(unquote(part)))
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
            (_backs[name] if name in _backs else _goes_back(name))
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
