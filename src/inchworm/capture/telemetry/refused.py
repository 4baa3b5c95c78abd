"""What could not be read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A piece of work that could not be read.

    Attributes:
        reason: why, in a sentence.
        body: it alone, as a body of the dialect that it came in, so that it can be kept and read again; the
            whole body if nothing of it could be read.
    """

    reason: str
    body: bytes
