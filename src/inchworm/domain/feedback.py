"""What people and programs say of an answer, on a metric's own scale: stars, words, numbers. Pure.

A score lies in [0, 1], higher is better. Feedback comes as it is given: four stars of five, "good", true.
How a metric reads it stands in its source (``Metric.source``)::

    {"feedback": True}                                      true and false, or numbers in [0, 1]
    {"feedback": True, "range": [1, 5]}                     numbers from the worst to the best
    {"feedback": True, "values": {"good": 1, "bad": 0}}     words
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inchworm.domain.errors import InputError
from inchworm.domain.metric import Metric

FEEDBACK = "feedback"
"""The member of a metric's source that says that nobody computes it."""
RANGE, VALUES = "range", "values"
_SHOWN = 80

Given = bool | int | float | str
"""What may be given."""


def is_given(metric: Metric) -> bool:
    """Whether the metric waits for feedback: nothing computes it, and no benchmark can measure it."""
    return FEEDBACK in metric.source


def read_feedback(metrics: Sequence[Metric], name: str, given: Given) -> float:
    """The score in [0, 1] that is meant.

    Args:
        metrics: the app's registry.
        name: of the metric; one that is not declared takes true, false and numbers in [0, 1].
        given: what somebody said.

    Raises:
        InputError: if it cannot be read so; the message says what to declare.
    """
    source = next((one.source for one in metrics if one.name == name), {})
    words, scale = source.get(VALUES), source.get(RANGE)
    if words is not None:
        return _word(name, words, given)
    if isinstance(given, str):
        raise InputError(
            f'the value on {_shown(name)} is the text "{_shown(given)}", and nothing says what it is worth',
            hint="declare what it is worth in inchworm.yaml: "
            f"metrics: {{{_shown(name)}: {{feedback: true, values: {{good: 1, bad: 0}}}}}}",
        )
    number = float(given)
    if not math.isfinite(number):
        raise InputError(f"the value on {_shown(name)} is no finite number")
    if scale is not None:
        return _on(name, scale, number)
    if 0.0 <= number <= 1.0:
        return number
    raise InputError(
        f"the value on {_shown(name)} is {number:g}, and a score lies in [0, 1]",
        hint="declare its scale in inchworm.yaml, the worst value first: "
        f"metrics: {{{_shown(name)}: {{feedback: true, range: [1, 5]}}}}",
    )


def _word(name: str, words: Mapping[str, float], given: Given) -> float:
    said = {True: "true", False: "false"}[given] if isinstance(given, bool) else str(given)
    value = words.get(said)
    if value is None and not isinstance(given, str) and math.isfinite(given):
        value = words.get(f"{given:g}")  # 1.0 is what JSON makes of 1
    if value is None:
        raise InputError(
            f'the value on {_shown(name)} is "{_shown(said)}"; it takes {", ".join(map(str, words))[:200]}'
        )
    return float(value)


def _on(name: str, scale: Sequence[float], number: float) -> float:
    worst, best = scale
    if not min(worst, best) <= number <= max(worst, best):
        raise InputError(
            f"the value on {_shown(name)} is {number:g}, and its scale goes from {worst:g} to {best:g}"
        )
    return min(1.0, max(0.0, (number - worst) / (best - worst)))


def scale_trouble(source: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with how a metric reads feedback: its key and why; ``None`` if nothing is."""
    scale, words = source.get(RANGE), source.get(VALUES)
    if scale is not None and words is not None:
        return VALUES, "stands beside range: a metric has one scale"
    if scale is not None:
        if len(scale) != len(("worst", "best")) or not all(map(math.isfinite, scale)) or scale[0] == scale[1]:
            return RANGE, "must be two different numbers, the worst and the best, as in [1, 5]"
        if not math.isfinite(scale[1] - scale[0]):
            return RANGE, "is too wide"
    if words is not None:
        if not words:
            return VALUES, "names no value"
        if not all(0 <= one <= 1 for one in words.values()):
            return VALUES, "must give each word a number between 0 and 1"
    return None


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
