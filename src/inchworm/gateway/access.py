"""Who calls, as far as a key of ours says it; keys of ours are for this gateway and go to no provider."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass

from inchworm.capture.headers import KEY
from inchworm.domain.access import KEY_BEGINS, holds_key
from inchworm.domain.configuration import AppRef
from inchworm.gateway.faults import FaultError, key_needed, unknown_key
from inchworm.gateway.resolving import Serving
from inchworm.gateway.settings import Settings

PLACES = ("authorization", "x-api-key", "api-key")
"""Where clients of providers and of tracing tools send a key, in lower case."""
_LONGEST = 4_096
_URL_SAFE = str.maketrans("-_", "+/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls.

    Attributes:
        app: the only app that the key sends for; ``None`` if it is bound to none, or there is no key.
        keyed: whether a key of this installation was shown.
    """

    app: AppRef | None
    keyed: bool


ANYBODY = Caller(app=None, keyed=False)
"""Who shows no key."""


def caller_of(headers: Mapping[str, str], serving: Serving, settings: Settings) -> Caller:
    """Who calls.

    Args:
        headers: of the request, by lower-case names.
        serving: knows the keys.
        settings: says whether a key is needed.

    Raises:
        FaultError: 401, if a key of ours opens nothing, or there is none and one is needed.
    """
    written = shown(headers)
    if written is None:
        if settings.require_key:
            raise FaultError(key_needed())
        return ANYBODY
    key = serving.key(written)
    if key is None:
        raise FaultError(unknown_key())
    return Caller(app=key.app, keyed=True)


def shown(headers: Mapping[str, str]) -> str | None:
    """The key of ours that a request shows; ``None`` if it shows none."""
    if (named := headers.get(KEY)) is not None:
        return named.strip()
    for place in PLACES:
        value = headers.get(place)
        if value is not None and (written := ours(value)) is not None:
            return written
    return None


def names_key(text: str) -> bool:
    """Whether a whole key of ours stands anywhere in it."""
    return KEY_BEGINS in text and holds_key(text)


def ours(value: str) -> str | None:
    """The key of ours in the value of a header for keys: alone, behind a scheme, or in a Basic pair."""
    if KEY_BEGINS in value:
        written = value.strip()
        if not written.startswith(KEY_BEGINS):  # Bearer, or what else a client says before it
            written = written.partition(" ")[2].strip()
        if written.startswith(KEY_BEGINS):
            return written
    if value[:6].lower() != "basic " or len(value) > _LONGEST:
        return None
    # Whatever a decoder somewhere reads a key from must not go there: unfilled, and the URL's alphabet, too.
    packed = value[6:].strip().translate(_URL_SAFE).rstrip("=")
    try:
        pair = base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    user, _, password = pair.decode("utf-8", "replace").partition(":")
    # A pair has room for two: Langfuse's clients send their public key before and the secret one behind.
    return next((one for one in (password, user) if one.startswith(KEY_BEGINS)), None)
