"""What a calling program states of itself: its version, and what its floating references stand for now.

Nothing of it is a part of a configuration, and all of it can change what users see: so it is kept with each
interaction, and a change is entered in the ledger (:mod:`inchworm.capture.observed.noticing`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from inchworm.capture.attributes import LONGEST_HEADER
from inchworm.capture.headers import APPLICATION, OBSERVED
from inchworm.domain.attributes import LONGEST

APPLICATION_SAID = "inchworm.application"
"""The attribute that holds the version of the calling program."""
OBSERVED_SAID = "inchworm.observed"
"""The attribute that holds what floating references stand for: names with values."""
MOST = 16
"""References that one call may state."""
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def application_of(value: object) -> str | None:
    """The version of a program, e.g. a commit: a printable text, not too long; ``None`` if it is none."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if text and len(text) <= LONGEST and text.isprintable() else None


def observed_of(said: Mapping[Any, Any]) -> dict[str, str]:
    """What references stand for, by their names; what cannot be read counts as not said."""
    found: dict[str, str] = {}
    for name, value in said.items():
        text = application_of(value)
        if isinstance(name, str) and _NAME.fullmatch(name) and text is not None and len(found) < MOST:
            found.setdefault(name, text)
    return found


def read_observed(header: str) -> dict[str, str]:
    """The same from ``NAME=VALUE,NAME=VALUE``, both sides percent-encoded (RFC 3986, section 2.1)."""
    if len(header) > LONGEST_HEADER:
        return {}
    pairs = (pair.strip().partition("=") for pair in header.split(","))
    said: dict[str, str] = {}
    for name, _, value in pairs:
        said.setdefault(unquote(name.strip()), unquote(value.strip()))
    return observed_of(said)


def stated(headers: Mapping[str, str]) -> dict[str, Any]:
    """The attributes that a call's headers give; empty for most calls.

    Args:
        headers: by lower-case names.
    """
    found: dict[str, Any] = {}
    if (said := headers.get(APPLICATION)) and (application := application_of(said)) is not None:
        found[APPLICATION_SAID] = application
    if (said := headers.get(OBSERVED)) and (observed := read_observed(said)):
        found[OBSERVED_SAID] = observed
    return found
