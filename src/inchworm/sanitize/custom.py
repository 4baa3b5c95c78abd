"""Kinds of one's own: what an expression matches is personal too."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from inchworm.domain.errors import ConfigError
from inchworm.sanitize.findings import Detector, Finding

_KIND_NAME: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z][A-Z0-9]*)*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomPattern:
    """A kind of one's own: everything that a regular expression matches.

    Raises:
        ConfigError: the kind's name is not in capitals, or the expression is wrong or matches nothing at all.
    """

    kind: str
    """Name of the kind in capitals (``MEMBER_NO``); its surrogates are ``MEMBER_NO_1`` and so on."""
    expression: str
    """A regular expression in Python's syntax. It is on its author to keep it linear."""

    def __post_init__(self) -> None:
        """Check the name and the expression."""
        if _KIND_NAME.fullmatch(self.kind) is None:
            message = f"The kind {self.kind!r} of a custom pattern is not a name in capitals."
            raise ConfigError(message, hint="Write letters, digits and single underscores, as in MEMBER_NO.")
        try:
            matches_nothing = re.compile(self.expression).search("") is not None
        except re.error as error:
            message = f"The custom pattern of kind {self.kind} is not a regular expression: {error}."
            raise ConfigError(message, hint="Mend the expression; Python's `re` syntax applies.") from error
        if matches_nothing:
            message = f"The custom pattern of kind {self.kind} also matches the empty text."
            raise ConfigError(message, hint="Make at least one character of it obligatory.")

    def detector(self) -> Detector:
        """Return the detector of this pattern."""
        compiled = re.compile(self.expression)

        def custom(text: str, /) -> Iterable[Finding]:
            for match in compiled.finditer(text):
                yield Finding(kind=self.kind, start=match.start(), end=match.end(), detector="custom")

        return custom
