"""Verdicts, which are never coerced into each other: nothing measured is not a pass."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The answer of a gate, a benchmark or a rollout."""

    PASS = "pass"
    """Not worse than the margin allows, with confidence."""
    FAIL = "fail"
    """Worse than the margin allows, with confidence."""
    INCONCLUSIVE = "inconclusive"
    """The data cannot tell yet; says what would settle it."""
    NO_DATA = "no_data"
    """Nothing was measured."""
    ERRORED = "errored"
    """The harness or a judge failed too often to say."""
    CANCELLED = "cancelled"
    """Somebody stopped it."""


_WORST_FIRST = (
    Verdict.FAIL,
    Verdict.CANCELLED,
    Verdict.ERRORED,
    Verdict.NO_DATA,
    Verdict.INCONCLUSIVE,
    Verdict.PASS,
)


def overall(verdicts: tuple[Verdict, ...]) -> Verdict:
    """The verdict of several gates together: the worst, and ``NO_DATA`` of none at all."""
    return min(verdicts, key=_WORST_FIRST.index) if verdicts else Verdict.NO_DATA
