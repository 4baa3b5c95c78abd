"""What a detector says: a kind and two offsets, never the value itself."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """The kinds of personal data that the built-in detectors know; a custom pattern adds its own.

    The order is the order of specificity: of two findings that cover the same text, the earlier kind wins.
    """

    CARD = "CARD"
    IBAN = "IBAN"
    EMAIL = "EMAIL"
    IP = "IP"
    SECRET = "SECRET"  # noqa: S105 (the name of a kind, not a secret)
    PHONE = "PHONE"
    NAME = "NAME"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One stretch of text that has to go.

    Holds offsets only, so that neither a log nor a ``repr`` can give the value away.
    """

    kind: str
    """The kind: a :class:`Kind`, or the name of a custom pattern."""
    start: int
    """Offset of the first character, in code points."""
    end: int
    """Offset after the last character."""
    detector: str
    """The detector that found it, for the audit."""


class Detector(Protocol):
    """Finds one sort of personal data. Pure; linear in the length of the text.

    This is the seam for other detectors (a named-entity recogniser, say): whatever is callable in this way
    takes part, and overlaps are resolved by :func:`inchworm.sanitize.detect.resolve`.
    """

    def __call__(self, text: str, /) -> Iterable[Finding]:
        """Return the findings in ``text``, in any order; they may overlap."""
        ...
