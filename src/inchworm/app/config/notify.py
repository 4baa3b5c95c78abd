"""Whom to tell, as ``inchworm.yaml`` writes it. An address that is a secret stands in a variable."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, WithJsonSchema

from inchworm.app.config.layers import Keys
from inchworm.app.config.scalars import Reference, expected, refused, word
from inchworm.domain.notice import FOR_PEOPLE, Event, Format, Target

_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*")
_TOKEN = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9_=+~-]{16,}")
"""A part of a path that looks random: with letters and digits, and longer than a word."""
_SECRET = "holds a secret: put it into a variable and name that, as in env:NOTIFY_URL"  # noqa: S105  # a sentence


def address(value: str) -> str:
    """``env:NAME``, or an http or https URL without anything secret in it.

    Raises:
        PydanticCustomError: for anything else; what may be a secret is not repeated.
    """
    if _REFERENCE.fullmatch(value) is not None:
        return value
    try:
        parts = urlsplit(value)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        named = False
    if not named:
        raise expected("env:NAME, or a URL such as https://example.org/inchworm")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise refused(_SECRET)
    if any(_TOKEN.fullmatch(part) for part in parts.path.split("/")):
        raise refused(_SECRET)
    return value


def page(value: str) -> str:
    """The address of the pages, without a slash at its end.

    Raises:
        PydanticCustomError: if it is no http or https URL of a server alone.
    """
    try:
        parts = urlsplit(value)
        named = parts.scheme in {"http", "https"} and bool(parts.hostname)
        plain = not parts.query and not parts.fragment and "@" not in parts.netloc
    except ValueError:
        named = plain = False
    if not named or not plain:
        raise expected("a URL such as https://inchworm.example.org")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(address), WithJsonSchema({"type": "string"})]
PageUrl = Annotated[str, AfterValidator(page), WithJsonSchema({"type": "string"})]


class NotifyEntry(Keys):
    """Somebody who is told of decisions."""

    url: Address = Field(
        description="Where to: an http or https URL, or env: and the name of a variable that holds it. "
        "Addresses that are secrets (Slack's) stand in a variable."
    )
    format: Annotated[str, *word(*Format)] = Field(
        default=Format.WEBHOOK.value,
        description="webhook: JSON notify/1 as Standard Webhooks; slack: a message.",
    )
    events: list[Annotated[str, *word(*(one for one in Event if one != "test"))]] = Field(
        default=list(FOR_PEOPLE),
        min_length=1,
        description="Of what: kinds of decisions, and approval, emergency, audit.",
    )
    secret: Reference | None = Field(
        default=None,
        description="env: and the name of a variable with the signing secret: whsec_ and base64 of 24 to 64 "
        "bytes. Nothing is signed without it.",
    )

    def target(self) -> Target:
        """The value that the rest of Inchworm works with."""
        return Target(
            url=self.url,
            format=Format(self.format),
            events=tuple(dict.fromkeys(self.events)),
            secret=self.secret,
        )
