"""Scores that a program gives itself, and how what is wrong with a value is said."""

from __future__ import annotations

from inchworm.capture.client.plain import number_of, plain, text_of
from inchworm.domain.errors import UsageError

_LONGEST_NAME = 200  # as the gateway takes it


def checked_score(name: object, value: object) -> float:
    """A score's value.

    Raises:
        UsageError: if it is no number in [0, 1], or the metric has no name.
    """
    metric, number = metric_named(name), number_of(value)
    if number is None or not 0 <= number <= 1:
        raise UsageError(f"a score lies in [0, 1], and {metric} is {shown(value)}")
    return float(number)


def metric_named(name: object) -> str:
    """A metric's name.

    Raises:
        UsageError: if it is no text, or an empty one.
    """
    if not issubclass(type(name), str) or not text_of(name):
        raise UsageError(f"a metric is named by a text, not {shown(name)}")
    return text_of(name)[:_LONGEST_NAME]


def shown(value: object) -> str:
    """A value in a sentence; of the host's own objects only the type."""
    kind = type(value)
    return repr(plain(value))[:80] if kind in {str, int, float, bool, type(None)} else f"a {kind.__name__}"
